"""Recorded values that are read when somebody needs them. Only a fold makes them; a machine that goes on has none left.

A log has the output of every step, and most are behind what is left to do: a conversation that grew for a thousand
turns would be read a thousand times. So a fold passes on where a value is, and what a run that goes on still needs is
read once, when the fold ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loomgraph.engine.activation import Activation, Completed, Named

if TYPE_CHECKING:
    from loomgraph.engine.machine import Command
    from loomgraph.engine.scope import Scope

__all__ = ["Later", "later", "read", "read_command", "read_scope"]


class Later:
    """A value that `load(subject, ref)` gives, asked for at most once."""

    __slots__ = ("_given", "_load", "_ref", "_subject")

    def __init__(self, load: Callable[[Any, Any], Any], subject: Any, ref: Any) -> None:
        self._load: Callable[[Any, Any], Any] | None = load
        self._subject = subject
        self._ref = ref
        self._given: Any = None

    def value(self) -> Any:
        """The value. Raises what reading it raises."""
        if self._load is not None:
            self._given = self._load(self._subject, self._ref)
            self._load = self._subject = self._ref = None
        return self._given


def read(value: Any) -> Any:
    """A value with everything in it read that joins and maps have put together; anything else as it is."""
    if type(value) is Later:
        return value.value()
    if type(value) is list:
        listed: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return [read(item) for item in listed]
    if type(value) is Named:
        return Named((name, read(item)) for name, item in value.items())
    return value


def later(value: Any) -> Any:
    """The same, not before somebody asks: for entries of the journal, which may never be looked at."""
    return Later(_put_together, None, value) if type(value) is list or type(value) is Named else value


def _put_together(_: Any, value: Any) -> Any:
    return read(value)


def read_command(command: Command) -> None:
    """Read what a command carries."""
    if isinstance(command, Completed):
        command.value = read(command.value)


def read_scope(scope: Scope) -> None:
    """Read what a scope still needs to go on, and the scopes inside it."""
    scopes = [scope]
    while scopes:
        inside = scopes.pop()
        inside.output = read(inside.output)
        for node, got in enumerate(inside.got):
            if got and not inside.status[node]:  # it waits; what a settled one was given is behind it
                inside.got[node] = [(e, read(value)) for e, value in got]
        inside.back = [[(e, read(value)) for e, value in back] for back in inside.back]
        inside.hold = [{e: (read(value), at) for e, (value, at) in hold.items()} for hold in inside.hold]
        for join in inside.joins.values():
            if not join.decided:
                join.taken = {e: read(value) for e, value in join.taken.items()}
        for activation in inside.running.values():
            scopes += _read_activation(activation)


def _read_activation(activation: Activation) -> list[Scope]:
    """Read what an activation that runs needs; returns the graphs that run in it."""
    activation.input = read(activation.input)
    run = activation.map
    children = [activation.child]
    if run is not None:
        run.results = [read(result) for result in run.results]
        for item in run.live.values():
            item.input = read(item.input)
            children.append(item.child)
    return [child for child in children if child is not None and not child.ended]
