"""Claims about reading runs: a replay says what the run said, a history has it at any event, and neither runs code."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, NodeFailedError, Workflow
from loomgraph.errors import GraphChangedError, RunBusyError, RunError, UnknownEventError, UnknownRunError
from loomgraph.events import NodeSucceeded
from loomgraph.runtime.history import Moment
from loomgraph.store.memory import MemoryStore
from tests.crash.graphs import GRAPHS, Notes

pytestmark = pytest.mark.anyio


class Counting(MemoryStore):
    """Counts the calls that read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()

    async def load(self, run_id: str) -> Any:
        self.asked["load"] += 1
        return await super().load(run_id)

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> Any:
        self.asked["events"] += 1
        return await super().events(run_id, start, stop)

    async def digests(self, run_id: str, stop: int | None = None) -> Any:
        self.asked["digests"] += 1
        return await super().digests(run_id, stop)

    async def values(self, digests: Any) -> Any:
        self.asked["values"] += 1
        return await super().values(digests)


def plain(records: Any) -> dict[str, tuple[Any, ...]]:
    return {r.key: (r.status, r.attempts, r.output, r.input, r.taken, r.iteration, r.index) for r in records}


@pytest.mark.parametrize("name", sorted(GRAPHS))
async def test_a_replay_says_what_the_run_said(name: str) -> None:
    make, value = GRAPHS[name]
    store = MemoryStore()
    try:
        result = await make().run(value, store=store, run_id="r")
    except RunError as error:  # a graph that reaches a cap
        result = error.result
    again = await make().replay("r", store=store)
    assert (again.run_id, again.status, again.output, again.state) == ("r", result.status, result.output, result.state)
    within = {key: fields for key, fields in plain(result.activations).items() if "@" not in key}
    assert {key: fields for key, fields in plain(again.activations).items() if "@" not in key} == within
    assert [(event.kind, event.seq, event.time) for event in again.events] == [
        (event.kind, event.seq, event.time) for event in result.events
    ]


@pytest.mark.parametrize("how", ["replayed", "resumed"])
async def test_what_ran_inside_ctx_run_is_still_known_when_the_run_is_read(how: str) -> None:
    make, value = GRAPHS["steps_inside_a_node"]
    store = MemoryStore()
    result = await make().run(value, store=store, run_id="r")
    graph = make()
    again = await (graph.replay("r", store=store) if how == "replayed" else graph.resume("r", store=store))
    inside = {record.key: record.output for record in result.activations if "/@" in record.key}
    assert inside
    assert {record.key: record.output for record in again.activations if "/@" in record.key} == inside


async def test_a_history_has_the_values_and_the_state_of_every_event_for_four_questions_to_the_store() -> None:
    make, value = GRAPHS["loop_with_state"]
    store = Counting()
    await make().run(value, store=store, run_id="r")
    store.asked.clear()
    history = await make().history("r", store=store)
    moments: list[Moment] = list(history)
    assert store.asked == {"load": 1, "events": 1, "digests": 1, "values": 1}
    assert len(moments) == len(history.events)
    expected: dict[str, Any] = {}
    seen: list[str] = []
    for moment, event in zip(moments, history.events, strict=True):
        if isinstance(event, NodeSucceeded):
            expected[event.key] = event.output
            seen.extend(text for name, texts in event.updates if name == "seen" for text in texts)
        assert moment.event == event
        assert dict(moment.values) == expected
        assert isinstance(moment.state, Notes)
        assert moment.state.seen == seen  # the graph is a single loop, so the order of writes is that of the log
    assert moments[-1].state == (await make().replay("r", store=store)).state
    assert history.at("outer#1").event.kind == "NodeSucceeded"
    assert history.at("outer#1").event.seq == history.at("outer#1").seq


