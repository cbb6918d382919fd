"""Claims about examples/patterns: each file does what makes its pattern that pattern, and the page shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from examples.patterns.__main__ import PAGE, Pattern, page, patterns
from loomgraph import CompileError, Graph, RunHandle, RunResult, Workflow
from loomgraph.errors import RunCancelledError
from loomgraph.events import Event, IterationStarted, NodeStarted, NodeSucceeded
from loomgraph.graph.refs import END, START

ALL = {pattern.number: pattern for pattern in patterns()}


def load(number: int) -> Graph[Any, Any]:
    graph: Graph[Any, Any] = ALL[number].load().graph
    return graph


def log(result: RunResult[Any], *kinds: type[Event]) -> list[tuple[str, str]]:
    """(kind, activation key) of the events of these kinds, in order."""
    return [(event.kind, getattr(event, "key", "")) for event in result.events if isinstance(event, kinds)]


def position(result: RunResult[Any], kind: type[Event], key: str) -> int:
    """Where in the log an activation started or succeeded."""
    [found] = [e.seq for e in result.events if isinstance(e, kind) and getattr(e, "key", None) == key]
    return found


def started(result: RunResult[Any], key: str) -> int:
    return position(result, NodeStarted, key)


def succeeded(result: RunResult[Any], key: str) -> int:
    return position(result, NodeSucceeded, key)


def statuses(result: RunResult[Any]) -> dict[str, str]:
    return {record.key: record.status for record in result.activations}


class Rendezvous:
    """A call that returns only when `count` calls are under way at once: it hangs unless they run in parallel."""

    def __init__(self, count: int) -> None:
        self.count, self.together = count, anyio.Event()

    async def __call__(self, *given: str) -> str:
        self.count -= 1
        if self.count == 0:
            self.together.set()
        await self.together.wait()
        return " ".join(given)


class Gates:
    """A call that holds some until they are let go, and answers the others once those wait; keeps who ended how."""

    def __init__(self, *held: str, answer: Callable[[str, Any], Any] = lambda who, what: f"{who}: {what}") -> None:
        self.held = {who: anyio.Event() for who in held}
        self.waiting = {who: anyio.Event() for who in held}
        self.answer = answer
        self.ended: list[tuple[str, str]] = []

    async def __call__(self, who: str, what: Any = None) -> Any:
        how = "cancelled"
        try:
            if who in self.held:
                self.waiting[who].set()
                await self.held[who].wait()
            for waiting in self.waiting.values():
                await waiting.wait()
            how = "finished"
        finally:
            self.ended.append((who, how))
        return self.answer(who, what)


async def until(run: RunHandle[Any], kind: type[Event], key: str) -> None:
    """Read the run's events up to this one."""
    reader = run.events()
    async for event in reader:
        if isinstance(event, kind) and getattr(event, "key", None) == key:
            break
    reader.close()


# ---------------------------------------------------------------------- all of them


def test_all_the_patterns_are_there() -> None:
    assert sorted(ALL) == [*range(1, 22), *range(28, 33)]


@pytest.mark.parametrize("pattern", ALL.values(), ids=lambda pattern: pattern.path.stem)
def test_a_pattern_runs_as_a_program_and_says_something(pattern: Pattern, capsys: pytest.CaptureFixture[str]) -> None:
    pattern.load().main()
    assert capsys.readouterr().out.strip()


def test_the_page_is_what_the_files_give() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "docs/patterns.md is not current; run: python -m examples.patterns"
    )


def test_the_code_on_the_page_is_the_code_of_the_files() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for pattern in ALL.values():
        assert f"```python\n{pattern.code}```" in text
        assert pattern.path.read_text(encoding="utf-8").endswith(pattern.code)


# ---------------------------------------------------------------------- basic control flow


@pytest.mark.anyio
async def test_1_sequence_starts_each_task_when_the_one_before_it_has_finished() -> None:
    result = await load(1).run("x")
    steps = ["pick", "pack", "ship"]
    expected = [(kind, step) for step in steps for kind in ("NodeStarted", "NodeSucceeded")]
    assert log(result, NodeStarted, NodeSucceeded) == expected
    assert result.output == "x, picked, packed, shipped"


@pytest.mark.anyio
async def test_2_parallel_split_runs_its_branches_at_the_same_time() -> None:
    with anyio.fail_after(30):
        result = await load(2).run("c1", deps=Rendezvous(2))
    assert result.output == ["garage C1", "customer C1"]
    assert max(started(result, "call_garage"), started(result, "call_customer")) < min(
        succeeded(result, "call_garage"), succeeded(result, "call_customer")
    )


