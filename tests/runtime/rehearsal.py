"""A graph with something of everything that a log must bring back, which counts its calls; and logs cut short."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import anyio
from pydantic import BaseModel

from loomgraph import END, START, Context, Failure, Graph, Quorum, Retry, Workflow
from loomgraph.errors import QuorumError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Batch, Store, StoredEvent, StoredValue

__all__ = ["Log", "Races", "Rehearsal", "cut_short", "settled"]


class Log(BaseModel):
    lines: Annotated[list[str], operator.add] = []


class Rehearsal:
    """A loop, state, a map of graphs, retries, durable steps, a graph made at run time and a handled failure.

    `calls` counts the bodies by activation key and the steps by key and name.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self) -> Graph[int, str]:
        wf = Workflow("rehearsal", input=int, output=str, state=Log)
        consulted = self._consulted()

        @wf.node
        async def grow(value: int, ctx: Context[Log]) -> int:
            self.calls[ctx.key] += 1
            ctx.update(lines=[f"grow {value}"])
            return value + 1

        @wf.node
        async def spread(value: int, ctx: Context) -> list[int]:
            self.calls[ctx.key] += 1
            return list(range(value))

        @wf.node
        async def breaks(values: list[int], ctx: Context) -> None:
            self.calls[ctx.key] += 1
            raise ValueError("no")

        @wf.node
        async def tell(failure: object, ctx: Context[Log]) -> str:
            self.calls[ctx.key] += 1
            paid = await ctx.step("price", self._step, f"{ctx.key} step:price", 7)
            await ctx.sleep(0)
            more: list[int] = []

            async def consult(key: str, value: int) -> None:
                more.append(await ctx.run(consulted, value, key=key))

            async with anyio.create_task_group() as group:
                group.start_soon(consult, "one", 1)
                group.start_soon(consult, "two", 2)
            return f"{paid} {sorted(more)} {ctx.state.lines}"

        wf.edge(START, grow)
        wf.edge(grow, grow, when=lambda value: value < 3, label="small")
        wf.edge(grow, spread, when=lambda value: value >= 3, label="large")
        mapped = wf.map(spread, self._piece())
        wf.edge(mapped, breaks)
        wf.on_error(breaks, tell, ValueError)
        wf.edge(tell, END)
        return wf.compile()

    def _piece(self) -> Graph[int, int]:
        piece = Workflow("piece", input=int, output=int)

        @piece.node(retry=Retry(attempts=2, delay=0))
        async def tenfold(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            if value == 2 and ctx.attempt == 1:
                raise OSError("once")
            return await ctx.step("ten", self._step, f"{ctx.key} step:ten", value * 10)

        piece.chain(START, tenfold, END)
        return piece.compile()

    def _consulted(self) -> Graph[int, int]:
        helper = Workflow("helper", input=int, output=int)

        @helper.node
        async def think(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return await ctx.step("deep", self._step, f"{ctx.key} step:deep", value + 1)

        @helper.node
        def say(value: int, ctx: Context) -> int:
            self.calls[ctx.key] += 1
            return value * 2

        helper.chain(START, think, say, END)
        return helper.compile()

    async def _step(self, label: str, value: int) -> int:
        self.calls[label] += 1
        return value


class Races:
    """Early joins whose feeders fail: one that is met, one that is not and is handled; counts what it calls."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def graph(self) -> Graph[int, str]:
        wf = Workflow("races", input=int, output=str, state=Log)

        def feeder(name: str, *, fails: bool = False, stuck: bool = False) -> Any:
            async def code(value: object, ctx: Context[Log]) -> str:
                self.calls[ctx.key] += 1
                ctx.update(lines=[name])
                if stuck:
                    await anyio.Event().wait()
                if fails:
                    raise ValueError(name)
                return name

            return wf.node(code, name=name)

        @wf.node
        async def goal(first: str, ctx: Context[Log]) -> int:
            self.calls[ctx.key] += 1
            return len(ctx.state.lines)

        @wf.node
        async def unmet(both: list[str], ctx: Context) -> str:
            raise AssertionError("it must not run")

        @wf.node
        async def tell(failure: Failure, ctx: Context[Log]) -> str:
            self.calls[ctx.key] += 1
            return f"{failure.message} {ctx.state.lines}"

        for name in ("bad", "worse", "stuck"):
            wf.edge(START, feeder(name, fails=name != "stuck", stuck=name == "stuck"))
        wf.chain(START, feeder("early"), feeder("good"))
        wf.join(["bad", "worse", "stuck", "good"], into=goal, wait="first")
        wf.edge(goal, feeder("broken", fails=True))
        wf.edge(goal, feeder("fine"))
        wf.join(["broken", "fine"], into=unmet, wait=Quorum(2))
        wf.on_error(unmet, tell, QuorumError)
        wf.edge(unmet, END)
        wf.edge(tell, END)
        return wf.compile()


def settled(events: Sequence[StoredEvent]) -> set[str]:
    """What a log says is over and done: the keys of what succeeded, and the steps, as `Rehearsal.calls` names them."""
    done = {event.key for event in events if event.kind == "+"}
    return done | {f"{event.key} {json.loads(event.body)[0]}" for event in events if event.kind == "p"}


async def cut_short(store: Store, run_id: str, stop: int, into: Store | None = None, name: str | None = None) -> Store:
    """The first events of a run, as a process killed there would have left it: in a store of their own, or `into`
    another (under another `name`)."""
    cut = MemoryStore() if into is None else into
    header = dataclasses.replace(await store.load(run_id), status="running", run_id=name or run_id)
    events = await store.events(run_id, 0, stop)
    values = await store.values(await store.digests(run_id, stop))
    batch = Batch(events, [StoredValue(digest, data) for digest, data in values.items()])
    lease = await cut.create(header, batch, owner="killed", ttl=60)
    await cut.release(lease)
    return cut
