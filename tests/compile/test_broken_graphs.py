"""Claims of what a broken workflow is told: the whole message, word for word. Each workflow is broken in one way.

The messages are pinned because they are an interface: each must say what is wrong, by name, and what to write.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from loomgraph import END, OTHERWISE, START, CompileError, Quorum, Workflow
from loomgraph.errors import DefinitionError


@dataclass
class Good:
    text: str


@dataclass
class Bad:
    text: str


@dataclass
class Odd:
    text: str


def draft(text: str) -> str:
    return text


def critique(text: str) -> str:
    return text


def shout(text: str) -> str:
    return text.upper()


def count(text: str) -> int:
    return len(text)


def judge(text: str) -> Good | Bad | Odd:
    return Good(text)


def take_good(verdict: Good) -> str:
    return verdict.text


def take_bad(verdict: Bad) -> str:
    return verdict.text


def merge(first: str, second: str) -> str:
    return first + second


def short(text: str) -> bool:
    return len(text) < 10


def workflow() -> Workflow[str, str]:
    return Workflow("w", input=str, output=str)


def told(wf: Workflow[Any, Any], *rules: str) -> str:
    """What compile() says; `check()` has exactly these rules."""
    assert [finding.rule for finding in wf.check()] == list(rules)
    with pytest.raises(CompileError) as refused:
        wf.compile()
    return str(refused.value)


def test_an_edge_between_types_that_do_not_fit_names_both_types() -> None:
    wf = workflow()
    wf.chain(START, count, shout, END)
    assert told(wf, "edge-type") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [edge-type] 'count' gives int, but 'shout' takes text: str\n"
        "    -> Let 'shout' take int, or let 'count' give str, or put a node between them that converts."
    )


def test_an_edge_into_END_of_another_type_names_the_declared_output() -> None:
    wf = workflow()
    wf.chain(START, count, END)
    assert told(wf, "edge-type") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [edge-type] 'count' gives int, but the workflow's output is str\n"
        "    -> Declare Workflow(..., output=int), or let 'count' give str, or put a node between them that "
        "converts."
    )


def test_a_union_into_a_node_that_takes_one_member_says_which_are_left() -> None:
    wf = workflow()
    wf.chain(START, judge, take_good, END)
    assert told(wf, "edge-type") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [edge-type] 'judge' gives Good | Bad | Odd, but 'take_good' takes verdict: Good\n"
        "    -> Bad and Odd have nowhere to go: add wf.edge('judge', ..., when=Bad) and restrict this edge "
        "with when=; or let 'take_good' take them."
    )


def test_a_list_into_a_node_that_takes_one_item_is_pointed_to_map() -> None:
    wf = workflow()

    def split(text: str) -> list[str]:
        return text.split()

    wf.chain(START, split, shout, END)
    assert told(wf, "edge-type") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [edge-type] 'split' gives list[str], but 'shout' takes text: str\n"
        "    -> To run it once per item, write wf.map('split', 'shout') instead of wf.edge."
    )


def test_a_union_member_that_no_edge_takes_is_named() -> None:
    wf = workflow()
    wf.edge(START, judge)
    wf.edge(judge, take_good, when=Good)
    wf.edge(judge, take_bad, when=Bad)
    wf.edge(take_good, END)
    wf.edge(take_bad, END)
    assert told(wf, "unhandled-member") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [unhandled-member] 'judge' may give Odd, but its edges only take Good and Bad\n"
        "    -> Add wf.edge('judge', ..., when=Odd), or an edge with when=OTHERWISE."
    )


def test_an_unknown_node_is_told_with_the_name_that_was_meant() -> None:
    wf = workflow()
    wf.node(shout)
    wf.edge(START, "shuot")
    wf.edge("shout", END)
    assert told(wf, "unknown-node") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [unknown-node] an edge names 'shuot', which is not a node\n"
        "    -> Did you mean 'shout'?"
    )


def test_the_string_START_is_not_the_constant() -> None:
    wf = workflow()
    wf.edge("START", shout)
    wf.edge(shout, END)
    assert told(wf, "unknown-node") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [unknown-node] an edge names 'START', which is not a node\n"
        "    -> Use the constant START from loomgraph, not the string."
    )


def test_an_unreachable_node_is_told_with_what_hangs_off_it() -> None:
    wf = workflow()
    wf.chain(START, shout, END)
    wf.chain(draft, critique, END)
    assert told(wf, "unreachable") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [unreachable] no edge leads to 'draft', and so 'critique' cannot be reached either\n"
        "    -> Add an edge into it, such as wf.edge(START, 'draft'), or remove the node."
    )


def test_a_dead_end_says_which_value_would_be_lost() -> None:
    wf = workflow()
    wf.chain(START, shout, END)
    wf.edge(shout, count)
    assert told(wf, "dead-end") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [dead-end] no edge leaves 'count', so the int it gives would be lost\n"
        "    -> Add wf.edge('count', END) or an edge to the node that takes it; annotate `-> None` if there "
        "is no value."
    )


def test_a_graph_without_an_edge_to_END_has_no_output() -> None:
    wf = workflow()
    wf.chain(START, draft, shout)
    assert told(wf, "no-end") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [no-end] no edge leads to END, so a run would have no output\n"
        "    -> Add wf.edge('shout', END), or declare Workflow(..., output=None)."
    )


def test_a_graph_whose_END_cannot_be_reached_says_what_leads_there() -> None:
    wf = workflow()
    wf.chain(START, draft)
    wf.chain(shout, END)
    assert told(wf, "unreachable", "no-path-to-end") == (
        "workflow 'w' does not compile, 2 errors:\n"
        "  1. [unreachable] no edge leads to 'shout'\n"
        "    -> Add an edge into it, such as wf.edge(START, 'shout'), or remove the node.\n"
        "  2. [no-path-to-end] no way from START leads to END: its edges come from 'shout', which cannot be "
        "reached\n"
        "    -> Add the missing edge on the way from START to 'shout'."
    )


def test_a_graph_without_an_edge_from_START_would_run_nothing() -> None:
    wf = workflow()
    wf.chain(shout, END)
    assert told(wf, "no-start") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [no-start] no edge leaves START, so nothing would run\n"
        "    -> Add wf.edge(START, 'shout')."
    )


def test_a_loop_without_an_exit_says_where_to_put_one() -> None:
    wf = workflow()
    wf.chain(START, draft, END)
    wf.chain(START, critique, shout)
    wf.edge(shout, critique, when=short)
    assert told(wf, "loop-without-exit") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [loop-without-exit] no edge leaves the loop of 'critique' and 'shout', so it can only end at "
        "its cap\n"
        "    -> Add the edge that leaves it, such as wf.edge('shout', END, when=...), or say where to go at "
        "the cap: wf.loop('critique', on_cap=...)."
    )


def test_a_loop_whose_exit_and_back_edge_are_both_unconditional_never_ends() -> None:
    wf = workflow()
    wf.chain(START, draft, critique, draft)
    wf.edge(critique, END)
    assert told(wf, "endless-loop") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [endless-loop] the loop at 'draft' never ends: in every iteration 'critique' -> 'draft' is "
        "taken\n"
        "    -> Say when to go round again: wf.edge('critique', 'draft', when=...); or where to go at the "
        "cap: wf.loop('draft', on_cap=...)."
    )


def test_an_unconditional_exit_beside_a_conditional_back_edge_is_overtaken() -> None:
    wf = workflow()
    wf.chain(START, draft, critique, END)
    wf.edge(critique, draft, when=short)
    assert told(wf, "exit-overtaken") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [exit-overtaken] the edge 'critique' -> END leaves the loop at 'draft' in an iteration in "
        "which 'critique' -> 'draft' goes round again, so its value would be lost\n"
        "    -> Leave only when the other edge is not taken, wf.edge('critique', END, when=OTHERWISE); or "
        'keep the latest value with wf.edge(..., exit="latest").'
    )


def test_a_join_of_a_skippable_branch_into_a_required_parameter_names_both() -> None:
    wf = workflow()
    wf.edge(START, draft)
    wf.edge(START, critique, when=short)
    wf.join({"first": draft, "second": critique}, into=merge)
    wf.edge(merge, END)
    assert told(wf, "join-of-skippable") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [join-of-skippable] the join into 'merge' needs 'second', but 'critique' may be skipped while "
        "'draft' is not\n"
        "    -> Let 'merge' do without it, second: str | None; or join into one list; or give 'second' a "
        "member on every branch."
    )


def test_two_alternatives_that_are_both_taken_are_told_to_be_a_join() -> None:
    wf = workflow()
    wf.chain(START, draft, shout, END)
    wf.chain(START, critique, shout)
    assert told(wf, "ambiguous-input") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [ambiguous-input] 'shout' is given a value by 'draft' and by 'critique' in one pass, but plain "
        'edges mean "one of these"\n'
        "    -> For \"all of these\" write wf.join(['draft', 'critique'], into='shout'), which brings a list. "
        'For "one of these" make the branches exclusive with when=.'
    )


def test_two_nodes_of_one_name_are_told_to_get_one_each() -> None:
    wf = workflow()
    wf.chain(START, wf.node(shout), wf.node(shout), END)
    assert told(wf, "duplicate-name") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [duplicate-name] 2 nodes are called 'shout'\n"
        "    -> Give each a name of its own: wf.node(fn, name='shout_2')."
    )


def test_an_edge_that_is_declared_twice_is_told() -> None:
    wf = workflow()
    wf.chain(START, shout, END)
    wf.edge(shout, END)
    assert told(wf, "duplicate-edge") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [duplicate-edge] the edge 'shout' -> END is declared twice\n"
        "    -> Remove one of the two calls."
    )


def test_a_node_of_two_required_parameters_needs_more_than_a_plain_edge() -> None:
    wf = workflow()
    wf.chain(START, merge, END)
    assert told(wf, "wrong-arity") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [wrong-arity] 'merge' needs 'first' and 'second', but the edge START -> 'merge' brings one "
        "value\n"
        '    -> Join what it needs, by parameter: wf.join({"first": START, "second": ...}, into=\'merge\').'
    )


def test_a_node_without_parameters_cannot_be_given_a_value() -> None:
    wf = workflow()

    def now() -> str:
        return "now"

    wf.chain(START, now, END)
    assert told(wf, "wrong-arity") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [wrong-arity] 'now' takes no value, but the edge START -> 'now' brings str, which would be lost\n"
        "    -> Give it a parameter: def now(value: str)."
    )


def test_a_join_of_names_that_are_no_parameters_is_told_once_with_the_whole_call() -> None:
    wf = workflow()
    wf.edge(START, draft)
    wf.edge(START, critique)
    wf.join([draft, critique], into=merge)
    wf.edge(merge, END)
    assert told(wf, "join-unknown-parameter") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [join-unknown-parameter] the join into 'merge' binds its members by their names, because "
        "'merge' needs several values, but it has no parameter 'draft'\n"
        "    -> Say which is which: wf.join({\"first\": 'draft', \"second\": 'critique'}, into='merge')."
    )


def test_a_generator_function_is_not_a_node() -> None:
    wf = workflow()

    def words(text: str) -> Iterator[str]:
        yield from text.split()

    wf.chain(START, words, shout, END)
    assert told(wf, "not-a-node") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [not-a-node] 'words' cannot be a node: it is a generator, which cannot be awaited for one value\n"
        "    -> Return a list instead of yielding."
    )


def test_a_plain_function_cannot_be_timed_out() -> None:
    wf = workflow()
    wf.chain(START, wf.node(shout, timeout=2.5), END)
    assert told(wf, "cannot-time-out") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [cannot-time-out] 'shout' has timeout=2.5, but it is a plain function: it runs in a thread, "
        "and a thread cannot be stopped\n"
        "    -> Write it as `async def`, or take timeout= away and let the code in 'shout' set its own limit."
    )


def test_a_loop_with_only_back_edges_in_is_entered_from_nowhere() -> None:
    wf = workflow()
    wf.chain(START, shout, END)
    wf.edge(draft, critique)
    wf.edge(critique, draft, when=short)
    wf.edge(critique, END, when=OTHERWISE)
    assert told(wf, "only-back-edges-in") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [only-back-edges-in] the loop of 'draft' and 'critique' is entered from nowhere\n"
        "    -> Add the edge that enters it: wf.edge(START, 'draft')."
    )


def test_conflicting_caps_of_one_loop_are_both_told() -> None:
    wf = workflow()
    wf.chain(START, draft, critique)
    wf.edge(critique, draft, when=short, cap=3)
    wf.edge(critique, END, when=OTHERWISE)
    wf.loop(draft, critique, cap=5)
    assert told(wf, "conflicting-caps") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [conflicting-caps] the loop at 'draft' is given different caps: 3 and 5\n"
        "    -> Loops that share a header are one loop with one cap. Say cap= once, or the same everywhere."
    )


def test_a_cap_on_an_edge_that_closes_no_loop_is_told() -> None:
    wf = workflow()
    wf.edge(START, draft, cap=3)
    wf.edge(draft, END)
    assert told(wf, "cap-without-loop") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [cap-without-loop] the edge START -> 'draft' has cap=3, but it closes no loop\n"
        "    -> Take cap= away, or put it on the edge that goes back."
    )


def test_a_quorum_larger_than_its_members_is_told_with_both_counts() -> None:
    wf = workflow()

    def pick(found: list[str]) -> str:
        return found[0]

    wf.parallel([draft, critique], source=START, into=pick, wait=Quorum(3))
    wf.edge(pick, END)
    assert told(wf, "quorum-too-large") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [quorum-too-large] the join into 'pick' waits for 3 members but has 2\n"
        "    -> Use wait=Quorum(2) at most, or leave wait= out to wait for all."
    )


def test_an_error_handler_that_does_not_take_a_failure_is_told() -> None:
    wf = workflow()
    wf.chain(START, draft, END)
    wf.on_error(draft, shout)
    wf.edge(shout, END)
    assert told(wf, "edge-type") == (
        "workflow 'w' does not compile, 1 error:\n"
        "  1. [edge-type] wf.on_error('draft', 'shout') brings a Failure, but 'shout' takes text: str\n"
        "    -> Annotate the handler's parameter as Failure (from loomgraph import Failure)."
    )


def test_several_findings_are_all_in_one_error() -> None:
    wf = workflow()
    slow = wf.node(shout, timeout=1)
    wf.chain(START, slow, count, slow)
    wf.edge(count, "ennd")
    wf.join([slow, count], into=merge)
    assert told(wf, "unknown-node", "cannot-time-out", "edge-type", "join-unknown-parameter") == (
        "workflow 'w' does not compile, 4 errors:\n"
        "  1. [unknown-node] an edge names 'ennd', which is not a node\n"
        "    -> Declare it with @wf.node, or use one of: count, merge, shout.\n"
        "  2. [cannot-time-out] 'shout' has timeout=1, but it is a plain function: it runs in a thread, and "
        "a thread cannot be stopped\n"
        "    -> Write it as `async def`, or take timeout= away and let the code in 'shout' set its own limit.\n"
        "  3. [edge-type] 'count' gives int, but 'shout' takes text: str\n"
        "    -> Let 'shout' take int, or let 'count' give str, or put a node between them that converts.\n"
        "  4. [join-unknown-parameter] the join into 'merge' binds its members by their names, because "
        "'merge' needs several values, but it has no parameter 'shout'\n"
        "    -> Say which is which: wf.join({\"first\": 'shout', \"second\": 'count'}, into='merge')."
    )


def test_a_join_that_was_refused_leaves_nothing_behind() -> None:
    wf = workflow()
    wf.chain(START, draft, END)
    with pytest.raises(DefinitionError):
        wf.join([draft, END], into=shout)
    assert [edge.join for edge in wf.define().edges] == [None, None]
