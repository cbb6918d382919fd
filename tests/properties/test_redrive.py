"""Claims about random workflows that are driven once more: they end as a fresh run would, and reuse only what fits.

What node code is called for is counted, so an answer that was taken over and code that ran are told apart from outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
from hypothesis import assume, given
from hypothesis import strategies as st

from loomgraph import START, Graph, RunError
from loomgraph.compile.compiled import compile_definition
from loomgraph.errors import CompileError
from loomgraph.events import RunRedriven
from loomgraph.graph.builder import Builder
from loomgraph.store.memory import MemoryStore
from tests.properties import workflows
from tests.properties.budget import examples
from tests.properties.compare import assert_same
from tests.properties.drive import Drive, seen
from tests.properties.outcome import Answer, Call
from tests.properties.strategies import specs
from tests.properties.workflows import Part, Spec, build

VALUES = st.integers(0, 20)
PICKS = st.integers(0, 10**6)
Said = Callable[[Part, Call, Callable[[], Answer]], Answer]


class Told:
    """What node code says, and how often it was asked."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.say: Said = lambda part, call, usual: usual()

    @contextmanager
    def place(self) -> Iterator[None]:
        usual = workflows.answer

        def answer(part: Part, call: Call) -> Answer:
            self.calls[call.key] += 1
            return self.say(part, call, lambda: usual(part, call))

        workflows.answer = answer
        try:
            yield
        finally:
            workflows.answer = usual


def compiled(spec: Spec, changed: str | None = None) -> Graph[Any, Any]:
    """The graph; the node `changed` has another version, wherever in it."""

    def made(builder: Builder) -> Graph[Any, Any]:
        for index, node in enumerate(builder._nodes):
            if not hasattr(node.body, "graph"):
                builder._nodes[index] = replace(node, version="2" if node.name == changed else "1")
        return Graph(compile_definition(builder.define()))

    try:
        return made(build(spec, None, made))
    except CompileError:
        assume(False)
        raise


async def ended(work: Any) -> Drive:
    """What became of a run, in its last pass."""
    error = None
    try:
        result = await work
    except RunError as raised:
        result, error = raised.result, raised
    last = max((event.seq for event in result.events if isinstance(event, RunRedriven)), default=0)
    shown: Any = SimpleNamespace(
        activations=result.activations, output=result.output, state=result.state, events=result.events[last:]
    )
    drive = seen(shown, error)
    drive.said = [record.key for record in result.activations if record.origin == "reused"]
    return drive


def functions(spec: Spec, graph: Graph[Any, Any]) -> dict[str, Part]:
    return {name: part for name, part in workflows.parts(spec).items() if part.graph is None}


@given(specs(early=True), VALUES)
@examples(8)
def test_without_a_change_every_answer_is_taken_over_and_nothing_runs(spec: Spec, value: int) -> None:
    graph, told = compiled(spec), Told()

    async def main() -> None:
        store = MemoryStore()
        first = await ended(graph.run(value, store=store, run_id="r", on_failure="drain"))
        settled = {k for k, r in first.outcome.records.items() if r.status in ("succeeded", "handled")}
        asked = set(told.calls) & settled
        told.calls.clear()
        forked = await graph.fork("r", store=store, inputs={START: value})
        again = await ended(graph.resume(forked, store=store, on_failure="drain"))
        assert_same(first.outcome, again.outcome)
        assert not set(told.calls) & settled, "what was answered ran again"
        assert set(again.said) >= asked

    with told.place():
        anyio.run(main)


@given(specs(), VALUES, PICKS)
@examples(8)
def test_from_a_part_of_a_log_its_answers_are_taken_over_and_the_rest_runs(spec: Spec, value: int, pick: int) -> None:
    graph, told = compiled(spec), Told()

    async def main() -> None:
        store = MemoryStore()
        first = await ended(graph.run(value, store=store, run_id="r", on_failure="drain"))
        stop = pick % len(await store.events("r"))
        done = {event.key for event in await store.events("r", 0, stop + 1) if event.kind == "+"}
        for edits in ({}, {START: value}):
            told.calls.clear()
            part = await graph.fork("r", store=store, at=stop, inputs=edits)
            again = await ended(graph.resume(part, store=store, on_failure="drain"))
            assert_same(first.outcome, again.outcome)
            assert not set(told.calls) & done

    with told.place():
        anyio.run(main)


