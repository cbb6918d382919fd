"""From any prefix of its log, a run ends as if nothing had happened and repeats nothing that the log says is over."""

from __future__ import annotations

from collections import Counter

import pytest

from loomgraph import END, OTHERWISE, START, Context, Graph, Retry, Workflow
from loomgraph.errors import LoopCapError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from tests.places import Place
from tests.runtime.rehearsal import Races, Rehearsal, cut_short, settled

pytestmark = pytest.mark.anyio


async def _resume_from(place: Place, store: Store, step: int) -> None:
    """Record a run in memory and resume each `step`-th of its prefixes in `store`."""
    kept, rehearsal = MemoryStore(), Rehearsal()
    graph = rehearsal.graph()
    reference = await graph.run(0, store=kept, run_id="r")
    events = await kept.events("r")
    assert reference.status == "succeeded"
    for stop in range(1, len(events), step):
        name = f"r{stop}"
        await cut_short(kept, "r", stop, store, name)
        rehearsal.calls.clear()
        result = await graph.resume(name, store=store)
        assert (result.output, result.state) == (reference.output, reference.state), f"from the first {stop} events"
        assert {a.key: a.status for a in result.activations} == {a.key: a.status for a in reference.activations}
        assert result.usage == reference.usage
        repeated = set(rehearsal.calls) & settled(events[:stop])
        assert not repeated, f"from the first {stop} events, {repeated} ran again"
        assert (await store.load(name)).status == "succeeded"
        await _again(graph, store, name, stop, reference.output)


async def _again(graph: Graph[int, str], store: Store, name: str, stop: int, output: str) -> None:
    """A process that went on dies as well: from a prefix of the longer log the run ends the same."""
    count = (await store.load(name)).events
    cut = await cut_short(store, name, stop + 1 + (count - stop) // 3)
    assert (await graph.resume(name, store=cut)).output == output, f"twice, from the first {stop} events"
    once = Counter(
        (e.kind, e.key) for e in await cut.events(name) if e.kind in ("+", "0", "m", "M", "i", "l", "g", "G")
    )
    assert set(once.values()) == {1}, "nothing that happens once is said twice"


async def test_a_run_resumed_from_any_prefix_of_its_log_ends_the_same_and_repeats_nothing(place: Place) -> None:
    store = place.store()
    try:
        await _resume_from(place, store, 5 if place.kind == "postgresql" else 1)
    finally:
        await store.close()


async def test_a_run_with_races_resumed_from_any_prefix_keeps_their_outcome_and_the_failures_in_them() -> None:
    whole, store = Races(), MemoryStore()
    reference = await whole.graph().run(0, store=store, run_id="r")
    events = await store.events("r")
    assert "'unmet' needs 2 of 2 results and can only have 1; broken (attempt 1): ValueError" in reference.output
    settled = {a.key: a.status for a in reference.activations}
    assert settled == {"bad": "failed", "worse": "failed", "stuck": "cancelled", "broken": "failed"} | {
        "early": "succeeded", "good": "succeeded", "goal": "succeeded", "fine": "succeeded",
        "unmet": "handled", "tell": "succeeded",
    }  # fmt: skip
    for stop in range(1, len(events)):
        again, cut = Races(), await cut_short(store, "r", stop)
        done = {event.key for event in events[:stop] if event.kind in ("+", "-", "x")}
        result = await again.graph().resume("r", store=cut)
        assert (result.output, result.state) == (reference.output, reference.state), stop
        assert {a.key: a.status for a in result.activations} == settled, stop
        assert not set(again.calls) & done, stop


async def test_a_graph_that_runs_again_after_its_loop_reached_its_cap_goes_on_from_any_prefix() -> None:
    inner = Workflow("inner", input=int, output=int)

    @inner.node
    async def spin(value: int, ctx: Context) -> int:
        return value if "!2/" in ctx.key else -1

    inner.edge(START, spin)
    inner.edge(spin, spin, when=-1, cap=2)
    inner.edge(spin, END, when=OTHERWISE)
    wf = Workflow("outer", input=int, output=int)
    wf.chain(START, wf.node(inner.compile(), name="inner", retry=Retry(attempts=2, delay=0, on=LoopCapError)), END)
    graph, store = wf.compile(), MemoryStore()
    reference = await graph.run(7, store=store, run_id="r")
    assert reference.output == 7
    events = await store.events("r")
    for stop in range(1, len(events)):
        result = await graph.resume("r", store=await cut_short(store, "r", stop))
        assert result.output == 7, stop
        assert [(a.key, a.status) for a in result.activations] == [(a.key, a.status) for a in reference.activations]
