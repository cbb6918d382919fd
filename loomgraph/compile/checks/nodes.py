"""Each node for itself: its name, whether its body can be a node at all, whether it can be timed out. And the state."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator

from loomgraph.compile.checks.view import GraphView
from loomgraph.errors import Finding
from loomgraph.graph.definition import NodeDef

__all__ = ["node_checks"]


def node_checks(view: GraphView) -> Iterator[Finding]:
    """Findings about nodes and the state's reducers that need no edges."""
    yield from _duplicate_names(view)
    for node in view.definition.nodes:
        if node.signature.problems:
            yield from _not_a_node(node)
        if node.timeout is not None and node.signature.style == "sync":
            yield Finding(
                "cannot-time-out",
                f"'{node.name}' has timeout={node.timeout:g}, but it is a plain function: it runs in a thread, and a "
                f"thread cannot be stopped",
                f"Write it as `async def`, or take timeout= away and let the code in '{node.name}' set its own limit.",
                (node.name,),
            )
    yield from _reducers(view)


def _duplicate_names(view: GraphView) -> Iterator[Finding]:
    counts = Counter(node.name for node in view.definition.nodes)
    for name, count in counts.items():
        if count > 1:
            yield Finding(
                "duplicate-name",
                f"{count} nodes are called '{name}'",
                f"Give each a name of its own: wf.node(fn, name='{name}_2').",
                (name,),
            )


def _not_a_node(node: NodeDef) -> Iterator[Finding]:
    for problem in node.signature.problems:
        what, _, remedy = problem.rpartition("; ")
        yield Finding(
            "not-a-node",
            f"'{node.name}' cannot be a node: {what or problem}",
            f"{remedy[:1].upper()}{remedy[1:]}.",
            (node.name,),
        )


def _reducers(view: GraphView) -> Iterator[Finding]:
    state = view.definition.state
    for field, reducer in state.reducers.items() if state is not None else ():
        try:
            signature = inspect.signature(reducer)
        except (TypeError, ValueError):  # a builtin that does not say what it takes
            continue
        try:
            signature.bind(None, None)
        except TypeError:
            name = str(getattr(reducer, "__name__", repr(reducer)))
            written = name if name.isidentifier() else "merge"
            yield Finding(
                "reducer-arity",
                f"the reducer '{name}' of state field '{field}' cannot be called with two values",
                f"Write it as `def {written}(current, update)` and return the new value.",
                (),
            )
        if inspect.iscoroutinefunction(reducer):
            yield Finding(
                "reducer-async",
                f"the reducer of state field '{field}' is async, but state is folded without waiting",
                "Write it as a plain function, and do what it waits for in a node.",
                (),
            )
