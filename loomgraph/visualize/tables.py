"""Events and activations as tables, in HTML and in text. Whatever stands in a cell is text: nothing in it is markup.

Long tables show their beginning and their end, and say how much is between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from pydantic import BaseModel

from loomgraph.errors import brief_text
from loomgraph.events import Event
from loomgraph.visualize.overlay import SYMBOLS, used
from loomgraph.visualize.terminal import columns, padded
from loomgraph.visualize.text import legible, seconds

__all__ = ["activation_table", "event_table", "to_html", "to_text"]

Rows = list[tuple[str, ...]]

_MOST: Final = 100
_CELL: Final = 120
_ENVELOPE: Final = frozenset({"kind", "run_id", "seq", "time", "node", "key", "parent"})
_EVENTS: Final = ("#", "after", "event", "of", "what")
_ACTIVATIONS: Final = ("activation", "status", "tries", "began after", "took", "used", "gave")


def event_table(events: Sequence[Event]) -> dict[str, str]:
    """A log by MIME type: `text/html` and `text/plain`."""
    began = events[0].time if events else 0.0
    rows = [_event(event, began) for event in _ends(events)]
    return _bundle(_EVENTS, rows, len(events))


def activation_table(records: Sequence[Any]) -> dict[str, str]:
    """The activations of a run by MIME type: `text/html` and `text/plain`."""
    began = min((record.started for record in records if record.started is not None), default=0.0)
    rows = [_activation(record, began) for record in _ends(records)]
    return _bundle(_ACTIVATIONS, rows, len(records))


def _ends(items: Sequence[Any]) -> Iterable[Any]:
    return items if len(items) <= 2 * _MOST else [*items[:_MOST], *items[-_MOST:]]


def _event(event: Event, began: float) -> tuple[str, ...]:
    fields = {name: value for name, value in event if name not in _ENVELOPE and value not in (None, (), {}, "")}
    what = ", ".join(f"{name}={_value(value)}" for name, value in fields.items())
    return str(event.seq), seconds(event.time - began), event.kind, getattr(event, "key", ""), brief_text(what, _CELL)


def _activation(record: Any, began: float) -> tuple[str, ...]:
    amounts = record.amounts
    spent = used(int(amounts.get("input_tokens", 0) + amounts.get("output_tokens", 0)), amounts.get("cost", 0.0))
    failure = record.failure
    gave = f"{failure.error}: {failure.message}" if failure is not None else _value(record.output)
    return (
        record.key,
        f"{SYMBOLS[record.status]} {record.status}",
        str(record.attempts or ""),
        "" if record.started is None else seconds(record.started - began),
        "" if record.seconds is None else seconds(record.seconds),
        spent,
        "" if failure is None and record.output is None else brief_text(gave, _CELL),
    )


def _value(value: Any) -> str:
    if isinstance(value, BaseModel):
        return brief_text(repr(value), _CELL)
    try:
        return brief_text(json.dumps(value, ensure_ascii=False), _CELL)
    except (TypeError, ValueError):  # what JSON has no form for
        return brief_text(repr(value), _CELL)


def _bundle(heads: tuple[str, ...], rows: Rows, whole: int) -> dict[str, str]:
    return {"text/html": to_html(heads, rows, whole), "text/plain": to_text(heads, rows, whole)}


def to_html(heads: tuple[str, ...], rows: Rows, whole: int) -> str:
    """A table; of `whole` rows those in the middle may be missing."""

    def row(cells: Sequence[str], tag: str) -> str:
        # only what a cell of the last column says may take several lines
        styles = [*["text-align:left;white-space:nowrap"] * (len(cells) - 1), "text-align:left;overflow-wrap:anywhere"]
        texts = [escape(_cell(cell)) for cell in cells]
        drawn = (f'<{tag} style="{style}">{text}</{tag}>' for style, text in zip(styles, texts, strict=True))
        return f"<tr>{''.join(drawn)}</tr>"

    body = [row(cells, "td") for cells in rows]
    if len(rows) < whole:
        gap = f'<tr><td colspan="{len(heads)}" style="text-align:left">{whole - len(rows):,} more</td></tr>'
        body.insert(_MOST, gap)
    table = f"<table><thead>{row(heads, 'th')}</thead><tbody>{''.join(body)}</tbody></table>"
    return f'<div style="overflow-x:auto">{table}</div>'


def _cell(text: str) -> str:
    return legible(text) if text else ""


def to_text(heads: tuple[str, ...], rows: Rows, whole: int) -> str:
    """The same in columns."""
    shown = [tuple(_cell(cell).replace("\n", " ") for cell in row) for row in (heads, *rows)]
    widths = [max(columns(row[at]) for row in shown) for at in range(len(heads))]
    lines = ["  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in shown]
    if len(rows) < whole:
        lines.insert(1 + _MOST, f"{whole - len(rows):,} more")
    return "\n".join(lines) + "\n"