@given(specs(), VALUES, PICKS, st.integers(0, 5))
@examples(8)
def test_an_edited_output_gives_what_a_fresh_run_gives_whose_node_says_so(
    spec: Spec, value: int, pick: int, new: int
) -> None:
    graph, told = compiled(spec), Told()

    async def main() -> None:
        store = MemoryStore()
        first = await ended(graph.run(value, store=store, run_id="r", on_failure="drain"))
        known = functions(spec, graph)
        choices = [
            key
            for key, record in first.outcome.records.items()
            if record.status == "succeeded"
            and _name(key) in known
            and not known[_name(key)].sink
            and (known[_name(key)].map is None or key[-1] == "]")
        ]
        assume(choices)
        key = choices[pick % len(choices)]
        edited: Any = [new] * (pick % 3) if known[_name(key)].spread else new
        told.say = lambda part, call, usual: replace(usual(), value=edited) if call.key == key else usual()
        fresh = await ended(graph.run(value, store=store, run_id="fresh", on_failure="drain"))
        told.calls.clear()
        told.say = lambda part, call, usual: usual()
        forked = await graph.fork("r", store=store, outputs={key: edited})
        again = await ended(graph.resume(forked, store=store, on_failure="drain"))
        assert_same(fresh.outcome, again.outcome)
        assert not set(told.calls) & {*again.said, key}
        for reused in again.said:
            assert first.outcome.records[reused].input == again.outcome.records[reused].input
        # the same at the event itself, where the rest of the log is cut off
        cut = await graph.fork("r", store=store, at=key, outputs={key: edited})
        assert_same(fresh.outcome, (await ended(graph.resume(cut, store=store, on_failure="drain"))).outcome)

    with told.place():
        anyio.run(main)


@given(specs(), VALUES, PICKS, VALUES)
@examples(8)
def test_an_edited_input_gives_what_a_fresh_run_gives_whose_node_is_given_that(
    spec: Spec, value: int, pick: int, new: int
) -> None:
    graph, told = compiled(spec), Told()

    async def main() -> None:
        store = MemoryStore()
        first = await ended(graph.run(value, store=store, run_id="r", on_failure="drain"))
        fresh = await ended(graph.run(new, store=store, run_id="fresh", on_failure="drain"))
        told.calls.clear()
        forked = await graph.fork("r", store=store, inputs={START: new})
        again = await ended(graph.resume(forked, store=store, on_failure="drain"))
        assert_same(fresh.outcome, again.outcome)
        assert not set(told.calls) & set(again.said)
        if new != value:
            for reused in again.said:
                assert first.outcome.records[reused].input == again.outcome.records[reused].input

    with told.place():
        anyio.run(main)


@given(specs(), VALUES, PICKS)
@examples(8)
def test_another_graph_gives_what_it_gives_afresh_and_reuses_what_did_not_change(
    spec: Spec, value: int, pick: int
) -> None:
    graph, told = compiled(spec), Told()
    names = sorted(functions(spec, graph))
    changed = names[pick % len(names)]
    other = compiled(spec, changed)

    def differs(part: Part, call: Call, usual: Callable[[], Answer]) -> Answer:
        said = usual()
        if part.name == changed and isinstance(said.value, int):
            return replace(said, value=(said.value + 1) % 6)
        return said

    async def main() -> None:
        store = MemoryStore()
        first = await ended(graph.run(value, store=store, run_id="r", on_failure="drain"))
        told.say = differs
        fresh = await ended(other.run(value, store=store, run_id="fresh", on_failure="drain"))
        for how in ("fork", "rerun"):
            told.calls.clear()
            if how == "fork":
                forked = await graph.fork("r", store=store, graph=other)
                again = await ended(other.resume(forked, store=store, on_failure="drain"))
            else:
                forked = "r"
                again = await ended(other.resume("r", store=store, on_change="rerun", on_failure="drain"))
            driven = any(event.kind == "R<" for event in await store.events(forked))
            if driven or not first.outcome.problems:  # else it just went on, and what had failed was tried anew
                assert_same(fresh.outcome, again.outcome)
            assert not set(told.calls) & set(again.said)
            assert not [key for key in again.said if _name(key) == changed]
            for reused in again.said:
                assert first.outcome.records[reused].input == again.outcome.records[reused].input

    with told.place():
        anyio.run(main)


def _name(key: str) -> str:
    from loomgraph.events import node_path

    return node_path(key)[-1]
