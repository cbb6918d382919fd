"""Putting it together: reports of files that could not be read, sums, and where trouble is likely to cost."""

from __future__ import annotations

from collections import Counter

from examples.health.models import (
    FileReport,
    Health,
    History,
    HotSpot,
    Importance,
    Listing,
    Previous,
    Problem,
    Request,
    SourceFile,
    Totals,
)
from loomgraph import Failure

HOT_SPOTS = 10
_ORDER = {"error": 0, "warning": 1, "note": 2}


def collect(files: list[SourceFile], inspected: list[FileReport | Failure]) -> list[FileReport]:
    """A report for every file: where looking at it failed, one that says so."""
    return [
        _failed(file, outcome) if isinstance(outcome, Failure) else outcome
        for file, outcome in zip(files, inspected, strict=True)
    ]


def _failed(file: SourceFile, failure: Failure) -> FileReport:
    said = f"{failure.error}: {failure.message}".replace(str(file.path), file.name)
    problem = Problem(check="unreadable", severity="error", name=file.name, line=1, message=said)
    return FileReport(name=file.name, kind="skipped", size=0, problems=(problem,), skipped="unreadable")


def judge(
    request: Request,
    listing: Listing,
    reports: list[FileReport],
    dead_links: list[Problem],
    repeated: list[Problem],
    cycles: list[Problem],
    importance: Importance,
    history: History,
    previous: Previous | None,
) -> Health:
    """The whole report: every problem, the worst first, the sums, and the hot spots."""
    problems = [problem for report in reports for problem in report.problems]
    problems += [*dead_links, *repeated, *cycles]
    problems.sort(key=lambda problem: (_ORDER[problem.severity], problem.name, problem.line, problem.check))
    return Health(
        root=str(request.root),
        found=len(listing.files),
        listed_by=listing.by,
        totals=_totals(reports, problems),
        previous=previous,
        problems=tuple(problems),
        files=tuple(reports),
        hot_spots=tuple(_hot_spots(reports, problems, importance, history)),
        importance=importance,
        history=history,
    )


def _totals(reports: list[FileReport], problems: list[Problem]) -> Totals:
    severities = Counter(problem.severity for problem in problems)
    return Totals(
        files=len(reports),
        lines=sum(report.lines for report in reports),
        errors=severities["error"],
        warnings=severities["warning"],
        notes=severities["note"],
        by_check=dict(sorted(Counter(problem.check for problem in problems).items())),
    )


def _hot_spots(
    reports: list[FileReport], problems: list[Problem], importance: Importance, history: History
) -> list[HotSpot]:
    """Python files by complexity x (1 + changes) x the root of importance (1: as much as the average file)."""
    counts = Counter(problem.name for problem in problems)
    spots: list[HotSpot] = []
    for report in reports:
        if not report.functions:
            continue
        complexity = sum(function.complexity for function in report.functions)
        worst = max(report.functions, key=lambda function: function.complexity)
        changes = history.changes.get(report.name, 0)
        weight = importance.shares[report.name] * len(importance.shares)
        spot = HotSpot(
            name=report.name,
            line=worst.line,
            score=round(complexity * (1 + changes) * weight**0.5, 1),
            changes=changes,
            importance=round(weight, 2),
            complexity=complexity,
            problems=counts[report.name],
        )
        spots.append(spot)
    spots.sort(key=lambda spot: (-spot.score, spot.name))
    return spots[:HOT_SPOTS]
