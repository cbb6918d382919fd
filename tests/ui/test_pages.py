"""Claims about what the page is told: runs, a run, its graph, nodes, activations, values, events, timeline, files."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Graph, Workflow
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.visualize import svg
from tests.ui.conftest import EVIL, Open, Page

ODD = "long/é #1?&="


def ids(told: Any) -> list[str]:
    return [run["id"] for run in told["runs"]]


def test_runs_are_listed_newest_first_filtered_and_paged(page: Page) -> None:
    assert ids(page.get("runs")) == [ODD, "failed", "asks", "done"]
    assert ids(page.get("runs", status=["failed", "suspended"])) == [ODD, "failed", "asks"]
    assert ids(page.get("runs", graph="orders", user="ada")) == ["done"]
    assert ids(page.get("runs", since="1e12")) == []
    first = page.get("runs", limit=3)
    assert ids(page.get("runs", limit=3, cursor=first["cursor"])) == ["done"]
    assert "no status" in page.get("runs", 422, status="lost")["message"]
    assert page.get("runs", 500, cursor="nonsense")["error"] == "StoreError"


def test_a_run_says_what_became_of_each_node(page: Page) -> None:
    told = page.get("run", run="done")
    nodes = {node["path"]: node for node in told["nodes"]}
    assert {path: node["status"] for path, node in nodes.items()} == dict.fromkeys(
        ["check", "parts", "price", "total", "approve", "pay"], "succeeded"
    )
    assert nodes["price"]["items"] == {"succeeded": 3}
    assert told["amounts"] == {"tokens": 40}
    assert told["run"]["user"] == "ada"
    assert (told["code"], told["here"], told["questions"]) == (True, False, [])


def test_the_fold_that_goes_on_says_what_the_log_as_a_whole_says(page: Page, db: Any, graph: Graph[Any, Any]) -> None:
    async def read() -> Any:
        return [await graph.replay(run, store=f"sqlite:{db}") for run in ("done", "asks")]

    for result in anyio.run(read):
        rows = page.get("activations", run=result.run_id, limit=200)["rows"]
        assert [(row["key"], row["status"], row["attempts"], row["amounts"]) for row in rows] == [
            (record.key, record.status, record.attempts, record.amounts) for record in result.activations
        ]


def test_a_run_that_failed_says_why(page: Page) -> None:
    told = page.get("run", run="failed")
    assert told["run"]["status"] == "failed"
    assert "no luck" in told["said"]
    assert not told["code"]
    found = page.get("activation", run="failed", key="only")
    assert found["failures"][0]["message"] == "no luck"


def test_a_run_may_have_any_name(page: Page) -> None:
    assert page.get("run", run=ODD)["run"]["id"] == ODD
    assert page.get("picture", run=ODD)["name"] == "broken"


def test_what_is_not_there_is_said(page: Page) -> None:
    assert page.get("run", 404, run="dnoe")["message"].count("done")
    assert page.get("run", 422)["message"] == "say which: ?run=..."
    assert page.get("activation", 404, run="done", key="chek")["error"] == "UnknownEventError"
    assert page.get("event", 404, run="done", seq=10_000)["error"] == "UnknownEventError"
    assert page.get("event", 422, run="done", seq="x")["error"] == "ValueError"
    assert page.client.get("/api/nothing").status_code == 404
    assert page.client.get("/assets/nothing.js").status_code == 404
    assert page.client.get("/assets/..%2fapp.py").status_code == 404


def test_the_graph_is_placed_from_the_log_alone(opened: Open) -> None:
    told = opened().get("picture", run="done")
    boxes = {node["path"]: node for node in told["nodes"] if node["path"]}
    assert list(boxes) == ["check", "parts", "price", "total", "approve", "pay"]
    assert boxes["price"]["kind"] == "map"
    assert len(told["edges"]) == 7
    for node in told["nodes"]:
        assert 0 <= node["x"] <= told["width"] - node["width"] + 1
        assert 0 <= node["y"] <= told["height"] - node["height"] + 1
    assert boxes["check"]["y"] < boxes["pay"]["y"]
    assert "Some" not in json.dumps(told)


def assert_lines_lead_where_they_say(told: Any) -> None:
    """A line begins at the box that it comes from and ends at the one that it leads to."""
    boxes = {node["id"]: node for node in told["nodes"]}
    for edge in told["edges"]:
        for (x, y), end in ((edge["points"][0], "source"), (edge["tip"], "target")):
            box = boxes[edge[end]]
            assert box["x"] - 3 <= x <= box["x"] + box["width"] + 3, edge
            assert box["y"] - 3 <= y <= box["y"] + box["height"] + 3, edge


def test_with_the_code_at_hand_the_picture_knows_types(page: Page) -> None:
    (start,) = [node for node in page.get("picture", run="done")["nodes"] if node["kind"] == "start"]
    assert start["lines"] == ["START", "Order"]


def test_without_a_renderer_the_page_says_what_to_install(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(svg, "system_dot", lambda: None)
    monkeypatch.setattr(svg, "wasm_dot", lambda: None)
    assert "loomgraph-engine[draw]" in page.get("picture", run="done")["missing"]


def test_sub_graphs_loops_and_names_of_any_kind_are_placed(opened: Open, tmp_path: Any) -> None:
    inner = Workflow("inner", input=int, output=int)
    inner.chain(START, inner.node(lambda x: x + 1, name='a "b" </svg>\\n'), END)
    wf = Workflow("outer", input=int, output=int)
    body = wf.node(inner.compile(), name="body/é")
    wf.edge(START, body)
    wf.edge(body, body, when=lambda x: x < 3, cap=7)
    late = wf.node(lambda x: x, name="late")
    early = wf.node(lambda x: x, name="early")
    wf.edge(body, late, when=lambda x: x >= 3)
    wf.edge(late, END, when=lambda x: x > 9)
    wf.edge(late, early, when=lambda x: x <= 9)
    wf.edge(early, END)

    async def run() -> None:
        async with SQLiteStore(str(tmp_path / "other.db")) as store:
            await wf.compile().run(0, store=store, run_id="r")

    anyio.run(run)
    page = opened(store=SQLiteStore(str(tmp_path / "other.db")))
    told = page.get("picture", run="r")
    paths = [node["path"] for node in told["nodes"] if node["path"]]
    assert paths == ["body%2Fé", "late", "early", 'body%2Fé/a "b" <%2Fsvg>\\n']
    assert set(paths) == {node["path"] for node in page.get("run", run="r")["nodes"]}
    assert told["clusters"][0]["name"] == "inner"
    assert_lines_lead_where_they_say(told)
    (back,) = [edge for edge in told["edges"] if edge["kind"] == "back"]
    assert back["label"][-1].endswith("↺"), "a log does not keep caps, so none is shown"


def test_activations_attempts_and_values_of_a_node(page: Page) -> None:
    told = page.get("activations", run="done", node="price", start=1, limit=2)
    assert (told["total"], [row["key"] for row in told["rows"]]) == (4, ["price[0]", "price[1]"])
    one = page.get("activation", run="done", key="price[1]")
    assert [(found["attempt"], found["how"].split(",")[0]) for found in one["tries"]] == [
        (1, "failed"),
        (2, "succeeded"),
    ]
    assert one["tries"][0]["failure"] == {"error": "ConnectionError", "message": EVIL}
    values = [
        page.get("value", run="done", key=key, what=what)["text"]
        for key, what in (("price[2]", "input"), ("price", "output"), ("approve", "input"), ("", "input"))
    ]
    assert [json.loads(text) for text in values] == [2, [0, 3, 6], 9, {"text": EVIL, "items": 3}]
    assert json.loads(page.get("value", run="done", key="", what="output")["text"]) == f"{EVIL} paid: True"
    assert page.get("value", 422, run="done", key="price", what="secrets")


def test_values_that_are_asked_for_at_once_are_all_there(page: Page) -> None:
    views = page.server._parts()[0]._views
    found: dict[tuple[str, str], Any] = {}

    async def read() -> None:
        view = await views.get("done")

        async def one(key: str, what: str) -> None:
            found[key, what] = await view.value(key, what)

        async with anyio.create_task_group() as group:
            for key in ("check", "total", "approve", "price"):
                for what in ("input", "output"):
                    group.start_soon(one, key, what)

    page.call(read)
    assert None not in found.values()
    assert (found["total", "input"], found["total", "output"]) == ([0, 3, 6], 9)


def test_a_value_is_read_while_the_run_goes_on_and_again_after_it(page: Page) -> None:
    assert json.loads(page.get("value", run="asks", key="total", what="output")["text"]) == 9
    assert json.loads(page.get("value", run="asks", key="approve", what="output")["text"]) is None
    page.post("answer", run="asks", id="approve", answer={"yes": True})
    page.post("resume", run="asks")
    page.until("asks", "succeeded")
    for key, value in (("total", 9), ("approve", {"yes": True, "level": "low"})):
        assert json.loads(page.get("value", run="asks", key=key, what="output")["text"]) == value


def test_events_are_paged_and_filtered_by_kind_node_and_activation(page: Page) -> None:
    every = page.get("events", run="done", limit=5)
    assert (len(every["rows"]), every["total"]) == (5, page.get("run", run="done")["run"]["events"])
    assert every["rows"][0]["kind"] == "RunStarted"
    assert every["rows"][0]["text"].startswith("orders")
    some = page.get("events", run="done", kind="AttemptFailed")
    assert [row["key"] for row in some["rows"]] == ["price[1]"]
    assert {row["key"] for row in page.get("events", run="done", node="price")["rows"]} == {
        "price",
        "price[0]",
        "price[1]",
        "price[2]",
    }
    assert {row["key"] for row in page.get("events", run="done", key="price[0]")["rows"]} == {"price[0]"}
    last = page.get("events", run="done", start=every["total"] - 1)["rows"]
    assert [row["kind"] for row in last] == ["RunSucceeded"]


def test_every_event_can_be_read_whole(page: Page) -> None:
    for run in ("done", "asks", "failed"):
        for row in page.get("events", run=run, limit=200)["rows"]:
            told = json.loads(page.get("event", run=run, seq=row["seq"])["text"])
            assert (told["kind"], told["seq"]) == (row["kind"], row["seq"])
    (asked,) = page.get("events", run="asks", kind="QuestionAsked")["rows"]
    told = json.loads(page.get("event", run="asks", seq=asked["seq"])["text"])
    assert told["question"] == "Pay 9 EUR?"
    assert told["expects"]["properties"]["yes"]["type"] == "boolean"


def test_the_timeline_has_a_lane_a_node_and_joins_what_a_pixel_cannot_tell_apart(page: Page) -> None:
    told = page.get("timeline", run="done", width=1000)
    assert [lane["path"] for lane in told["lanes"]] == ["check", "parts", "price", "total", "approve", "pay"]
    assert sum(bar["count"] for bar in told["lanes"][2]["bars"]) == 4
    middle = (told["begin"] + told["end"]) / 2
    part = page.get("timeline", run="done", start=2, limit=1, **{"from": middle, "to": told["end"]})
    assert (part["total"], [lane["path"] for lane in part["lanes"]]) == (6, ["price"])


def test_a_run_is_exported_as_a_file_that_no_browser_reads_as_a_page(page: Page, tmp_path: Any) -> None:
    found = page.client.get("/api/export", params={"run": ODD})
    assert found.headers["content-disposition"].startswith('attachment; filename="long____1___.run"')
    assert found.headers["x-content-type-options"] == "nosniff"

    async def load() -> str:
        async with SQLiteStore(str(tmp_path / "copy.db")) as store:
            return (await store.import_(found.content)).run_id

    assert anyio.run(load) == ODD
    lines = page.client.get("/api/export", params={"run": "done", "form": "events"}).text.splitlines()
    assert len(lines) == page.get("run", run="done")["run"]["events"]
    assert json.loads(lines[0])["input"] == {"text": EVIL, "items": 3}
    value = page.client.get("/api/value", params={"run": "done", "key": "pay", "what": "output", "download": 1})
    assert value.headers["content-disposition"].startswith("attachment")
    assert value.json() == f"{EVIL} paid: True"


def test_changes_are_sent_as_they_happen_until_the_server_ends(page: Page) -> None:
    told = page.server._parts()[0]

    async def read() -> list[Any]:
        class Here:
            async def is_disconnected(self) -> bool:
                return False

        found: list[Any] = []
        view = await told._views.get("asks")
        async for message in told._changes(view, Here()):
            found.append(json.loads(message.removeprefix(b"data: ")))
            if len(found) == 1:
                await told._acting.answer("asks", "approve", {"yes": True}, None)
                await told._acting.resume("asks")
            if found[-1]["run"]["status"] == "succeeded" and not found[-1]["here"]:
                told.closing = True
        return found

    found = page.call(read)
    assert found[0]["reset"]
    assert len(found[0]["nodes"]) == 5
    later = {node["path"]: node["status"] for one in found[1:] for node in one["nodes"]}
    assert later == {"approve": "succeeded", "pay": "succeeded"}, "only what changed is sent again"


def test_the_page_is_told_of_every_edge_who_decides_and_how_often_it_was_taken(opened: Open, tmp_path: Any) -> None:
    inner = Workflow("inner", input=int, output=int)
    small, large = (inner.node(name=name)(_same) for name in ("small", "large"))
    inner.edge(START, small, when=lambda n: n < 10, label="small")
    inner.edge(START, large, when=lambda n: n >= 10, label="large")
    inner.edge(small, END)
    inner.edge(large, END)
    graph = inner.compile()
    wf = Workflow("runs graphs", input=int, output=int)

    @wf.node(name="runs/it")
    async def runs(n: int, ctx: Context) -> int:
        return await ctx.run(graph, n, key="a/b") + await ctx.run(graph, 10 * n, key="c")

    wf.chain(START, runs, END)
    store = SQLiteStore(tmp_path / "scopes.db")
    anyio.run(partial(wf.compile().run, 1, store=store, run_id="r"))
    page = opened(store=store)
    told = page.get("run", run="r")
    starts = {start["path"]: (start["count"], start["taken"]) for start in told["starts"]}
    assert starts == {"": (1, {"0": 1}), "runs%2Fit/@a%2Fb": (1, {"0": 1}), "runs%2Fit/@c": (1, {"1": 1})}
    drawn = page.get("picture", run="r", scope="runs%2Fit/@c")
    assert [node["path"] for node in drawn["nodes"] if node["path"]] == ["runs%2Fit/@c/small", "runs%2Fit/@c/large"]
    assert {node["path"] for node in told["nodes"]} >= {node["path"] for node in drawn["nodes"] if node["path"]}
    ways = [(edge["decided"]["path"], edge["decided"]["start"], edge["decided"]["always"]) for edge in drawn["edges"]]
    assert ways == [
        ("runs%2Fit/@c", True, False),
        ("runs%2Fit/@c", True, False),
        ("runs%2Fit/@c/small", False, True),
        ("runs%2Fit/@c/large", False, True),
    ]
    assert page.get("picture", 404, run="r", scope="runs%2Fit/@none")["error"] == "UnknownEventError"


async def _same(n: int) -> int:
    return n


def test_once_the_file_of_the_store_is_gone_nothing_is_read_from_it_or_sent_to_it(page: Page, db: Path) -> None:
    assert page.get("runs")["runs"]
    aside = db.rename(db.with_name("aside.db"))
    told = page.get("run", 503, run="asks")
    assert (told["error"], "is not there any more" in told["message"]) == ("StoreGoneError", True)
    page.get("runs", 503)
    page.post("answer", 503, run="asks", id="approve", answer={"yes": True})
    shutil.copy(aside, db)
    assert "is another one by now" in page.post("cancel", 503, run="asks")["message"]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("timeline", {"from": "inf"}),
        ("timeline", {"from": "nan", "to": "3"}),
        ("runs", {"since": "nan"}),
        ("runs", {"limit": "many"}),
        ("events", {"start": "1.5"}),
        ("event", {"seq": "x"}),
    ],
)
def test_numbers_that_are_none_are_refused(page: Page, name: str, query: dict[str, str]) -> None:
    told = page.get(name, 422, run="done", **query)
    assert told["message"]


def test_a_value_of_what_the_run_does_not_have_is_refused(page: Page) -> None:
    assert page.get("value", 404, run="done", key="../..", what="output")["error"] == "UnknownEventError"
