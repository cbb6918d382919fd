"""Claims of what the settings of a workflow are told, word for word: conditions, joins, loops, state, handlers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from loomgraph import END, OTHERWISE, START, Failure, Quorum, Workflow
from loomgraph.errors import Finding


def draft(text: str) -> str:
    return text


def critique(text: str) -> str:
    return text


def shout(text: str) -> str:
    return text.upper()


def merge(first: str, second: str) -> str:
    return first + second


def gather(texts: list[str]) -> str:
    return "".join(texts)


def count(text: str) -> int:
    return len(text)


def choose(text: str) -> Literal["yes", "no"]:
    return "yes" if text else "no"


def note(text: str) -> None: ...


def log(text): ...


def mend(failure: Failure) -> str:
    return failure.message


def remedy(failure: Failure) -> str:
    return failure.error


def size(number: int) -> str:
    return str(number)


def short(text: str) -> bool:
    return len(text) < 10


def loud(text: str) -> bool:
    return text.isupper()


class Wide(BaseModel):
    text: str


class Narrow(Wide):
    number: int


def make_wide(text: str) -> Wide:
    return Wide(text=text)


def take_wide(value: Wide) -> str:
    return value.text


def take_narrow(value: Narrow) -> str:
    return value.text


def one(current: list[int]) -> list[int]:
    return current


async def later(current: list[int], update: list[int]) -> list[int]:
    return current + update


class State(BaseModel):
    some: Annotated[list[int], one] = []
    more: Annotated[list[int], later] = []


@pytest.fixture
def wf() -> Workflow[str, str]:
    return Workflow("w", input=str, output=str)


def told(wf: Workflow[Any, Any], severity: str = "error") -> list[str]:
    """What check() says, one text a finding; all of one severity."""
    findings: list[Finding] = wf.check()
    assert {finding.severity for finding in findings} == {severity}
    return [str(finding) for finding in findings]


def looping(wf: Workflow[str, str]) -> None:
    """START -> draft -> critique -> END, and back from critique to draft."""
    wf.chain(START, draft, critique)
    wf.edge(critique, draft, when=short)
    wf.edge(critique, END, when=OTHERWISE)


# ---------------------------------------------------------------------- conditions


def test_a_condition_that_can_never_match_is_told_with_what_can(wf: Workflow[str, str]) -> None:
    wf.edge(START, choose)
    wf.edge(choose, draft, when="yes")
    wf.edge(choose, critique, when="no")
    wf.edge(choose, shout, when="nope")
    for node in (draft, critique, shout):
        wf.edge(node, END)
    assert told(wf) == [
        "[never-matches] the edge 'choose' -> 'shout' has when='nope', but 'choose' gives Literal['yes', 'no'], which "
        "is never that\n"
        "    -> Use one of what it gives ('yes' and 'no'), or correct its return annotation."
    ]


def test_values_that_may_be_anything_are_a_warning(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft)
    wf.edge(draft, critique, when="yes")
    wf.edge(draft, shout, when="no")
    wf.edge(critique, END)
    wf.edge(shout, END)
    assert told(wf, "warning") == [
        "[partly-handled] 'draft' may give any str, but its edges only take 'yes' and 'no'; another value "
        "fails the run\n"
        "    -> Add an edge from 'draft' with when=OTHERWISE, or narrow its return annotation, as with Literal[...]."
    ]


def test_OTHERWISE_without_another_condition_is_told(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft)
    wf.edge(draft, END, when=OTHERWISE)
    assert told(wf) == [
        "[lonely-otherwise] the edge 'draft' -> END has when=OTHERWISE, but 'draft' has no other condition\n"
        "    -> Leave when= out, or add the edges whose conditions it is the alternative to."
    ]


def test_OTHERWISE_twice_is_told(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft)
    wf.edge(draft, END, when=short)
    wf.edge(draft, critique, when=OTHERWISE)
    wf.edge(draft, shout, when=OTHERWISE)
    wf.edge(critique, END)
    wf.edge(shout, END)
    assert told(wf) == [
        "[two-otherwise] 'draft' has 2 edges with when=OTHERWISE, to 'critique' and 'shout'\n"
        "    -> Keep one. To start several nodes, send it to one node and go on from there with plain edges."
    ]


def test_an_arm_after_a_wider_one_is_a_warning(wf: Workflow[str, str]) -> None:
    wf.edge(START, make_wide)
    wf.route(make_wide, {Wide: take_wide, Narrow: take_narrow})
    wf.edge(take_wide, END)
    wf.edge(take_narrow, END)
    assert told(wf, "warning") == [
        "[shadowed-arm] the arm Narrow of wf.route('make_wide', ...) is never taken: the arms before it take "
        "everything "
        "it would match\n"
        "    -> Put it before the wider one, because the first match is taken; or remove it."
    ]


def test_a_handler_after_a_wider_one_is_a_warning(wf: Workflow[str, str]) -> None:
    wf.chain(START, shout, END)
    wf.on_error(shout, mend)
    wf.on_error(shout, remedy, OSError)
    wf.edge(mend, END)
    wf.edge(remedy, END)
    assert told(wf, "warning") == [
        "[shadowed-arm] wf.on_error('shout', 'remedy') for OSError is never taken: 'mend' is declared before and takes "
        "those errors too\n"
        "    -> Declare it before the one that goes to 'mend'."
    ]


def test_START_cannot_fail(wf: Workflow[str, str]) -> None:
    wf.chain(START, shout, END)
    wf.on_error(START, mend)
    wf.edge(mend, END)
    assert told(wf)[0] == (
        "[error-edge-from-start] wf.on_error(START, 'mend') can never be taken, because START cannot fail\n"
        "    -> Name the node whose failure it should take."
    )


def test_a_node_that_says_nothing_and_leads_nowhere_is_a_warning(wf: Workflow[str, str]) -> None:
    wf.chain(START, shout, END)
    wf.edge(shout, log)
    assert told(wf, "warning") == [
        "[dead-end] no edge leaves 'log', and it does not say what it returns: a value would be lost\n"
        "    -> Annotate it `-> None` if it is run for its effect, or add wf.edge('log', END)."
    ]


# ---------------------------------------------------------------------- joins


def test_a_join_that_leaves_a_parameter_out_names_it(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft)
    wf.join({"first": draft}, into=merge)
    wf.edge(merge, END)
    assert told(wf) == [
        "[join-misses-parameter] the join into 'merge' does not give 'second', which it needs\n"
        '    -> Add a member for it, "second": ..., or give the parameter a default.'
    ]


def test_a_member_of_the_wrong_type_is_named(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, count], source=START)
    wf.join({"first": draft, "second": count}, into=merge)
    wf.edge(merge, END)
    assert told(wf) == [
        "[join-type] 'count' brings int into the join, but 'merge' takes second: str\n"
        "    -> Change one of the two annotations, or put a node between them that converts."
    ]


def test_an_item_of_the_wrong_type_is_named(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, count], source=START, into=gather)
    wf.edge(gather, END)
    assert told(wf) == [
        "[join-type] 'count' brings int into the join, but 'gather' takes texts: list[str]\n"
        "    -> Change one of the two annotations, or put a node between them that converts."
    ]


def test_a_join_into_what_takes_no_list_says_what_a_join_makes(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START, into=shout)
    wf.edge(shout, END)
    assert told(wf) == [
        "[join-type] a join into 'shout' makes a list, list[str], but 'shout' takes text: str\n"
        '    -> Let \'shout\' take list[str]; or, for "one of these", use plain edges instead of a join.'
    ]


def test_a_join_into_END_makes_a_list(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START, into=END)
    assert told(wf) == [
        "[join-type] a join into END makes a list, list[str], but the workflow's output is str\n"
        '    -> Declare Workflow(..., output=list[str]); or, for "one of these", use plain edges instead of a join.'
    ]


def test_END_has_no_parameters(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START)
    wf.join({"first": draft, "second": critique}, into=END)
    assert told(wf) == [
        "[join-by-name] the join into END names parameters, but END takes one value\n"
        "    -> Join into a node first, or give a list: wf.join([...], into=END)."
    ]


def test_a_quorum_cannot_fill_required_parameters(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START)
    wf.join({"first": draft, "second": critique}, into=merge, wait=Quorum(1))
    wf.edge(merge, END)
    assert told(wf) == [
        "[join-of-skippable] the join into 'merge' goes on with 1 of 2 members, but 'merge' needs 'first' and "
        "'second'\n"
        "    -> Join into one list, or let the parameters be None: first: str | None."
    ]


def test_the_first_of_several_is_one_value(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START)
    wf.join({"first": draft, "second": critique}, into=merge, wait="first")
    wf.edge(merge, END)
    assert told(wf) == [
        "[wrong-arity] the join into 'merge' with wait=\"first\" brings one value, but it names 'second'\n"
        "    -> Leave wait= out to wait for all members, or join into a node that takes one value."
    ]


def test_a_join_is_one_alternative(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START, into=gather)
    wf.edge(START, lists := wf.node(lambda text: [text], name="lists"))
    wf.edge(lists, gather)
    wf.edge(gather, END)
    assert told(wf) == [
        "[ambiguous-input] 'gather' is given a value by 'lists' and by the join of 'draft' and 'critique' in one pass, "
        'but plain edges mean "one of these"\n'
        "    -> A join is one alternative: make it and the other exclusive with when=, or put all into one join."
    ]


def test_alternatives_of_one_parameter_exclude_each_other(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique, shout], source=START)
    wf.join({"first": [draft, critique], "second": shout}, into=merge)
    wf.edge(merge, END)
    assert told(wf) == [
        "[ambiguous-input] parameter 'first' of 'merge' is given a value by 'draft' and by 'critique' in one pass, but "
        'members of one parameter mean "one of these"\n'
        "    -> Make the two branches exclusive with when=, or bind them to different parameters."
    ]


def test_a_join_of_the_way_in_and_the_way_back_is_told(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft)
    wf.edge(gather, critique, when=short)
    wf.join([draft, critique], into=gather)
    wf.edge(gather, END, when=OTHERWISE)
    assert told(wf) == [
        "[mixed-join] the join into 'gather' mixes members that enter the loop ('draft') with members that come round "
        "again ('critique'), and these never meet\n"
        "    -> Give 'gather' a plain edge, or a join of its own, from each of the two sides."
    ]


def test_a_value_from_before_a_loop_is_there_once(wf: Workflow[str, str]) -> None:
    wf.parallel([draft, critique], source=START)
    wf.join({"first": draft, "second": critique}, into=merge)
    wf.edge(merge, critique, when=short)
    wf.edge(merge, END, when=OTHERWISE)
    errors = [str(finding) for finding in wf.check() if finding.severity == "error"]
    assert errors == [
        "[join-of-skippable] the join into 'merge' needs 'first' in every iteration of the loop at 'critique', but "
        "'draft' is outside the loop and gives it in the first iteration only\n"
        "    -> Carry it along in the value that goes round the loop, or keep it in the workflow's state."
    ]


# ---------------------------------------------------------------------- loops


def test_nodes_that_are_in_no_loop_are_told(wf: Workflow[str, str]) -> None:
    wf.chain(START, draft, critique, END)
    wf.loop(draft, critique, cap=3)
    assert told(wf) == [
        "[not-a-loop] wf.loop('draft', 'critique') names nodes that are not in one loop\n"
        "    -> Add the edge that goes back, wf.edge('critique', 'draft', when=...), or give wf.loop again=..., which "
        "adds it."
    ]


def test_two_headers_of_one_loop_are_told(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, header=draft)
    wf.loop(draft, critique, header=critique)
    assert told(wf) == [
        "[header-conflict] 'critique' cannot be the header of the loop of 'draft' and 'critique': another "
        "wf.loop names "
        "'draft' as its header\n"
        "    -> Say header='draft', or remove the other wf.loop over these nodes."
    ]


def test_a_loop_that_is_entered_at_two_nodes_is_a_warning_unless_it_names_its_header(wf: Workflow[str, str]) -> None:
    wf.edge(START, draft, when=short)
    wf.edge(START, critique, when=OTHERWISE)
    wf.edge(draft, critique)
    wf.edge(critique, draft, when=loud)
    wf.edge(critique, END, when=OTHERWISE)
    assert told(wf, "warning") == [
        "[several-entries] the loop at 'draft' can be entered at 'draft' and 'critique'; only edges to 'draft' start a "
        "new iteration\n"
        "    -> If that is meant, say so: wf.loop('draft', header='draft'). Else enter the loop at one node."
    ]
    wf.loop("draft", header="draft")
    assert wf.check() == []


def test_a_node_that_does_not_hang_off_a_loop_cannot_be_included(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.edge(START, note)
    wf.loop(draft, include=[note])
    assert told(wf) == [
        "[include-not-a-side-node] wf.loop(include=['note']) cannot take it into the loop at 'draft': the edge "
        "START -> "
        "'note' enters it from outside the loop\n"
        "    -> Include only nodes that hang off the loop's body, with all their in-edges from inside it."
    ]


def test_END_cannot_be_included(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, include=[END])
    assert told(wf) == [
        "[include-not-a-side-node] wf.loop(include=[END]) cannot take it into the loop at 'draft': it is an end of the "
        "graph\n"
        "    -> Include only nodes that hang off the loop's body, with all their in-edges from inside it."
    ]


def test_a_capped_loop_is_left(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, on_cap=critique)
    assert told(wf) == [
        "[on-cap-inside] the loop at 'draft' has on_cap='critique', which is inside that loop\n"
        "    -> Name a node outside the loop, or END: at the cap the loop is left."
    ]


def test_a_capped_loop_does_not_start_the_run_again(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, on_cap=START)
    assert told(wf) == [
        "[on-cap-inside] the loop at 'draft' has on_cap=START, but a run starts once\n"
        "    -> Name a node outside the loop, or END."
    ]


def test_on_cap_is_given_what_the_header_would_have_been(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, on_cap=size)
    wf.edge(size, END)
    assert told(wf) == [
        "[on-cap-type] at the cap of the loop at 'draft', 'size' is given what the edge 'critique' -> 'draft' carries, "
        "str, which it does not take\n"
        "    -> Let 'size' take what 'draft' takes, or name another node as on_cap=."
    ]


def test_a_loop_goes_one_way_at_its_cap(wf: Workflow[str, str]) -> None:
    looping(wf)
    wf.loop(draft, on_cap=shout)
    wf.loop(critique, on_cap=END)
    wf.edge(shout, END)
    assert told(wf) == [
        "[two-on-cap] the loop at 'draft' has on_cap= twice: 'shout' and END\n"
        "    -> Keep one of the two."
    ]


# ---------------------------------------------------------------------- state


def test_a_reducer_takes_two_values_and_does_not_wait() -> None:
    wf = Workflow("w", input=str, output=str, state=State)
    wf.chain(START, shout, END)
    assert told(wf) == [
        "[reducer-arity] the reducer 'one' of state field 'some' cannot be called with two values\n"
        "    -> Write it as `def one(current, update)` and return the new value.",
        "[reducer-async] the reducer of state field 'more' is async, but state is folded without waiting\n"
        "    -> Write it as a plain function, and do what it waits for in a node.",
    ]


def test_names_with_braces_quotes_and_breaks_are_told_as_they_are(wf: Workflow[str, str]) -> None:
    odd = wf.node(shout, name="{a} 'b' %s")
    wf.parallel([wf.node(draft), wf.node(critique)], source=START, into=odd)
    wf.edge(odd, END)
    assert "Let '{a} 'b' %s' take list[str]" in told(wf)[0]
