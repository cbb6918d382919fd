"""A reference interpreter: what a workflow means, said as plainly as possible and independently of the engine.

Sequential and recursive: a region is processed iteration by iteration, an iteration unit by unit in topological order,
so that every input of a node is settled when its turn comes. Slow on purpose; refuses to know anything of time. What is
left to time (early joins) is told to it, as recorded, in `Choices`.

The loop nest is given. A definition without errors is assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal

from loomgraph.compile.nest import ROOT, Region
from loomgraph.errors import Failure, MapInputError, NoRouteError, QuorumError
from loomgraph.events import activation_key, escape
from loomgraph.graph.definition import Definition, EdgeDef, GraphBody, NodeDef
from loomgraph.graph.refs import END_INDEX
from tests.properties.bind import (
    Binding,
    Bound,
    Broken,
    Cause,
    Causes,
    Nothing,
    admits_none,
    bind,
    early_need,
    shortfall,
)
from tests.properties.history import History, Write, conflict, fold
from tests.properties.outcome import Answer, Call, Choices, Oracle, Outcome, Problem, Record
from tests.properties.recorded import Recorded
from tests.properties.shape import Shape

__all__ = ["ScopeFailedError", "interpret"]

Vector = tuple[int, ...]


@dataclass(frozen=True)
class Settled:
    """What became of an edge. `never`: it waits for something that failed, or comes from something that was withdrawn,
    so it is not settled at all. A skipped one has the failures behind it."""

    how: Literal["taken", "skipped", "never"]
    history: History
    value: Any = None
    causes: Causes = frozenset()


class ItemsFailedError(Exception):
    """A map failed because items of it did. `first` is why the first of them did, in the order of the items."""

    def __init__(self, problems: set[Problem], first: Exception) -> None:
        self.problems, self.first = problems, first
        super().__init__(", ".join(sorted(f"{p.where}: {p.error}" for p in problems)))


class ScopeFailedError(Exception):
    """A nested graph came to no result. Which of several problems its node is said to fail with is not fixed."""

    def __init__(self, problems: set[Problem]) -> None:
        self.problems = problems
        super().__init__(", ".join(sorted(f"{p.where}: {p.error}" for p in problems)))


def interpret(
    definition: Definition, value: Any, oracle: Oracle, choices: Choices | None = None, state: Any = None
) -> Outcome:
    """What a run of the definition comes to if everything that does not depend on a failure runs (drain)."""
    outcome = Outcome()
    scope = _Scope(definition, "", oracle, choices or Choices(), outcome, state)
    outcome.output, outcome.state, outcome.problems = scope.run(value)
    return outcome


class _Scope:
    """One run of one graph: the whole run, or a nested one whose path is `path`."""

    def __init__(
        self, definition: Definition, path: str, oracle: Oracle, choices: Choices, outcome: Outcome, state: Any = None
    ) -> None:
        self.definition, self.path, self.oracle, self.choices, self.outcome = definition, path, oracle, choices, outcome
        self.shape = Shape(definition)
        self.nest, self.back = self.shape.nest, self.shape.back
        self.problems: set[Problem] = set()
        spec = definition.state
        self.initial = None if spec is None else spec.initial(state)
        self.early = [join for join in definition.joins if early_need(join)]
        self.recorded = Recorded(definition, self.shape, path, choices)

    # ------------------------------------------------------------------ the run and its loops

    def run(self, value: Any) -> tuple[Any, dict[str, Any] | None, set[Problem]]:
        settled: dict[int, Settled] = {}
        out = [e for e in self.definition.edges if e.source == -1]
        taken = self._chosen("START", out, value)
        for edge in out:
            hit = edge.index in taken
            settled[edge.index] = Settled("taken", History(), value) if hit else Settled("skipped", History())
        everything = self._pass(self.nest.regions[ROOT], (), settled, History())
        output = None
        into = [e for e in self.definition.edges if e.target == END_INDEX]
        bound = self._bind(None, into, settled, ())
        self.recorded.check()
        if isinstance(bound, Broken):
            self._problem(type(bound.error).__name__, "#END")
        elif isinstance(bound, Bound) and self._disagree(bound.history):
            self._problem("StateConflictError", "#END")
        elif isinstance(bound, Bound):
            output = bound.value
        elif bound is not None and not self.problems and not admits_none(self.definition.output):
            self._problem("NoResultError", "#END")
        state = None if self.problems else self._final(everything)
        return (None, None, self.problems) if self.problems else (output, state, self.problems)

    def _final(self, everything: History | None) -> dict[str, Any] | None:
        spec = self.definition.state
        if everything is None or spec is None or self.initial is None:
            return None
        if conflict(spec, everything) is not None:
            self._problem("StateConflictError", "#END")
            return None
        return fold(spec, self.initial, everything)

    def _loop(self, region: Region, outer: Vector, settled: dict[int, Settled]) -> History | None:
        """One entry of a loop: all its iterations. Settles the edges that leave it. None: it never ends."""
        entering = [e for e in self.definition.edges if self.shape.enters(e, region)]
        leaving = [e for e in self.definition.edges if self.shape.leaves(e, region)]
        given = {e.index: settled[e.index] for e in entering}
        latest: dict[int, Settled] = {}
        base = History()
        for iteration in count():
            if iteration:
                given |= {e.index: Settled("skipped", base) for e in entering}
            inside = dict(given)
            vector = (*outer, iteration)
            key = self._key(region.header, vector, None)
            after = self._pass(region, vector, inside, base)
            if after is None:
                return None
            base = after
            if self.recorded.fed_by(region) and self._disagree(base):  # nothing else can make such a loop fail
                return self._problem("StateConflictError", key)
            if self.recorded.cut_off(region, vector):
                settled |= {e.index: Settled("never", History()) for e in leaving}
                return base
            exits = {e.index: inside[e.index] for e in leaving if e.index in inside and inside[e.index].how == "taken"}
            again = {e: replace(inside[e], history=base) for e in region.back_edges}
            unmet = self._unmet(again, vector)
            if not unmet and not any(edge.how == "taken" for edge in again.values()):
                behind = {cause for e in (*leaving, *map(self._edge, again)) for cause in self._causes(inside, e)}
                return self._ended(region, vector, leaving, settled, base, latest | exits, frozenset(behind))
            if any(self.definition.edges[e].exit != "latest" for e in exits):
                return self._broken("ExitOvertakenError", region, vector, leaving, settled, base)
            if unmet and iteration + 1 == region.cap:
                return self._broken("QuorumError", region, vector, leaving, settled, base)
            latest |= exits
            if iteration + 1 == region.cap:
                if region.cap_edge is None:
                    return self._broken("LoopCapError", region, vector, leaving, settled, base)
                into = [self.definition.edges[e] for e in region.back_edges]
                bound = self._bind(self.definition.nodes[int(region.header or 0)], into, again, vector, into_next=False)
                if isinstance(bound, Broken):  # nobody was called, so the loop has failed and not a node
                    return self._broken(type(bound.error).__name__, region, vector, leaving, settled, base)
                assert isinstance(bound, Bound), "a taken back edge is a value"
                return self._ended(
                    region, vector, leaving, settled, base, {region.cap_edge: Settled("taken", base, bound)}
                )
            if self._disagree(base):
                return self._problem("StateConflictError", key)
            given = again
        raise AssertionError("counting never ends")

    def _edge(self, index: int) -> EdgeDef:
        return self.definition.edges[index]

    def _causes(self, settled: Mapping[int, Settled], edge: EdgeDef) -> Causes:
        return settled[edge.index].causes if edge.index in settled else frozenset()

    def _unmet(self, again: Mapping[int, Settled], vector: Vector) -> bool:
        """Whether an early join of back edges has members, or would but for failures, and yet too few."""
        unmet = False
        for join in self.early:
            edges = [m.edge for m in join.members if m.edge in again]
            if edges and not self.recorded.winners(join, vector):
                self.recorded.fell_short(join, vector)
                unmet |= shortfall(self.definition, join, edges, again) is not None
        return unmet

    def _broken(
        self,
        error: str,
        region: Region,
        vector: Vector,
        leaving: list[EdgeDef],
        settled: dict[int, Settled],
        base: History,
    ) -> History | None:
        """The loop as a whole failed: a problem, unless early joins are all that it works for."""
        key = self._key(region.header, vector, None)
        joins = self.recorded.fed_by(region)
        if not joins:
            return self._problem(error, key)
        return self._ended(region, vector, leaving, settled, base, {}, frozenset([Cause(key, joins, loop=True)]))

    def _ended(
        self,
        region: Region,
        vector: Vector,
        leaving: list[EdgeDef],
        settled: dict[int, Settled],
        base: History,
        exits: dict[int, Settled],
        causes: Causes = frozenset(),
    ) -> History | None:
        """The loop is over: what left it is released, knowing of all that ran in it."""
        key = self._key(region.header, vector, None)
        if self._disagree(base):
            return self._problem("StateConflictError", key)
        self.outcome.loops[key] = tuple(sorted(exits))
        for edge in leaving:
            found = exits.get(edge.index)
            if found is None:
                settled[edge.index] = Settled("skipped", base, causes=causes)
            else:
                settled[edge.index] = Settled("taken", base, found.value)
        return base

    def _disagree(self, history: History) -> bool:
        return self.definition.state is not None and conflict(self.definition.state, history) is not None

    def _pass(self, region: Region, vector: Vector, settled: dict[int, Settled], base: History) -> History | None:
        """One iteration of a region. Settles every edge out of its nodes; returns all that ran in it and before it.

        None if it never settles, because something in it failed or waits for what did.
        """
        whole = True
        everything = base
        arrived = dict(settled)
        for kind, index in self.shape.units[region.index]:
            if kind == "node":
                after = self._fire(self.definition.nodes[index], region, vector, arrived, settled, base)
            else:
                after = self._inner(self.nest.regions[index], vector, settled)
            if after is None:
                whole = False
            else:
                everything |= after
        return everything if whole else None

    def _inner(self, region: Region, vector: Vector, settled: dict[int, Settled]) -> History | None:
        after = self._loop(region, vector, settled)
        if after is None:
            for edge in self.definition.edges:
                if self.shape.leaves(edge, region):
                    settled[edge.index] = Settled("never", History())
        return after

    # ------------------------------------------------------------------ one node

    def _fire(
        self,
        node: NodeDef,
        region: Region,
        vector: Vector,
        arrived: Mapping[int, Settled],
        settled: dict[int, Settled],
        base: History,
    ) -> History | None:
        """Settles the edges out of a node. Returns what its outcome knows of; None if it has no outcome.

        `arrived` is what was settled before this iteration: a header has no other inputs.
        """
        known = arrived if node.index == region.header else settled
        into = [e for e in self.definition.edges if e.target == node.index and e.index in known]
        key = self._key(node.index, vector, None)
        bound = self._bind(node, into, known, vector)
        history = base if bound is None else base | bound.history
        if self.recorded.is_cut(node, vector, bound):
            self.outcome.records[key] = Record(self.choices.cut[key][1])
            self._settle(node, Settled("never", History()), settled)
            return base
        if bound is None:
            return self._settle(node, Settled("never", History()), settled)
        if isinstance(bound, Nothing):
            self.outcome.records[key] = Record("skipped")
            return self._settle(node, Settled("skipped", history, causes=bound.causes), settled)
        try:
            if isinstance(bound, Broken):
                raise bound.error
            answer, history = self._body(node, key, vector, bound, history)
            taken = self._routes(node, answer)
        except Exception as error:  # whatever node code raises is the node's failure
            return self._failed(node, vector, bound, error, history, settled)
        self.outcome.records[key].taken = tuple(sorted(taken))
        return self._settle(node, Settled("skipped", history), settled, dict.fromkeys(taken, answer))

    def _failed(
        self,
        node: NodeDef,
        vector: Vector,
        bound: Binding,
        error: Exception,
        history: History,
        settled: dict[int, Settled],
    ) -> History | None:
        key = self._key(node.index, vector, None)
        value = bound.value if isinstance(bound, Bound) else None
        problems: set[Problem] | None = None
        if isinstance(error, (ItemsFailedError, ScopeFailedError)):
            problems = error.problems
        if isinstance(error, ItemsFailedError):
            error = error.first
        name = type(error).__name__
        handler = next((e for e in self._out(node) if e.kind == "error" and isinstance(error, e.errors)), None)
        causes = tuple(sorted(f.key for f in error.failures)) if isinstance(error, QuorumError) else ()
        before = History(w for w in history if w.key != key and not w.key.startswith(f"{key}["))
        if handler is not None:
            failure = Failure(self._path(node), key, 1, name, str(error))
            self.outcome.records[key] = Record("handled", value, None, name, (handler.index,), causes)
            return self._settle(node, Settled("skipped", before), settled, {handler.index: failure})
        self.outcome.records[key] = Record("failed", value, None, name, (), causes)
        if self.recorded.feeds(node):
            mine = frozenset([Cause(key, self.recorded.feeds(node))])
            return self._settle(node, Settled("skipped", before, causes=mine), settled)
        if problems is None:
            self._problem(name, key)
        else:
            self.problems |= problems
        return self._settle(node, Settled("never", History()), settled)

    def _settle(
        self, node: NodeDef, otherwise: Settled, settled: dict[int, Settled], taken: Mapping[int, Any] | None = None
    ) -> History | None:
        for edge in self._out(node):
            if taken and edge.index in taken:
                settled[edge.index] = Settled("taken", otherwise.history, taken[edge.index])
            else:
                settled[edge.index] = otherwise
        return None if otherwise.how == "never" else otherwise.history

    def _body(self, node: NodeDef, key: str, vector: Vector, bound: Bound, history: History) -> tuple[Any, History]:
        self._check(history)
        if node.map is None:
            answer = self._run_one(node, key, bound, history)
            self.outcome.records[key] = Record("succeeded", bound.value, answer.value)
            return answer.value, self._wrote(node, vector, key, -1, answer, history)
        return self._map(node, key, vector, bound, history)

    def _run_one(self, node: NodeDef, key: str, bound: Bound, history: History) -> Answer:
        if isinstance(node.body, GraphBody):
            problems: set[Problem] = set()
            for attempt in range(1, 1 + (1 if node.retry is None else node.retry.attempts)):
                path = key if attempt == 1 else f"{key}!{attempt}"
                inner = _Scope(node.body.graph.definition, path, self.oracle, self.choices, self.outcome)
                output, _, problems = inner.run(bound.value)
                if not problems:
                    return Answer(output)
            raise ScopeFailedError(problems)
        seen = None if self.definition.state is None else fold(self.definition.state, self.initial or {}, history)
        return self.oracle(Call(key, node.name, bound.value, seen))

    def _wrote(self, node: NodeDef, vector: Vector, key: str, index: int, answer: Answer, history: History) -> History:
        write = Write(self.shape.place(node.index, vector, index), key, answer.updates, history)
        return history | History([write])

    def _map(self, node: NodeDef, key: str, vector: Vector, bound: Bound, history: History) -> tuple[Any, History]:
        assert node.map is not None
        results: dict[int, Any] = {}
        after, failed = history, set[Problem]()
        first: Exception | None = None
        if not isinstance(bound.value, list):
            raise MapInputError(node.name, bound.value)
        need, winners = early_need(node.map), self.choices.maps.get(key, ())
        rest = 0
        for index, item in enumerate(bound.value):
            at = self._key(node.index, vector, index)
            # a map whose winners' writes are in conflict fails, and says nothing of its winners
            if at in self.choices.cut and need and len(winners) in (need, 0):
                self.outcome.records[at] = Record("cancelled", item)
                rest += 1
                continue
            try:
                answer = self._run_one(node, at, Bound(item, history), history)
            except Exception as error:  # an item's failure is its own
                self.outcome.records[at] = Record("failed", item, None, type(error).__name__)
                first = first or error
                failed |= error.problems if isinstance(error, ScopeFailedError) else {Problem(type(error).__name__, at)}
                if node.map.on_error == "collect" and not need:
                    results[index] = Failure(self._path(node), at, 1, type(error).__name__, str(error))
                continue
            self.outcome.records[at] = Record("succeeded", item, answer.value)
            results[index] = answer.value
            after |= self._wrote(node, vector, at, index, answer, history)
        assert not rest or len(results) == need, f"items of {key} were cancelled before it was decided"
        if need and len(results) < need and bound.value:
            causes = [Failure("", problem.where, 1, "", "") for problem in failed]
            raise QuorumError(node.name, need, len(results), len(bound.value), causes)
        if first is not None and node.map.on_error == "fail" and not need:
            raise ItemsFailedError(failed, first)
        self._check(after)  # its items are visible together from here on
        assert not need or winners == tuple(results), f"the winners of {key} are not those that succeeded"
        output = list(results.values())
        self.outcome.records[key] = Record("succeeded", bound.value, output)
        return output, after

    def _check(self, history: History) -> None:
        spec = self.definition.state
        found = None if spec is None else conflict(spec, history)
        if found is not None:
            raise found

    def _routes(self, node: NodeDef, value: Any) -> set[int]:
        """The normal edges out of a node that its value takes."""
        return self._chosen(node.name, [e for e in self._out(node) if e.kind == "normal"], value)

    def _chosen(self, name: str, normal: list[EdgeDef], value: Any) -> set[int]:
        """Those of these edges that a value takes. Raises NoRouteError if there are some but none matches."""
        taken: set[int] = set()
        groups: dict[int | None, list[EdgeDef]] = {}
        for edge in normal:
            groups.setdefault(edge.choice, []).append(edge)
        for choice, edges in groups.items():
            matching = [e.index for e in edges if e.when is not None and e.when.matches(value)]
            if choice is not None:
                matching = matching[:1]
            if not matching:
                matching = [e.index for e in edges if e.when is not None and e.when.kind == "otherwise"]
            taken.update(matching)
            taken.update(e.index for e in edges if e.when is None)
        if normal and not taken:
            raise NoRouteError(name, value, [])
        return taken

    def _out(self, node: NodeDef) -> list[EdgeDef]:
        return [e for e in self.definition.edges if e.source == node.index and e.kind != "cap"]

    # ------------------------------------------------------------------ the inputs of one node

    def _bind(
        self,
        node: NodeDef | None,
        into: list[EdgeDef],
        settled: Mapping[int, Settled],
        vector: Vector,
        into_next: bool = True,
    ) -> Binding | None:
        """What a node's in-edges make of it; None while one of them will never settle."""
        winners: dict[int, tuple[int, ...]] = {}
        decided: set[int] = set()
        for join in self.early:
            members = [m.edge for m in join.members if any(e.index == m.edge for e in into)]
            if not members:
                continue
            at = (*vector[:-1], vector[-1] - 1) if members[0] in self.back and into_next else vector
            won = self.recorded.winners(join, at)
            if won:
                winners[join.index] = won
                decided.update(members)
            elif not any(settled[e].how == "never" for e in members):
                self.recorded.fell_short(join, at)
        if any(settled[e.index].how == "never" and e.index not in decided for e in into):
            return None
        return bind(self.definition, node, into, settled, winners)

    # ------------------------------------------------------------------ names

    def _key(self, node: int | None, vector: Vector, index: int | None) -> str:
        assert node is not None
        return activation_key(self.path, self.definition.nodes[node].name, vector, index)

    def _path(self, node: NodeDef) -> str:
        return escape(node.name) if not self.path else f"{self.path}/{escape(node.name)}"

    def _problem(self, error: str, where: str) -> None:
        """Note why the scope has no result. (What waits for it is settled never, so this returns None to say so.)"""
        at = where if not self.path or where.startswith(self.path) else f"{self.path}/{where}"
        self.problems.add(Problem(error, at))
