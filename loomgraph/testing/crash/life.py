"""One life of a run, in a process that is forked for it and may be killed: read the log, go on, say how it went.

Says what it found before it goes on, and how it ended if it lives that long; nothing that a kill could falsify.
"""

from __future__ import annotations

import contextlib
import json
import linecache
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

import anyio

from loomgraph.errors import RunError, UnknownRunError
from loomgraph.events import SignalReceived
from loomgraph.runtime.result import RunResult
from loomgraph.store.protocol import Store
from loomgraph.testing.crash.evidence import Found, Witness
from loomgraph.testing.crash.stores import KillingStore
from loomgraph.testing.crash.subject import Subject

__all__ = ["RUN", "Backend", "Order", "live"]

Backend: TypeAlias = Literal["asyncio", "trio"]

RUN = "run"
# seconds by which the clocks of two lives differ, so that the lease of the dead has always run out
_AGE = 3_600.0


class Order(TypedDict):
    """What a process is to do. It dies at its `write`-th write (`late`: once that is durable), at the `call`-th call or
    return of a function (-1: they are counted, no more), or `after` so many seconds; 0 means never."""

    arguments: list[Any]
    folder: str
    life: int
    backend: Backend
    write: int
    late: bool
    call: int
    after: float


def live(make: Callable[..., Subject], order: Order, answer: int) -> None:
    """Live one life and write JSON lines to the descriptor `answer`: what was found, then how it ended."""

    def tell(**said: Any) -> None:
        os.write(answer, f"{json.dumps(said)}\n".encode())

    try:
        Witness(Path(order["folder"]) / "calls", order["life"]).installed()
        anyio.run(_Life(make(*order["arguments"]), order, tell).run, backend=order["backend"])
    except BaseException as error:
        tell(error="".join(traceback.format_exception(error)))


class _Life:
    def __init__(self, subject: Subject, order: Order, tell: Callable[..., None]) -> None:
        self.subject, self.order, self.tell = subject, order, tell
        self.folder = Path(order["folder"])
        self.calls = 0

    async def run(self) -> None:
        self.tell(damage=_damage(self.folder / "runs.db"))
        life = self.order["life"]
        inner = self.subject.opened(self.folder, lambda: time.time() + life * _AGE)
        try:
            found = await _found(inner)
            self.tell(found=found.to_json())
            store = KillingStore(inner, at=self.order["write"], late=self.order["late"])
            ended = await self._go_on(store, anew=not found.events)
            left = await _found(inner)
            self.tell(ended=ended, left=left.to_json(), writes=store.writes, calls=self.calls)
        finally:
            await inner.close()

    async def _go_on(self, store: Store, *, anew: bool) -> Any:
        subject = self.subject
        # made before, because it is much work that has nothing to do with the run
        assert subject.graph.fingerprint
        self.tell(sources=[name for name in linecache.cache if Path(name).is_absolute()])
        sys.setprofile(self._count if self.order["call"] else None)
        try:
            if anew:
                kept = subject.options
                result = await subject.graph.run(subject.value, store=store, run_id=RUN, state=subject.state, **kept)
            else:
                result = await subject.graph.resume(RUN, store=store, **subject.options)
            while result.status == "suspended":
                result = await self._answered(result, store)
        except RunError as error:
            result = error.result
        finally:
            sys.setprofile(None)
        return await self._told(result, store)

    async def _answered(self, result: RunResult[Any], store: Store) -> RunResult[Any]:
        """Say what the run waits for, and go on with it. Every other life answers one question at a time."""
        subject = self.subject
        questions = result.questions[:1] if self.order["life"] % 2 else result.questions
        signals = () if questions and self.order["life"] % 2 else result.signals
        assert subject.answer is not None or not questions, f"the run asks, and its Subject has no answer=: {questions}"
        assert subject.signal is not None or not signals, f"the run waits, and its Subject has no signal=: {signals}"
        answers = {question.id: subject.answer(question) for question in questions if subject.answer is not None}
        had = Counter(event.signal for event in result.events if isinstance(event, SignalReceived))
        for name in signals:
            if subject.signal is not None:
                # the same id in every life, so that one who died after sending it has sent it once
                await subject.graph.signal(RUN, name, subject.signal(name), store=store, id=f"{name} {had[name]}")
        return await subject.graph.resume(RUN, store=store, answers=answers, **subject.options)

    async def _told(self, result: RunResult[Any], store: Store) -> Any:
        """The outcome, as the run gave it and as its log gives it."""
        replayed = await self.subject.graph.replay(RUN, store=store)
        usage = result.usage
        return {
            "status": result.status,
            "outcome": self.subject.outcome(result),
            "replayed": self.subject.outcome(replayed),
            "failed": any(record.failures for record in result.activations),
            "activations": usage.activations,
            "attempts": usage.attempts,
            "amounts": dict(usage.amounts),
        }

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        self.calls += 1
        if self.calls == self.order["call"]:
            os.kill(os.getpid(), signal.SIGKILL)


async def _found(store: Store) -> Found:
    try:
        return Found.of(await store.events(RUN))
    except UnknownRunError:
        return Found()


def _damage(path: Path) -> str | None:
    """What is wrong with a SQLite file as the dead left it; None if nothing is, or if there is none."""
    if not path.exists():
        return None
    # only looked at: bringing the file in order is left to the store
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            return _checked(db)
    except sqlite3.OperationalError as error:
        # killed in the middle of a write that has to be undone first, which nobody may who only looks
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.name}*"):
            shutil.copy(part, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / path.name)) as db:
            try:
                return _checked(db)
            except sqlite3.DatabaseError as error:
                return str(error)


def _checked(db: sqlite3.Connection) -> str | None:
    rows = db.execute("PRAGMA integrity_check").fetchall()
    return None if rows == [("ok",)] else str(rows)
