"""The order in which a batch of calls runs: a DAG from references and hazards. Pure; it calls nothing.

A call waits for the calls whose results its arguments name, and for earlier calls that touch what it touches. What a
call touches is not known while an argument is a reference, so then it counts as touching everything of that sort.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from loomgraph.errors import (
    ToolCycleError,
    ToolError,
    ToolInputError,
    ToolReferenceError,
    UnknownToolError,
    brief,
    names,
)
from loomgraph.tools.calls import ToolCall
from loomgraph.tools.effects import EVERYTHING, NOTHING, Footprint, Hazards
from loomgraph.tools.references import Syntax, find_references
from loomgraph.tools.tool import Tool

__all__ = ["OrderedCall", "order_calls"]


@dataclass(frozen=True, slots=True)
class OrderedCall:
    """A call with its place in the batch: `needs` are the calls whose results it refers to, `after` those it must not
    overlap with, both as positions in the batch. `problem` says why it cannot be called at all; then it waits for
    nobody. `arguments` are read and still have their references in them."""

    call: ToolCall
    arguments: Mapping[str, Any]
    needs: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    problem: ToolError | None = None


def order_calls(
    calls: Sequence[ToolCall], tools: Mapping[str, Tool], syntax: Syntax = "ids", given: Collection[str] = ()
) -> list[OrderedCall]:
    """The calls in the order they were given, each with what it waits for. Never a cycle.

    `given` are ids of calls that have their results already: nobody waits for them. A call of this batch with the same
    id is meant instead.
    A call of an unknown tool, unreadable arguments, a reference to a call that is not there and a cycle of references
    are problems of the calls they are in, and of no other. Two calls with one id: the later one has the problem.
    """
    read = [_read(call, tools) for call in calls]
    positions: dict[str, int] = {}
    for i, call in enumerate(calls):
        if call.id in positions:
            read[i] = ToolReferenceError(f"two calls of this batch have the id '{call.id}'. Give each its own.")
        else:
            positions[call.id] = i
    needs: list[set[int]] = []
    for i, found in enumerate(read):
        wanted: set[int] = set()
        if not isinstance(found, ToolError):
            problem = _needed(found, positions, given, syntax, wanted)
            if problem is not None:
                read[i] = problem
        needs.append(set() if isinstance(read[i], ToolError) else wanted)
    for cycle in _cycles(needs):
        for i in cycle:
            read[i] = ToolCycleError([calls[j].id for j in cycle])
            needs[i] = set()
    after = _hazards(calls, read, needs, tools)
    return [
        OrderedCall(call, {}, problem=found)
        if isinstance(found, ToolError)
        else OrderedCall(call, found, tuple(sorted(needs[i])), tuple(sorted(after[i] - needs[i])))
        for i, (call, found) in enumerate(zip(calls, read, strict=True))
    ]


def _read(call: ToolCall, tools: Mapping[str, Tool]) -> dict[str, Any] | ToolError:
    if call.name not in tools:
        return UnknownToolError(call.name, list(tools), difflib.get_close_matches(call.name, tools, 2))
    arguments: Any = call.arguments
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments) if arguments.strip() else {}
        except ValueError as error:
            return ToolInputError(call.name, [f"they are not JSON ({error})"])
    if not isinstance(arguments, dict):
        return ToolInputError(call.name, [f"they are not a JSON object but {brief(arguments, 60)}"])
    return cast(dict[str, Any], arguments)


def _needed(
    arguments: Mapping[str, Any],
    positions: Mapping[str, int],
    given: Collection[str],
    syntax: Syntax,
    wanted: set[int],
) -> ToolError | None:
    """Put the calls that the arguments refer to into `wanted`; returns what is wrong with a reference."""
    ids = list(dict.fromkeys([*positions, *given]))
    for reference in find_references(dict(arguments), ids, syntax):
        if not reference.known:
            return ToolReferenceError(f"{reference.text} names no call of this batch, which has {names(ids)}.")
        if reference.id in positions:
            wanted.add(positions[reference.id])
    return None


def _cycles(needs: Sequence[set[int]]) -> list[list[int]]:
    """Circles of references, until none is left."""
    open_needs = {i: set(found) for i, found in enumerate(needs)}
    cycles: list[list[int]] = []
    while True:
        try:
            TopologicalSorter(open_needs).prepare()
            return cycles
        except CycleError as error:
            cycle: list[int] = error.args[1][:-1]
            cycles.append(sorted(cycle))
            for i in cycle:
                open_needs[i] = set()


def _hazards(
    calls: Sequence[ToolCall],
    read: Sequence[dict[str, Any] | ToolError],
    needs: Sequence[set[int]],
    tools: Mapping[str, Tool],
) -> list[set[int]]:
    """Whom each call must not overlap with. Hazards follow the order given, except where a reference turns it round."""
    after: list[set[int]] = [set() for _ in calls]
    hazards = Hazards()
    for i in _linear(needs):
        found = read[i]
        if not isinstance(found, ToolError):
            after[i] = hazards.add(i, _footprint(tools[calls[i].name], found, bool(needs[i])))
    return after


def _linear(needs: Sequence[set[int]]) -> list[int]:
    """All positions, producers before consumers, otherwise as given."""
    done: set[int] = set()
    order: list[int] = []
    for first in range(len(needs)):
        stack = [first]
        while stack:
            i = stack[-1]
            waiting = sorted(needs[i] - done, reverse=True)
            if i in done or not waiting:
                stack.pop()
                if i not in done:
                    done.add(i)
                    order.append(i)
            else:
                stack.extend(waiting)
    return order


def _footprint(tool: Tool, arguments: Mapping[str, Any], unresolved: bool) -> Footprint:
    if not unresolved or (tool.reads is None and tool.writes is None):
        try:
            return tool.footprint(arguments)
        except Exception:
            # the arguments are the model's and not validated yet; whatever is wrong with them is said when it is called
            return Footprint(EVERYTHING, NOTHING if tool.read_only else EVERYTHING)
    return Footprint(
        NOTHING if tool.reads is None else EVERYTHING,
        NOTHING if tool.writes is None else EVERYTHING,
    )
