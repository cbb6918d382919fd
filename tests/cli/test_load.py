"""Claims about `module:workflow`: what it may name, and what it says when it names nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomgraph import Graph, Workflow
from loomgraph.errors import CompileError
from loomgraph.integrations.load import LoadError, load, split


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("flow:wf", ("flow", "wf")),
        ("flow", ("flow", None)),
        ("pack.flow:Holder.wf", ("pack.flow", "Holder.wf")),
        ("flows/one.py:wf", ("flows/one.py", "wf")),
        ("C:\\x\\flow.py:wf", ("C:\\x\\flow.py", "wf")),
        ("C:\\x\\flow.py", ("C:\\x\\flow.py", None)),
        ("C:/x/flow.py", ("C:/x/flow.py", None)),
    ],
)
def test_a_drive_letter_is_not_a_separator(target: str, expected: tuple[str, str | None]) -> None:
    assert split(target) == expected


def test_what_follows_the_colon_must_be_a_python_name() -> None:
    with pytest.raises(LoadError, match=r"'my-wf' is not a Python name\. Write module:workflow\.$"):
        split("flow:my-wf")


def test_a_dotted_module_is_found_in_the_current_directory(place: Path) -> None:
    assert isinstance(load("triage:wf"), Workflow)


def test_a_path_to_a_file_is_a_module_too(place: Path) -> None:
    loaded = load(f"{place / 'numbers_.py'}:doubling")
    assert isinstance(loaded, Graph)
    assert loaded.name == "double"


def test_a_file_inside_a_package_keeps_its_relative_imports(place: Path) -> None:
    package = place / "pack" / "inner"
    package.mkdir(parents=True)
    (place / "pack" / "__init__.py").touch()
    (package / "__init__.py").touch()
    (package / "parts.py").write_text("NAME = 'relative'", encoding="utf-8")
    (package / "flow.py").write_text(
        "from loomgraph import Workflow\nfrom .parts import NAME\nwf = Workflow(NAME)", encoding="utf-8"
    )
    assert load("pack/inner/flow.py:wf").name == "relative"
    assert load("pack.inner.flow").name == "relative"


def test_a_file_called_like_a_standard_module_is_still_that_file(place: Path) -> None:
    (place / "random.py").write_text("from loomgraph import Workflow\nwf = Workflow('mine')", encoding="utf-8")
    assert load("random.py:wf").name == "mine"


def test_a_module_called_like_one_that_is_loaded_already_is_the_one_in_the_current_directory(place: Path) -> None:
    (place / "json.py").write_text("from loomgraph import Workflow\nwf = Workflow('mine')", encoding="utf-8")
    assert load("json:wf").name == "mine"


def test_without_a_name_the_only_workflow_is_meant(place: Path) -> None:
    assert load("triage").name == "triage"


def test_a_workflow_and_its_graph_count_once_as_the_graph(place: Path) -> None:
    (place / "one.py").write_text(
        f"{(place / 'triage.py').read_text(encoding='utf-8')}\ngraph = wf.compile()\n", encoding="utf-8"
    )
    assert isinstance(load("one"), Graph)


def test_several_workflows_are_listed(place: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load("numbers_")
    assert str(caught.value) == "'numbers_' has 2 workflows. Say which: 'numbers_:doubling' or 'numbers_:square_wf'."


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("triage:wff", "'triage' has no 'wff'. Did you mean 'wf'?"),
        ("triage:zzzzzz", "'triage' has no 'zzzzzz'. Say which: 'triage:wf'."),
        ("triage.py:zzzzzz", "'triage.py' has no 'zzzzzz'. Say which: 'triage.py:wf'."),
        (
            "numbers_:make",
            "'make' in 'numbers_' is a function, not a Workflow or a Graph. "
            "If it makes one, keep what it returns under a name: wf = make().",
        ),
        (
            "numbers_:answer",
            "'answer' in 'numbers_' is a int, not a Workflow or a Graph. "
            "Say which: 'numbers_:doubling' or 'numbers_:square_wf'.",
        ),
        ("triagee.py", "there is no file 'triagee.py'. Did you mean 'triage.py'?"),
        (
            "nowhere/at/all.py:wf",
            "there is no file 'nowhere/at/all.py'. Give the path to a .py file, or a dotted module name.",
        ),
    ],
)
def test_a_wrong_target_says_what_to_write_instead(place: Path, target: str, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        load(target)
    assert str(caught.value).replace("\\", "/") == message


def test_an_unknown_module_suggests_a_neighbour(place: Path) -> None:
    with pytest.raises(LoadError) as caught:
        load("triagee:wf")
    assert str(caught.value) == (
        f"there is no module 'triagee' in {place} or among the installed packages. Did you mean 'triage'?"
    )


def test_a_module_without_any_workflow_says_how_to_define_one(place: Path) -> None:
    (place / "empty.py").write_text("x = 1", encoding="utf-8")
    with pytest.raises(LoadError) as caught:
        load("empty")
    assert str(caught.value) == "'empty' has no Workflow or Graph. Define one at the top level: wf = Workflow('name')."


@pytest.mark.parametrize("target", ["bad", "bad.py"])
def test_a_module_that_raises_says_what_and_where(place: Path, target: str) -> None:
    (place / "bad.py").write_text("x = 1\ny = x / 0\n", encoding="utf-8")
    with pytest.raises(LoadError, match=r"raised ZeroDivisionError: division by zero \(.*bad\.py, line 2\)") as caught:
        load(target)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_module_whose_own_import_is_missing_is_not_called_missing_itself(place: Path) -> None:
    (place / "needs.py").write_text("import no_such_package_at_all", encoding="utf-8")
    with pytest.raises(LoadError, match="importing 'needs' raised ModuleNotFoundError: No module named 'no_such"):
        load("needs")


def test_a_script_that_exits_is_told_to_guard_its_main_part(place: Path) -> None:
    (place / "script.py").write_text("raise SystemExit(3)", encoding="utf-8")
    with pytest.raises(LoadError, match=r"importing 'script' exits the program\. Put what runs under: if __name__"):
        load("script")


def test_a_module_that_compiles_an_unsound_workflow_raises_its_findings(place: Path) -> None:
    with (place / "broken.py").open("a", encoding="utf-8") as file:
        file.write("\nwf.compile()\n")
    with pytest.raises(CompileError, match="frist"):
        load("broken")