@pytest.mark.anyio
async def test_3_synchronization_waits_for_all_branches_and_runs_once() -> None:
    result = await load(3).run("lamp")
    assert started(result, "offer") > max(succeeded(result, "find_price"), succeeded(result, "find_stock"))
    assert result.output == "4 in stock at 40 each"


@pytest.mark.anyio
@pytest.mark.parametrize(("amount", "taken", "skipped"), [(40, "pay", "investigate"), (400, "investigate", "pay")])
async def test_4_exclusive_choice_takes_exactly_one_branch(amount: int, taken: str, skipped: str) -> None:
    result = await load(4).run(amount)
    assert statuses(result) == {"assess": "succeeded", taken: "succeeded", skipped: "skipped"}


@pytest.mark.anyio
@pytest.mark.parametrize(("order", "output"), [("lamp", "lamp, charged"), ("LAMP", "LAMP, on account")])
async def test_5_simple_merge_runs_once_whichever_branch_was_taken(order: str, output: str) -> None:
    result = await load(5).run(order)
    assert result.output == f"{output}, delivered"
    assert [record.status for record in result.node("deliver")] == ["succeeded"]
    assert Counter(statuses(result).values()) == {"succeeded": 3, "skipped": 1}


# ---------------------------------------------------------------------- branching and merging


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("emergency", "sent"),
    [
        ("smoke", ["fire engine"]),
        ("somebody is hurt", ["ambulance"]),
        ("smoke, and somebody is hurt", ["fire engine", "ambulance"]),
        ("a cat in a tree", ["patrol"]),
    ],
)
async def test_6_multi_choice_takes_every_branch_whose_condition_holds(emergency: str, sent: list[str]) -> None:
    result = await load(6).run(emergency)
    assert result.output == sent
    assert Counter(statuses(result).values()) == {"succeeded": 1 + len(sent), "skipped": 3 - len(sent)}


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "output"), [(7, "7"), (8, "4"), (101, "100"), (108, "54 and 100")])
async def test_7_synchronizing_merge_waits_for_the_branches_that_were_taken(number: int, output: str) -> None:
    result = await load(7).run(number)
    assert result.output == output
    [report] = result.node("report")
    arrived = [key for key in ("halve", "round_down", "keep") if statuses(result)[key] == "succeeded"]
    assert len(report.input) == len(arrived)
    assert all(started(result, "report") > succeeded(result, key) for key in arrived)


@pytest.mark.anyio
async def test_8_multi_merge_is_two_nodes_of_one_function() -> None:
    result = await load(8).run("s")
    assert result.output == ["cable at s: inspected", "pipe at s: inspected"]


def test_8_multi_merge_into_one_node_is_refused_and_names_both_sources() -> None:
    wf = Workflow("merge twice", input=str, output=str)

    async def lay(site: str) -> str:
        return site

    cable, pipe, inspect = (wf.node(lay, name=name) for name in ("cable", "pipe", "inspect"))
    wf.chain(START, cable, inspect, END)
    wf.chain(START, pipe, inspect)
    with pytest.raises(CompileError) as caught:
        wf.compile()
    assert all(name in str(caught.value) for name in ("'cable'", "'pipe'", "'inspect'"))


@pytest.mark.anyio
async def test_9_structured_discriminator_goes_on_with_the_first_and_lets_the_others_finish() -> None:
    gates = Gates("north")
    async with load(9).start("q", deps=gates) as run:
        await until(run, NodeSucceeded, "reply")
        assert gates.ended == [("south", "finished")]
        gates.held["north"].set()
        result = await run.result()
    assert result.output == "first was south: q"
    assert gates.ended == [("south", "finished"), ("north", "finished")]
    assert len(result.node("reply")) == 1
    assert set(statuses(result).values()) == {"succeeded"}


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "losers"), [(28, ["top", "side"]), (31, ["Ann", "Ben", "Cem"])])
async def test_28_31_a_blocking_join_fires_once_a_round_and_opens_when_all_have_arrived(
    number: int, losers: list[str]
) -> None:
    for loser in losers:
        gates = Gates(loser, answer=lambda who, what: what)
        async with load(number).start(3, deps=gates) as run:
            await until(run, NodeSucceeded, "act#0")
            assert {record.iteration for record in run.activations} == {(0,)}
            gates.held[loser].set()
            result = await run.result()
        rounds = [e.seq for e in result.events if isinstance(e, IterationStarted)]
        assert len(rounds) == 2
        assert [record.status for record in result.node("act")] == ["succeeded"] * 3
        assert [record.status for record in result.node("note")] == ["succeeded"] * 3
        ends = [e.seq for e in result.events if isinstance(e, NodeSucceeded) and e.key.endswith("#0")]
        assert max(ends) < rounds[0]
        assert {how for _, how in gates.ended} == {"finished"}


