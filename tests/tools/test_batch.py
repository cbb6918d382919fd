"""Claims about a batch that runs: what overlaps, what is told to the model, and what the log shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Context, Retry, Workflow
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import Syntax, Tool, ToolCall, ToolResult, batch_graph, tool
from loomgraph.tools.batch import Around, run_batch
from loomgraph.tools.tool import check_tools
from tests.e2e.virtual import spend, virtually


def calls_of(*calls: tuple[str, str, Mapping[str, Any]]) -> list[ToolCall]:
    return [ToolCall(id=id, name=name, arguments=dict(given)) for id, name, given in calls]


async def ran(
    calls: list[ToolCall], *tools: Tool, syntax: Syntax = "plan", around: Around | None = None, **options: Any
) -> list[ToolResult]:
    graph = batch_graph(calls, check_tools(tools), syntax=syntax, around=around)
    return (await graph.run(calls, **options)).output


@tool(reads=())
async def add(a: int, b: int) -> int:
    return a + b


@tool(reads=())
async def fail(why: str) -> str:
    raise OSError(why)


@tool(reads=())
def describe(what: Any) -> dict[str, Any]:
    return {"what": what, "kind": type(what).__name__}


@pytest.mark.anyio
async def test_results_come_in_the_order_of_the_calls_and_references_keep_types() -> None:
    results = await ran(
        calls_of(
            ("1", "describe", {"what": "$2"}),
            ("2", "add", {"a": 1, "b": 2}),
            ("3", "describe", {"what": "sum: $2, kind: $1.kind"}),
            ("4", "add", {"a": "$2", "b": "$1.what"}),
        ),
        add,
        describe,
    )
    assert [result.id for result in results] == ["1", "2", "3", "4"]
    assert results[0].value == {"what": 3, "kind": "int"}
    assert results[2].value["what"] == "sum: 3, kind: int"
    assert results[3].content == "6"
    assert all(result.ok for result in results)


@pytest.mark.anyio
async def test_a_failing_call_skips_its_dependents_and_leaves_its_siblings_theirs() -> None:
    results = await ran(
        calls_of(
            ("1", "fail", {"why": "no such host"}),
            ("2", "add", {"a": 1, "b": 1}),
            ("3", "describe", {"what": "$1"}),
            ("4", "describe", {"what": "$3"}),
        ),
        add,
        fail,
        describe,
    )
    assert [result.outcome for result in results] == ["error", "ok", "skipped", "skipped"]
    assert results[0].content == "OSError: no such host"
    assert results[2].content == (
        "not called, for it needs results that are not there: '1' (fail) has no result: OSError: no such host"
    )
    assert "'3' (describe) has no result" in results[3].content


@pytest.mark.anyio
async def test_what_cannot_be_called_is_told_and_the_rest_runs() -> None:
    results = await ran(
        [
            *calls_of(
                ("1", "ad", {"a": 1, "b": 1}),
                ("2", "add", {"a": "1", "b": 1}),
                ("3", "add", {"a": "$9", "b": 1}),
                ("4", "add", {"a": "$6.x", "b": 1}),
            ),
            ToolCall(id="5", name="add", arguments='{"a": 1, "b"'),
            ToolCall(id="6", name="add", arguments='{"a": 1, "b": 2}'),
        ],
        add,
    )
    assert [result.outcome for result in results] == ["error"] * 5 + ["ok"]
    assert results[0].content == "there is no tool 'ad'. Did you mean 'add'?"
    assert "a: Input should be a valid integer" in results[1].content
    assert "$9 names no call of this batch" in results[2].content
    assert results[3].content == "$6.x asks for 'x', but the result of '6' is a int."
    assert "they are not JSON" in results[4].content


@pytest.mark.anyio
async def test_independent_calls_overlap_and_a_key_is_never_touched_by_two() -> None:
    running: Counter[str] = Counter()
    together = anyio.Event()
    most: Counter[str] = Counter()

    @tool(writes="path")
    async def write(path: str) -> str:
        running[path] += 1
        most[path] = max(most[path], running[path])
        if len(+running) == 3:
            together.set()
        await together.wait()
        running[path] -= 1
        return path

    calls = calls_of(*[(f"{i}", "write", {"path": "abc"[i % 3]}) for i in range(9)])
    with anyio.fail_after(20):
        results = await ran(calls, write)
    assert all(result.ok for result in results)
    assert most == {"a": 1, "b": 1, "c": 1}


def test_wall_time_is_the_critical_path_and_limits_hold() -> None:
    @tool(reads=())
    async def work(after: Any = None) -> str:
        await spend(1.0)
        return "done"

    plan = calls_of(
        *[(f"a{i}", "work", {}) for i in range(4)],
        *[(f"b{i}", "work", {"after": f"$a{i}"}) for i in range(4)],
        ("c", "work", {"after": ["$b0", "$b1", "$b2", "$b3"]}),
    )
    import trio

    async def seconds(limit: int | None = None, *tools: Tool) -> float:
        began = trio.current_time()
        await ran(plan, *(tools or (work,)), limit=limit)
        return trio.current_time() - began

    assert virtually(seconds) == pytest.approx(3.0)

    async def one_at_a_time() -> float:
        return await seconds(1)

    assert virtually(one_at_a_time) == pytest.approx(9.0)

    limited = tool(name="work", reads=(), limit=2)(work.fn)

    async def two_of_the_tool() -> float:
        return await seconds(None, limited)

    assert virtually(two_of_the_tool) == pytest.approx(5.0)


@pytest.mark.anyio
async def test_a_retry_tries_again_and_the_last_failure_is_the_result() -> None:
    tried: Counter[str] = Counter()

    @tool(reads=(), retry=Retry(attempts=3, delay=0))
    async def flaky(name: str, until: int) -> str:
        tried[name] += 1
        if tried[name] < until:
            raise ConnectionError(f"try {tried[name]}")
        return name

    results = await ran(
        calls_of(("1", "flaky", {"name": "a", "until": 3}), ("2", "flaky", {"name": "b", "until": 9})), flaky
    )
    assert [(result.outcome, result.content) for result in results] == [
        ("ok", "a"),
        ("error", "ConnectionError: try 3"),
    ]
    assert tried == {"a": 3, "b": 3}


@pytest.mark.anyio
async def test_each_call_is_an_activation_named_for_its_tool() -> None:
    calls = calls_of(("x", "add", {"a": 1, "b": 1}), ("y", "add", {"a": "{{x}}", "b": 1}))

    async def ask(number: int, ctx: Context) -> list[ToolResult]:
        return await run_batch(ctx, calls, {"add": add}, key="batch")

    wf = Workflow("agent", input=int, output=list[ToolResult])
    wf.chain(START, wf.node(ask), END)
    result = await wf.compile().run(1, store=MemoryStore())
    assert [record.key for record in result.activations] == [
        "ask",
        "ask/@batch/add",
        "ask/@batch/add 2",
        "ask/@batch/results",
    ]
    assert [r.value for r in result.output] == [2, 3]


@pytest.mark.anyio
async def test_what_stands_around_a_call_sees_it_and_may_answer_or_change_it() -> None:
    seen: list[tuple[str, Any]] = []

    async def around(used: Tool, call: ToolCall, ctx: Context, proceed: Any) -> ToolResult:
        seen.append((used.name, call.arguments))
        if call.id == "2":
            return ToolResult(id=call.id, name=call.name, outcome="denied", content="not today")
        result: ToolResult = await proceed(call.model_copy(update={"arguments": {"a": 10, "b": 10}}))
        return result

    results = await ran(
        calls_of(("1", "add", {"a": 1, "b": 1}), ("2", "add", {"a": "$1", "b": 1}), ("3", "add", {"a": "$2", "b": 1})),
        add,
        around=around,
    )
    assert [(r.outcome, r.content) for r in results][:2] == [("ok", "20"), ("denied", "not today")]
    assert results[2].outcome == "skipped"
    assert seen == [("add", {"a": 1, "b": 1}), ("add", {"a": 20, "b": 1})]


@pytest.mark.anyio
async def test_a_long_result_is_shown_in_part_and_kept_whole() -> None:
    @tool(reads=(), max_chars=30)
    async def long() -> str:
        return "a" * 50 + "z" * 50

    @tool(reads=())
    async def count(text: str) -> int:
        return len(text)

    results = await ran(calls_of(("1", "long", {}), ("2", "count", {"text": "$1"})), long, count)
    assert results[0].content == "a" * 20 + "\n[... 70 of 100 characters left out ...]\n" + "z" * 10
    assert results[0].omitted == 70
    assert results[1].value == 100


@pytest.mark.anyio
async def test_no_calls_no_results() -> None:
    assert await ran([], add) == []


@pytest.mark.anyio
async def test_a_hundred_calls_that_depend_on_one_another_come_out_right() -> None:
    chain = calls_of(
        ("0", "add", {"a": 0, "b": 1}), *[(f"{i}", "add", {"a": f"${i - 1}", "b": 1}) for i in range(1, 100)]
    )
    results = await ran(chain, add)
    assert [result.value for result in results] == list(range(1, 101))
