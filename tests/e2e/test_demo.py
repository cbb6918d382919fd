"""Claims about the demo: what it finds in files made for it, what it writes, what it says of bad input."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from examples.health import inspection
from examples.health.__main__ import main
from examples.health.importance import begin_ranking, rank
from examples.health.inspection import Settings
from examples.health.markdown import slug_of
from examples.health.models import FileReport, Health, ImportGraph, Request, SourceFile
from examples.health.progress import View
from examples.health.report import FILES
from examples.health.tree import find_import_cycles
from examples.health.verdict import collect
from examples.health.workflow import ROUNDS, graph
from loomgraph import Failure, NodeFailedError, RunResult

LONG = "words that stand in two places at once " * 6 + "end"
PYTHON = '''"""A module."""

import {other}


def decide(value: int) -> int:
    if value > 1 and value < 5:
        return 1
    return 0
'''


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A directory with something to find for every check."""
    root = tmp_path / "tree"
    (root / "pkg").mkdir(parents=True)
    (root / "node_modules").mkdir()
    (root / "node_modules" / "theirs.js").write_text("x\n")
    (root / ".venv").mkdir()
    (root / ".venv" / "theirs.py").write_text("x\n")
    (root / "pkg" / "__init__.py").write_text('"""A package."""\n')
    (root / "pkg" / "a.py").write_text(PYTHON.format(other="pkg.b"))
    (root / "pkg" / "b.py").write_text(PYTHON.format(other="pkg.a") + f"\n# TO{'DO'}: mend this\n# {LONG}\n\n# end\n")
    (root / "broken.py").write_text("def f(:\n")
    (root / "latin.py").write_bytes(b"# caf\xe9\nx = 1\n")
    (root / "long.py").write_text('"""Long."""\n\n\ndef f() -> None:\n' + "    print()\n" * 600)
    (root / "readme.md").write_text(
        f"# A title\n\n[gone](gone.md) [here](#a-title) [nowhere](#nope) [other](pkg/a.py) `[code](no.md)`\n\n{LONG}\n"
    )
    (root / "guide.md").write_text(f"Guide\n=====\n\n[there](readme.md#a-title) [not](readme.md#there)\n\n{LONG}\n")
    (root / "good.toml").write_text("a = 1\n")
    (root / "bad.toml").write_text("a = 1\nb =\n")
    (root / "bad.json").write_text('{"a": }\n')
    (root / "mixed.txt").write_bytes(b"one\r\ntwo \nthree")
    (root / "picture.bin").write_bytes(b"\0\1\2")
    return root


def inspected(root: Path, **options: Any) -> RunResult[Health]:
    return graph.run_sync(Request(root=root, **options), deps=Settings(flake=0))


def places(health: Health, check: str) -> list[tuple[str, int]]:
    return [(problem.name, problem.line) for problem in health.problems if problem.check == check]


# ---------------------------------------------------------------------- what it finds


def test_every_check_finds_what_was_put_there_at_its_line(tree: Path) -> None:
    health = inspected(tree).output
    assert places(health, "syntax") == [("broken.py", 1)]
    assert places(health, "encoding") == [("latin.py", 1)]
    assert places(health, "unparsable") == [("bad.json", 1), ("bad.toml", 2)]
    assert places(health, "dead-link") == [("readme.md", 3)]
    assert places(health, "missing-anchor") == [("guide.md", 4), ("readme.md", 3)]
    assert places(health, "import-cycle") == [("pkg/a.py", 3)]
    assert places(health, "long-file") == [("long.py", 1)]
    assert places(health, "long-function") == [("long.py", 4)]
    assert places(health, "mixed-newlines") == [("mixed.txt", 1)]
    assert places(health, "trailing-space") == [("mixed.txt", 2)]
    assert places(health, "no-final-newline") == [("mixed.txt", 3)]
    assert places(health, "left-to-do") == [("pkg/b.py", 11)]
    assert places(health, "repeated") == [("guide.md", 6)]
    assert ("latin.py", 1) in places(health, "no-docstring")
    assert ("pkg/a.py", 6) not in places(health, "no-docstring")


def test_what_was_installed_or_made_is_not_looked_at_and_what_is_no_text_is_only_counted(tree: Path) -> None:
    reports = {report.name: report for report in inspected(tree).output.files}
    assert not [name for name in reports if "theirs" in name]
    assert reports["picture.bin"].skipped == "binary"