@pytest.mark.anyio
@pytest.mark.parametrize(("slow", "output"), [("expert", "archive: q"), ("archive", "expert: q, translated")])
async def test_29_cancelling_discriminator_cancels_the_others_and_what_they_would_have_started(
    slow: str, output: str
) -> None:
    gates = Gates(slow)
    result = await load(29).run("q", deps=gates)
    assert result.output == f"first was {output}"
    assert (slow, "cancelled") in gates.ended
    expected = {"archive": ("cancelled", "succeeded"), "expert": ("succeeded", "skipped")}[slow]
    assert (statuses(result)["ask_archive"], statuses(result)["translate"]) == expected


@pytest.mark.anyio
async def test_30_structured_partial_join_goes_on_with_k_and_lets_the_rest_finish() -> None:
    gates = Gates("Ben")
    async with load(30).start("p", deps=gates) as run:
        await until(run, NodeSucceeded, "decide")
        gates.held["Ben"].set()
        result = await run.result()
    assert result.output == "Ann: p and Cem: p"
    assert set(statuses(result).values()) == {"succeeded"}
    assert result.node("archive")[0].input == ["Ann: p", "Ben: p", "Cem: p"]


@pytest.mark.anyio
@pytest.mark.parametrize("slow", ["Acme", "Bolt", "Core"])
async def test_32_cancelling_partial_join_goes_on_with_k_and_cancels_the_rest(slow: str) -> None:
    gates = Gates(slow)
    result = await load(32).run("j", deps=gates)
    assert result.output == " or ".join(f"{firm}: j" for firm in ("Acme", "Bolt", "Core") if firm != slow)
    assert statuses(result)[slow] == "cancelled"
    assert (slow, "cancelled") in gates.ended


# ---------------------------------------------------------------------- structure


@pytest.mark.anyio
@pytest.mark.parametrize(("text", "writes", "checks"), [("draft", 3, 3), ("Draft", 3, 4)])
async def test_10_arbitrary_cycles_may_be_entered_at_either_node(text: str, writes: int, checks: int) -> None:
    result = await load(10).run(text)
    assert result.output == f"{text}..."
    ran = Counter(record.path[-1] for record in result.activations if record.status == "succeeded")
    assert ran == {"receive": 1, "write": writes, "check": checks}


def test_10_arbitrary_cycles_are_compiled_with_a_warning_that_names_the_ways_in() -> None:
    [warning] = load(10).warnings
    assert {"write", "check"} <= set(warning.nodes)


@pytest.mark.anyio
async def test_11_implicit_termination_ends_when_nothing_is_left_to_do() -> None:
    gates = Gates("c accepted")
    async with load(11).start("c", deps=gates) as run:
        await until(run, NodeSucceeded, "decide")
        assert run.status == "running"
        gates.held["c accepted"].set()
        result = await run.result()
    assert result.output == "c accepted"
    assert statuses(result) == {"decide": "succeeded", "file_copy": "succeeded"}


@pytest.mark.anyio
@pytest.mark.parametrize(("number", "halvings", "output"), [(100, 4, 6), (4, 1, 2)])
async def test_21_structured_loop_repeats_until_its_condition_holds(number: int, halvings: int, output: int) -> None:
    result = await load(21).run(number)
    assert result.output == output
    assert [record.iteration for record in result.node("halve")] == [(i,) for i in range(halvings)]


# ---------------------------------------------------------------------- multiple instances


@pytest.mark.anyio
async def test_12_instances_without_synchronization_hold_nothing_up() -> None:
    gates = Gates("Ann", "Ben")
    async with load(12).start(["Ann", "Ben"], deps=gates) as run:
        await until(run, NodeSucceeded, "publish")
        assert gates.ended == []
        for gate in gates.held.values():
            gate.set()
        result = await run.result()
    assert result.output == "published to 2"
    assert sorted(gates.ended) == [("Ann", "finished"), ("Ben", "finished")]


