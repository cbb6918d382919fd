"""What is killed: a graph by its name, or a random workflow by what its spec prints as."""

from __future__ import annotations

from loomgraph.testing.crash import Subject
from tests.crash.graphs import GRAPHS
from tests.crash.habits import Habits, compiled, rebuilt, reply

__all__ = ["subject"]


def subject(what: str, value: int = 0, seed: int = 0) -> Subject:
    """A run of the graph of that name, or of `rebuilt(what)`, whose nodes have the habits that the seed gives them."""
    if what in GRAPHS:
        make, given = GRAPHS[what]
        return Subject(graph=make(), value=given)
    return Subject(
        graph=compiled(rebuilt(what), Habits(seed)),
        value=value,
        answer=lambda question: reply(str(question.question)),
        signal=reply,
    )
