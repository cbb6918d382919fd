"""The checks: small generators of findings, each naming nodes and the call that would mend it. None of them raises.

Passes run in order, and a pass that an earlier finding made meaningless is left out: a graph with an unknown name is
not searched for unreachable nodes, since the unknown name may be what would have led there.
"""

from __future__ import annotations

from collections.abc import Iterable

from loomgraph.compile.checks.conditions import condition_checks
from loomgraph.compile.checks.fates import fate_checks
from loomgraph.compile.checks.joins import join_checks
from loomgraph.compile.checks.loops import loop_checks
from loomgraph.compile.checks.nodes import node_checks
from loomgraph.compile.checks.reach import reach_checks
from loomgraph.compile.checks.values import value_checks
from loomgraph.compile.checks.view import GraphView
from loomgraph.compile.nest import Nest, find_nest
from loomgraph.errors import Finding
from loomgraph.graph.definition import Definition

__all__ = ["examine"]


def examine(definition: Definition, unknown: Iterable[Finding]) -> tuple[Nest | None, list[Finding]]:
    """The loop nest of a resolved definition and every finding about it, errors first; no nest if names are unknown.

    `unknown` are the findings about names.
    """
    findings = list(unknown)
    complete = not findings
    nest = find_nest(definition) if complete else None
    view = GraphView(definition, nest)
    findings += node_checks(view)
    findings += condition_checks(view)
    findings += value_checks(view)
    findings += join_checks(view)
    if nest is not None:
        shape = [*reach_checks(view, nest), *loop_checks(view, nest)]
        findings += shape
        if not any(f.severity == "error" for f in shape) and not any(f.rule == "two-otherwise" for f in findings):
            findings += fate_checks(view, nest)
    # a stable sort: within a severity, the order of the passes
    return nest, sorted(dict.fromkeys(findings), key=lambda finding: finding.severity != "error")
