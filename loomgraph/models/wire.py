"""What comes over the wire, read once for all adapters: server-sent events, JSON, and values of the expected type.

Raises plain ValueError and TypeError for what is not as it should be; the adapter makes a typed error of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from typing import Any, NamedTuple, cast

__all__ = ["ServerEvent", "as_count", "as_dict", "as_list", "as_object", "as_text", "server_events"]

_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerEvent(NamedTuple):
    """One server-sent event: its name ("" without one) and its data."""

    name: str
    data: str


async def server_events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[ServerEvent]:
    """The events in a body. An event that the end of the body cuts off is given too, for its reader to judge."""
    reader = _EventReader()
    async for chunk in chunks:
        for event in reader.feed(chunk):
            yield event
    for event in reader.end():
        yield event


class _EventReader:
    """Takes a body in pieces. Lines are cut before they are decoded, since text may have line ends of its own."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that this piece completes."""
        body = self._rest + chunk
        # a \r at the end may be the first half of \r\n
        whole = body[:-1] if body.endswith(b"\r") else body
        *lines, last = _LINE_END.split(whole)
        self._rest = last + body[len(whole) :]
        for line in lines:
            yield from self._line(line.decode("utf-8"))

    def end(self) -> Iterator[ServerEvent]:
        """What the end of the body cuts off."""
        if self._rest:
            yield from self._line(self._rest.rstrip(b"\r").decode("utf-8"))
        yield from self._line("")

    def _line(self, line: str) -> Iterator[ServerEvent]:
        if not line:
            if self._data:
                yield ServerEvent(self._name, "\n".join(self._data))
            self._name, self._data = "", []
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._name = value


def as_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises ValueError for what is no JSON, TypeError for other JSON.

    Half a character passes, as some providers send its other half in the next event.
    """
    try:
        return as_dict(json.loads(text, parse_constant=_no_number))
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def as_dict(value: Any) -> dict[str, Any]:
    """A JSON object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, not {value!r:.80}")
    return cast(dict[str, Any], value)


def as_list(value: Any) -> list[dict[str, Any]]:
    """A list of JSON objects; null is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError(f"expected a list, not {value!r:.80}")
    return [as_dict(item) for item in cast(Sequence[Any], value)]


def as_text(value: Any) -> str:
    """A string; null is an empty one."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"expected a string, not {value!r:.80}")
    return value


def as_count(value: Any) -> int:
    """A number of something; null is 0."""
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0:
        raise TypeError(f"expected a count, not {value!r:.80}")
    return int(value)
