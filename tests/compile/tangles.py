"""Random small graphs of every knot the proofs of compile() know, as definitions. Most of them are refused, on purpose.

Every node gives 0, 1 or 2, and the conditions ask for these, on edges and in routes: literals, types, predicates,
OTHERWISE.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any, Literal, TypeAlias

from loomgraph.errors import Failure
from loomgraph.graph.builder import Branch, Builder, Node
from loomgraph.graph.condition import condition
from loomgraph.graph.definition import Definition
from loomgraph.graph.refs import END, OTHERWISE, START

__all__ = ["tangle"]

Digit: TypeAlias = Literal[0, 1, 2]
Pair: TypeAlias = tuple[int, int]


def tangle(chance: Random) -> Definition:
    """A graph of up to six nodes and their error handlers; -1 is START and -2 is END while it is made."""
    return _Tangle(chance).define()


def is_digit(number: int) -> Callable[[Any], bool]:
    """A predicate, of which compile() knows nothing."""
    return lambda value: bool(value == number)


class _Tangle:
    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.builder = Builder("tangle", input=Any, output=Any)
        self.count = chance.randint(2, 6)
        pairs = self._pairs()
        ahead = {node: [s for s, t in pairs if t == node and s < node] for node in range(self.count)}
        self.shape = {
            node: chance.choice(["plain", "named", "list"]) if len(sources) > 1 else "plain"
            for node, sources in ahead.items()
        }
        self.slots: dict[Pair, str] = {}
        self.routed: set[Pair] = set()
        self.nodes = [self._node(node, ahead[node]) for node in range(self.count)]
        self._connect(pairs, self._conditions(pairs))
        for node in range(self.count):
            if chance.random() < 0.1:
                self._handle(node)

    def define(self) -> Definition:
        return self.builder.define()

    def _pairs(self) -> list[Pair]:
        chance, pairs = self.chance, [(-1, 0)]
        for node in range(1, self.count):
            pairs += [(s, node) for s in chance.sample(range(-1, node), min(node + 1, chance.choice([1, 1, 2, 2, 3])))]
        pairs += [(node, chance.randint(0, node)) for node in range(self.count) if chance.random() < 0.3]
        leaving = [node for node in range(self.count) if chance.random() < 0.4] or [self.count - 1]
        used = {source for source, _ in pairs}
        return [*pairs, *((node, -2) for node in range(self.count) if node in leaving or node not in used)]

    def _node(self, node: int, sources: list[int]) -> Node[..., Any]:
        if self.shape[node] != "named":
            return self.builder.node(_function({"value": True}), name=f"n{node}")
        params = [f"p{i}" for i in range(self.chance.randint(1, len(sources)))]
        for i, source in enumerate(sources):
            self.slots[source, node] = params[i] if i < len(params) else self.chance.choice(params)
        return self.builder.node(_function({p: self.chance.random() < 0.8 for p in params}), name=f"n{node}")

    def _conditions(self, pairs: list[Pair]) -> dict[Pair, Any]:
        chance, found = self.chance, dict[Pair, Any]()
        for source in range(self.count):
            targets = [t for s, t in pairs if s == source]
            style = chance.choice(["all", "all", "literal", "predicate", "some", "mixed", "route"])
            if style == "route" and len(targets) > 1:
                tests = chance.sample([0, 1, 2, Literal[0, 1], Literal[1, 2], is_digit(0), is_digit(1)], len(targets))
                found.update({(source, target): test for target, test in zip(targets, tests, strict=True)})
                self.routed.update((source, target) for target in targets if chance.random() < 0.6)
                continue
            for i, target in enumerate(targets):
                last = i == len(targets) - 1
                if style == "some" and (len(targets) > 1 or chance.random() < 0.3):
                    found[source, target] = chance.choice([None, is_digit(0), Literal[0, 1], Literal[1, 2], 0, 1])
                elif style != "all" and len(targets) > 1:
                    tests = {
                        "literal": i % 3,
                        "predicate": is_digit(i % 3),
                        "mixed": chance.choice([is_digit(0), is_digit(1), Literal[0, 1], 2, Literal[1, 2]]),
                    }
                    found[source, target] = OTHERWISE if last else tests.get(style)
        return found

    def _connect(self, pairs: list[Pair], conditions: dict[Pair, Any]) -> None:
        joins: dict[int, list[Pair]] = defaultdict(list)
        routes: dict[int, dict[Any, Any]] = defaultdict(dict)
        for source, target in pairs:
            if target >= 0 and source < target and self.shape[target] != "plain":
                joins[target].append((source, target))
                continue
            when = conditions.get((source, target))
            if (source, target) in self.routed:
                routes[source][when] = self._ref(target)
                continue
            options: dict[str, Any] = {} if when is None else {"when": when}
            if self.chance.random() < 0.1:
                options["exit"] = "latest"
            self.builder.edge(self._ref(source), self._ref(target), **options)
        for source, arms in routes.items():
            last = arms.popitem()[1] if len(arms) > 1 and self.chance.random() < 0.5 else None
            self.builder.route(self._ref(source), arms, otherwise=last)
        for target, members in joins.items():
            branches = {pair: self._branch(pair[0], conditions.get(pair)) for pair in members}
            if self.shape[target] == "list":
                self.builder.join(list(branches.values()), into=self._ref(target))
            else:
                named: dict[str, list[Branch]] = defaultdict(list)
                for pair, branch in branches.items():
                    named[self.slots[pair]].append(branch)
                self.builder.join(dict(named), into=self._ref(target))

    def _ref(self, node: int) -> Any:
        return START if node == -1 else END if node == -2 else self.nodes[node]

    def _branch(self, source: int, when: Any) -> Branch:
        return Branch(self._ref(source), None if when is None else condition(when))

    def _handle(self, node: int) -> None:
        async def handler(failure: Failure) -> Digit: ...

        made = self.builder.node(handler, name=f"h{node}")
        self.builder.on_error(self.nodes[node], made)
        later = [self.nodes[n] for n in range(node + 1, self.count) if self.shape[n] == "plain"]
        self.builder.edge(made, self.chance.choice([END, *later]))


def _function(params: dict[str, bool]) -> Callable[..., Any]:
    """A node function with these parameters; False for one that may be None."""

    async def function(**given: Any) -> Any: ...

    tp = {name: int if required and len(params) > 1 else Any for name, required in params.items()}
    declared = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=tp[name]) for name in params]
    setattr(function, "__signature__", inspect.Signature(declared))  # noqa: B010 -- no attribute of a function's type
    function.__annotations__ = {**tp, "return": Digit}
    return function
