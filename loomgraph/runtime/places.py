"""What the names of nodes mean that a run is given: where to stop, and in which type a person answers. Runs nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import unquote

from loomgraph.compile.compiled import CompiledGraph
from loomgraph.errors import DefinitionError
from loomgraph.events import escape
from loomgraph.graph.definition import Definition, FunctionBody, GraphBody, NodeDef
from loomgraph.graph.signature import EMPTY, answer_type

__all__ = ["answered_in", "check_paths"]


def check_paths(compiled: CompiledGraph, word: str, paths: Iterable[str]) -> None:
    """Raise DefinitionError for a path that names no node. What is inside a graph of ctx.run is not known before."""
    for path in paths:
        known, named, _ = path.partition("/@")
        if _node(compiled.definition, known.split("/")) is None:
            paths_known = list(_paths(compiled.definition))
            close = difflib.get_close_matches(path, paths_known, n=1) or [*paths_known[:1]]
            meant = f" Did you mean {word}=[{close[0]!r}]?" if close else ""
            where = known if named else path
            raise DefinitionError(f"{word}={path!r}: graph '{compiled.definition.name}' has no node '{where}'.{meant}")


def answered_in(compiled: CompiledGraph, path: str) -> Any:
    """The type in which the node at a path is answered, if it is made to ask people; None for any other node."""
    node = _node(compiled.definition, path.split("/"))
    if node is None or not isinstance(node.body, FunctionBody):
        return None
    tp = answer_type(node.body.fn)
    return None if tp is EMPTY else tp


def _node(definition: Definition, names: Sequence[str]) -> NodeDef | None:
    name = unquote(names[0])
    found = next((node for node in definition.nodes if node.name == name), None)
    if found is None or len(names) == 1:
        return found
    return _node(found.body.graph.definition, names[1:]) if isinstance(found.body, GraphBody) else None


def _paths(definition: Definition, outer: str = "") -> Iterator[str]:
    for node in definition.nodes:
        path = f"{outer}{escape(node.name)}"
        yield path
        if isinstance(node.body, GraphBody):
            yield from _paths(node.body.graph.definition, f"{path}/")
