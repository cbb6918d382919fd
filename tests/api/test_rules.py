"""Claims about the source: sizes, names, docstrings and words. What import-linter proves is asserted here too."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "loomgraph").rglob("*.py"))
FOLDERS = ("loomgraph", "tests", "examples", "benchmarks", "docs")
PYTHON = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
PROSE = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "Makefile", ROOT / "pyproject.toml"]

# Spelt in halves, so that this file keeps its own rules.
FORBIDDEN = [
    r"pip install (-\S+ )*loom" + r"graph(?!-engine)\b",
    r"/wo" + r"rk/",
    r"\bissues? (show|list)\b|\bfa" + r"rm-\w",
    r"\bsub-?ag" + r"ent session\b|\bthis work" + r"place\b",
]


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", LIBRARY, ids=_name)
def test_a_module_is_short_and_says_what_it_is(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines < 500, f"{lines} lines; split the module by what its parts are for"
    assert path.stem not in {"utils", "helpers", "common", "misc"}
    assert ast.get_docstring(_tree(path)), "a module opens with what it is and what it refuses to do"


@pytest.mark.parametrize("path", LIBRARY, ids=_name)
def test_a_function_is_short_and_shallow(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length < 60, f"{node.name} has {length} lines"
            assert _depth(node) < 5, f"{node.name} nests {_depth(node)} deep"


@pytest.mark.parametrize("path", LIBRARY, ids=_name)
def test_a_public_name_has_a_docstring(path: Path) -> None:
    tree = _tree(path)
    exported = _exported(tree)
    bare = [
        node.name
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and node.name in exported
        and not ast.get_docstring(node)
        and "overload" not in [ast.unparse(decorator) for decorator in node.decorator_list]
    ]
    assert bare == []


def test_ignores_name_their_code_and_skips_their_reason() -> None:
    bare = re.compile(r"#\s*(noqa|type:\s*ignore|pyright:\s*ignore)(?![:\[])")
    skip = re.compile(r"\b(?:mark\.)?skip\(\s*\)|\bmark\.skip\b(?!\()|\bmark\.xfail\b(?!\()")
    for path in PYTHON:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if path != Path(__file__):
                assert not bare.search(line), f"{_name(path)}:{number}: an ignore without a code"
                assert not skip.search(line), f"{_name(path)}:{number}: a skip without a reason"


def test_no_test_waits_by_sleeping() -> None:
    sleep = re.compile(r"\b(time|asyncio|trio)\.sleep\((?!0\))")
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path == Path(__file__):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not sleep.search(line), f"{_name(path)}:{number}: synchronise with an event, not with a sleep"


def test_the_project_speaks_of_itself_alone() -> None:
    patterns = [re.compile(pattern, re.IGNORECASE) for pattern in FORBIDDEN]
    for path in [*PYTHON, *PROSE]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for pattern in patterns:
                assert not pattern.search(line), f"{_name(path)}:{number}: {line.strip()!r}"


def test_imports_run_downward_only() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_of_the_engine_is_either_pure_by_contract_or_on_the_schedulers_side() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["id"]: contract for contract in settings["tool"]["importlinter"]["contracts"]}
    pure = {name.rpartition(".")[2] for name in contracts["pure"]["source_modules"] if ".engine." in name}
    modules = {path.stem for path in (ROOT / "loomgraph" / "engine").glob("*.py")} - {"__init__"}
    assert modules - pure == {"attempts", "journal", "limits", "scheduler", "waits"}
    assert pure <= modules


def _depth(node: ast.AST) -> int:
    """The deepest nesting of compound statements in a function; an `elif` is not deeper than its `if`."""
    deepest = 0
    for child in _blocks(node):
        deepest = max(deepest, 1 + _depth(child))
    return deepest


def _blocks(node: ast.AST) -> Iterator[ast.AST]:
    compound = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(child, ast.If):
            yield from _arms(child)
        elif isinstance(child, compound):
            yield child
        else:
            yield from _blocks(child)


def _arms(node: ast.If) -> Iterator[ast.AST]:
    """The arms of an if/elif chain as siblings: each as a body of its own."""
    yield ast.Module(node.body, [])
    if len(node.orelse) == 1 and isinstance(node.orelse[0], ast.If):
        yield from _arms(node.orelse[0])
    elif node.orelse:
        yield ast.Module(node.orelse, [])


def _exported(tree: ast.Module) -> set[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return set(ast.literal_eval(node.value))
    return set()
