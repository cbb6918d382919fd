"""What is written: report.md for people, report.json for programs and for the next report, and the drawings."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from examples.health.models import Health, Problem, Request
from examples.health.workflow import ROUNDS, graph
from loomgraph import RunResult

__all__ = ["FILES", "change", "retries", "write"]

FILES = ("report.md", "report.json", "graph.mmd", "run.mmd", "graph.dot")
SHOWN = 50
SHOWN_NOTES = 5


def write(folder: Path, request: Request, result: RunResult[Health], made: str) -> list[Path]:
    """Write all of FILES into `folder`, which is made if need be; returns their paths. Raises OSError."""
    health = result.output
    drawing = graph.to_mermaid(result)
    contents = {
        "report.md": "\n".join(_markdown(request, result, made, drawing)) + "\n",
        "report.json": json.dumps(_document(request, health, made), indent=1, ensure_ascii=False) + "\n",
        "graph.mmd": graph.to_mermaid(),
        "run.mmd": drawing,
        "graph.dot": graph.to_dot(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (folder / name).write_text(contents[name], encoding="utf-8", newline="\n")
    return [folder / name for name in FILES]


def _document(request: Request, health: Health, made: str) -> dict[str, object]:
    return {
        "made": made,
        "root": health.root,
        "limit": request.limit,
        "totals": health.totals.model_dump(),
        "problems": [problem.model_dump() for problem in health.problems],
        "hot_spots": [spot.model_dump() for spot in health.hot_spots],
        "ranking": {"rounds": health.importance.rounds, "settled": health.importance.settled},
        "history": {"commits": health.history.commits, "unknown": health.history.unknown},
        "files": [report.model_dump(include={"name", "kind", "lines", "size", "skipped"}) for report in health.files],
    }


def change(now: int, before: int | None) -> str:
    """How a number changed since the last report: "+3", "-1", "=", or nothing if there was none."""
    if before is None:
        return ""
    return "=" if now == before else f"{now - before:+d}"


def retries(result: RunResult[Health]) -> Counter[str]:
    """How many attempts were made again, by the error that made it so."""
    return Counter(
        failure.error
        for record in result.activations
        for failure in record.failures[: None if record.status == "succeeded" else -1]
    )


# ---------------------------------------------------------------------- Markdown


def _markdown(request: Request, result: RunResult[Health], made: str, drawing: str) -> Iterator[str]:
    health = result.output
    yield f"# Health of {_cell(Path(health.root).name or health.root)}"
    yield ""
    first = f"the first {health.totals.files} of {health.found}" if request.limit else f"all {health.found}"
    yield (
        f"Made {made} in {result.seconds:.1f} s from {first} files below `{health.root}` "
        f"({'as git lists them' if health.listed_by == 'git' else 'not a git repository'})."
    )
    yield ""
    yield from _sums(health)
    for severity, title in (("error", "Errors"), ("warning", "Warnings")):
        found = [problem for problem in health.problems if problem.severity == severity]
        if found:
            yield from _section(title, found)
    yield from _notes(health)
    yield from _hot_spots(health)
    yield from _run(result, drawing)


def _sums(health: Health) -> Iterator[str]:
    now, last = health.totals, health.previous.totals if health.previous else None
    since = f" since {health.previous.made}" if health.previous else ""
    yield f"| | now | change{since} |"
    yield "| --- | ---: | ---: |"
    for name in ("files", "lines", "errors", "warnings", "notes"):
        yield f"| {name} | {getattr(now, name)} | {change(getattr(now, name), getattr(last, name) if last else None)} |"
    for check in sorted({*now.by_check, *(last.by_check if last else ())}):
        count = now.by_check.get(check, 0)
        yield f"| {check} | {count} | {change(count, last.by_check.get(check, 0) if last else None)} |"
    yield ""


def _section(title: str, problems: list[Problem]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield "| where | check | what |"
    yield "| --- | --- | --- |"
    for problem in problems[:SHOWN]:
        yield f"| {_place(problem.name, problem.line)} | {problem.check} | {_cell(problem.message)} |"
    yield ""
    if len(problems) > SHOWN:
        yield f"{len(problems) - SHOWN} more are in report.json."
        yield ""


def _notes(health: Health) -> Iterator[str]:
    by_check: dict[str, list[Problem]] = defaultdict(list)
    for problem in health.problems:
        if problem.severity == "note":
            by_check[problem.check].append(problem)
    if not by_check:
        return
    yield "## Notes"
    yield ""
    for check, found in sorted(by_check.items()):
        yield f"- {check}: {len(found)}"
        yield from (f"  - {_place(one.name, one.line)} {_cell(one.message)}" for one in found[:SHOWN_NOTES])
        if len(found) > SHOWN_NOTES:
            yield f"  - and {len(found) - SHOWN_NOTES} more"
    yield ""


def _hot_spots(health: Health) -> Iterator[str]:
    if not health.hot_spots:
        return
    unknown = health.history.unknown
    changes = f"changes are known from the last {health.history.commits} commits"
    if unknown is not None:
        changes = f"changes are not known ({_cell(unknown)})"
    rest = "at rest" if health.importance.settled else f"stopped at its cap of {ROUNDS}"
    yield "## Hot spots"
    yield ""
    yield (
        "Where a mistake is likely and costs most: complexity x (1 + changes) x the root of importance. "
        f"Importance 1 is that of an average file, by who imports whom (PageRank, {health.importance.rounds} rounds, "
        f"{rest}); {changes}."
    )
    yield ""
    yield "| file, at its most complex function | score | complexity | changes | importance | problems |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for spot in health.hot_spots:
        numbers = f"{spot.score:.0f} | {spot.complexity} | {spot.changes} | {spot.importance:.2f} | {spot.problems}"
        yield f"| {_place(spot.name, spot.line)} | {numbers} |"
    yield ""


def _run(result: RunResult[Health], drawing: str) -> Iterator[str]:
    usage, again = result.usage, retries(result)
    seconds: dict[str, float] = defaultdict(float)
    for record in result.activations:
        seconds[record.node] += record.seconds or 0.0
    slowest = sorted(seconds.items(), key=lambda spent: -spent[1])[:5]
    longest = ", ".join(f"{node} {spent:.2f} s" for node, spent in slowest)
    retried = ", ".join(f"{count} x {error}" for error, count in again.items()) or "none"
    yield "## The run"
    yield ""
    yield f"{usage.activations} activations, {usage.attempts} attempts; tried again: {retried}."
    yield f"Longest, all activations together and waiting included: {longest}."
    yield ""
    yield "```mermaid"
    yield drawing.rstrip("\n")
    yield "```"


def _place(name: str, line: int) -> str:
    place = f"{name}:{line}".replace("|", "\\|")  # or it would end the cell of a table, even in code
    return f"`{place}`" if "`" not in name else f"`` {place} ``"


def _cell(text: str) -> str:
    """A text from somewhere else as part of a line of Markdown."""
    for special in "\\`*_[]<>|":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())
