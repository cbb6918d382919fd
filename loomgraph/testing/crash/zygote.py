"""A process that has everything imported and forks a child for each order it reads, so that many can be killed.

An order is a JSON line (see `life.Order`), its answer another: what the child said, and whether it was killed. No
subject is made in this process, so every child is as it was after the imports; to have those that come late, this
process runs two nodes in memory. The files that a child had to parse for its fingerprints are parsed here for the next.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import anyio

import loomgraph.store.sqlite  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the children
from loomgraph import END, START, Workflow
from loomgraph.compile.source import parsed
from loomgraph.store.memory import MemoryStore
from loomgraph.testing.crash import life
from loomgraph.testing.crash.subject import Subject

__all__: list[str] = []


async def _node(value: Literal[0, 1]) -> Literal[0, 1]:
    return value


async def _warm() -> None:
    wf = Workflow("warm", input=Literal[0, 1], output=Literal[0, 1])
    once, again = wf.node(_node, name="once"), wf.node(_node, name="again")
    wf.chain(START, once, again)
    wf.edge(again, again, when=1, cap=2)  # a loop, because what finds loops is imported for them only
    wf.edge(again, END, when=0)
    graph, store = wf.compile(), MemoryStore()
    await graph.run(0, store=store, run_id="warm")
    await graph.resume("warm", store=store)
    await graph.replay("warm", store=store)


def _serve(make: Callable[..., Subject]) -> None:
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_lived(make, json.loads(line))) + "\n")
        sys.stdout.flush()


def _lived(make: Callable[..., Subject], order: life.Order) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        life.live(make, order, writing)
        os._exit(0)
    os.close(writing)
    text = _listen(reading, child, order["after"])
    _, status = os.waitpid(child, 0)
    answer: dict[str, Any] = {"killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL}
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):  # else it was killed in the middle of it
            answer |= json.loads(line)
    for source in answer.pop("sources", []):
        parsed(source)
    return answer


def _listen(reading: int, child: int, after: float) -> str:
    """All that the child says, which is killed when it has not ended `after` so many seconds (0: never)."""
    deadline = time.monotonic() + after if after else None
    said = b""
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        if not select.select([reading], [], [], left)[0]:
            os.kill(child, signal.SIGKILL)
            deadline = None
            continue
        data = os.read(reading, 1 << 16)
        if not data:
            os.close(reading)
            return said.decode()
        said += data


def _imported(place: str, name: str) -> Callable[..., Subject]:
    """The function of that name in a module, or in a program, which is not run: it is not `__main__` here."""
    found: Any
    if place.endswith(".py"):
        spec = importlib.util.spec_from_file_location("crashed_program", place)
        assert spec is not None
        assert spec.loader is not None
        found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(found)
    else:
        found = importlib.import_module(place)
    for part in name.split("."):
        found = getattr(found, part)
    make: Callable[..., Subject] = found
    return make


if __name__ == "__main__":
    made = _imported(sys.argv[1], sys.argv[2])
    for backend in ("asyncio", "trio"):
        if importlib.util.find_spec(backend) is not None:
            anyio.run(_warm, backend=backend)
    gc.freeze()  # else every child begins by copying what its collector looks at
    _serve(made)
