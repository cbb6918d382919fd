"""Claims of what compile() proves, held against what graphs do: the reference interpreter runs them with many answers.

Accepting is checked by a promise, refusing by looking for a run that shows why. A condition may have no run in which it
holds and the run ends well; so a refusal counts as wrong only if both of its edges are taken, apart, in such runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from loomgraph.compile.checks.flow import Flow
from loomgraph.compile.checks.view import GraphView
from loomgraph.compile.compiled import check_definition
from loomgraph.compile.nest import find_nest
from loomgraph.compile.resolve import resolve
from loomgraph.graph.definition import Definition
from tests.compile.tangles import tangle
from tests.properties.budget import examples
from tests.properties.outcome import Answer, Call, Oracle, Outcome
from tests.properties.reference import interpret

# structure that the interpreter cannot run, or that ends every run before a proof can be seen at work
_BROKEN = {"loop-without-exit", "mixed-join", "only-back-edges-in", "unreachable", "wrong-arity"}


def answers(seed: str, failing: bool) -> Oracle:
    """What every activation answers, by its key alone; some fail."""

    def answer(call: Call) -> Answer:
        chance = Random(f"{seed} {call.key}")
        if failing and chance.random() < 0.15:
            raise RuntimeError("no answer")
        return Answer(chance.randrange(3))

    return answer


def runs(definition: Definition, count: int) -> Iterator[Outcome]:
    for number in range(count):
        yield interpret(definition, 0, answers(str(number), failing=number % 2 == 0))


def errors_of(outcome: Outcome) -> set[str]:
    found = {problem.error for problem in outcome.problems}
    return found | {record.error for record in outcome.records.values() if record.error is not None}


def taken_in(definition: Definition, outcome: Outcome) -> set[int]:
    always = {edge.index for edge in definition.edges if edge.source == -1}
    return always.union(*(record.taken for record in outcome.records.values()))


def proven(definition: Definition) -> Flow:
    nest = find_nest(definition)
    return Flow(GraphView(definition, nest), nest, lambda join: frozenset())


def apart(definition: Definition, a: set[int], b: set[int], shows: Callable[[Outcome], bool]) -> bool:
    """Whether a run that ends well takes `a`, another takes `b`, and none shows both."""
    seen = [False, False]
    for outcome in runs(definition, 150):
        if shows(outcome):
            return False
        if not outcome.problems:
            taken = taken_in(definition, outcome)
            seen = [seen[0] or bool(a & taken), seen[1] or bool(b & taken)]
    return all(seen)


def alternative(definition: Definition, edge: int, param: str | None) -> set[int]:
    """All edges of the alternative that an edge stands for: itself, or the join it is a member of."""
    join = definition.edges[edge].join
    if join is None or param is not None:
        return {edge}
    return {member.edge for member in definition.joins[join].members}


tangles = st.randoms(use_true_random=False).map(tangle)


@given(tangles)
@examples(250)
def test_no_join_of_a_graph_that_compiles_misses_a_required_member(definition: Definition) -> None:
    if any(finding.severity == "error" for finding in check_definition(definition)):
        return
    for outcome in runs(resolve(definition)[0], 20):
        assert "JoinIncompleteError" not in errors_of(outcome)


@given(tangles)
@examples(150)
def test_alternatives_are_refused_only_if_they_cannot_be_taken_apart(definition: Definition) -> None:
    if {finding.rule for finding in check_definition(definition)} & _BROKEN:
        return
    known, _ = resolve(definition)
    for _, param, first, second in proven(known).ambiguous:
        a, b = alternative(known, first, param), alternative(known, second, param)
        assert not apart(known, a, b, lambda outcome: "AmbiguousInputError" in errors_of(outcome))


@given(tangles)
@examples(150)
def test_an_exit_is_refused_only_if_it_and_the_back_edge_cannot_be_taken_apart(definition: Definition) -> None:
    if {finding.rule for finding in check_definition(definition)} & _BROKEN:
        return
    known, _ = resolve(definition)
    for _, leaving, back in proven(known).overtaken:
        assert not apart(known, {leaving}, {back}, lambda outcome: "ExitOvertakenError" in errors_of(outcome))


@given(tangles)
@examples(150)
def test_a_loop_that_is_called_endless_never_ends_well(definition: Definition) -> None:
    if {finding.rule for finding in check_definition(definition)} & _BROKEN:
        return
    known, _ = resolve(definition)
    for region in proven(known).endless:
        body = {known.nodes[node].name for node in find_nest(known).body(region)}
        for outcome in runs(known, 20):
            entered = any(key.partition("#")[0] in body for key, record in outcome.records.items() if record.taken)
            assert outcome.problems or not entered
