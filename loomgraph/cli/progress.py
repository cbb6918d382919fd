"""A run as it happens, on stderr: a table that redraws itself on a terminal, plain lines elsewhere.

Shows a `Tally`; never writes to stdout. Where there is no room for every node, those that are done make way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loomgraph import events
from loomgraph.cli.clean import clean
from loomgraph.cli.tally import Row, Status, Tally
from loomgraph.visualize.overlay import used

__all__ = ["Progress", "spent"]

_STYLES: Final[dict[Status, str]] = {
    "running": "cyan",
    "waiting": "magenta",
    "done": "green",
    "handled": "yellow",
    "failed": "bold red",
    "skipped": "dim",
    "cancelled": "dim",
}
# what is said of a node beside its name, in columns, and how wide a terminal must be for each
_WIDE: Final = 60
_NARROW: Final = 36


class Progress:
    """Shows a Tally while a run goes on: `with Progress(console) as progress: progress.feed(event)`.

    `now` gives seconds since the epoch, for what runs and has not ended.
    """

    def __init__(self, console: Console, *, quiet: bool = False, now: Callable[[], float] = time.time) -> None:
        self.tally = Tally()
        self._console = console
        self._quiet = quiet
        self._now = now
        self._ended = False
        self._live: Live | None = None
        if not quiet and console.is_terminal and not console.is_dumb_terminal:
            self._live = Live(console=console, refresh_per_second=8, get_renderable=self.shown)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        if self._live is not None:
            self._live.refresh()
            self._live.stop()

    def feed(self, event: events.Event, *, past: bool = False) -> None:
        """Take one event in and show it; one of the `past` is counted, but has no line of its own."""
        line = self.tally.feed(event, past=past)
        if past or line is None or self._quiet or self._live is not None:
            return
        self._console.print(Text(clean(line)), soft_wrap=True)

    def shown(self) -> RenderableType:
        """A line for each node, and one for all of them."""
        now = None if self._ended else self._now()
        rows = list(self.tally.rows.values())
        shown = _fitting(rows, max(self._console.height - 4, 1))
        width = self._console.width
        table = Table(box=None, show_header=False, pad_edge=False)
        for at_most in (9, None, None, None, None, None):
            table.add_column(no_wrap=True, overflow="ellipsis", max_width=at_most)
        for row in shown:
            cells = _cells(row, now)
            table.add_row(*(cells if width >= _WIDE else cells[:4] if width >= _NARROW else cells[:3]))
        parts: list[RenderableType] = [table]
        if len(shown) < len(rows):
            parts.insert(0, Text(f"{len(rows) - len(shown)} more that are done", "dim", no_wrap=True))
        parts.append(Text(self._all(now), "dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _all(self, now: float | None) -> str:
        tally = self.tally
        parts = [f"{tally.activations:,} done"]
        if now is not None and tally.since is not None:
            parts.append(f"{max(now - tally.since, 0.0):.1f} s")
        if tally.tokens or tally.cost:
            parts.append(used(tally.tokens, tally.cost))
        return ", ".join(parts) if tally.rows else ""


def spent(tally: Tally) -> str:
    """`, 1.5k tokens, cost 0.003` if there were any, to stand at the end of a sentence."""
    return f", {used(tally.tokens, tally.cost)}" if tally.tokens or tally.cost else ""


def _cells(row: Row, now: float | None) -> list[Text]:
    seconds, rate = row.spent(now), row.rate(now)
    # of a run that was interrupted nothing says that its nodes have stopped
    stopped = now is None and row.status == "running"
    return [
        Text("stopped", "dim") if stopped else Text(row.status, _STYLES[row.status]),
        Text(clean(row.node)),
        Text(row.count),
        Text("" if seconds is None else f"{seconds:.2f} s"),
        Text("" if rate is None or row.items is None else f"{rate:,.1f}/s", "dim"),
        Text(f"{row.retries} retried" if row.retries else "", "yellow"),
    ]


def _fitting(rows: Sequence[Row], room: int) -> list[Row]:
    """As many rows as there is room for, in their order: what goes on or went wrong before what is done."""
    if len(rows) <= room:
        return list(rows)
    done = {"done", "skipped"}
    ranked = sorted(range(len(rows)), key=lambda at: (rows[at].status in done, -at))
    return [rows[at] for at in sorted(ranked[:room])]
