"""Processes for tests: each is forked off one that has everything imported already, so that many of them are cheap.

They talk through a pipe. Whoever waits for one waits for what it says, never for a time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

__all__ = ["PATIENCE", "Child", "skip_where_none"]

# seconds after which a process that says nothing has failed its test
PATIENCE = 60.0

# imported once, in the process that the others are forked off
_PRELOADED = (
    "pytest",
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "typer.testing",
    "loomgraph.cli.app",
    "loomgraph.models.scripted",
    "loomgraph.store.memory",
    "loomgraph.store.sqlite",
    "loomgraph.store.postgres",
    "loomgraph.testing.crash",
    "tests.places",
    "tests.processes",
)

skip_where_none = sys.platform == "win32"
"""Whether this platform has no such processes."""


class Child:
    """A process that calls `target(connection, *arguments)`, a function of a module."""

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOADED))
        self._ours, theirs = multiprocessing.Pipe()
        self._process = context.Process(target=_begin, args=(target, theirs, arguments), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Its number."""
        pid: int = self._process.pid
        return pid

    def hear(self) -> Any:
        """What it says next. Raises EOFError once it says nothing more."""
        if not self._ours.poll(PATIENCE):
            raise AssertionError(f"process {self.pid} has said nothing for {PATIENCE:g} s")
        return self._ours.recv()

    def tell(self, what: Any = None) -> None:
        """Say something to it."""
        self._ours.send(what)

    def go_on(self) -> None:
        """Wake it after it has stopped itself."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Kill it, and return once it is dead."""
        self._process.kill()
        self._process.join(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._ours.close()


def _begin(target: Callable[..., None], ours: Connection, arguments: tuple[Any, ...]) -> None:
    target(ours, *arguments)
    ours.close()
