"""A run as it happens, on stderr: a table that redraws itself on a terminal, plain lines elsewhere.

A fold of the run's events; reads no clock, and never writes to stdout.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from loomgraph import events
from loomgraph.cli.clean import clean

__all__ = ["Progress", "Row", "Status", "Tally"]

Status = Literal["running", "done", "handled", "failed", "skipped", "cancelled"]

_STYLES: dict[Status, str] = {
    "running": "cyan",
    "done": "green",
    "handled": "yellow",
    "failed": "bold red",
    "skipped": "dim",
    "cancelled": "dim",
}


@dataclass(slots=True)
class Row:
    """What is known of one node: how often it finished, what runs of it, how long it took in all (seconds).

    A map counts as one activation; its `items` and how many of them are `settled` stand beside that.
    """

    node: str
    running: int = 0
    finished: int = 0
    retries: int = 0
    seconds: float = 0.0
    items: int | None = None
    settled: int = 0
    last: Status = "running"

    @property
    def status(self) -> Status:
        """ "running" while any activation runs, else how the last one ended."""
        return "running" if self.running else self.last

    @property
    def count(self) -> str:
        """`3/12` for a map, `x3` for a node that fired more than once, else nothing."""
        if self.items is not None:
            return f"{self.settled}/{self.items}"
        return f"x{self.finished}" if self.finished > 1 else ""


class Tally:
    """Rows by node path, in order of first appearance. `feed` returns a line to print when something settled."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self._since: dict[str, float] = {}

    def feed(self, event: events.Event) -> str | None:
        """Take one event in. Returns a sentence for what a reader of plain lines wants to know, else None."""
        match event:
            case events.MapStarted():
                row = self._row(event.node)
                row.items = (row.items or 0) + event.count
                return f"{event.key}: {event.count} items"
            case events.NodeStarted():
                if event.key not in self._since:
                    self._since[event.key] = event.time
                    self._row(event.node).running += not _is_item(event.key)
                return None
            case events.AttemptFailed():
                self._row(event.node).retries += 1
                return f"{event.key}: attempt {event.attempt} failed ({event.failure.error}: {event.failure.message})"
            case events.NodeSucceeded():
                return self._settle(event, "done")
            case events.NodeFailed():
                line = self._settle(event, "handled" if event.taken else "failed")
                return f"{line} ({event.failure.error}: {event.failure.message})"
            case events.NodeCancelled():
                return self._settle(event, "cancelled")
            case events.NodeSkipped():
                self._row(event.node).last = "skipped"
                return None
            case events.LoopCapReached():
                return f"{event.key}: the loop reached its cap of {event.cap}"
            case _:
                return None

    def _row(self, node: str) -> Row:
        return self.rows.setdefault(node, Row(node))

    def _settle(
        self, event: events.NodeSucceeded | events.NodeFailed | events.NodeCancelled, how: Status
    ) -> str | None:
        row = self._row(event.node)
        began = self._since.pop(event.key, None)
        if _is_item(event.key):
            row.settled += began is not None
            return f"{event.key}: {how}" if how in ("failed", "handled") else None
        row.last = how
        if began is not None:
            row.running -= 1
            row.finished += 1
            row.seconds += event.time - began
        return f"{event.key}: {how}"


def _is_item(key: str) -> bool:
    """Whether an activation is one item of a map; a bracket in a node's own name is escaped in keys."""
    return key.endswith("]")


class Progress:
    """Shows a Tally while a run goes on: `with Progress(console) as progress: progress.feed(event)`."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self.tally = Tally()
        self._console = console
        self._quiet = quiet
        self._live = None if quiet or not console.is_terminal else Live(console=console, refresh_per_second=10)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self.table(), refresh=True)
            self._live.stop()

    def feed(self, event: events.Event, *, past: bool = False) -> None:
        """Take one event in and show it; one of the `past` is counted, but has no line of its own."""
        line = self.tally.feed(event)
        if past:
            return
        if self._live is not None:
            self._live.update(self.table())
        elif line is not None and not self._quiet:
            self._console.print(Text(clean(line)), soft_wrap=True)

    def table(self) -> Table:
        """One line a node; the last ones if the terminal is too low for all of them."""
        table = Table(box=None, show_header=False, pad_edge=False)
        rows = list(self.tally.rows.values())
        room = max(self._console.height - 2, 1)
        for row in rows[-room:]:
            retried = f"{row.retries} retried" if row.retries else ""
            table.add_row(
                Text(row.status, _STYLES[row.status]),
                Text(clean(row.node)),
                Text(row.count),
                Text(f"{row.seconds:.2f} s" if row.finished else ""),
                Text(retried, "yellow"),
            )
        return table
