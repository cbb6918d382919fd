"""Claims about `loomgraph new`: what it makes works as it is, and it overwrites nothing."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_a_new_project_passes_its_own_tests_and_can_be_drawn_and_run(place: Path, loom: Callable[..., Any]) -> None:
    made = loom("new", "made/help-desk")
    assert made.exit_code == 0, made.output
    folder = place / "made" / "help-desk"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        *("pyproject.toml", "README.md", ".gitignore", "tests/test_flow.py"),
        *("help_desk/__init__.py", "help_desk/flow.py"),
    }
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    flow = f"{folder / 'help_desk' / 'flow.py'}"
    checked = loom("check", flow)
    assert "sound, no findings" in checked.output
    drawn = loom("draw", flow, "--format", "text")
    assert "support" in drawn.output
    ran = loom("run", flow, "--store", "sqlite:runs.db", "--input", '{"text": "no light"}')
    assert ran.exit_code == 0, ran.output
    assert "no light" in ran.output


def test_what_a_new_project_says_of_itself_is_what_it_is(place: Path, loom: Callable[..., Any]) -> None:
    loom("new", "Help.Desk")
    project = tomllib.loads((place / "Help.Desk" / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == "Help.Desk"
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["help_desk"]
    assert re.fullmatch(r"loomgraph-engine>=[0-9.]+", *project["project"]["dependencies"])
    readme = (place / "Help.Desk" / "README.md").read_text(encoding="utf-8")
    for command in ("python -m pytest", "loomgraph draw help_desk.flow", "loomgraph run help_desk.flow"):
        assert f"\n    {command}" in readme
    for path in (place / "Help.Desk").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ast.get_docstring(ast.parse(text)), path
        assert "$" not in text


def test_nothing_is_overwritten(place: Path, loom: Callable[..., Any]) -> None:
    (place / "mine").mkdir()
    assert loom("new", "mine").exit_code == 0  # it was empty
    (place / "mine" / "README.md").write_text("my own words", encoding="utf-8")
    again = loom("new", "mine")
    assert again.exit_code == 2
    assert "'mine' is there already, and nothing is overwritten. Choose another name, or remove it." in again.output
    assert (place / "mine" / "README.md").read_text(encoding="utf-8") == "my own words"
    (place / "file").write_text("", encoding="utf-8")
    assert loom("new", "file").exit_code == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my flow", "'my flow' is no name for a project."),
        ("-", "'-' is no name for a project."),
        ("3d", "'3d' would be imported as '3d', which is no Python name."),
        ("class", "which is no Python name"),
        ("random", "'random' would be imported as 'random', which is taken already. Choose another name."),
        ("Loomgraph", "'Loomgraph' would be imported as 'loomgraph', which is taken already."),
        ("pydantic", "which is taken already"),
    ],
)
def test_a_name_that_cannot_be_imported_is_refused(place: Path, loom: Callable[..., Any], name: str, said: str) -> None:
    refused = loom("new", name)
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (place / name).exists()
