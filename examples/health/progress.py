"""A run as it happens, read from nothing but its events: a live view on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from loomgraph import events
from loomgraph.events import node_path

__all__ = ["Tally", "View"]

_QUARTERS = 4


class Tally:
    """What is known of a run so far. `feed` takes an event in and returns what is worth a line, if anything."""

    def __init__(self) -> None:
        self.files = 0
        self.files_done = 0
        self.nodes_done = 0
        self.rounds = 0
        self.retries = 0
        self.running: dict[str, None] = {}

    def feed(self, event: events.Event) -> str | None:
        """Take one event in."""
        match event:
            case events.MapStarted():
                self.files += event.count
                return f"{event.count} files to look at"
            case events.NodeStarted() if _is_top(event.key):
                self.running[event.key] = None
            case events.AttemptFailed():
                self.retries += 1
                return f"again in {event.retry_in:.2f} s: {event.failure.message}"
            case events.NodeSucceeded():
                return self._ended(event.key)
            case events.NodeFailed():
                handled = "handled" if event.taken or _is_item(event.key) else "failed"
                line = self._ended(event.key)
                return line or f"{event.key} {handled}: {event.failure.message}"
            case events.IterationStarted():
                self.rounds = event.iteration[-1]
            case events.LoopEnded():
                self.rounds = event.iterations
                return f"the ranking ended in round {event.iterations}"
            case _:
                pass
        return None

    def _ended(self, key: str) -> str | None:
        if _is_item(key):
            self.files_done += 1
            done, step = self.files_done, max(self.files // _QUARTERS, 1)
            return f"{done} of {self.files} files" if done == self.files or done % step == 0 else None
        if _is_top(key):
            self.nodes_done += 1
            self.running.pop(key, None)
        return None


def _is_item(key: str) -> bool:
    """Whether an activation is a whole item of the map, not a step inside one."""
    return key.endswith("]")


def _is_top(key: str) -> bool:
    return len(node_path(key)) == 1 and not _is_item(key)


class View:
    """Shows a Tally while the run goes on: `with View(console) as view: view.feed(event)`."""

    def __init__(self, console: Console) -> None:
        self.tally = Tally()
        self._console = console
        self._live = Live(console=console, get_renderable=self._render, transient=True, refresh_per_second=8)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def feed(self, event: events.Event) -> None:
        """Take one event in and show it."""
        line = self.tally.feed(event)
        if line is not None and not self._console.is_terminal:
            self._console.print(Text(line), soft_wrap=True)

    def _render(self) -> Group:
        tally = self.tally
        bars = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=max(tally.files, 1), completed=tally.files_done, width=40)
        bars.add_row(Text("files"), bar, Text(f"{tally.files_done}/{tally.files}"))
        counts = f"{tally.nodes_done} nodes done   ranking round {tally.rounds}   {tally.retries} retries"
        running = ", ".join(node_path(key)[0] for key in tally.running)
        return Group(bars, Text(counts), Text(f"running: {running}", style="dim", overflow="ellipsis", no_wrap=True))
