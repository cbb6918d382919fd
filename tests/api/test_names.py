"""Claims about what `import loomgraph` gives and what it costs. A change here is a change of the public interface."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import loomgraph
from loomgraph import errors

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("networkx", "beartype", "typer", "click", "rich", "graphviz", "sqlite_utils", "sqlite3", "trio"),
    *("openai", "anthropic", "mcp", "psycopg", "cryptography", "numpy", "pandas"),
}
PUBLIC = [
    *("END", "OTHERWISE", "START"),
    *("ActivationRecord", "Agent", "Budget", "Cache", "CompileError", "Context", "Failure", "Finding", "Graph"),
    *("Limit", "LoomgraphError", "NodeFailedError", "Quorum", "Retry", "RunError", "RunHandle", "RunResult", "Tool"),
    *("UserBudget", "Workflow"),
    *("__version__", "register", "tool"),
]


def test_the_daily_names_are_exactly_these() -> None:
    assert list(loomgraph.__all__) == PUBLIC


def test_the_version_is_that_of_the_distribution() -> None:
    assert loomgraph.__version__ == version("loomgraph-engine")


def test_importing_loomgraph_loads_nothing_heavy() -> None:
    code = "import sys, json, loomgraph; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert HEAVY & set(json.loads(done.stdout)) == set()


def test_a_star_import_gives_exactly_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from loomgraph import *", names)
    names.pop("__builtins__")
    assert list(names) == PUBLIC


@pytest.mark.parametrize(
    "module",
    ["cli", "architectures", "integrations", "models", "nodes", "store", "testing", "tools", "visualize"],
)
def test_every_layer_can_be_imported_and_says_what_it_is(module: str) -> None:
    assert importlib.import_module(f"loomgraph.{module}").__doc__


def test_the_package_is_marked_as_typed() -> None:
    assert (Path(loomgraph.__file__).parent / "py.typed").is_file()


def test_the_tree_of_errors_is_drawn_as_it_is() -> None:
    drawn = errors.__doc__ or ""
    classes = [value for name in errors.__all__ if isinstance(value := getattr(errors, name), type)]
    depth = {cls: cls.__mro__.index(errors.LoomgraphError) for cls in classes if issubclass(cls, errors.LoomgraphError)}
    for cls, level in depth.items():
        lines = [line for line in drawn.splitlines() if re.search(rf"\b{cls.__name__}\b", line)]
        assert lines, f"{cls.__name__} is not in the tree"
        indents = [len(line) - len(line.lstrip(" │├└─")) for line in lines]
        # leaves of one branch may share a line, which then stands one level higher
        assert 4 * (level + 1) in indents or 4 * level in indents, f"{cls.__name__} is drawn at the wrong level"
