"""`python -m benchmarks.costs`: what each way to run a step costs in loomgraph itself, and sizes that it was run at.

Compares with nobody; `python -m benchmarks` does. Costs are the quickest of interleaved rounds in one process. Each
size has a fresh process, once: seconds from nothing to the result, and the most memory that the process had.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

from benchmarks.table import machine
from loomgraph import END, OTHERWISE, START, Context, Graph, Workflow
from loomgraph.errors import RunError
from loomgraph.store.encrypted import EncryptedStore
from loomgraph.store.memory import MemoryStore
from loomgraph.store.sqlite import SQLiteStore

README = Path(__file__).with_name("README.md")
MARKS = ("<!-- costs -->\n", "<!-- end of costs -->")

Durability = Literal["sync", "batch", "exit"]


async def add(x: int) -> int:
    return x + 1


def add_in_thread(x: int) -> int:
    return x + 1


async def stepping(x: int, ctx: Context) -> int:
    for number in range(x):
        await ctx.step(f"s{number}", add, number)
    return x


def chain(nodes: int, fn: Any = add) -> Graph[int, int]:
    """`nodes` nodes in a row."""
    wf = Workflow("chain", input=int, output=int)
    wf.chain(START, *(wf.node(fn, name=f"n{i}") for i in range(nodes)), END)
    return wf.compile()


def mapped(fn: Any = add) -> Graph[int, int]:
    """A map over as many items as its input says."""

    async def items(count: int) -> list[int]:
        return list(range(count))

    async def total(values: list[int]) -> int:
        return len(values)

    wf = Workflow("map", input=int, output=int)
    wf.edge(START, items)
    wf.chain(wf.map(items, fn, limit=64), total, END)
    return wf.compile()


def nested(levels: int) -> Graph[int, int]:
    """Graphs within graphs, one node in each."""
    graph = chain(1)
    for level in range(levels - 1):
        wf = Workflow(f"level{level}", input=int, output=int)
        wf.chain(START, wf.node(graph, name="inner"), END)
        graph = wf.compile()
    return graph


def looping(times: int) -> Graph[int, int]:
    """One node that goes round `times` times."""
    wf = Workflow("loop", input=int, output=int, max_activations=times)
    node = wf.node(add, name="again")
    wf.edge(START, node)
    wf.edge(node, node, when=lambda x: x < times, cap=times)
    wf.edge(node, END, when=OTHERWISE)
    return wf.compile()


# ---------------------------------------------------------------------- costs

Open = Callable[[Path], Any]


def _sqlite(synchronous: Literal["NORMAL", "FULL"]) -> Open:
    return lambda path: SQLiteStore(path, synchronous=synchronous)


def _sealed(path: Path) -> Any:
    return EncryptedStore(SQLiteStore(path), bytes(range(32)))


_WAYS: list[tuple[str, Open | None, Durability]] = [
    ("no store", None, "sync"),
    ("store in memory", lambda _: MemoryStore(), "sync"),
    ('SQLite, `durability="exit"`', _sqlite("NORMAL"), "exit"),
    ('SQLite, `durability="batch"`', _sqlite("NORMAL"), "batch"),
    ('SQLite, `durability="sync"` (the default)', _sqlite("NORMAL"), "sync"),
    ("the same, encrypted", _sealed, "sync"),
    ('SQLite, `synchronous="FULL"`, `durability="batch"`', _sqlite("FULL"), "batch"),
    ('SQLite, `synchronous="FULL"`, `durability="sync"`', _sqlite("FULL"), "sync"),
]

_WORK: list[tuple[str, Callable[[int], tuple[Graph[int, int], int]]]] = [
    ("a step", lambda n: (chain(n), 0)),
    ("a step in a thread (`def`)", lambda n: (chain(n, add_in_thread), 0)),
    ("a map item", lambda n: (mapped(), n)),
    ("a `ctx.step`", lambda n: (chain(1, stepping), n)),
    ("a sub-graph of one node", lambda n: (_row_of(nested(2), n), 0)),
]


def _row_of(graph: Graph[int, int], n: int) -> Graph[int, int]:
    return chain(n, graph)


def costs(n: int, rounds: int) -> str:
    """A table: a row for each way to keep a run, a column for each kind of work; us for one of n."""
    best: dict[tuple[str, str], float] = {}
    graphs = [(name, *made(n)) for name, made in _WORK]
    for _ in range(rounds):
        for way, opened, durability in _WAYS:
            for name, graph, value in graphs:
                seconds = asyncio.run(_timed(graph, value, opened, durability))
                best[way, name] = min(seconds, best.get((way, name), seconds))
    heads = [name for name, _, _ in graphs]
    lines = [f"| us for one of {n:_} | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for way, _, _ in _WAYS:
        lines.append(f"| {way} | " + " | ".join(f"{best[way, name] / n * 1e6:,.0f}" for name in heads) + " |")
    return "\n".join(lines)


async def _timed(graph: Graph[int, int], value: int, opened: Open | None, durability: Durability) -> float:
    with tempfile.TemporaryDirectory() as folder:
        async with contextlib.AsyncExitStack() as stack:
            store = None if opened is None else await stack.enter_async_context(opened(Path(folder) / "runs.db"))
            began = time.perf_counter()
            await graph.run(value, store=store, durability=durability)
            return time.perf_counter() - began


# ---------------------------------------------------------------------- sizes


async def _runs(n: int) -> None:
    graph = chain(10)
    await asyncio.gather(*(graph.run(0) for _ in range(n)))


async def _in_file(graph: Graph[int, int], value: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with SQLiteStore(Path(folder) / "runs.db") as store:
            await graph.run(value, store=store)


async def _resumed(n: int) -> None:
    """Fails behind n nodes, and goes on."""
    failed: list[int] = []

    async def once(x: int) -> int:
        if not failed:
            failed.append(x)
            raise RuntimeError("the first time")
        return x

    wf = Workflow("resumed", input=int, output=int)
    wf.chain(START, *(wf.node(add, name=f"n{i}") for i in range(n)), wf.node(once), END)
    graph = wf.compile()
    with tempfile.TemporaryDirectory() as folder:
        async with SQLiteStore(Path(folder) / "runs.db") as store:
            with contextlib.suppress(RunError):
                await graph.run(0, store=store, run_id="r")
            await graph.resume("r", store=store)


async def _large_value(megabytes: int) -> None:
    async def make(x: int) -> str:
        return "x" * (megabytes << 20)

    async def measure(text: str) -> int:
        return len(text)

    wf = Workflow("large", input=int, output=int)
    wf.chain(START, make, measure, END)
    await _in_file(wf.compile(), 0)


async def _drawn(n: int) -> None:
    chain(n).to_mermaid()


_SIZES: dict[str, Callable[[], Awaitable[Any]]] = {
    "a chain of 10_000 nodes, compiled and run": lambda: chain(10_000).run(0),
    "graphs within graphs, 50 deep": lambda: nested(50).run(0),
    "a loop that goes round 50_000 times": lambda: looping(50_000).run(0),
    "a map of 50_000 items": lambda: mapped().run(50_000),
    "a map of 50_000 items, in SQLite": lambda: _in_file(mapped(), 50_000),
    "5_000 runs of ten nodes at once": lambda: _runs(5_000),
    "a run in SQLite that goes on behind 10_000 nodes": lambda: _resumed(10_000),
    "a value of 50 MB that travels along an edge, in SQLite": lambda: _large_value(50),
    "a chain of 10_000 nodes, drawn as Mermaid": lambda: _drawn(10_000),
}


def _size(name: str, out: Any) -> None:
    import resource

    async def go() -> None:
        await _SIZES[name]()

    began = time.perf_counter()
    asyncio.run(go())
    seconds = time.perf_counter() - began
    # kilobytes on Linux, bytes on macOS
    unit = 1 if sys.platform == "darwin" else 1024
    out.put((seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6))


def sizes() -> str:
    """A table: what was done, how long it took, and how much memory the process had at most."""
    context = multiprocessing.get_context("spawn")
    lines = ["| size | seconds | MB |", "|---|---:|---:|"]
    for name in _SIZES:
        out = context.Queue()
        process = context.Process(target=_size, args=(name, out))
        process.start()
        seconds, megabytes = out.get(timeout=600)
        process.join()
        lines.append(f"| {name} | {seconds:.1f} | {megabytes:.0f} |")
    return "\n".join(lines)


def main() -> None:
    """Print both tables, or write them into README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="rounds of each cost (default 7)")
    parser.add_argument("-n", type=int, default=500, metavar="N", help="how many steps or items (default 500)")
    parser.add_argument("--save", action="store_true", help="write the tables into benchmarks/README.md")
    options = parser.parse_args()
    text = f"{machine()}; the quickest of {options.rounds} rounds\n\n{costs(options.n, options.rounds)}\n\n{sizes()}\n"
    if not options.save:
        print(text)
        return
    before, _, rest = README.read_text(encoding="utf-8").partition(MARKS[0])
    README.write_text(f"{before}{MARKS[0]}{text}{MARKS[1]}{rest.partition(MARKS[1])[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
