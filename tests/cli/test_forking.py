"""Claims about the commands fork and compare, and about resuming with other code."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Loom = Callable[..., Any]
STORE = "sqlite:runs.db"
BUG = '{"text": "it is slow", "amount": 0}'


def ran(loom: Loom, run_id: str = "t-1") -> None:
    done = loom("run", "triage", "-i", BUG, "--store", STORE, "--run-id", run_id, "-q")
    assert done.exit_code == 0, done.stderr


def test_a_fork_prints_its_id_and_how_to_go_on_and_what_was_edited_changes_what_follows(loom: Loom) -> None:
    ran(loom)
    edit = 'classify={"text": "it broke", "amount": 7}'
    made = loom("fork", "t-1", "-g", "triage", "-s", STORE, "--output", edit, "--run-id", "t-2")
    assert (made.exit_code, made.stdout) == (0, "t-2\n")
    said = made.stderr.splitlines()
    assert said[0] == "forked from t-1 after its event 6"
    assert said[1] == "go on with it: loomgraph resume t-2 --graph triage --store sqlite:runs.db"
    done = loom(*shlex.split(said[1].partition("loomgraph ")[2]), "-q")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"text": "7 € refunded"})
    shown = json.loads(loom("show", "t-2", "-s", STORE, "--json").stdout)
    assert shown["run"]["parent"] == "t-1"
    assert {record["key"]: record["origin"] for record in shown["activations"]}["classify"] == "edited"
    rows = loom("show", "t-2", "-s", STORE).stdout.splitlines()
    assert next(row.split()[:3] for row in rows if row.startswith("classify")) == ["classify", "succeeded", "edited"]
    forks = json.loads(loom("runs", STORE, "--parent", "t-1", "--json").stdout)["runs"]
    assert [run["run_id"] for run in forks] == ["t-2"]


def test_without_edits_a_fork_needs_no_graph_and_leaves_where_it_is_told(loom: Loom) -> None:
    ran(loom)
    for at, events in (("2", 3), ("classify", 3), (None, 7)):
        made = loom("fork", "t-1", "-s", STORE, "--json", *(() if at is None else ("--at", at)))
        assert made.exit_code == 0, made.stderr
        assert json.loads(made.stdout)["events"] == events
        assert "--graph MODULE:WORKFLOW" in made.stderr
    done = loom("resume", json.loads(made.stdout)["run_id"], "-g", "triage", "-s", STORE, "-q")
    assert json.loads(done.stdout) == {"text": "looking at it is slow"}


def test_the_input_of_the_run_itself_is_that_of_start(loom: Loom) -> None:
    ran(loom)
    given = 'START={"text": "a bill", "amount": 3}'
    made = loom("fork", "t-1", "-g", "triage", "-s", STORE, "--input", given, "--run-id", "t-2")
    assert made.exit_code == 0, made.stderr
    done = loom("resume", "t-2", "-g", "triage", "-s", STORE, "-q")
    assert json.loads(done.stdout) == {"text": "3 € refunded"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--output", "classify=1"), "an edit is checked by the types of its graph. Say which: --graph"),
        (("-g", "triage", "--output", "classify"), "--output 'classify' is not KEY=JSON."),
        (("-g", "triage", "--output", "classify=nonsense"), "--output classify is not JSON"),
        (("-g", "triage", "--output", 'classify={"text": 1}'), "at text: Input should be a valid string"),
        (("-g", "triage", "--output", "classfy={}"), "no activation 'classfy'. Did you mean 'classify'?"),
        (("-g", "triage", "--at", "2", "--output", 'diagnose={"text": ""}'), "Fork it there: at='diagnose'"),
        (("-g", "triage", "--output", 'refund={"text": ""}'), "'refund': it was skipped"),
        (("--at", "99"), "run 't-1' has 7 events, 0 to 6, and no event 99."),
        (("--run-id", "t-1"), "run 't-1' is in sqlite:runs.db already."),
    ],
)
def test_what_cannot_be_forked_is_one_sentence_and_nothing_is_written(
    loom: Loom, options: tuple[str, ...], said: str
) -> None:
    ran(loom)
    done = loom("fork", "t-1", "-s", STORE, *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(json.loads(loom("runs", STORE, "--json").stdout)["runs"]) == 1


def test_two_runs_are_shown_side_by_side_where_they_differ(loom: Loom) -> None:
    ran(loom)
    edit = 'classify={"text": "x", "amount": 7}'
    loom("fork", "t-1", "-g", "triage", "-s", STORE, "--output", edit, "--run-id", "t-2")
    loom("resume", "t-2", "-g", "triage", "-s", STORE, "-q")
    done = loom("compare", "t-1", "t-2", "-s", STORE)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == 'output: {"text": "looking at it is slow"} -> {"text": "7 € refunded"}'
    assert lines[1].split() == ["KEY", "DIFFERS", "t-1", "t-2"]
    assert [line.split()[0] for line in lines[2:]] == ["classify", "refund", "diagnose"]
    assert "output, edited" in lines[2]
    assert done.stderr == "3 of 3 activations differ\n"
    one = loom("compare", "t-1", "t-2", "-s", STORE, "--node", "refund").stdout.splitlines()
    assert "skipped" in one[-1]
    assert 'succeeded: {"text": "7 €' in one[-1]
    document = json.loads(loom("compare", "t-1", "t-2", "-s", STORE, "--json").stdout)
    assert document["same"] is False
    found = {each["key"]: (each["differs"], each["source"]) for each in document["activations"]}
    assert found["classify"] == (["output"], True)
    assert found["refund"] == (["input", "status", "output"], False)
    assert document["right"]["parent"] == "t-1"


def test_runs_that_did_the_same_are_said_to(loom: Loom) -> None:
    ran(loom)
    ran(loom, "t-2")
    done = loom("compare", "t-1", "t-2", "-s", STORE)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "the runs did the same\n")
    assert len(loom("compare", "t-1", "t-2", "-s", STORE, "--all").stdout.splitlines()) == 4
    unknown = loom("compare", "t-1", "nobody", "-s", STORE)
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "there is no run 'nobody'" in unknown.stderr


def test_a_run_whose_code_changed_goes_on_with_rerun_and_keeps_what_the_change_does_not_touch(
    loom: Loom, place: Path
) -> None:
    (place / "closed").touch()
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    (place / "closed").unlink()
    text = (place / "order.py").read_text()
    (place / "order2.py").write_text(text.replace("return total + 1", "return total + 2"))
    strict = loom("resume", "t-1", "-g", "order2", "-s", STORE, "-q")
    assert strict.exit_code == 2
    assert "node 'pay', which has run, has other code" in strict.stderr
    done = loom("resume", "t-1", "-g", "order2", "-s", STORE, "--on-change", "rerun", "-q")
    assert (done.exit_code, json.loads(done.stdout)) == (0, 42)
    assert (place / "calls.txt").read_text().splitlines() == ["price"]
    rows = loom("show", "t-1", "-s", STORE).stdout
    assert "reused" in rows


def test_what_was_asked_before_the_fork_is_answered_as_it_is_resumed(loom: Loom) -> None:
    first = loom("run", "refund", "-i", "120", "--store", STORE, "--run-id", "t-1", "-q", "--json")
    (question,) = json.loads(first.stdout)["questions"]
    made = loom("fork", "t-1", "-g", "refund", "-s", STORE, "--input", "START=120", "--run-id", "t-2")
    assert made.exit_code == 0, made.stderr
    answers = json.dumps({question["id"]: {"yes": True}})
    done = loom("resume", "t-2", "-g", "refund", "-s", STORE, "--answers", answers, "-q", "--json")
    assert (done.exit_code, json.loads(done.stdout)["signals"]) == (3, ["paid"])
    made = loom("fork", "t-2", "-g", "refund", "-s", STORE, "--input", "START=150", "--run-id", "t-3")
    done = loom("resume", "t-3", "-g", "refund", "-s", STORE, "--answers", answers, "-q")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Resume the run without this answer" in done.stderr
