"""What the figures must be: the limits that `--check` holds a run to. A peer that is absent is not compared with.

A limit in microseconds or runs a second is a promise about the library, so the quickest round is held to it: on a
machine that does something else too, the median says more about that. Ratios are of medians of interleaved rounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.harness import Cell, figures
from benchmarks.workloads import SHAPE_TITLES

OURS, LANGGRAPH, FLOOR = "loomgraph", "langgraph", "asyncio"

# workload, size (None: every size), the most it may be in the workload's unit
LIMITS = (
    ("chain", None, 10.0),
    ("loop", None, 10.0),
    ("map", 10_000, 20.0),
    ("lattice", None, 15.0),
    ("branches", None, 1.05),
    ("agent-turn", None, 300.0),
    ("compile", 10_000, 500.0),
    ("compile-mixed", 10_000, 500.0),
    *((f"compile-{shape}", 10_000, 500.0) for shape in SHAPE_TITLES),
    ("compile-knot", 1_000, 500.0),
    ("draw", 1_000, 50.0),
    ("import", None, 150.0),
    ("durable-chain", 1_000, 80.0),
    ("durable-map", 1_000, 60.0),
    ("durable-resume", 200, 5.0),
    ("durable-kept", 1_000, 1.0),
    ("durable-written", 1_000, 12.0),
)
LEAST_RUNS = 2_000.0
LANGGRAPH_TIMES = 25.0
MAP_GROWTH, COMPILE_GROWTH = 1.3, 1.5
# times hand-written SQL with a commit a step, where every commit waits for the disk
HAND_WRITTEN = 2.0
# workload, the smaller and the larger size, at most so many times as much
DURABLE_GROWTH = (
    ("durable-kept", 500, 1_000, 2.2),
    ("durable-written", 500, 1_000, 2.2),
    ("durable-resume", 200, 1_000, 5.5),
)


@dataclass(frozen=True)
class Verdict:
    """One target: what was promised, what was measured."""

    promise: str
    measured: str
    met: bool


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """A verdict for each target whose cells were measured in this run."""
    found = {(cell.workload.name, cell.size, cell.engine): cell for cell in figures(cells)}
    broken = [cell for cell in cells if cell.engine == OURS and cell.note.startswith(("wrong", "failed", "over "))]
    return [
        *(Verdict(f"{cell.workload.name} {cell.size} works", cell.note, False) for cell in broken),
        *_limits(found),
        *_against_peers(found),
        *_growth(found),
        *_durable(found),
    ]


_Found = dict[tuple[str, int, str], Cell]


def _limits(found: _Found) -> Iterator[Verdict]:
    for (name, size, engine), cell in found.items():
        if engine != OURS:
            continue
        for workload, at, most in LIMITS:
            if workload == name and at in (None, size):
                unit = cell.workload.unit
                measured = f"{cell.best:.2f}, median {cell.figure:.2f}"
                yield Verdict(f"{name} {size:_}: under {most:g} {unit}", measured, cell.best < most)
        if name == "runs":
            measured = f"{cell.best:.0f}, median {cell.figure:.0f}"
            yield Verdict(f"runs {size:_}: at least {LEAST_RUNS:g} a second", measured, cell.best >= LEAST_RUNS)


def _against_peers(found: _Found) -> Iterator[Verdict]:
    for (name, size, engine), cell in found.items():
        ours = found.get((name, size, OURS))
        if name not in ("chain", "loop", "loop-goto", "durable-chain") or engine in (OURS, FLOOR) or ours is None:
            continue
        times = cell.seconds / ours.seconds
        least = LANGGRAPH_TIMES if engine == LANGGRAPH and name in ("chain", "loop") else 1.0
        promise = f"at least {least:g} times as fast as" if least > 1 else "ahead of"
        yield Verdict(f"{name} {size:_}: {promise} {engine}", f"{times:.1f} times", times >= least)


def _growth(found: _Found) -> Iterator[Verdict]:
    compiled = [(name, COMPILE_GROWTH) for name in ("compile", *(f"compile-{shape}" for shape in SHAPE_TITLES))]
    for name, most in (("map", MAP_GROWTH), *compiled):
        small, large = found.get((name, 1_000, OURS)), found.get((name, 10_000, OURS))
        if small is not None and large is not None:
            growth = min(large.rounds) / min(small.rounds) / 10
            yield Verdict(
                f"{name}: one of 10_000 costs at most {most:g} of one of 1_000", f"{growth:.2f}", growth <= most
            )


def _durable(found: _Found) -> Iterator[Verdict]:
    for (name, size, engine), cell in found.items():
        floor = found.get((name, size, FLOOR))
        if name == "durable-chain-full" and engine == OURS and floor is not None:
            times = cell.seconds / floor.seconds
            promise = f"{name} {size:_}: at most {HAND_WRITTEN:g} times hand-written"
            yield Verdict(promise, f"{times:.2f} times", times <= HAND_WRITTEN)
    for name, less, more, most in DURABLE_GROWTH:
        small, large = found.get((name, less, OURS)), found.get((name, more, OURS))
        if small is not None and large is not None:
            growth = min(large.rounds) / min(small.rounds)
            yield Verdict(f"{name}: {more:_} take at most {most:g} times {less:_}", f"{growth:.2f}", growth <= most)