async def test_a_history_goes_into_nested_graphs_and_maps() -> None:
    class Seen(Notes):
        pass

    inner = Workflow("inner", input=int, output=int, state=Seen)

    @inner.node
    async def note(value: int, ctx: Context[Seen]) -> int:
        ctx.update(last=value)
        return value * 2

    @inner.node
    async def close(value: int, ctx: Context[Seen]) -> int:
        return value + ctx.state.last

    inner.chain(START, note, close, END)
    wf = Workflow("outer", input=list[int], output=list[int])
    mapped = wf.map(START, inner.compile())
    wf.edge(mapped, END)
    graph, store = wf.compile(), MemoryStore()
    await graph.run([3, 4], store=store, run_id="r", limit=1)
    history = await graph.history("r", store=store)
    moment = history.at("inner[1]/note")
    assert moment.values["inner[1]/note"] == 8
    assert "inner[1]/close" not in moment.values
    assert moment.states["inner[1]"] == Seen(last=4)
    assert moment.state is None
    assert [record.status for record in moment.node("inner/note")] == ["succeeded", "succeeded"]
    assert history.at().values["inner"] == [9, 12]


async def test_a_run_that_another_process_owns_is_read_as_far_as_it_came() -> None:
    reached, go_on = anyio.Event(), anyio.Event()
    wf = Workflow("slow", input=int, output=int)

    @wf.node
    async def first(value: int) -> int:
        return value + 1

    @wf.node
    async def second(value: int) -> int:
        reached.set()
        await go_on.wait()
        return value * 2

    wf.chain(START, first, second, END)
    graph, store = wf.compile(), MemoryStore()
    async with graph.start(1, store=store, run_id="r") as run:
        await reached.wait()
        with pytest.raises(RunBusyError):
            await graph.resume("r", store=store)
        result = await graph.replay("r", store=store)
        assert (result.status, result.output) == ("running", None)
        assert [(a.key, a.status, a.output) for a in result.activations] == [
            ("first", "succeeded", 2),
            ("second", "running", None),
        ]
        go_on.set()
        assert (await run.result()).output == 4


async def test_a_failed_run_is_read_with_its_failure() -> None:
    wf = Workflow("fails", input=int, output=int)

    @wf.node
    async def sound(value: int) -> int:
        return value + 1

    @wf.node
    async def broken(value: int) -> int:
        raise LookupError("nothing there")

    wf.chain(START, sound, broken, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError):
        await graph.run(1, store=store, run_id="r")
    result = await graph.replay("r", store=store)
    assert result.status == "failed"
    [failed] = result.node("broken")
    assert failed.status == "failed"
    assert failed.failure is not None
    assert (failed.failure.error, failed.failure.message) == ("LookupError", "nothing there")
    assert result.events[-1].kind == "RunFailed"


async def test_reading_calls_no_code_of_the_graph_and_fits_a_graph_with_other_code() -> None:
    def make(code: Any) -> Graph[int, int]:
        wf = Workflow("coded", input=int, output=int)

        @wf.node
        async def work(value: int) -> int:
            return code(value)

        def condition(value: int) -> bool:
            return code(value) >= 0

        wf.edge(START, work)
        wf.edge(work, END, when=condition, label="fine")
        return wf.compile()

    def never(value: int) -> int:
        raise AssertionError("reading calls code")

    store = MemoryStore()
    await make(lambda value: value + 1).run(1, store=store, run_id="r")
    assert (await make(never).replay("r", store=store)).output == 2
    assert (await make(never).history("r", store=store)).at("work").values == {"work": 2}


async def test_a_place_that_is_not_in_the_log_is_named_with_what_there_is() -> None:
    make, value = GRAPHS["loop_with_state"]
    store = MemoryStore()
    await make().run(value, store=store, run_id="r")
    history = await make().history("r", store=store)
    with pytest.raises(UnknownEventError, match=rf"run 'r' has {len(history)} events, 0 to {len(history) - 1}, and"):
        history.at(len(history))
    with pytest.raises(UnknownEventError, match=r"no activation 'outer#9'. Did you mean 'outer#"):
        history.at("outer#9")
    with pytest.raises(UnknownRunError):
        await make().replay("nobody", store=store)
    with pytest.raises(GraphChangedError):
        await GRAPHS["map_of_graphs"][0]().replay("r", store=store)