def test_only_the_first_files_are_looked_at_when_there_is_a_limit(tree: Path) -> None:
    health = inspected(tree, limit=2).output
    assert [report.name for report in health.files] == ["bad.json", "bad.toml"]
    assert health.found == 13


def test_a_repository_is_listed_by_git_and_its_history_counted(tree: Path) -> None:
    (tree / ".gitignore").write_text("ignored.py\n")
    (tree / "ignored.py").write_text("x\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    git = ["git", "-C", str(tree), *who]
    try:
        subprocess.run(["git", "init", "-q", str(tree)], check=True)
    except FileNotFoundError:
        pytest.skip("there is no git on this machine")
    subprocess.run([*git, "add", "pkg", ".gitignore"], check=True)
    subprocess.run([*git, "commit", "-qm", "one"], check=True)
    with (tree / "pkg" / "a.py").open("a") as file:
        file.write("\n")
    subprocess.run([*git, "commit", "-qam", "two"], check=True)
    health = inspected(tree).output
    names = [report.name for report in health.files]
    assert health.listed_by == "git"
    assert "readme.md" in names
    assert "ignored.py" not in names
    assert (health.history.commits, health.history.changes["pkg/a.py"], health.history.changes["pkg/b.py"]) == (2, 2, 1)
    assert health.hot_spots[0].name == "pkg/a.py"


def test_without_a_repository_the_report_says_so_and_goes_on(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tree))  # no git here
    result = inspected(tree)
    assert result.output.listed_by == "walk"
    assert result.output.history.unknown is not None
    assert [record.status for record in result.node("read_history")] == ["handled"]


def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(tmp_path: Path) -> None:
    gone = SourceFile(path=tmp_path / "gone.py", name="gone.py")
    with pytest.raises(NodeFailedError) as caught:
        inspection.graph.run_sync(gone)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    [failure] = caught.value.failures
    there = FileReport(name="there.py", kind="python", size=1)
    first, second = collect([gone, SourceFile(path=tmp_path / "there.py", name="there.py")], [failure, there])
    assert [problem.check for problem in first.problems] == ["unreadable"]
    assert str(tmp_path) not in first.problems[0].message
    assert second == there


def test_links_that_go_round_and_directories_that_link_to_themselves_are_not_followed(tree: Path) -> None:
    try:
        (tree / "round").symlink_to("round")
        (tree / "pkg" / "self").symlink_to(".")
    except OSError:
        pytest.skip("this machine does not let its users make symbolic links")
    assert len(inspected(tree).output.files) == 13


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("What *is* `new`?", "what-is-new"),
        ("A [link](x.md) & more", "a-link--more"),
        ("snake_case", "snake_case"),
        ("Über uns", "über-uns"),
    ],
)
def test_a_heading_is_linked_to_as_github_does_it(title: str, slug: str) -> None:
    assert slug_of(title) == slug


def test_yaml_is_parsed_where_there_is_a_parser_and_tabs_are_found_without(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "bad.yaml").write_text("a:\n\t- b\n")
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    assert ("bad.yaml", 2) in places(inspected(tree).output, "unparsable")
    monkeypatch.undo()
    if importlib.util.find_spec("yaml") is not None:
        assert ("bad.yaml", 2) in places(inspected(tree).output, "unparsable")


# ---------------------------------------------------------------------- how it runs


def test_the_simulated_flake_is_tried_again_and_changes_nothing_else(tree: Path) -> None:
    calm, flaky = inspected(tree), graph.run_sync(Request(root=tree), deps=Settings(flake=1))
    assert flaky.output == calm.output
    assert {record.attempts for record in calm.node("inspect/read")} == {1}
    assert {record.attempts for record in flaky.node("inspect/read")} == {2}


def test_the_ranking_goes_round_until_it_rests(tree: Path) -> None:
    result = inspected(tree)
    assert result.output.importance.settled
    assert len(result.node("rank")) == result.output.importance.rounds < ROUNDS
    assert sum(result.output.importance.shares.values()) == pytest.approx(1)


