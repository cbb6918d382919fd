"""A process with limits: its time, its output, its environment. What it started ends with it. No shell of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, Process

__all__ = ["MOST_OUTPUT", "Finished", "run_limited"]

MOST_OUTPUT = 1_000_000
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "SYSTEMROOT", "COMSPEC", "PATHEXT")


@dataclass(frozen=True, slots=True)
class Finished:
    """How a process ended: its exit code (negative: killed by that signal), and what it wrote to both outputs.

    `dropped` is how many bytes in the middle were left out.
    """

    code: int
    text: str
    timed_out: bool
    dropped: int


async def run_limited(
    command: Sequence[str],
    *,
    cwd: Path,
    seconds: float,
    data: bytes = b"",
    environment: Mapping[str, str] | None = None,
    most: int = MOST_OUTPUT,
) -> Finished:
    """Run a command and return how it ended. After so many `seconds` it and all it started are killed.

    Of this process's environment it sees the search path, the locale and the time zone, nothing else: keys and
    passwords stay here. `environment` is added. Raises FileNotFoundError where there is no such command.
    """
    known = {name: os.environ[name] for name in _KEPT if name in os.environ}
    kept = _Kept(most)
    process = await anyio.open_process(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env={**known, **(environment or {})},
        start_new_session=sys.platform != "win32",
    )
    timed_out = False
    try:
        with anyio.move_on_after(seconds) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(_feed, process, data)
                if process.stdout is not None:
                    await _drain(process.stdout, kept)
                await process.wait()
        timed_out = scope.cancelled_caught
    finally:
        _kill(process)
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
    return Finished(process.returncode or 0, kept.text(), timed_out, kept.dropped)


async def _feed(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    try:
        if data:
            await process.stdin.send(data)
        await process.stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError):
        pass  # it ended without reading; how, its exit code says


async def _drain(stream: ByteReceiveStream, kept: _Kept) -> None:
    async for piece in stream:
        kept.add(piece)


def _kill(process: Process) -> None:
    try:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # all of it has ended


class _Kept:
    """The beginning and the end of an output."""

    def __init__(self, most: int) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._half = most // 2
        self.dropped = 0

    def add(self, piece: bytes) -> None:
        room = self._half - len(self._head)
        self._head += piece[:room] if room > 0 else b""
        self._tail += piece[room:] if room > 0 else piece
        if len(self._tail) > self._half:
            cut = len(self._tail) - self._half
            del self._tail[:cut]
            self.dropped += cut

    def text(self) -> str:
        head, tail = (bytes(part).decode("utf-8", "replace") for part in (self._head, self._tail))
        return f"{head}\n[... {self.dropped} bytes left out ...]\n{tail}" if self.dropped else head + tail
