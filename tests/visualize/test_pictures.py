"""Claims about pictures of runs: timelines, critical paths, flames, messages, comparisons, logs alone.

Nodes wait for one another by events, never by time, so what ran beside what is known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import anyio
import pytest

from loomgraph import END, START, Agent, Context, Failure, Graph, Retry, RunError, RunResult, Workflow, events
from loomgraph.errors import DefinitionError, DrawingError
from loomgraph.events import Event
from loomgraph.models.messages import assistant
from loomgraph.models.scripted import ScriptedModel
from loomgraph.runtime.logbook import Log, read_log
from loomgraph.store.memory import MemoryStore
from loomgraph.visualize.critical import Done, critical_path
from loomgraph.visualize.flame import flame
from loomgraph.visualize.sequence import Message, Messages, messages
from loomgraph.visualize.timeline import Timeline, timeline
from tests.visualize.graphs import HOSTILE
from tests.visualize.real_mermaid import RealMermaid, shown

SVG = "{http://www.w3.org/2000/svg}"


@dataclass
class Told:
    """A run told by hand, an event a second."""

    events: list[Event] = field(default_factory=list)
    run_id: str = "r"
    now: float = 0.0

    def add(self, kind: Any, after: float = 1.0, **fields: Any) -> None:
        self.now += after
        key = fields.get("key")
        if key is not None:
            fields.setdefault("node", key)
        self.events.append(kind(run_id="r", seq=len(self.events), time=self.now, **fields))

    def ran(self, key: str, seconds: float = 1.0) -> None:
        self.add(events.NodeStarted, 0, key=key, attempt=1)
        self.add(events.NodeSucceeded, seconds, key=key, attempt=1)


def bars(found: Timeline) -> dict[str, Any]:
    return {bar.key: bar for lane in found.lanes for bar in lane.bars}


# ---------------------------------------------------------------------- timelines


def test_a_bar_has_its_attempts_and_the_time_between_them() -> None:
    told = Told()
    told.add(events.NodeStarted, key="a", attempt=1)
    told.add(events.AttemptFailed, key="a", attempt=1, failure=Failure("a", "a", 1, "E", "m"), retry_in=2)
    told.add(events.NodeStarted, 2, key="a", attempt=2)
    told.add(events.NodeSucceeded, 3, key="a", attempt=2)
    (bar,) = bars(timeline(None, told)).values()
    assert bar.spans == [("runs", 0, 1), ("retries", 1, 3), ("runs", 3, 6)]
    assert (bar.attempts, bar.status, bar.end) == (2, "succeeded", 6)


def test_a_question_waits_and_the_pause_of_a_suspended_run_is_cut_out_and_said() -> None:
    told = Told()
    told.add(events.NodeStarted, key="a", attempt=1)
    told.add(events.QuestionAsked, key="a", id="a")
    told.add(events.RunSuspended, 0, questions=1)
    told.add(events.RunResumed, 86_400, events=3)
    told.add(events.NodeStarted, 0, key="a", attempt=1)
    told.add(events.NodeSucceeded, key="a", attempt=1)
    found = timeline(None, told)
    assert found.pauses == ((1.0, 86_400.0),)
    assert found.seconds == 2
    assert [what for what, _, _ in bars(found)["a"].spans] == ["runs", "waits", "runs"]
    assert "paused 1 d 00 h" in found.to_text()
    assert "paused 1 d 00 h" in found.to_svg()


def test_what_was_in_flight_when_a_process_died_ends_there_and_starts_again() -> None:
    told = Told()
    told.add(events.NodeStarted, key="a", attempt=1)
    told.ran("b")
    told.add(events.RunResumed, 50, events=3)
    told.add(events.NodeStarted, 0, key="a", attempt=2)
    told.add(events.NodeSucceeded, key="a", attempt=2)
    found = timeline(None, told)
    assert bars(found)["a"].spans == [("runs", 0, 1), ("retries", 1, 1), ("runs", 1, 2)]


def test_a_run_that_goes_on_shows_what_runs() -> None:
    told = Told()
    told.ran("a")
    told.add(events.NodeStarted, 0, key="b", attempt=1)
    told.add(events.Emitted, key="b")
    found = timeline(None, told)
    assert (bars(found)["b"].status, bars(found)["b"].spans) == ("running", [("runs", 1, 2)])
    assert found.critical == ("a", "b")


def test_lanes_stand_under_the_node_they_are_in_and_items_have_rows() -> None:
    told = Told()
    told.add(events.NodeStarted, key="m", attempt=1)
    for item in range(40):
        told.add(events.NodeStarted, 0, key=f"m[{item}]", attempt=1)
    for item in range(40):
        told.add(events.NodeSucceeded, 0.1, key=f"m[{item}]", attempt=1)
    told.add(events.NodeStarted, 0, key="g", attempt=1)
    told.ran("g/inner")
    told.add(events.NodeSucceeded, 0, key="g", attempt=1)
    found = timeline(None, told)
    assert [(lane.name, lane.depth, lane.rows, lane.more) for lane in found.lanes] == [
        ("m", 0, 16, 25), ("g", 0, 1, 0), ("inner", 1, 1, 0),
    ]  # fmt: skip
    assert "(+25)" in found.to_svg()


@pytest.mark.anyio
async def test_the_critical_path_goes_along_edges_and_not_along_what_happened_to_end_late() -> None:
    wf = Workflow("w", input=int, output=int)
    go = anyio.Event()

    @wf.node
    async def slow(value: int) -> int:
        await go.wait()
        return value

    @wf.node
    async def quick(value: int) -> int:
        return value

    @wf.node
    async def aside(value: int) -> None:
        go.set()

    @wf.node
    async def both(slow: int, quick: int) -> int:
        return slow + quick

    wf.parallel([slow, quick], source=START)
    wf.edge(quick, aside)
    wf.join([slow, quick], into=both)
    wf.edge(both, END)
    result: Any = await wf.compile().run(1)
    found = timeline(wf.compile().definition, result)
    assert found.critical == ("slow", "both")
    assert [bar.key for lane in found.lanes for bar in lane.bars if bar.critical] == ["slow", "both"]
    assert "critical path (★): slow → both" in found.to_text()


def test_the_critical_path_goes_through_maps_and_sub_graphs() -> None:
    def done(*keys: str) -> list[Done]:
        order = {}
        for place, key in enumerate(keys):
            order.setdefault(key, []).append(place)
        return [Done(key, events.node_path(key), *places) for key, places in order.items()]

    told = done(
        "a", "a", "m", "m[0]", "m[1]", "m[0]", "m[2]", "m[1]", "m[2]", "m", "g", "g/x", "g/x", "g/y", "g/y", "g"
    )
    sources = {(): {"m": frozenset({"a"}), "g": frozenset({"m"})}, ("g",): {"y": frozenset({"x"})}}
    assert critical_path(told, sources) == ("a", "m", "m[0]", "m[2]", "g", "g/x", "g/y")
    assert critical_path([], {}) == ()


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_pictures_of_every_hostile_name_are_sound(name: str) -> None:
    told = Told(run_id=name)
    told.ran(events.escape(name))
    told.add(events.Metered, 0, key=events.escape(name), amounts={"input_tokens": 5})
    for picture in (timeline(None, told), flame(told), flame(told, "tokens")):
        root = ET.fromstring(picture.to_svg())
        assert root.tag == f"{SVG}svg"
        assert not list(root.iter(f"{SVG}script"))
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", picture.to_text())


def test_a_lane_has_no_more_boxes_than_pixels() -> None:
    told = Told()
    for number in range(3000):
        told.ran(f"loop#{number}", 0.001)
    told.add(events.NodeStarted, 0, key="end", attempt=1)
    told.add(events.NodeSucceeded, 3, key="end", attempt=1)
    drawn = timeline(None, told).to_svg()
    assert drawn.count("<rect") < 700
    assert "loop#0 → 2,998 more → loop#2999 → end" in drawn


# ---------------------------------------------------------------------- flames


def test_a_flame_adds_up_and_a_graph_is_as_wide_as_what_is_in_it() -> None:
    told = Told()
    told.add(events.NodeStarted, key="g", attempt=1)
    told.ran("g/x", 3)
    told.ran("g/y", 1)
    told.add(events.NodeSucceeded, 1, key="g", attempt=1)
    told.ran("a", 5)
    root = flame(told).root
    assert {frame.path: (frame.total, frame.own) for frame, _ in root.walk()} == {
        (): (10, 0), ("g",): (5, 1), ("g", "x"): (3, 3), ("g", "y"): (1, 1), ("a",): (5, 5),
    }  # fmt: skip
    assert "100%" in flame(told).to_text()


def test_tokens_cost_and_calls_are_counted_where_they_were_used() -> None:
    told = Told()
    told.ran("a")
    told.add(events.Metered, 0, key="a/model", amounts={"input_tokens": 1000, "output_tokens": 500, "cost": 0.25})
    told.add(events.Metered, 0, key="a/model#1", amounts={"input_tokens": 500, "model_calls": 1})
    assert flame(told, "tokens").root.inside["a"].inside["model"].total == 2000
    assert flame(told, "cost").root.total == 0.25
    assert flame(told, "calls").root.total == 1
    assert "2.0k in all" in flame(told, "tokens").to_text()
    with pytest.raises(DefinitionError, match="'words' is unknown"):
        words: Any = "words"
        flame(told, words)


# ---------------------------------------------------------------------- messages


@pytest.mark.anyio
async def test_messages_follow_the_edges_that_were_taken(mermaid: RealMermaid) -> None:
    inner = Workflow("inner", input=str, output=str)

    @inner.node
    async def think(text: str) -> str:
        return text.upper()

    inner.chain(START, think, END)
    wf = Workflow("w", input=str, output=str)

    @wf.node
    async def writer(text: str) -> str:
        return f"draft of {text}"

    wf.chain(START, writer, wf.node(inner.compile(), name="critic"), END)
    result: Any = await wf.compile().run("a poem")
    flat = [(m.source, m.target, m.text) for m in messages(wf.compile().definition, result).messages]
    assert flat == [
        (("START",), ("writer",), "a poem"),
        (("writer",), ("critic",), "draft of a poem"),
        (("critic",), ("END",), "DRAFT OF A POEM"),
    ]
    deep = messages(wf.compile().definition, result, depth=2)
    assert [(m.source, m.target, m.way) for m in deep.messages][2:4] == [
        (("critic",), ("critic", "think"), "told"),
        (("critic", "think"), ("critic",), "back"),
    ]
    assert deep.messages[2].text == "draft of a poem"
    found = mermaid.parse(result.messages(depth=2).to_mermaid())
    assert [actor["text"] for actor in found["actors"]] == ["START", "writer", "critic", "critic/think", "END"]
    assert len(found["messages"]) == len(deep.messages)
    assert ET.fromstring(deep.to_svg()).tag == f"{SVG}svg"


@pytest.mark.anyio
async def test_a_failure_that_is_handled_is_a_message_and_one_that_is_not_a_note() -> None:
    wf = Workflow("w", input=int, output=str)

    @wf.node
    async def breaks(value: int) -> str:
        raise OSError("no disk")

    @wf.node
    async def rescue(failure: Failure) -> str:
        raise KeyError("gone")

    wf.edge(START, breaks)
    wf.on_error(breaks, rescue, OSError)
    wf.edge(breaks, END)
    wf.edge(rescue, END)
    with pytest.raises(RunError) as caught:
        await wf.compile().run(1)
    found = messages(wf.compile().definition, caught.value.result).messages
    assert [(m.way, m.text) for m in found] == [
        ("told", "1"), ("failed", "OSError: no disk"), ("note", "KeyError: 'gone'"),
    ]  # fmt: skip


def test_every_hostile_text_is_read_back_by_mermaid(mermaid: RealMermaid) -> None:
    names = list(dict.fromkeys(name for name in HOSTILE if name))
    ways: Any = ["told", "back", "failed", "note"]
    told = [Message((a,), (b,), a, ways[i % 4]) for i, (a, b) in enumerate(pairwise(names))]
    found = mermaid.parse(Messages("r", tuple((name,) for name in names), tuple(told)).to_mermaid())
    assert len(found["actors"]) == len(names)
    assert len(found["messages"]) == len(told)
    texts = {shown(message["text"]) for message in found["messages"]}
    assert {"end", "a; b", "a:b:c", "<b>bold</b>", "#35;", "%% comment", "-->"} <= texts


@pytest.mark.anyio
async def test_more_messages_than_anyone_reads_are_counted() -> None:
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def again(value: int) -> int:
        return value + 1

    wf.edge(START, again)
    wf.edge(again, again, when=lambda value: value < 30, cap=50)
    wf.edge(again, END, when=lambda value: value >= 30)
    result: Any = await wf.compile().run(0)
    found = messages(wf.compile().definition, result, most=10)
    assert (len(found.messages), found.more) == (10, 21)
    assert "and 21 more" in found.to_mermaid()
    assert "and 21 more" in found.to_text()


@pytest.mark.anyio
async def test_an_agent_shows_what_its_model_and_tools_said_and_what_they_used() -> None:
    agent = Agent("helper", ScriptedModel([assistant("Hello.")]))
    result = await agent.run("Hi")
    assert "model ─▶ END: Hello." in result.messages().to_text() or "Hello." in result.messages().to_text()
    assert "calls" in result.flame("calls").to_text()


# ---------------------------------------------------------------------- runs of every kind


def review() -> Graph[Any, Any]:
    wf = Workflow("review", input=int, output=int)

    @wf.node(retry=Retry(attempts=2, delay=0))
    async def draft(value: int, ctx: Context) -> int:
        ctx.meter(input_tokens=1200, output_tokens=300, cost=0.0042)
        return value + 1

    @wf.node
    async def check(value: int) -> int:
        return value

    wf.edge(START, draft)
    wf.edge(draft, check)
    wf.edge(check, draft, when=lambda value: value < 3, label="too small", cap=5)
    wf.edge(check, END, when=lambda value: value >= 3, label="large enough")
    return wf.compile()


@pytest.mark.anyio
async def test_tokens_and_cost_are_laid_over_the_graph() -> None:
    result = await review().run(0)
    assert "4.5k tokens, cost 0.0126" in result.to_text()
    assert "4.5k tokens" in result.to_mermaid()
    assert "4.5k tokens" in result.to_svg()


@pytest.mark.anyio
async def test_a_logged_run_is_drawn_without_its_graph() -> None:
    store = MemoryStore()
    result: RunResult[int] = await review().run(0, store=store, run_id="t")
    log: Any = await read_log(store, "t")
    drawn = log.to_text()
    for said in ("draft", "too small ↺", "large enough", "✓ 3 visits", "4.5k tokens"):
        assert said in drawn
    assert "≤" not in drawn, "a log does not know the caps"
    assert [lane.name for lane in timeline(None, log).lanes] == ["draft", "check"]
    assert log.timeline().to_text().splitlines()[1] == result.timeline().to_text().splitlines()[1]
    assert log.messages().to_mermaid() == result.messages().to_mermaid()
    assert log.to_svg().startswith("<svg ")


@pytest.mark.anyio
async def test_a_log_of_the_first_version_says_that_it_keeps_no_graph() -> None:
    log = await logged()
    with pytest.raises(DrawingError, match=r"does not keep its graph\. Use graph\.replay"):
        Log(log.header, log.entries).to_svg()


async def logged() -> Log:
    store = MemoryStore()
    await review().run(0, store=store, run_id="t")
    return await read_log(store, "t")


@pytest.mark.anyio
async def test_two_runs_are_compared_over_one_drawing(mermaid: RealMermaid) -> None:
    store, graph = MemoryStore(), review()
    await graph.run(0, store=store, run_id="left")
    await graph.fork("left", store=store, run_id="right", outputs={"check#1": 3})
    await graph.resume("right", store=store)
    found = await graph.compare("left", "right", store=store)
    text = found.to_text()
    assert re.search(r"check .*≠ .*output", text)
    assert "it began here" in text
    assert graph.to_svg(found).startswith("<svg ")
    assert "differs" in mermaid.parse(found.to_mermaid())["classes"]
    same = await graph.compare("left", "left", store=store)
    assert set(re.findall(r"[≠◁▷=] .*", same.to_text())) == {"= the same, 3 times"}
