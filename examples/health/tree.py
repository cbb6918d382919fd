"""What can only be seen with all the files at hand: dead links, repeated paragraphs, import cycles."""

from __future__ import annotations

import posixpath
from collections import defaultdict

import networkx as nx

from examples.health.models import FileReport, ImportGraph, Problem, Request, Severity

OTHERS = 3
"""How many other files with the same paragraph are named; the rest are counted."""


def find_dead_links(request: Request, reports: list[FileReport]) -> list[Problem]:
    """Relative links of Markdown files to what does not exist, and fragments that no heading gives."""
    anchors = {report.name: frozenset(report.anchors) for report in reports if report.kind == "markdown"}
    found: list[Problem] = []
    for report in reports:
        for link in report.links:
            target = posixpath.normpath(posixpath.join(posixpath.dirname(report.name), link.path))
            target = target if link.path else report.name
            if link.path and not (request.root / target).exists():
                message = f"the link to {link.path} leads nowhere"
                found.append(_problem("dead-link", report.name, link.line, message, severity="error"))
            elif link.fragment and target in anchors and link.fragment.lower() not in anchors[target]:
                message = f"{link.path or 'this file'} has no heading for #{link.fragment}"
                found.append(_problem("missing-anchor", report.name, link.line, message))
    return found


def find_repeated(reports: list[FileReport]) -> list[Problem]:
    """Long paragraphs that stand in several files: one problem for each set of files that share some."""
    places: dict[str, dict[str, int]] = defaultdict(dict)
    for report in reports:
        for line, digest in report.paragraphs:
            places[digest].setdefault(report.name, line)
    shared: dict[tuple[str, ...], list[dict[str, int]]] = defaultdict(list)
    for lines in places.values():
        if len(lines) > 1:
            shared[tuple(lines)].append(lines)
    found: list[Problem] = []
    for names, paragraphs in shared.items():
        name, *others = names
        first = paragraphs[0]
        count = "a paragraph" if len(paragraphs) == 1 else f"{len(paragraphs)} paragraphs"
        where = ", ".join(f"{other}:{first[other]}" for other in others[:OTHERS])
        more = f" and {len(others) - OTHERS} more files" if len(others) > OTHERS else ""
        found.append(_problem("repeated", name, first[name], f"{count} also in {where}{more}", severity="note"))
    return found


def find_import_cycles(graph: ImportGraph) -> list[Problem]:
    """Files that import each other when they are imported: one problem, with its shortest ring, for each knot."""
    arrows: nx.DiGraph[str] = nx.DiGraph(
        (name, target) for name, targets in graph.imports.items() for target in targets
    )
    found: list[Problem] = []
    for knot in nx.strongly_connected_components(arrows):
        if len(knot) < 2:
            continue
        inside = arrows.subgraph(knot)
        start = min(knot)
        ways: list[list[str]] = [nx.shortest_path(inside, after, start) for after in sorted(inside[start])]
        back = min(ways, key=len)
        ring = " -> ".join([start, *back])
        more = f", the shortest way round among {len(knot)} files" if len(knot) > len(back) else ""
        found.append(_problem("import-cycle", start, graph.imports[start][back[0]], f"{ring}{more}"))
    return sorted(found, key=lambda problem: problem.name)


def _problem(check: str, name: str, line: int, message: str, *, severity: Severity = "warning") -> Problem:
    return Problem(check=check, severity=severity, name=name, line=line, message=message)
