"""A fingerprint is the same wherever the graph means the same, and another as soon as it means something else."""

from __future__ import annotations

import operator
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loomgraph.graph.builder import Builder

SOURCE = """
from typing import Literal
from pydantic import BaseModel
from loomgraph import END, START, Retry, Workflow

class Reply(BaseModel):
    text: str

inner = Workflow("inner", input=int, output=int)
@inner.node
def deep(n: int) -> int:
    return n * 3
inner.chain(START, deep, END)

wf = Workflow("w", input=int, output=Reply)
nested = wf.node(inner.compile(), name="nested")

@wf.node
async def first(n: int) -> int:
    return n + 1

@wf.node
def second(n: int) -> Reply:
    return Reply(text=str(n))

wf.chain(START, nested, first)
wf.edge(first, first, when=lambda n: n < 3)
wf.edge(first, second, when=lambda n: n >= 3)
wf.edge(second, END)
graph = wf.compile()
"""
EXPECTED = "b6521398d0d688bf795471d855be97ecb5101cfba9bb6bfa2fd37a3230072218"


def fingerprint(source: str, folder: Path) -> str:
    path = folder / f"made_{len(list(folder.iterdir()))}.py"
    path.write_text(source, encoding="utf-8")
    names: dict[str, Any] = {"__name__": "made"}
    exec(compile(source, str(path), "exec"), names)
    return str(names["graph"].fingerprint)


def changed(old: str, new: str) -> str:
    assert SOURCE.count(old) == 1
    return SOURCE.replace(old, new)


def test_the_fingerprint_is_the_one_it_always_was(tmp_path: Path) -> None:
    assert fingerprint(SOURCE, tmp_path) == EXPECTED


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_process_with_another_hash_seed_finds_the_same(seed: str, tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text(SOURCE + "\nimport sys\nsys.stdout.write(graph.fingerprint)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == EXPECTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    return n + 1", "    # one more\n\n    return n + 1  # really"),
        ("    return n + 1", "    return n + 1   "),
        (
            "@wf.node\nasync def first",
            "@wf.node(retry=Retry(2), timeout=3, limit=4, cache=True)\nasync def first",
        ),
        ("when=lambda n: n < 3)", "when=lambda n: n < 3, cap=7)"),
        ("wf.edge(second, END)", "wf.edge(second, END)\nwf.loop(first, cap=9)"),
        ("output=Reply)", "output=Reply, max_activations=7)"),
    ],
)
def test_what_is_not_meaning_does_not_change_it(old: str, new: str, tmp_path: Path) -> None:
    assert fingerprint(changed(old, new), tmp_path) == EXPECTED


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return n + 1", "return n + 2"),
        ("    text: str", "    text: str\n    score: float = 0.0"),
        ("def first(n: int)", "def first(n: float)"),
        ("n >= 3", "n > 2"),
        ("wf.edge(second, END)", "wf.edge(second, END, exit='latest')"),
        ("@wf.node\nasync def first", "@wf.node(version='2')\nasync def first"),
        ("return n * 3", "return n * 4"),
        ('Workflow("w"', 'Workflow("v"'),
    ],
)
def test_what_is_meaning_changes_it(old: str, new: str, tmp_path: Path) -> None:
    assert fingerprint(changed(old, new), tmp_path) != EXPECTED


def test_a_version_stands_for_the_code(tmp_path: Path) -> None:
    versioned = changed("@wf.node\nasync def first", "@wf.node(version='2')\nasync def first")
    other_code = versioned.replace("return n + 1", "return n + 2")
    assert fingerprint(versioned, tmp_path) == fingerprint(other_code, tmp_path)


def test_functions_without_source_have_one() -> None:
    from loomgraph.compile.fingerprint import node_fingerprint

    names: dict[str, Any] = {}
    exec(compile("def made(n): return n", "<nowhere>", "exec"), names)
    builder = Builder("w")
    for fn in (names["made"], len, operator.itemgetter(1)):
        builder.node(fn)
    found = [node_fingerprint(node) for node in builder.define().nodes]
    assert [len(text) for text in found] == [64, 64, 64]
    assert len(set(found)) == 3
