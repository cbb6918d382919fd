"""Claims about forks of runs in which whole graphs were tried again: what came of each try is taken over."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from loomgraph import END, START, Failure, Graph, Retry, Workflow
from loomgraph.store.memory import MemoryStore
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio


class Fickle:
    """A graph of two nodes, the second of which fails so many times; it is a node of another one, or its map."""

    def __init__(self, fails: int, *, mapped: bool = False, flat: bool = False) -> None:
        self.called: Counter[str] = Counter()
        self.left = fails
        self.mapped, self.flat = mapped, flat

    def inner(self) -> Graph[int, str]:
        wf = Workflow("inner", input=int, output=str)

        @wf.node
        async def good(value: int) -> int:
            self.called["good"] += 1
            return value

        wf.chain(START, good, wf.node(self.bad, name="bad"), END)
        return wf.compile()

    async def bad(self, value: int) -> str:
        self.called["bad"] += 1
        if self.left:
            self.left -= 1
            raise OSError(f"no {value}")
        return f"{value} at last"

    def graph(self, attempts: int = 2) -> Graph[list[int], str]:
        wf = Workflow("outer", input=list[int], output=str)
        retry = Retry(attempts=attempts, delay=0)

        @wf.node
        async def handles(failure: Failure) -> str:
            self.called["handles"] += 1
            return failure.message

        @wf.node
        async def tells(told: Any) -> str:
            self.called["tells"] += 1
            return str(told)

        @wf.node
        async def other(values: list[int]) -> str:
            self.called["other"] += 1
            return "and"

        @wf.node
        async def last(told: str, more: str) -> str:
            self.called["last"] += 1
            return f"{told} {more}"

        if self.flat:
            tried: Any = wf.node(self.bad, name="tried", retry=retry)
        else:
            tried = wf.subgraph(self.inner(), name="tried", retry=retry)
        if self.mapped:
            wf.map(START, tried)
        else:
            first = wf.node(lambda values: values[0], name="first")
            wf.chain(START, first, tried)
        wf.on_error(tried, handles, OSError)
        wf.edge(tried, tells)
        wf.edge(START, other)
        wf.join({"told": [handles, tells], "more": other}, into=last)
        wf.edge(last, END)
        return wf.compile()


def outcome(result: Any, **said: Any) -> Any:
    """What became of everything but the edited node and the last one, and the output."""
    of = [record for record in result.activations if record.node not in ("other", "last")]
    return {r.key: (r.status, r.output, r.taken) for r in of}, said.get("told", result.output)


SHAPES: dict[str, Any] = {"graph": {}, "map of graphs": {"mapped": True}, "map": {"mapped": True, "flat": True}}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fails", [1, 2])
async def test_what_came_of_every_try_is_taken_over_and_nothing_in_it_runs_again(shape: str, fails: int) -> None:
    fickle = Fickle(fails, **SHAPES[shape])
    graph, store = fickle.graph(), MemoryStore()
    first = await graph.run([1], store=store, run_id="r")
    fickle.called.clear()
    forked = await graph.fork("r", store=store, outputs={"other": "or"})
    whole = await graph.resume(forked, store=store)
    assert whole.output == first.output.replace("and", "or")
    assert fickle.called == {"last": 1}
    assert outcome(whole) == outcome(first, told=whole.output)


@pytest.mark.parametrize("shape", SHAPES)
async def test_it_is_the_same_after_a_crash_anywhere_in_it(shape: str) -> None:
    fickle = Fickle(2, **SHAPES[shape])
    graph, store = fickle.graph(), MemoryStore()
    await graph.run([1], store=store, run_id="r")
    forked = await graph.fork("r", store=store, outputs={"other": "or"})
    begin = len(await store.events(forked))
    whole = await graph.resume(forked, store=store)
    for stop in range(begin, len(await store.events(forked))):
        fickle.called.clear()
        cut = await cut_short(store, forked, stop)
        again = await graph.resume(forked, store=cut)
        assert outcome(again) == outcome(whole)
        assert fickle.called <= Counter({"last": 1})


@pytest.mark.parametrize("attempts", [1, 5])
async def test_what_is_allowed_by_now_changes_nothing_about_what_was_tried_then(attempts: int) -> None:
    store, fickle = MemoryStore(), Fickle(2)
    first = await Fickle(2).graph().run([1], store=store, run_id="r")
    graph = fickle.graph(attempts)
    forked = await graph.fork("r", store=store, outputs={"other": "or"})
    whole = await graph.resume(forked, store=store)
    assert outcome(whole) == outcome(first, told="no 1 or")
    assert fickle.called == {"last": 1}
