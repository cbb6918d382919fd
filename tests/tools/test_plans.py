"""Claims on plans that planners wrote (NESTFUL, LLMCompiler, ReWOO): in the directory that LOOMGRAPH_PLANS names, else
in ../shared/data/plans beside the checkout. The same claims on plans made up here are in test_batch and test_ordering.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from loomgraph.tools import Tool, ToolCall, ToolResult, batch_graph, order_calls
from loomgraph.tools.references import find_references
from tests.e2e.virtual import spend, virtually

ROOT = Path(__file__).parents[2]
RECORDED = Path(os.environ.get("LOOMGRAPH_PLANS", ROOT.parent / "shared" / "data" / "plans")) / "plans.json"
PLANS: list[dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else []
NOTHING = pytest.param(
    None,
    marks=pytest.mark.skip(reason=f"no recorded plans in {RECORDED.parent}; say where with LOOMGRAPH_PLANS"),
)
FINAL = {"join", "var_result"}  # steps that stand for the answer and not for a call


def steps_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for step in plan["steps"] if step["tool"] not in FINAL]


def named(tool: str) -> str:
    """A plan's name of a tool, as providers take it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", tool)[:64]


def calls_of(plan: dict[str, Any]) -> list[ToolCall]:
    return [
        ToolCall(
            id=step["id"],
            name=named(step["tool"]),
            arguments=step["args"] if isinstance(step["args"], dict) else {"text": step["args"]},
        )
        for step in steps_of(plan)
    ]


def depth_of(plan: dict[str, Any]) -> int:
    depth: dict[str, int] = {}
    for step in steps_of(plan):
        depth[step["id"]] = 1 + max((depth[d] for d in step["deps"]), default=0)
    return max(depth.values())


async def execute(
    plan: dict[str, Any], *, limit: int | None = None, broken: str | None = None, more: Sequence[ToolCall] = ()
) -> tuple[float, list[ToolResult], dict[str, tuple[float, float]], dict[str, Any]]:
    calls = [*calls_of(plan), *more]
    times: dict[str, tuple[float, float]] = {}
    given: dict[str, Any] = {}

    def fake(name: str) -> Tool:
        async def fn(**arguments: Any) -> Any:
            raise AssertionError("the call itself is below")

        return Tool(name=name, description="", parameters={}, fn=fn, reads=())

    async def around(tool: Tool, call: ToolCall, ctx: Any, proceed: Any) -> ToolResult:
        began = trio.current_time()
        await spend(1.0)
        times[call.id] = (began, trio.current_time())
        given[call.id] = call.arguments
        if call.id == broken:
            return ToolResult(id=call.id, name=call.name, outcome="error", content="it broke")
        value = answer(plan, call.id)
        return ToolResult(id=call.id, name=call.name, outcome="ok", content="", value=value)

    tools = {call.name: fake(call.name) for call in calls}
    graph = batch_graph(calls, tools, syntax="plan", around=around)
    began = trio.current_time()
    results = (await graph.run(calls, limit=limit)).output
    return trio.current_time() - began, results, times, given


def answer(plan: dict[str, Any], id: str) -> Any:
    """A result that has every field that a later step asks for."""
    found: Any = {}
    for step in steps_of(plan):
        for reference in find_references(step["args"], [s["id"] for s in plan["steps"]], "plan"):
            if reference.id == id and reference.path:
                put(found, reference.path, f"{id}:{reference.path}")
    return found or 17


def put(into: Any, path: tuple[str | int, ...], value: Any) -> None:
    for step, following in pairwise(path):
        if isinstance(step, str):
            into.setdefault(step, [{} for _ in range(9)] if isinstance(following, int) else {})
        into = into[step]
    into[path[-1]] = value


@pytest.mark.parametrize("plan", [pytest.param(p, id=f"{i}") for i, p in enumerate(PLANS)] or [NOTHING])
def test_references_are_the_dependencies_that_the_plan_declares(plan: dict[str, Any]) -> None:
    calls = calls_of(plan)
    tools = {c.name: Tool(name=c.name, description="", parameters={}, fn=print, reads=()) for c in calls}
    for step, found in zip(steps_of(plan), order_calls(calls, tools, "plan"), strict=True):
        assert found.problem is None
        assert {calls[i].id for i in found.needs} == set(step["deps"])
        assert found.after == ()


@pytest.mark.parametrize("plan", [pytest.param(p, id=f"{i}") for i, p in enumerate(PLANS)] or [NOTHING])
def test_producers_end_before_consumers_start_and_independent_steps_overlap(plan: dict[str, Any]) -> None:
    seconds, results, times, given = virtually(partial(execute, plan))
    assert [result.outcome for result in results] == ["ok"] * len(steps_of(plan)), [r.content for r in results]
    assert seconds == pytest.approx(depth_of(plan))
    for step in steps_of(plan):
        for producer in step["deps"]:
            assert times[producer][1] <= times[step["id"]][0]
        shown = json.dumps(given[step["id"]])
        for producer in step["deps"]:
            assert f"${producer}" not in shown
            assert f"#E{producer}" not in shown
        for name, said in (step["args"] if isinstance(step["args"], dict) else {}).items():
            # a whole argument that is a reference has the value itself, which is a number where nobody reaches into it
            if isinstance(said, str) and any(said in {f"${id}", f"#{id}", f"${id}$"} for id in step["deps"]):
                assert not isinstance(given[step["id"]][name], str)


@pytest.mark.parametrize("plan", [pytest.param(p, id=f"{i}") for i, p in enumerate(PLANS)] or [NOTHING])
def test_one_at_a_time_takes_the_time_of_all_and_a_circle_of_others_changes_nothing(plan: dict[str, Any]) -> None:
    name = named(steps_of(plan)[0]["tool"])
    circle = [
        ToolCall(id="E901", name=name, arguments={"text": "#E902"}),
        ToolCall(id="E902", name=name, arguments={"text": "#E901"}),
    ]
    seconds, results, _, _ = virtually(partial(execute, plan, limit=1, more=circle))
    assert seconds == pytest.approx(len(steps_of(plan)))
    assert [result.outcome for result in results] == ["ok"] * len(steps_of(plan)) + ["error", "error"]
    assert "wait for each other's results" in results[-1].content


@pytest.mark.parametrize("plan", [pytest.param(p, id=f"{i}") for i, p in enumerate(PLANS)] or [NOTHING])
def test_a_step_that_fails_skips_what_descends_from_it_and_nothing_else(plan: dict[str, Any]) -> None:
    steps = steps_of(plan)
    broken = max(steps, key=lambda step: sum(step["id"] in other["deps"] for other in steps))["id"]
    without = {broken}
    for step in steps:
        if without & set(step["deps"]):
            without.add(step["id"])
    _, results, times, _ = virtually(partial(execute, plan, broken=broken))
    expected = {step["id"]: "ok" for step in steps} | dict.fromkeys(without, "skipped") | {broken: "error"}
    assert {result.id: result.outcome for result in results} == expected
    assert set(times) == (set(expected) - without) | {broken}
