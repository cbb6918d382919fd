"""Whether two outcomes are the same, and if not, where they differ, one line each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.properties.outcome import Outcome, Record, Status, plain

__all__ = ["assert_part", "assert_same"]


def assert_same(expected: Outcome, got: Outcome, *, stopped: bool = False) -> None:
    """Raise AssertionError with every difference. Inside of what the decision of an early join cut off is left open;
    `stopped`: inside of what failed too, for there a failure cancelled the rest."""
    differences = list(_differences(expected, got, ("cancelled", "failed", "handled") if stopped else ("cancelled",)))
    assert not differences, "\n".join(["the outcomes differ (expected, got):", *differences])


def assert_part(whole: Outcome, got: Outcome) -> None:
    """Raise AssertionError unless what finished in `got` finished just so in `whole` too."""
    cut_short = [key for key, record in got.records.items() if record.status == "failed" and _has_more(whole, got, key)]
    for key, record in got.records.items():
        if key not in cut_short and record.status in ("succeeded", "handled", "failed"):
            assert key in whole.records, f"{key} ran, but does not run when nothing is cancelled"
            expected, found = _shown(whole.records[key], vague=True), _shown(record, vague=True)
            assert expected == found, f"{key}: {expected} when nothing is cancelled, but {found}"
    others = {problem for problem in got.problems if not _under(problem.where, cut_short)}
    assert others <= whole.problems, (whole.problems, got.problems)
    assert bool(got.problems) == bool(whole.problems), (whole.problems, got.problems)


def _has_more(whole: Outcome, got: Outcome, key: str) -> bool:
    """Whether a graph that failed would have had another attempt, had the run not been ending."""
    attempts = [
        {k.removeprefix(f"{key}!").partition("/")[0] for k in o.records if k.startswith(f"{key}!")}
        for o in (whole, got)
    ]
    return bool(attempts[0] - attempts[1])


def _differences(expected: Outcome, got: Outcome, closed: tuple[Status, ...]) -> Iterator[str]:
    outer = [key for key, record in got.records.items() if record.status in closed]
    left, right = _records(expected, outer), _records(got, outer)
    vague = {key for key, record in left.items() if record.error == "ScopeFailedError"}
    for key in sorted(left.keys() | right.keys()):
        a = _shown(left[key], vague=key in vague) if key in left else None
        b = _shown(right[key], vague=key in vague) if key in right else None
        if a != b:
            yield f"  {key}: {a}\n  {' ' * len(key)}  {b}"
    if expected.problems != got.problems:
        yield f"  problems: {expected.problems}\n            {got.problems}"
    for key in sorted(left.keys() & right.keys()):
        a, b = left[key].causes, right[key].causes
        if a is not None and b is not None and a != b and key not in vague:
            yield f"  {key}: causes {a}\n  {' ' * len(key)}  causes {b}"
    loops = [{k: v for k, v in o.loops.items() if not _under(k, outer)} for o in (expected, got)]
    if loops[0] != loops[1]:
        yield f"  loops: {loops[0]}\n         {loops[1]}"
    if plain(expected.output) != plain(got.output):
        yield f"  output: {expected.output!r}, {got.output!r}"
    if expected.state != got.state:
        yield f"  state: {expected.state}\n         {got.state}"


def _records(outcome: Outcome, outer: list[str]) -> dict[str, Record]:
    return {key: record for key, record in outcome.records.items() if not _under(key, outer)}


def _under(key: str, outer: list[str]) -> bool:
    return any(key.startswith((f"{over}/", f"{over}!", f"{over}[")) for over in outer)


def _shown(record: Record, *, vague: bool) -> tuple[Any, ...]:
    ran = record.status == "succeeded"
    error = None if vague else record.error
    return (record.status, plain(record.input) if ran else None, plain(record.output), error, record.taken)
