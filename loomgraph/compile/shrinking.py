"""A strongly connected set of nodes that loses one after another: who is still connected both ways with its root?

Two trees hold it together: from the root to every node, and from every node to the root. A node that goes leaves those
below it in either tree to find another way, and only they are looked at. So taking thousands of nodes out of a tangle
costs about what it takes to lay it out once, where its trees are shallow or are worn down from their leaves; never
more than laying it out anew each time.
"""

from __future__ import annotations

from collections.abc import Iterable

from loomgraph.compile.grouped import Grouped

__all__ = ["Shrinking"]

_Edges = Grouped[int]


class Shrinking:
    """`nodes` are those that are left. The root is the last declared one, as headers are chosen from the first."""

    __slots__ = ("_after", "_before", "_from", "_to", "nodes", "root")

    def __init__(self, nodes: Iterable[int], after: _Edges, before: _Edges) -> None:
        self.nodes = set(nodes)
        self.root = max(self.nodes)
        self._after, self._before = after, before
        self._from = self._tree(after)
        self._to = self._tree(before)

    def _tree(self, ahead: _Edges) -> dict[int, int]:
        """For each node the one before it on a shortest way from the root along `ahead`."""
        tree = {self.root: -1}
        order = [self.root]
        for node in order:
            for following in ahead[node]:
                if following in self.nodes and following not in tree:
                    tree[following] = node
                    order.append(following)
        return tree

    def take(self, node: int) -> list[int]:
        """Take a node out; returns, sorted, the others that are no longer connected both ways with the root.

        They are taken out too. If the root itself goes, that is all of them.
        """
        self.nodes.discard(node)
        if node == self.root:
            rest = sorted(self.nodes)
            self.nodes.clear()
            return rest
        gone: list[int] = []
        cut_from, cut_to = [node], [node]
        while cut_from or cut_to:
            if cut_from:
                lost = self._cut(self._from, self._after, self._before, cut_from)
                cut_from, cut_to = [], cut_to + lost
            else:
                lost = self._cut(self._to, self._before, self._after, cut_to)
                cut_from, cut_to = lost, []
            gone += lost
        return sorted(gone)

    def _cut(self, tree: dict[int, int], ahead: _Edges, back: _Edges, cut: list[int]) -> list[int]:
        """Hang those below the nodes that went elsewhere into the tree; returns those that cannot be, taken out too."""
        nodes = self.nodes
        work = cut
        loose: set[int] = set()
        while work:
            below = [w for v in work for w in ahead[v] if tree.get(w) == v and w in nodes and w not in loose]
            loose.update(below)
            work = below
        held: list[int] = []
        for node in loose:
            for near in back[node]:
                if near in nodes and near not in loose:
                    tree[node] = near
                    held.append(node)
                    break
        loose.difference_update(held)
        while held and loose:
            node = held.pop()
            for following in ahead[node]:
                if following in loose:
                    loose.discard(following)
                    tree[following] = node
                    held.append(following)
        nodes -= loose
        return list(loose)
