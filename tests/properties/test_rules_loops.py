"""Claims about loops: the nest, iterations, exits and caps. Small graphs, real engine, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, Failure, Graph, NodeFailedError, Workflow
from loomgraph.errors import ActivationLimitError, ExitOvertakenError, LoopCapError
from loomgraph.events import Event, IterationStarted, LoopEnded, NodeSkipped, NodeStarted, NodeSucceeded
from tests.properties.small import keys, named, same, total

pytestmark = pytest.mark.anyio


def below(limit: int) -> Any:
    """A condition: smaller than the limit."""

    def is_below(value: int) -> bool:
        return value < limit

    return is_below


async def plus_one(value: int) -> int:
    """The step of counting loops."""
    return value + 1


def counter(limit: int, cap: int | None = None, on_cap: Any = None) -> Workflow[int, int]:
    """START -> step -> check -> (step | END): counts up to the limit."""
    wf = Workflow("counter", input=int, output=int)
    step, check = wf.node(plus_one, name="step"), wf.node(same, name="check")
    wf.edge(START, step)
    wf.loop(step, check, again=below(limit), cap=cap, on_cap=on_cap)
    wf.edge(check, END, when=OTHERWISE)
    return wf


def headers(graph: Graph[Any, Any]) -> list[str]:
    return [graph.definition.nodes[r.header].name for r in graph.nest.regions[1:] if r.header is not None]


def positions(events: tuple[Event, ...], kind: Any) -> dict[str, int]:
    return {getattr(event, "key", ""): event.seq for event in events if isinstance(event, kind)}


# ---------------------------------------------------------------------- the nest


async def test_the_header_is_the_first_declared_entry_and_header_overrides_it() -> None:
    def ring(**options: Any) -> Workflow[Any, Any]:
        wf = Workflow("ring", input=int, output=int)
        named(wf, "door", "a", "b")
        wf.edge(START, "door")
        wf.edge("door", "b", when=0)
        wf.edge("door", "a", when=OTHERWISE)
        wf.edge("a", "b")
        wf.edge("b", "a", when=below(3))
        wf.edge("b", END, when=OTHERWISE)
        wf.loop("a", "b", **options)
        return wf

    assert headers(ring().compile()) == ["a"]
    assert headers(ring(header="b").compile()) == ["b"]
    assert [f.rule for f in ring().check()] == ["several-entries"]


async def test_a_loop_with_two_entries_runs_from_either() -> None:
    wf = Workflow("ring", input=int, output=int)
    named(wf, "door")
    a, b = wf.node(plus_one, name="a"), wf.node(plus_one, name="b")
    wf.edge(START, "door")
    wf.edge("door", b, when=0)
    wf.edge("door", a, when=OTHERWISE)
    wf.edge(a, b)
    wf.edge(b, a, when=below(4))
    wf.edge(b, END, when=OTHERWISE)
    graph = wf.compile()
    assert keys(await graph.run(0)) == ["door", "b#0", "a#1", "b#1", "a#2", "b#2"]
    assert keys(await graph.run(1)) == ["door", "a#0", "b#0", "a#1", "b#1"]


async def test_loops_that_share_a_header_are_one_loop_with_one_cap() -> None:
    wf = Workflow("shared", input=int, output=int)
    named(wf, "left", "right")
    head = wf.node(plus_one, name="head")
    wf.edge(START, head)
    wf.edge(head, "left", when=lambda value: value % 2 == 0)
    wf.edge(head, "right", when=OTHERWISE)
    wf.edge("left", head, when=below(9))
    wf.edge("left", END, when=OTHERWISE)
    wf.edge("right", head, cap=3)
    graph = wf.compile()
    assert headers(graph) == ["head"]
    with pytest.raises(LoopCapError) as caught:
        await graph.run(0)
    assert keys(caught.value.result, "head") == ["head#0", "head#1", "head#2"]


async def test_members_of_a_join_into_a_header_come_all_from_outside_or_all_from_inside() -> None:
    wf = Workflow("mixed", input=int, output=int)
    named(wf, "before", "after")
    wf.node(total, name="head")
    wf.edge(START, "before")
    wf.join(["before", "after"], into="head")
    wf.edge("head", "after", when=1)
    wf.edge("head", END, when=OTHERWISE)
    assert "mixed-join" in [f.rule for f in wf.check()]


async def test_a_node_that_only_back_edges_lead_to_is_refused() -> None:
    wf = Workflow("island", input=int, output=int)
    named(wf, "main", "a", "b")
    wf.chain(START, "main", END)
    wf.edge("a", "b")
    wf.edge("b", "a", when=1)
    wf.edge("b", END, when=OTHERWISE)
    assert "only-back-edges-in" in [f.rule for f in wf.check()]


async def test_one_far_restart_edge_makes_one_big_loop() -> None:
    wf = Workflow("restart", input=int, output=int)
    named(wf, "b", "c")
    wf.node(plus_one, name="a")
    wf.chain(START, "a", "b", "c")
    wf.edge("c", "a", when=below(3))
    wf.edge("c", END, when=OTHERWISE)
    graph = wf.compile()
    (region,) = graph.nest.regions[1:]
    assert len(graph.nest.body(region.index)) == 3
    assert len((await graph.run(0)).node("b")) == 3


# ---------------------------------------------------------------------- iterations


async def test_a_join_of_uneven_branches_inside_a_loop_runs_once_an_iteration() -> None:
    wf = Workflow("uneven", input=int, output=int)
    named(wf, "short", "long1", "long2", "long3")
    head, join = wf.node(plus_one, name="head"), wf.node(smallest, name="join")
    wf.edge(START, head)
    wf.edge(head, "short")
    wf.chain(head, "long1", "long2", "long3")
    wf.join(["short", "long3"], into=join)
    wf.edge(join, head, when=below(3))
    wf.edge(join, END, when=OTHERWISE)
    result = await wf.compile().run(0)
    assert result.output == 3
    assert keys(result, "join") == ["join#0", "join#1", "join#2"]
    assert [a.input for a in result.node("join")] == [[1, 1], [2, 2], [3, 3]]


async def smallest(values: list[int]) -> int:
    return min(values)


async def test_a_supervisor_with_three_parallel_workers_is_called_once_a_round() -> None:
    wf = Workflow("team", input=int, output=list[int])
    calls: list[Any] = []

    @wf.node
    async def supervisor(work: int | list[int]) -> list[int]:
        calls.append(work)
        return [work] if isinstance(work, int) else [value + 1 for value in work]

    for name in ("w1", "w2", "w3"):
        wf.node(worker, name=name)
        wf.edge(supervisor, name, when=lambda values: max(values) < 4)
    wf.edge(START, supervisor)
    wf.join(["w1", "w2", "w3"], into=supervisor)
    wf.edge(supervisor, END, when=OTHERWISE)
    result = await wf.compile().run(1)
    assert calls == [1, [1, 1, 1], [2, 2, 2], [3, 3, 3]]
    assert result.output == [4, 4, 4]
    assert [len(result.node(name)) for name in ("supervisor", "w1", "w2", "w3")] == [4, 4, 4, 4]


async def worker(values: list[int]) -> int:
    return max(values)


async def test_the_next_iteration_starts_when_everything_in_this_one_is_settled() -> None:
    wf = Workflow("barrier", input=int, output=list[int])
    named(wf, "quick", "side1", "side2")
    head = wf.node(plus_one, name="head")
    wf.edge(START, head)
    wf.edge(head, "quick")
    wf.chain(head, "side1", "side2")
    wf.edge("quick", head, when=below(2))
    wf.edge("quick", "out1", when=OTHERWISE)
    wf.edge("side2", head, when=lambda value: False)  # so that the side is a part of the loop
    wf.edge("side2", "out2", when=OTHERWISE, exit="latest")
    named(wf, "out1", "out2")
    wf.join(["out1", "out2"], into=END)
    result = await wf.compile().run(0)
    begun, done = positions(result.events, NodeStarted), positions(result.events, NodeSucceeded)
    (again,) = [event.seq for event in result.events if isinstance(event, IterationStarted)]
    assert done["side2#0"] < again < begun["head#1"]
    assert result.output == [2, 2]


async def test_from_the_second_iteration_on_what_comes_from_outside_counts_as_skipped() -> None:
    wf = Workflow("outside", input=int, output=int)
    seen: list[list[int]] = []
    head = wf.node(plus_one, name="head")
    named(wf, "given")

    @wf.node
    async def mixed(values: list[int]) -> int:
        seen.append(values)
        return values[0]

    wf.edge(START, head)
    wf.edge(START, "given")
    wf.join([head, "given"], into=mixed)
    wf.edge(mixed, head, when=below(3))
    wf.edge(mixed, END, when=OTHERWISE)
    await wf.compile().run(0)
    assert seen == [[1, 0], [2], [3]]


async def test_an_inner_loop_starts_anew_at_every_entry() -> None:
    wf = Workflow("nested", input=int, output=int)
    outer, inner = wf.node(plus_one, name="outer"), wf.node(plus_one, name="inner")
    named(wf, "check")
    wf.chain(START, outer, inner)
    wf.edge(inner, inner, when=lambda value: value % 3 != 0, cap=3)
    wf.edge(inner, "check", when=OTHERWISE)
    wf.edge("check", outer, when=below(9))
    wf.edge("check", END, when=OTHERWISE)
    result = await wf.compile().run(0)
    assert result.output == 9
    assert keys(result, "inner") == ["inner#0.0", "inner#0.1", "inner#1.0", "inner#1.1", "inner#2.0", "inner#2.1"]


async def test_five_thousand_skipped_nodes_in_a_row_are_no_recursion() -> None:
    wf = Workflow("dead", input=int, output=int)
    names = [f"n{i}" for i in range(5_000)]
    named(wf, "fork", *names)
    wf.edge(START, "fork")
    wf.edge("fork", names[0], when=1)
    wf.edge("fork", END, when=OTHERWISE)
    wf.chain(*names, END)
    result = await wf.compile().run(2)
    assert result.output == 2
    assert sum(isinstance(event, NodeSkipped) for event in result.events) == 5_000


# ---------------------------------------------------------------------- exits


async def test_an_edge_out_of_a_loop_is_held_until_the_loop_ends() -> None:
    wf = Workflow("held", input=int, output=list[int])
    head = wf.node(plus_one, name="head")
    named(wf, "tail", "outside")
    wf.chain(START, head, "tail")
    wf.edge(head, "outside", exit="latest")
    wf.edge("tail", head, when=below(3))
    wf.edge("tail", "last", when=OTHERWISE)
    named(wf, "last")
    wf.join(["outside", "last"], into=END)
    result = await wf.compile().run(0)
    assert result.output == [3, 3], "the latest value wins"
    assert len(result.node("outside")) == 1
    (ended,) = [event.seq for event in result.events if isinstance(event, LoopEnded)]
    assert ended < positions(result.events, NodeStarted)["outside"]


async def test_an_exit_taken_in_an_iteration_that_goes_round_again_is_an_error() -> None:
    wf = Workflow("overtaken", input=int, output=int)
    head = wf.node(plus_one, name="head")
    wf.edge(START, head)
    wf.edge(head, head, when=lambda value: value < 5)
    wf.edge(head, END, when=lambda value: value > 2)
    with pytest.raises(ExitOvertakenError) as caught:
        await wf.compile().run(0)
    assert (caught.value.source, caught.value.target, caught.value.header) == ("head", "END", "head")
    assert list(caught.value.finished) == ["head#0", "head#1", "head#2"]


async def test_the_same_is_refused_by_compile_where_it_can_be_proven() -> None:
    wf = Workflow("overtaken", input=int, output=int)
    head = wf.node(plus_one, name="head")
    wf.edge(START, head)
    wf.edge(head, head, when=1)
    wf.edge(head, END)
    assert "exit-overtaken" in [f.rule for f in wf.check()]


async def test_an_inner_edge_to_an_outer_header_leaves_the_inner_loop_and_repeats_the_outer() -> None:
    wf = Workflow("nested", input=int, output=int)
    outer, inner = wf.node(plus_one, name="outer"), wf.node(plus_one, name="inner")
    wf.chain(START, outer, inner)
    wf.route(inner, {1: inner, 2: inner, 3: outer, 5: inner, 6: outer}, otherwise=END)
    result = await wf.compile().run(0)
    assert keys(result) == [
        "outer#0",
        "inner#0.0",
        "inner#0.1",
        "outer#1",
        "inner#1.0",
        "inner#1.1",
        "outer#2",
        "inner#2.0",
    ]
    assert result.output == 8


async def test_a_side_node_that_a_loop_includes_runs_in_every_iteration() -> None:
    wf = counter(3)
    logged: list[int] = []

    @wf.node
    async def log(value: int) -> None:
        logged.append(value)

    wf.edge("step", log)
    wf.loop("step", "check", include=[log])
    assert (await wf.compile().run(0)).output == 3
    assert logged == [1, 2, 3]


# ---------------------------------------------------------------------- caps


async def test_a_loop_with_cap_five_runs_five_iterations_and_the_error_names_the_cycle_in_order() -> None:
    with pytest.raises(LoopCapError) as caught:
        await counter(100, cap=5).compile().run(0)
    error = caught.value
    assert (error.cycle, error.cap, error.values) == (("step", "check"), 5, {"check": 5})
    assert keys(error.result, "step") == [f"step#{i}" for i in range(5)]
    assert "step -> check -> step ran 5 iterations" in str(error)


async def test_a_loop_that_ends_in_its_last_allowed_iteration_is_no_error() -> None:
    assert (await counter(5, cap=5).compile().run(0)).output == 5


async def test_the_default_cap_is_25_iterations() -> None:
    assert (await counter(25).compile().run(0)).output == 25
    with pytest.raises(LoopCapError):
        await counter(26).compile().run(0)


async def test_at_the_cap_on_cap_is_given_what_the_header_would_have_been() -> None:
    wf = counter(100, cap=3, on_cap="enough")
    named(wf, "enough")
    wf.edge("enough", END)
    result = await wf.compile().run(0)
    assert result.output == 3
    assert [a.input for a in result.node("enough")] == [3]


async def test_on_cap_of_a_header_with_a_join_is_given_the_joined_list() -> None:
    wf = Workflow("team", input=int, output=int)

    @wf.node
    async def head(work: int | list[int]) -> int:
        return 1

    @wf.node
    async def enough(work: int | list[int]) -> int:
        return -1 if isinstance(work, int) else sum(work)

    named(wf, "w1", "w2")
    wf.edge(START, head)
    wf.edge(head, "w1")
    wf.edge(head, "w2")
    wf.join(["w1", "w2"], into=head)
    wf.loop(head, cap=2, on_cap=enough)
    wf.edge(enough, END)
    assert (await wf.compile().run(0)).output == 2


async def test_an_inner_loops_cap_counts_anew_at_each_entry() -> None:
    wf = Workflow("nested", input=int, output=int)
    outer, inner = wf.node(plus_one, name="outer"), wf.node(plus_one, name="inner")
    wf.chain(START, outer, inner)
    wf.edge(inner, inner, when=lambda value: value % 4 != 0, cap=3)
    wf.edge(inner, outer, when=lambda value: value % 4 == 0 and value < 12)
    wf.edge(inner, END, when=12)
    result = await wf.compile().run(0)
    assert result.output == 12
    assert len(result.node("inner")) == 9


async def test_max_activations_bounds_nodes_and_map_items_together() -> None:
    wf = Workflow("many", input=list[int], output=list[int], max_activations=4)
    item = wf.map(START, wf.node(same, name="item"))
    wf.edge(item, END)
    graph = wf.compile()
    assert (await graph.run([1, 2, 3])).output == [1, 2, 3]
    with pytest.raises(ActivationLimitError) as caught:
        await graph.run([1, 2, 3, 4])
    assert (caught.value.limit, caught.value.node) == (4, "item")
    assert (await graph.run([1, 2, 3, 4], max_activations=5)).output == [1, 2, 3, 4]


async def test_caps_are_no_part_of_the_fingerprint() -> None:
    assert counter(9, cap=3).compile().fingerprint == counter(9, cap=4).compile().fingerprint


async def test_a_handler_inside_a_loop_keeps_the_loop_going() -> None:
    wf = Workflow("sturdy", input=int, output=int)

    @wf.node
    async def step(value: int) -> int:
        if value == 1:
            raise OSError("one")
        return value + 1

    @wf.node
    async def repair(failure: Failure) -> int:
        return 2

    wf.edge(START, step)
    wf.on_error(step, repair, OSError)
    wf.edge(repair, step)
    wf.edge(step, step, when=below(4))
    wf.edge(step, END, when=OTHERWISE)
    result = await wf.compile().run(0)
    assert result.output == 4
    assert keys(result, status="handled") == ["step#1"]


async def test_a_failure_in_an_iteration_stops_the_loop_with_that_iterations_key() -> None:
    wf = Workflow("fragile", input=int, output=int)

    @wf.node
    async def step(value: int) -> int:
        return 10 // (2 - value) and value + 1

    wf.edge(START, step)
    wf.edge(step, step, when=below(9))
    wf.edge(step, END, when=OTHERWISE)
    with pytest.raises(NodeFailedError) as caught:
        await wf.compile().run(0)
    assert caught.value.key == "step#2"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
