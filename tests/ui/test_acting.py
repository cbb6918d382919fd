"""Claims about what the page does to runs, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.store.sqlite import SQLiteStore
from tests.ui.conftest import Open, Page


def test_a_question_is_answered_and_the_run_resumed(page: Page) -> None:
    (asked,) = page.get("run", run="asks")["questions"]
    assert (asked["question"], asked["sent"]) == ("Pay 9 EUR?", False)
    page.post("answer", run="asks", id=asked["id"], answer={"yes": False}, by="ada")
    assert page.get("run", run="asks")["questions"][0]["sent"]
    page.post("resume", run="asks")
    told = page.until("asks", "succeeded")
    assert told["questions"] == []
    assert json.loads(page.get("value", run="asks", what="output")["text"]).endswith("paid: False")
    (answered,) = page.get("events", run="asks", kind="QuestionAnswered")["rows"]
    told = json.loads(page.get("event", run="asks", seq=answered["seq"])["text"])
    assert (told["by"], told["answer"]) == ("ada", {"yes": False, "level": "low"})


def test_a_wrong_answer_is_refused_with_a_reason(page: Page) -> None:
    refused = page.post("answer", 422, run="asks", id="approve", answer={"yes": "perhaps"})
    assert refused["error"] == "InvalidAnswerError"
    assert "yes" in refused["message"]
    assert refused["problem"] == "at yes: 'perhaps' is not of type 'boolean'"
    assert page.post("answer", 404, run="asks", id="aprove", answer=1)["error"] == "UnknownQuestionError"
    page.post("answer", run="asks", id="approve", answer={"yes": True})
    assert page.post("answer", 409, run="asks", id="approve", answer={"yes": False})["error"] == "QuestionClosedError"


def test_without_the_code_a_question_is_answered_but_the_run_is_not_resumed(opened: Open) -> None:
    page = opened()
    assert page.post("answer", 422, run="asks", id="approve", answer={"yes": "perhaps"})
    page.post("answer", run="asks", id="approve", answer={"yes": True})
    refused = page.post("resume", 409, run="asks")
    assert "--graph MODULE:WORKFLOW" in refused["message"]


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"run": 3}', b'{"run": "asks", "force": true}', b'{"run": "asks", "on_change": "whatever"}'],
    ids=repr,
)
def test_what_is_no_request_is_refused(page: Page, body: bytes) -> None:
    found = page.client.post("/api/resume", content=body, headers={"Origin": page.server.address.rstrip("/")})
    assert found.status_code == 422, found.text
    assert page.get("run", run="asks")["run"]["status"] == "suspended"


def begun_elsewhere(db: Path, hold: Callable[[], bool]) -> Graph[int, int]:
    """A graph whose run `slow` has come to a node that holds it while `hold` says so, and was let go of there."""
    wf = Workflow("slow", input=int, output=int)
    reached: list[anyio.Event] = []

    @wf.node
    async def wait(n: int) -> int:
        if not reached[0].is_set():
            reached[0].set()
        if hold():
            await anyio.sleep_forever()
        return n

    wf.chain(START, wait, END)
    graph = wf.compile()

    async def begin() -> None:
        reached.append(anyio.Event())
        async with SQLiteStore(str(db)) as store, anyio.create_task_group() as group:
            group.start_soon(partial(graph.run, 1, store=store, run_id="slow"))
            await reached[0].wait()
            group.cancel_scope.cancel()

    anyio.run(begin)
    return graph


def test_a_run_that_goes_on_here_is_cancelled_and_no_other(opened: Open, db: Path) -> None:
    slow = begun_elsewhere(db, lambda: True)
    page = opened(slow)
    page.post("resume", run="slow")
    assert page.get("run", run="slow")["here"]
    assert page.post("resume", 409, run="slow")["error"] == "ActionRefusedError"
    page.post("cancel", run="slow")
    told = page.until("slow", "cancelled")
    assert "somebody cancelled it on the page" in told["said"]


def test_a_run_that_waits_is_cancelled_and_one_that_has_ended_is_not(opened: Open) -> None:
    page = opened()
    assert page.post("cancel", run="asks", reason="not needed")["done"] == "The run was cancelled."
    told = page.get("run", run="asks")
    assert (told["run"]["status"], told["questions"]) == ("cancelled", [])
    assert told["said"] == "run 'asks' was cancelled: not needed."
    assert {node["path"]: node["status"] for node in told["nodes"]}["approve"] == "cancelled"
    assert page.post("cancel", 409, run="done")["error"] == "RunEndedError"
    assert page.post("cancel", 404, run="missing")["error"] == "UnknownRunError"


def test_a_run_of_another_process_is_asked_to_stop_and_ended_once_that_process_turns_out_to_be_dead(
    opened: Open, db: Path
) -> None:
    slow = begun_elsewhere(db, lambda: True)
    page = opened(slow)
    theirs = SQLiteStore(str(db))
    lease = anyio.run(theirs.acquire, "slow", "somebody", 60)
    asked = page.post("cancel", run="slow", reason="enough")
    assert asked["done"] == "The process that has the run was asked to stop it."
    assert page.get("run", run="slow")["cancelling"] == "enough"
    page.post("cancel", run="slow", reason="asked twice")
    anyio.run(theirs.release, lease)
    told = page.until("slow", "cancelled")
    assert (told["said"], told["cancelling"]) == ("run 'slow' was cancelled: enough.", None)
    anyio.run(theirs.close)


def test_when_the_server_ends_its_runs_are_let_go_of_and_go_on_elsewhere(opened: Open, db: Path) -> None:
    hold = True
    slow = begun_elsewhere(db, lambda: hold)

    async def end() -> Any:
        return await slow.resume("slow", store=f"sqlite:{db}")

    page = opened(slow)
    page.post("resume", run="slow")
    page.client.__exit__(None, None, None)
    hold = False
    assert anyio.run(end).output == 1
    page.client.__enter__()


def test_a_fork_with_an_edited_output_runs_what_follows_from_it(page: Page) -> None:
    told = page.post("fork", run="done", at="total", outputs={"total": 1000}, id="dearer", resume=True)
    assert told["run"] == "dearer"
    forked = page.until("dearer", "suspended", "succeeded")
    assert forked["run"]["parent"] == "done"
    if forked["questions"]:
        assert forked["questions"][0]["question"] == "Pay 1000 EUR?"
    both = page.get("compare", left="done", right="dearer")
    began = [one["key"] for one in both["activations"] if one["source"]]
    assert "total" in began
    assert both["differences"] < both["activities"]


def test_a_fork_with_an_edited_input_takes_over_what_it_does_not_touch(page: Page) -> None:
    page.post("fork", run="done", inputs={"price[2]": 100}, id="other", resume=True)
    forked = page.until("other", "suspended", "succeeded")
    origins = {row["key"]: row["origin"] for row in page.get("activations", run="other")["rows"]}
    assert (origins["check"], origins["price[0]"], origins["price[2]"]) == ("reused", "reused", "run")
    assert json.loads(page.get("value", run="other", key="price", what="output")["text"]) == [0, 3, 300]
    assert forked["passes"] == 2


def test_a_fork_without_edits_needs_no_code_and_one_with_edits_does(opened: Open) -> None:
    page = opened()
    made = page.post("fork", run="done", at=4)["run"]
    assert page.get("run", run=made)["run"]["fork_seq"] == 4
    assert "--graph" in page.post("fork", 409, run="done", outputs={"total": 1})["message"]


def test_an_edit_that_does_not_fit_is_refused_and_nothing_is_made(page: Page) -> None:
    assert page.post("fork", 422, run="done", outputs={"total": "many"})["error"] == "EditRefusedError"
    assert page.post("fork", 404, run="done", at="totl")["error"] == "UnknownEventError"
    assert page.post("fork", 409, run="done", id="asks")["error"] == "RunExistsError"
    assert len(page.get("runs")["runs"]) == 4


def test_a_changed_graph_is_refused_until_it_is_said_what_to_do(opened: Open, graph: Graph[Any, Any]) -> None:
    wf = Workflow("broken", input=str, output=str)

    @wf.node
    async def only(text: str) -> str:
        return f"mended {text}"

    wf.chain(START, only, END)
    page = opened(wf.compile())
    assert page.post("resume", 409, run="failed")["error"] == "GraphChangedError"
    page.post("resume", run="failed", on_change="compatible")
    page.until("failed", "succeeded")
    assert json.loads(page.get("value", run="failed", what="output")["text"]) == "mended luck"


def test_a_signal_is_sent(opened: Open, db: Path) -> None:
    from loomgraph import Context

    wf = Workflow("waits", input=int, output=float)

    @wf.node
    async def wait(n: int, ctx: Context) -> float:
        return await ctx.wait_for("paid", float)

    wf.chain(START, wait, END)
    waits = wf.compile()

    async def begin() -> None:
        async with SQLiteStore(str(db)) as store:
            await waits.run(1, store=store, run_id="w")

    anyio.run(begin)
    page = opened(waits)
    (signal,) = page.get("run", run="w")["signals"]
    assert (signal["name"], signal["keys"], signal["schema"]) == ("paid", ["wait"], {"type": "number"})
    assert page.post("signal", 422, run="w", name="paid", value="much")["error"] == "InvalidSignalError"
    page.post("signal", run="w", name="paid", value=2.5)
    page.post("resume", run="w")
    page.until("w", "succeeded")
    assert json.loads(page.get("value", run="w", what="output")["text"]) == 2.5
