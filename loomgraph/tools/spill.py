"""What of a long result a model is shown, and how the rest is called. The whole of it stays in the run's log."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

__all__ = ["LONGEST", "READS_RESULTS", "place_of", "shown", "text_of"]

READS_RESULTS = "loomgraph:reads-results"
"""The tag of tools that read on in a result, given its name."""

LONGEST = 16_000_000
"""How many characters of a result are kept at all."""


def text_of(value: Any) -> str:
    """A value as a model reads it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value).decode()


def shown(value: Any, limit: int, rest: str = "") -> tuple[str, int]:
    """A value as a model reads it, and how many characters are left out.

    What is too long loses its middle, for both ends say most; `rest` says there how to read it.
    """
    text = text_of(value)
    if len(text) <= limit:
        return text, 0
    head = limit * 2 // 3
    tail = limit - head
    omitted = len(text) - limit
    how = f"; {rest} start={head}" if rest else ""
    return f"{text[:head]}\n[... {omitted} of {len(text)} characters left out{how} ...]\n{text[-tail:]}", omitted


def place_of(key: str) -> tuple[str, str]:
    """The activation key of a tool call in two: where its agent works, and the call's name in there."""
    caller = key.rsplit("/@", 1)[0]
    scope = caller.rpartition("/")[0]
    return (f"{scope}/", key[len(scope) + 1 :]) if scope and caller != key else ("", key)