def test_a_ranking_that_does_not_rest_stops_at_the_cap_and_says_so(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.health.importance.AT_REST", -1.0)
    result = inspected(tree)
    assert len(result.node("rank")) == ROUNDS
    assert not result.output.importance.settled
    assert [record.status for record in result.node("settled")] == ["skipped"]


def test_what_is_imported_by_more_is_more_important() -> None:
    ranking = begin_ranking(ImportGraph(imports={"a": {"c": 1}, "b": {"c": 1}, "c": {}}))
    for _ in range(ROUNDS):
        ranking = rank(ranking)
    assert ranking.shares["c"] > ranking.shares["a"] == pytest.approx(ranking.shares["b"])
    assert sum(ranking.shares.values()) == pytest.approx(1)


def test_an_import_cycle_is_shown_by_its_shortest_way_round() -> None:
    imports = {"a": {"b": 3}, "b": {"c": 1}, "c": {"a": 7, "d": 2}, "d": {"a": 4}, "e": {"a": 1}}
    [problem] = find_import_cycles(ImportGraph(imports=imports))
    assert (problem.name, problem.line) == ("a", 3)
    assert problem.message == "a -> b -> c -> a, the shortest way round among 4 files"


@pytest.mark.parametrize("terminal", [True, False])
def test_the_progress_of_a_run_is_read_from_its_events(tree: Path, terminal: bool) -> None:
    result = graph.run_sync(Request(root=tree), deps=Settings(flake=1))
    shown = io.StringIO()
    with View(Console(file=shown, force_terminal=terminal, width=100)) as view:
        for event in result.events:
            view.feed(event)
    tally = view.tally
    assert (tally.files, tally.files_done, tally.retries) == (13, 13, 13)
    assert tally.rounds == result.output.importance.rounds
    assert not tally.running
    if not terminal:
        assert "13 files to look at\n" in shown.getvalue()
        assert "13 of 13 files\n" in shown.getvalue()
        assert "simulated: the first read of bad.json fails" in shown.getvalue()


# ---------------------------------------------------------------------- the command


def test_the_command_writes_a_report_its_data_and_its_drawings_and_says_where(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["--path", str(tree), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert all(str(out / name) in printed for name in FILES)
    report = (out / "report.md").read_text(encoding="utf-8")
    assert "| `bad.toml:2` | unparsable |" in report
    assert f"```mermaid\n{(out / 'run.mmd').read_text(encoding='utf-8')}" in report
    assert "13 items" in (out / "run.mmd").read_text(encoding="utf-8")
    assert "items" not in (out / "graph.mmd").read_text(encoding="utf-8")
    assert (out / "graph.dot").read_text(encoding="utf-8").startswith("digraph")
    assert json.loads((out / "report.json").read_text(encoding="utf-8"))["totals"]["files"] == 13


def test_the_next_report_says_what_changed_since_the_last_one(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["--path", str(tree), *out]) == 0
    (tree / "bad.toml").write_text("a = 1\n")
    assert main(["--path", str(tree), *out]) == 0
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "change since " in report
    assert "| unparsable | 1 | -1 |" in report
    assert "| files | 13 | = |" in report
    assert main(["--path", str(tree), *out, "--limit", "3"]) == 0
    assert "change since " not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_last_report_that_cannot_be_read_is_as_good_as_none(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("{")
    assert inspected(tree, previous=tmp_path / "report.json").output.previous is None


def test_a_report_written_into_the_tree_is_not_part_of_the_next_one(tree: Path) -> None:
    for _ in range(2):
        assert main(["--path", str(tree), "--out", str(tree)]) == 0
    assert json.loads((tree / "report.json").read_text(encoding="utf-8"))["totals"]["files"] == 13


def test_a_name_with_marks_of_markdown_stays_a_name(tree: Path, tmp_path: Path) -> None:
    (tree / "a`b[c].toml").write_text("=")
    assert main(["--path", str(tree), "--out", str(tmp_path / "out")]) == 0
    assert "| `` a`b[c].toml:1 `` |" in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_there_is_a_clear_message_and_exit_code_2_when_there_is_nothing_to_report_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for path, said in [
        ("nowhere", "nowhere does not exist. Name a directory with --path."),
        ("file", "cannot be read: "),
        ("empty", "there are no files below "),
    ]:
        assert main(["--path", str(tmp_path / path), "--out", str(tmp_path / "out")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_there_is_a_clear_message_and_exit_code_2_when_there_is_nowhere_to_write(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    assert main(["--path", str(tree), "--out", str(tmp_path / "file")]) == 2
    assert "Name another with --out." in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--limit", "0"], ["--flake", "2"]])
def test_an_option_that_means_nothing_is_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(options)
    assert caught.value.code == 2


def test_a_failure_of_one_file_is_a_value_and_not_the_end(tmp_path: Path) -> None:
    failure = Failure("inspect/check_text", "inspect[0]/check_text", 1, "RecursionError", "too deep")
    [report] = collect([SourceFile(path=tmp_path / "a", name="a")], [failure])
    assert report.problems[0].message == "RecursionError: too deep"