@pytest.mark.anyio
async def test_13_instances_known_at_design_time_all_run_and_all_are_waited_for() -> None:
    result = await load(13).run("p")
    assert result.output == [f"{name} approves p" for name in ("Ann", "Ben", "Cem")]
    assert Counter(statuses(result).values()) == {"succeeded": 3}


@pytest.mark.anyio
@pytest.mark.parametrize("words", [0, 1, 20])
async def test_14_instances_known_at_run_time_are_as_many_as_the_data_say(words: int) -> None:
    result = await load(14).run(" ".join("x" * (i + 1) for i in range(words)))
    assert result.output == words
    items = [record.index for record in result.node("measure") if record.index is not None]
    assert sorted(items) == list(range(words))
    assert started(result, "longest") > max([succeeded(result, f"measure[{i}]") for i in range(words)], default=0)


@pytest.mark.anyio
async def test_15_instances_unknown_before_may_be_asked_for_while_others_run() -> None:
    result = await load(15).run(["home"])
    assert result.output == ["home", "news", "shop", "lamps"]
    lamps = [event.seq for event in result.events if isinstance(event, NodeStarted) and event.input == "lamps"]
    assert lamps[0] < succeeded(result, "visit[0]")
    visits = [record for record in result.activations if record.path[-1] == "visit" and record.index is not None]
    assert [record.input for record in visits] == ["home", "news", "shop", "lamps"]


# ---------------------------------------------------------------------- state and cancellation


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("first", "output", "statuses_of_waits"),
    [
        ("customer", "booked for Ann", ("succeeded", "cancelled")),
        ("clock", "s is free again", ("cancelled", "succeeded")),
    ],
)
async def test_16_deferred_choice_is_made_by_what_happens_first(
    first: str, output: str, statuses_of_waits: tuple[str, str]
) -> None:
    other = "clock" if first == "customer" else "customer"
    gates = Gates(other, answer=lambda who, what: "Ann")

    async def customer(offer: str) -> str:
        answer: str = await gates("customer", offer)
        return answer

    async def clock(offer: str) -> None:
        await gates("clock", offer)

    result = await load(16).run("s", deps={"customer": customer, "clock": clock})
    assert result.output == output
    found = statuses(result)
    assert (found["wait_for_customer"], found["wait_for_expiry"]) == statuses_of_waits
    assert sorted((found["book"], found["release"])) == ["skipped", "succeeded"]
    assert (other, "cancelled") in gates.ended


@pytest.mark.anyio
async def test_17_interleaved_parallel_routing_keeps_the_order_and_never_runs_two_at_a_time() -> None:
    running: list[str] = []
    most: list[int] = []
    order: list[str] = []

    async def use(task: str, frame: str) -> str:
        running.append(task)
        order.append(task)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
            most.append(len(running))
        running.remove(task)
        return task

    result = await load(17).run("f", deps=use, limit=1)
    assert set(most) == {1}
    assert sorted(order) == ["paint", "weld", "wire"]
    assert order.index("weld") < order.index("paint")
    assert result.output == ["paint", "wire"]


@pytest.mark.anyio
async def test_18_milestone_is_waited_for_and_holds_nothing_else_up() -> None:
    result = await load(18).run("h")
    assert started(result, "install") > max(succeeded(result, "build_walls"), succeeded(result, "order_windows"))
    assert result.output == ["roof on walls of h", "windows for h in walls of h"]


@pytest.mark.anyio
async def test_19_cancel_activity_stops_the_task_and_the_process_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    gates = Gates("search", answer=lambda who, what: f"{what} by {who}")

    async def search(item: str) -> str:
        answer: str = await gates("search", item)
        return answer

    async def withdrawal(item: str) -> str:
        answer: str = await gates("withdrawal", item)
        return answer

    result = await load(19).run("b", deps={"search": search, "withdrawal": withdrawal})
    assert result.output == "closed: b by withdrawal"
    assert statuses(result) == {"search": "cancelled", "wait_for_withdrawal": "succeeded", "close": "succeeded"}
    assert capsys.readouterr().out == "the search is over\n"


@pytest.mark.anyio
async def test_20_cancel_case_stops_what_runs_and_keeps_what_finished() -> None:
    error = await ALL[20].load().withdraw("Ann")
    assert isinstance(error, RunCancelledError)
    assert dict(error.finished) == {"open_case": "case of Ann"}
    assert error.result.status == "cancelled"
    assert statuses(error.result) == {"open_case": "succeeded", "wait_for_papers": "cancelled"}
