"""compile(): names, then structure, then the loop nest, then everything that needs it. All findings at once.

Proves; runs nothing of the user's. Fingerprints are made when first asked for, because reading sources is slow; what
only compile() needs is imported by it, so that importing loomgraph costs none of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from loomgraph.compile.nest import Nest
from loomgraph.compile.plan import Plan, make_plan
from loomgraph.errors import CompileError, Finding
from loomgraph.events import escape
from loomgraph.graph.definition import Definition, FunctionBody, GraphBody
from loomgraph.graph.signature import EMPTY, answer_type

__all__ = ["CompiledGraph", "check_definition", "compile_definition"]


@dataclass(frozen=True, eq=False)
class CompiledGraph:
    """A sound definition, its loop nest and its plan. `warnings` are findings that did not stop it."""

    definition: Definition
    nest: Nest
    plan: Plan
    warnings: tuple[Finding, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits; the same wherever the graph means the same. Caps, limits and retries are not part of it."""
        from loomgraph.compile.fingerprint import graph_fingerprint

        for inner in _inner_first(self, "fingerprint"):
            _ = inner.fingerprint
        return graph_fingerprint(self.definition)

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of each node, by name."""
        from loomgraph.compile.fingerprint import node_fingerprint

        return {node.name: node_fingerprint(node) for node in self.definition.nodes}

    @cached_property
    def asks(self) -> tuple[str, ...]:
        """The paths of the nodes that are made to ask people, those of nested graphs included."""
        for inner in _inner_first(self, "asks"):
            _ = inner.asks
        found: list[str] = []
        for node in self.definition.nodes:
            name = escape(node.name)
            if isinstance(node.body, FunctionBody):
                found += [name] if answer_type(node.body.fn) is not EMPTY else []
            elif isinstance(node.body.graph, CompiledGraph):
                found += [f"{name}/{path}" for path in node.body.graph.asks]
        return tuple(found)


def _inner_first(graph: CompiledGraph, known: str) -> list[CompiledGraph]:
    """The graphs nested in this one that do not know something about themselves yet, each after those inside it.

    Asked for in this order, what is worked out once for each of them needs no recursion, however deep they nest.
    """
    order: list[CompiledGraph] = []
    seen = {id(graph)}
    work = [(graph, _nested(graph))]
    while work:
        outer, rest = work[-1]
        inner = next((one for one in rest if known not in vars(one) and id(one) not in seen), None)
        if inner is not None:
            seen.add(id(inner))
            work.append((inner, _nested(inner)))
        else:
            order.append(outer)
            work.pop()
    return order[:-1]


def _nested(graph: CompiledGraph) -> Iterator[CompiledGraph]:
    for node in graph.definition.nodes:
        if isinstance(node.body, GraphBody) and isinstance(node.body.graph, CompiledGraph):
            yield node.body.graph


def compile_definition(definition: Definition) -> CompiledGraph:
    """The compiled form of a definition. Raises CompileError with every finding if one of them is an error."""
    resolved, nest, findings = _examine(definition)
    if nest is None or any(finding.severity == "error" for finding in findings):
        raise CompileError(definition.name, findings)
    return CompiledGraph(resolved, nest, make_plan(resolved, nest), tuple(findings))


def check_definition(definition: Definition) -> list[Finding]:
    """All findings, errors first; empty if there is nothing to say. Never raises."""
    return _examine(definition)[2]


def _examine(definition: Definition) -> tuple[Definition, Nest | None, list[Finding]]:
    from loomgraph.compile.checks import examine
    from loomgraph.compile.resolve import resolve

    resolved, unknown = resolve(definition)
    nest, findings = examine(resolved, unknown)
    return resolved, nest, findings
