"""Who told whom what: the values that went along the edges of a run, as messages between its nodes.

A fold of the definition and the run's events. At depth 1 the participants are the nodes of the run's own graph, so of
a graph of agents it shows what they say to each other; deeper ones show the inside of these too. A graph that node
code ran is not in the definition: its nodes are called by that node and answer to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

from loomgraph.errors import brief_text
from loomgraph.events import MapStarted, NodeFailed, NodeStarted, NodeSucceeded, RunStarted, ScopeStarted, node_path
from loomgraph.graph.definition import Definition, GraphBody
from loomgraph.graph.refs import END_INDEX, Ref
from loomgraph.visualize.mermaid import escaped
from loomgraph.visualize.paper import Picture, Sheet
from loomgraph.visualize.text import clipped, legible
from loomgraph.visualize.theme import ERROR, INK, NODE
from loomgraph.visualize.timeline import Logged

__all__ = ["Message", "Messages", "messages"]

Way: TypeAlias = Literal["told", "back", "failed", "note"]
_Path: TypeAlias = tuple[str, ...]

_START: Final = ("START",)
_END: Final = ("END",)
_SAID: Final = 70
_NAME: Final = 40
_MOST: Final = 400
"""Mermaid draws 500 edges by default; a reader follows fewer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `back` is the answer of what was called, `failed` a failure that somebody takes; `note` is said of
    the one it is to."""

    source: _Path
    target: _Path
    text: str
    way: Way = "told"


@dataclass(frozen=True)
class Messages(Picture):
    """The messages of a run, in the order of its log. `more` are those that were left out at the end."""

    run_id: str
    participants: tuple[_Path, ...]
    messages: tuple[Message, ...]
    more: int = 0

    def to_mermaid(self) -> str:
        """A Mermaid sequence diagram."""
        ids = {path: f"p{number}" for number, path in enumerate(self.participants)}
        lines = ["sequenceDiagram"]
        lines.extend(f"    participant {ids[path]} as {_shown(_named(path), _NAME)}" for path in self.participants)
        for message in self.messages:
            target = ids[message.target]
            text = _shown(message.text, _SAID)
            match message.way:
                case "note":
                    lines.append(f"    Note over {target}: {text}")
                case "told":
                    lines.append(f"    {ids[message.source]}->>{target}: {text}")
                case "back":
                    lines.append(f"    {ids[message.source]}-->>{target}: {text}")
                case "failed":
                    lines.append(f"    {ids[message.source]}-x{target}: {text}")
        if self.more and self.participants:
            lines.append(f"    Note over p0: and {self.more} more")
        return "\n".join(lines) + "\n"

    def to_text(self, *, width: int = 100) -> str:
        """One line a message."""
        arrows = {"told": "─▶", "back": "┄▶", "failed": "─✗", "note": "··"}
        lines = [f"run {legible(self.run_id)}: {len(self.messages) + self.more} messages", ""]
        for message in self.messages:
            ends = f"{_named(message.source)} {arrows[message.way]} {_named(message.target)}"
            text = legible(message.text).replace("\n", " ")
            lines.append(clipped(f"{ends}: {text}".replace("\n", " "), width))
        if self.more:
            lines.append(f"and {self.more} more")
        return "\n".join(lines) + "\n"

    def to_svg(self) -> str:
        """The same as one SVG element: life lines from the top down."""
        step = 150
        sheet = Sheet(max(1, len(self.participants)) * step + 20, f"messages of run {self.run_id}")
        places = {path: 10 + step * number + step / 2 for number, path in enumerate(self.participants)}
        foot = 60.0 + 30 * len(self.messages)
        for path, x in places.items():
            sheet.line(x, 34, x, foot, INK, 0.6)
            sheet.box(x - step / 2 + 8, 8, step - 16, 26, NODE, "/".join(path))
            sheet.text(x, 25, clipped(legible(_named(path)), 20), colour=NODE.text, anchor="middle")
        for number, message in enumerate(self.messages):
            _arrow(sheet, message, places[message.source], places[message.target], 62.0 + 30 * number)
        if self.more:
            sheet.text(10, foot + 16, f"and {self.more:,} more")
        return sheet.svg()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/vnd.mermaid": self.to_mermaid(), **Picture._repr_mimebundle_(self, include, exclude)}


def _arrow(sheet: Sheet, message: Message, x: float, x2: float, y: float) -> None:
    text = clipped(legible(message.text).replace("\n", " "), 40)
    colour = ERROR if message.way == "failed" else INK
    if message.way == "note" or x == x2:
        sheet.text(x2 + 6, y - 4, f"({text})" if message.way == "note" else f"\u21ba {text}", size=10, colour=colour)
        return
    head = 6 if x2 > x else -6
    sheet.line(x, y, x2, y, colour, 1.2 if message.way == "told" else 0.7)
    sheet.line(x2, y, x2 - head, y - 4, colour)
    sheet.line(x2, y, x2 - head, y + 4, colour)
    mark = {"back": "\u21a9 ", "failed": "\u2717 "}.get(message.way, "")
    sheet.text((x + x2) / 2, y - 4, mark + text, size=10, anchor="middle", title=message.text, colour=colour)


def messages(definition: Definition, run: Logged, *, depth: int = 1, most: int = _MOST) -> Messages:
    """The messages of a run between nodes at most `depth` graphs deep; the first `most` of them are kept."""
    found: list[Message] = []
    more = 0
    for message in _Told(definition, depth).of(run):
        if len(found) < most:
            found.append(message)
        else:
            more += 1
    seen = dict.fromkeys(path for message in found for path in (message.source, message.target))
    ends = [path for path in (_START, _END) if path in seen]
    among = [path for path in seen if path not in ends]
    ordered = (*(p for p in ends if p == _START), *among, *(p for p in ends if p == _END))
    return Messages(run.run_id, ordered, tuple(found), more)


class _Told:
    """The events of a run as messages."""

    def __init__(self, definition: Definition, depth: int) -> None:
        self.graphs: dict[_Path, Definition | None] = {(): definition}
        self.depth = depth
        self.given: dict[str, Any] = {}

    def of(self, run: Logged) -> Iterator[Message]:
        for event in run.events:
            if isinstance(event, RunStarted):
                yield from self._along((), _START, event.taken, event.input)
            elif isinstance(event, ScopeStarted):
                path = node_path(event.key)
                caller = path[:-1] if path[-1].startswith("@") else path
                if len(path) < self.depth:
                    # what a node's own graph is given is what the node was
                    given = self.given.get(event.parent or "") if event.input is None else event.input
                    yield from self._along(path, caller, event.taken, given)
            elif isinstance(event, (NodeStarted, NodeSucceeded, NodeFailed, MapStarted)):
                path = node_path(event.key)
                if len(path) <= self.depth:
                    yield from self._of_node(path, event)

    def _of_node(self, path: _Path, event: NodeStarted | NodeSucceeded | NodeFailed | MapStarted) -> Iterator[Message]:
        unknown = len(path) > 1 and self._graph(path[:-1]) is None
        caller = _caller(path)
        if isinstance(event, MapStarted):
            yield Message(path, path, f"{event.count} items", "note")
        elif isinstance(event, NodeStarted):
            self.given[event.key] = event.input
            if unknown and event.attempt == 1:
                yield Message(caller, path, said(event.input))
        elif isinstance(event, NodeFailed):
            text = f"{event.failure.error}: {event.failure.message}"
            if event.taken:
                yield from self._along(path[:-1], path, event.taken, text, "failed")
            else:
                yield Message(path, path, brief_text(text, _SAID), "note")
        elif unknown:
            yield Message(path, caller, said(event.output), "back")
        else:
            yield from self._along(path[:-1], path, event.taken, event.output)

    def _along(
        self, scope: _Path, source: _Path, taken: Sequence[int], value: Any, way: Way = "told"
    ) -> Iterator[Message]:
        graph = self._graph(scope)
        if graph is None:
            return
        text = said(value)
        for index in taken:
            target: Ref = graph.edges[index].target
            if target != END_INDEX:
                yield Message(source, (*scope, graph.name_of(target)), text, way)
            elif scope:
                yield Message(source, _caller((*scope, "")), text, "back")
            else:
                yield Message(source, _END, text, way)

    def _graph(self, scope: _Path) -> Definition | None:
        if scope not in self.graphs:
            around = self._graph(scope[:-1])
            body = next((node.body for node in around.nodes if node.name == scope[-1]), None) if around else None
            self.graphs[scope] = body.graph.definition if isinstance(body, GraphBody) else None
        return self.graphs[scope]


def _caller(path: _Path) -> _Path:
    """The node that what is at this path runs in."""
    around = path[:-1]
    return around[:-1] if around and around[-1].startswith("@") else around


def said(value: Any) -> str:
    """A value as a message, short: the last thing said in a conversation, the calls that a model wants, else itself."""
    inner = _part(value, "conversation")
    calls = _part(value, "calls")
    if isinstance(calls, (list, tuple)) and inner is not None:
        names = [str(_part(call, "name")) for call in cast("Sequence[Any]", calls)]
        return f"calls {', '.join(names)}"
    spoken = _part(inner if inner is not None else value, "messages")
    if isinstance(spoken, (list, tuple)) and spoken:
        last = cast("Sequence[Any]", spoken)[-1]
        text = _part(last, "text") or _part(last, "content")
        return brief_text(text if isinstance(text, str) else repr(text), 200)
    return brief_text(value if isinstance(value, str) else repr(value), 200)


def _part(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value).get(name)
    return getattr(value, name, None)


def _named(path: _Path) -> str:
    return "/".join(path)


def _shown(text: str, limit: int) -> str:
    return "<br/>".join(escaped(line) for line in clipped(legible(text), limit).split("\n")) or "#160;"
