"""Which Python files matter: imports between the files of a tree, and a rank by who imports whom. Pure functions."""

from __future__ import annotations

from pathlib import PurePosixPath

from examples.health.models import FileReport, Import, Importance, ImportGraph, Ranking

DAMPING = 0.85
AT_REST = 1e-5


def find_imports(reports: list[FileReport]) -> ImportGraph:
    """Resolve the imports of every Python file to the files below the root; others are left out."""
    python = [report for report in reports if report.kind == "python"]
    modules: dict[str, str] = {}
    for report in python:
        for module in _modules(report.name):
            modules.setdefault(module, report.name)
    imports: dict[str, dict[str, int]] = {}
    for report in python:
        found: dict[str, int] = {}
        folder = ".".join(PurePosixPath(report.name).parent.parts)
        # a script finds what lies beside it; a module in a package does not
        beside = "" if not folder or folder in modules else f"{folder}."
        for one in report.imports:
            target = _resolve(one, "", modules) or _resolve(one, beside, modules)
            if target is not None and target != report.name:
                found.setdefault(target, one.line)
        imports[report.name] = found
    return ImportGraph(imports=imports)


def _modules(name: str) -> list[str]:
    """The names by which a file may be imported: from the root, and from a source directory at the root."""
    parts = list(PurePosixPath(name).with_suffix("").parts)
    if parts[-1] == "__init__":
        parts.pop()
    names = [".".join(parts)]
    if parts and parts[0] in {"src", "lib", "python"}:
        names.append(".".join(parts[1:]))
    return [name for name in names if name]


def _resolve(one: Import, beside: str, modules: dict[str, str]) -> str | None:
    """The file that is imported: `from package import name` means package.name if that is a module, else package."""
    named = modules.get(f"{beside}{one.module}.{one.name}") if one.name else None
    return named or modules.get(f"{beside}{one.module}")


def begin_ranking(graph: ImportGraph) -> Ranking:
    """Every file starts with an equal share."""
    return Ranking(graph=graph, shares={name: 1 / len(graph.imports) for name in graph.imports})


def rank(ranking: Ranking) -> Ranking:
    """One round of PageRank: each file gives its share to what it imports, in equal parts."""
    imports, shares = ranking.graph.imports, ranking.shares
    count = len(imports)
    if not count:
        return ranking.model_copy(update={"change": 0.0, "rounds": ranking.rounds + 1})
    idle = sum(shares[name] for name, targets in imports.items() if not targets)
    fresh = dict.fromkeys(imports, (1 - DAMPING + DAMPING * idle) / count)
    for name, targets in imports.items():
        for target in targets:
            fresh[target] += DAMPING * shares[name] / len(targets)
    change = max(abs(fresh[name] - shares[name]) for name in imports)
    return Ranking(graph=ranking.graph, shares=fresh, change=change, rounds=ranking.rounds + 1)


def moves(ranking: Ranking) -> bool:
    """Whether the last round still changed somebody's share."""
    return ranking.change > AT_REST


def settled(ranking: Ranking) -> Importance:
    """The ranking came to rest."""
    return Importance(shares=ranking.shares, rounds=ranking.rounds, settled=True)


def rough(ranking: Ranking) -> Importance:
    """The cap was reached first; the shares are close and the report says so."""
    return Importance(shares=ranking.shares, rounds=ranking.rounds, settled=False)
