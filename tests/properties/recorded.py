"""The reference's view of what was left to time: whom the decisions of early joins withdrew, as a log says.

The log is not believed blindly. Winners come with their place, and whatever they withdrew must come after it. A join
that is settled without enough members leaves no winners, so a withdrawal by it is a claim, to be proven in the end.
"""

from __future__ import annotations

from loomgraph.compile.nest import Region
from loomgraph.events import activation_key
from loomgraph.graph.definition import Definition, JoinDef, NodeDef
from loomgraph.graph.refs import END_INDEX
from tests.properties.bind import Binding, Nothing, early_need
from tests.properties.outcome import Choices, Decision
from tests.properties.shape import Shape

__all__ = ["Recorded"]

Vector = tuple[int, ...]


class Recorded:
    """What the log says of one scope."""

    def __init__(self, definition: Definition, shape: Shape, path: str, choices: Choices) -> None:
        self.definition, self.shape, self.path, self.choices = definition, shape, path, choices
        self.feeders = {join.index: shape.feeders(join) for join in definition.joins if early_need(join)}
        self._short: set[tuple[int, Vector]] = set()
        self._claims: dict[str, set[tuple[int, Vector]]] = {}

    def feeds(self, node: NodeDef) -> frozenset[int]:
        """The early joins that are all the node works for: its failure is a member's, their decision cuts it off."""
        return frozenset(index for index, found in self.feeders.items() if node.index in found)

    def fed_by(self, region: Region) -> frozenset[int]:
        """The early joins that are all a whole loop works for."""
        body = self.shape.nest.body(region.index)
        return frozenset(index for index, found in self.feeders.items() if body <= found)

    def winners(self, join: JoinDef, vector: Vector) -> tuple[int, ...]:
        """The winners of an early join in the iteration that `vector` is or lies in; none if it has none."""
        return self._decision(join, vector)[1]

    def fell_short(self, join: JoinDef, vector: Vector) -> None:
        """Note that all members of a join are settled, and too few are taken: that decides it too."""
        self._short.add((join.index, self._at_home(join, vector)))

    def is_cut(self, node: NodeDef, vector: Vector, bound: Binding | None) -> bool:
        """Whether the decision of an early join withdrew the activation, because that join is all that it works for.

        `bound` is what its inputs make of it: what would be skipped anyway need not have been withdrawn.
        """
        key = activation_key(self.path, node.name, vector, None)
        if key not in self.choices.cut:
            return False
        place, how = self.choices.cut[key]
        joins = [self.definition.joins[join] for join in self.feeds(node)]
        decided = [join for join in joins if self.winners(join, vector)]
        if any(self._decision(join, vector)[0] < place for join in decided):
            return True
        if how == "skipped" and isinstance(bound, Nothing):
            return False
        return self._claim(key, joins, vector)

    def cut_off(self, region: Region, vector: Vector) -> bool:
        """Whether the early join that a whole loop feeds was decided in the middle of this iteration."""
        assert region.header is not None
        header = self.definition.nodes[region.header].name
        key = activation_key(self.path, header, vector, None)
        following = activation_key(self.path, header, (*vector[:-1], vector[-1] + 1), None)
        joins = [self.definition.joins[join] for join in self.fed_by(region)]
        if not joins or key in self.choices.ended or following in self.choices.started:
            return False
        return any(self.winners(join, vector) for join in joins) or self._claim(f"the loop {key}", joins, vector)

    def check(self) -> None:
        """Once all is settled: whatever was withdrawn without winners was withdrawn by a join that fell short."""
        for key, joins in self._claims.items():
            assert joins & self._short, f"{key} was withdrawn, but none of the joins it feeds was decided"

    def _claim(self, key: str, joins: list[JoinDef], vector: Vector) -> bool:
        undecided = [join for join in joins if not self.winners(join, vector)]
        if undecided:
            self._claims[key] = {(join.index, self._at_home(join, vector)) for join in undecided}
        return bool(undecided)

    def _at_home(self, join: JoinDef, vector: Vector) -> Vector:
        return vector[: self.shape.home(join).depth]

    def _decision(self, join: JoinDef, vector: Vector) -> Decision:
        """The place in the log and the winners, by the target's key before any loop begins that the join enters."""
        at = self._at_home(join, vector)
        at += (0,) * (self.shape.around(join).depth - len(at))
        key = activation_key(self.path, self.definition.name_of(join.target), at, None)
        if join.target == END_INDEX:  # no node's name is spelt so
            key = f"{self.path}/#END" if self.path else "#END"
        members = {member.edge for member in join.members}
        return next((found for found in self.choices.joins.get(key, []) if set(found[1]) <= members), (-1, ()))
