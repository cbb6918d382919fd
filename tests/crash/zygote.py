"""A process that has everything imported and forks a child for each order it reads, so that many can be killed.

An order is a JSON line: which graph, which database, whether to resume, and at which write to die (0: never), before or
after the write. The answer says how the child ended: the signal that killed it, or what the run gave.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import anyio

from loomgraph.store.opening import open_store
from loomgraph.testing.crash import KillingStore
from tests.crash.graphs import GRAPHS, Called


async def _run(order: dict[str, Any]) -> dict[str, Any]:
    make, value = GRAPHS[order["graph"]]
    graph = make()
    inner = open_store(f"sqlite:{order['database']}")
    store: Any = KillingStore(inner, at=order["at"], late=order["after"])
    try:
        if order["resume"]:
            # the killed process gave up nothing; its lease is short and has run out
            result = await graph.resume("run", store=store, lease=order["lease"])
        else:
            result = await graph.run(value, store=store, run_id="run", lease=order["lease"])
    finally:
        await store.close()
    state = None if result.state is None else result.state.model_dump()
    return {"output": result.output, "state": state, "writes": store.writes}


def _child(order: dict[str, Any], answer: int) -> None:
    Called.path = Path(order["calls"])
    try:
        told = {"result": anyio.run(_run, order)}
    except BaseException as error:
        told = {"error": "".join(traceback.format_exception(error))}
    os.write(answer, json.dumps(told).encode())


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            _child(order, writing)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            text = told.read()
        _, status = os.waitpid(child, 0)
        killed = os.WTERMSIG(status) == signal.SIGKILL if os.WIFSIGNALED(status) else False
        answer = json.loads(text) if text else {}
        sys.stdout.write(json.dumps({**answer, "killed": killed}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
