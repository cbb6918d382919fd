"""What is measured: each workload's sizes, its right result, and the figure a time in seconds is turned into.

Workloads called durable-* keep every step in a SQLite file before the next one begins. Some of them say their amount
themselves, in seconds or bytes, instead of being timed from outside.

Every node of a workload is an `async def` that does next to nothing, so a figure is what the library itself costs.
Results are fixed here, once, and every engine's result is compared with them. Nothing here measures.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LAYERS, WIDTH = 50, 20
MODULUS = 1_000_003
SHORT, CONCURRENT_NODES = 0.005, 10
BRANCH_NODES, SEED, SLOW = 5, 20, 0.25
MESSAGE = 500


@dataclass(frozen=True)
class Workload:
    """`figure` turns (seconds, size) into the reported number of `unit`; `more` says whether more of it is better.

    With `amount` a job's result is (result, amount), and the amount stands for the seconds.
    """

    name: str
    title: str
    sizes: tuple[int, ...]
    quick: tuple[int, ...]
    unit: str
    expected: Callable[[int], Any]
    figure: Callable[[float, int], float]
    more: bool = False
    amount: bool = False


def message(i: int) -> str:
    """The message of turn `i`: no two are alike."""
    return f"{i:06d} ".ljust(MESSAGE, "abcdefghijklmnopqrstuvwxyz"[i % 26])


def neighbours(column: int) -> tuple[int, ...]:
    """The columns of the layer before that a lattice node joins."""
    return tuple(c for c in (column - 1, column, column + 1) if 0 <= c < WIDTH)


def combine(values: list[int]) -> int:
    """What a lattice node makes of its inputs; no two layers are alike, so a wrong wiring shows."""
    return (sum(values) * 3 + 1) % MODULUS


def lattice_result(layers: int) -> int:
    """The sum over the last layer."""
    row = [combine([column]) for column in range(WIDTH)]
    for _ in range(layers - 1):
        row = [combine([row[c] for c in neighbours(column)]) for column in range(WIDTH)]
    return sum(row)


def delays(branches: int) -> list[list[float]]:
    """Seconds that each node of each branch waits; seeded, and no branch is as long as the slow node."""
    rng = random.Random(SEED)
    return [[rng.uniform(0.005, 0.045) for _ in range(BRANCH_NODES)] for _ in range(branches)]


def critical_path(branches: int) -> float:
    """Seconds that the longest way through the unbalanced branches takes."""
    return max(SLOW, *(sum(branch) for branch in delays(branches)))


def _megabytes(amount: float, _: int) -> float:
    return amount / 1e6


def _same(n: int) -> int:
    return n


def _each(seconds: float, size: int) -> float:
    return seconds / size * 1e6


SHAPE_TITLES = {
    "lattice": "check and compile n nodes that each join three of twenty in the row before",
    "route": "the same for one decision with n arms",
    "hub": "the same for a supervisor with n workers",
    "loops": "the same for loops of two nodes, one after the other",
    "self-loops": "the same for n nodes in a row that may each repeat themselves",
    "unions": "the same for decisions between a hundred types, one after the other",
    "quorums": "the same for quorums of three, one after the other",
}
KNOT_TITLE = "the same for loops entered everywhere, hundreds inside one another"


def _shape(name: str, title: str, sizes: tuple[int, ...] = (1_000, 10_000)) -> Workload:
    return Workload(f"compile-{name}", title, sizes, (1_000,), "ms", lambda n: n, lambda s, _: s * 1e3)


WORKLOADS = (
    Workload("chain", "n nodes in a row", (100, 1_000, 10_000), (100, 1_000), "us/step", lambda n: n, _each),
    Workload("loop", "one node, n iterations", (100, 1_000, 10_000), (100, 1_000), "us/step", lambda n: n, _each),
    Workload(
        "loop-goto",
        "the same loop where the node names its successor",
        (1_000,),
        (1_000,),
        "us/step",
        lambda n: n,
        _each,
    ),
    Workload(
        "fanout",
        "n nodes side by side, joined",
        (100, 1_000, 10_000),
        (100, 1_000),
        "us/node",
        lambda n: n + n * (n - 1) // 2,
        _each,
    ),
    Workload(
        "map", "one node over n items", (100, 1_000, 10_000), (100, 1_000), "us/item", lambda n: n * (n - 1), _each
    ),
    Workload(
        "lattice",
        f"n layers of {WIDTH} nodes, each joins its neighbours of the layer before",
        (LAYERS,),
        (LAYERS,),
        "us/node",
        lattice_result,
        lambda seconds, layers: seconds / (layers * WIDTH) * 1e6,
    ),
    Workload(
        "stream",
        "the chain, every event of it read as it happens",
        (1_000,),
        (1_000,),
        "us/step",
        lambda n: n,
        _each,
    ),
    Workload(
        "branches",
        f"n seeded branches of {BRANCH_NODES} nodes beside one slow node: time over the critical path",
        (8,),
        (8,),
        "x critical path",
        lambda n: n * BRANCH_NODES + 1,
        lambda seconds, n: seconds / critical_path(n),
    ),
    Workload(
        "runs",
        f"n runs at once, each of {CONCURRENT_NODES} nodes that wait {SHORT * 1e3:.0f} ms",
        (1_000,),
        (200,),
        "runs/s",
        lambda n: n * CONCURRENT_NODES,
        lambda seconds, n: n / seconds,
        more=True,
    ),
    Workload(
        "agent-turn",
        "n runs, one after the other, of an agent whose model answers at once",
        (1_000,),
        (200,),
        "us/turn",
        _same,
        _each,
    ),
    Workload(
        "build", "describe a chain of n nodes", (1_000, 10_000), (1_000,), "ms", lambda n: n, lambda s, _: s * 1e3
    ),
    Workload(
        "compile",
        "check and compile that chain, all checks on",
        (1_000, 10_000),
        (1_000,),
        "ms",
        lambda n: n,
        lambda s, _: s * 1e3,
    ),
    Workload(
        "compile-mixed",
        "the same for n nodes of routes, joins and loops",
        (1_000, 10_000),
        (1_000,),
        "ms",
        lambda n: n,
        lambda s, _: s * 1e3,
    ),
    *(_shape(name, title) for name, title in SHAPE_TITLES.items()),
    _shape("knot", KNOT_TITLE, (500, 1_000)),
    Workload(
        "draw",
        "those n mixed nodes as Mermaid, collapsed to fit into its limits",
        (1_000,),
        (1_000,),
        "ms",
        lambda n: n,
        lambda s, _: s * 1e3,
    ),
    Workload("durable-chain", "the chain, durable against a killed process", (1_000,), (200,), "us/step", _same, _each),
    Workload("durable-chain-full", "the chain, durable against a power cut", (300,), (100,), "us/step", _same, _each),
    Workload("durable-map", "the map, durable", (1_000,), (200,), "us/item", lambda n: n * (n - 1), _each),
    Workload(
        "durable-resume",
        "from the call to the first node, with n nodes recorded",
        (200, 1_000),
        (200,),
        "ms",
        lambda n: n + 1,
        lambda s, _: s * 1e3,
        amount=True,
    ),
    Workload(
        "durable-kept",
        f"n turns that append {MESSAGE} bytes to a list: the size of the file",
        (500, 1_000),
        (200,),
        "MB",
        _same,
        _megabytes,
        amount=True,
    ),
    Workload(
        "durable-written",
        "the same: the bytes written to disk",
        (500, 1_000),
        (200,),
        "MB",
        _same,
        _megabytes,
        amount=True,
    ),
    Workload("import", "import in a fresh process", (1,), (1,), "ms", lambda _: None, lambda s, _: s * 1e3),
    Workload(
        "first",
        "import, build, compile and one run of n nodes in a fresh process",
        (2,),
        (2,),
        "ms",
        lambda n: n,
        lambda s, _: s * 1e3,
    ),
)

# measured by starting processes, not by rounds inside one
PROCESSES = ("import", "first")

BY_NAME = {workload.name: workload for workload in WORKLOADS}
