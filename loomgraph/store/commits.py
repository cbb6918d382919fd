"""Group commit: writes that are waiting at the same time share one transaction. Knows no database.

The first write of a turn of the event loop opens a group and lets the other tasks that are ready run once; what they
write joins the group. Then the group is committed: by `inline`, at once and on the loop's own thread, if the database
takes it without waiting; else by one writer thread, which commits whatever has gathered while it was busy. A lone
write that `inline` takes costs no change of threads, which would cost more than the write itself.

Where nobody has shared a group lately, `now` commits a write without even letting the others run: a turn of the event
loop costs as much as the commit. Every so often a write goes the long way all the same, to see whether somebody would
have joined it; from then on all do, until a group has one member again.

A lone write for the thread of a store that names a `brief` time is waited for that long on the loop's own thread, as
long as the last ones took no longer: to be woken by an event loop costs half as much as a fast disk.

A work raises its StoreErrors before its first write, so a refused work leaves no trace in the shared transaction.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, cast

import anyio
from anyio.lowlevel import checkpoint

from loomgraph.errors import StoreError

__all__ = ["Job", "Writer"]

T = TypeVar("T")

# one transaction of the writer thread takes at most so much, so that nobody waits long for strangers
_JOBS = 1_000
_BYTES = 4_000_000

# so many writes in a row may be committed without letting others join
_ALONE = 16


class Job(Generic[T]):
    """A work to be done in a transaction, its rough size in bytes, and what came of it."""

    __slots__ = ("error", "result", "size", "work")

    def __init__(self, work: Callable[[Any], T], size: int) -> None:
        self.work = work
        self.size = size
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self, transaction: Any) -> None:
        """Do the work; a refusal is kept for whoever asked, anything else is raised."""
        self.error = None
        try:
            self.result = self.work(transaction)
        except StoreError as error:
            self.error = error

    def outcome(self) -> T:
        """What the work returned, or raise what it raised."""
        if self.error is not None:
            raise self.error
        return cast("T", self.result)


class _Group:
    """Jobs of one event loop that are committed together, and how to wake their tasks."""

    __slots__ = ("brief", "done", "jobs", "loop", "settled")

    def __init__(self, loop: Any) -> None:
        self.loop = loop
        self.jobs: list[Job[Any]] = []
        self.done: anyio.Event | None = None
        # released once the jobs are settled, where somebody blocks until then
        self.brief: threading.Lock | None = None
        self.settled = False

    def waiting(self) -> anyio.Event:
        if self.done is None:
            self.done = anyio.Event()
        return self.done

    def wake(self) -> None:
        """Wake the tasks, from another thread."""
        brief = self.brief
        if brief is not None:
            brief.release()
            return
        assert self.done is not None
        # a loop that has ended has nobody left to wake
        with suppress(RuntimeError):
            if isinstance(self.loop, asyncio.AbstractEventLoop):
                self.loop.call_soon_threadsafe(self.done.set)
            else:
                self.loop.run_sync_soon(self.done.set)


class Writer:
    """Commits jobs in groups.

    `commit` runs jobs in one transaction and waits for the database up to its deadline. If the transaction failed it
    raises StoreError where that is the fate of all its jobs, and anything else where one may have taken the others
    down; then each is tried alone. `inline` does the same without ever waiting, and says False (having done nothing) if
    it would have to, or if the jobs are too much for the event loop's thread. It is given at most `at_most` of them.
    `brief` is for how long (s) the event loop's thread may block for a lone write of the writer thread.
    """

    def __init__(
        self,
        name: str,
        commit: Callable[[Sequence[Job[Any]]], None],
        inline: Callable[[Sequence[Job[Any]]], bool] | None = None,
        at_most: int = 32,
        brief: float = 0.0,
    ) -> None:
        self.name = name
        self._commit = commit
        self._inline = inline
        self._room = at_most if inline is not None else _JOBS
        self._brief = brief
        # how long the last transaction of the thread took, in seconds
        self._took = math.inf
        self._open = threading.local()
        self._queue: SimpleQueue[_Group | None] = SimpleQueue()
        self._pending = 0
        # how many writes may still be committed alone; 0 says that the next one must let others join
        self._alone = 0
        self._thread: threading.Thread | None = None
        self._closed = False
        self._lock = threading.Lock()

    def now(self, work: Callable[[Any], object], size: int = 0) -> bool:
        """Do a work in a transaction of its own at once, on this thread, and return True when it is committed.

        False, and nothing was done, where it would have to wait or others are likely to share its transaction: then
        `submit` it. Raises what the work raises.
        """
        if self._inline is None or not self._alone or self._pending or self._closed:
            return False
        if getattr(self._open, "group", None) is not None:
            return False
        self._alone -= 1
        job = Job(work, size)
        if not self._inline((job,)):
            return False
        job.outcome()
        return True

    async def submit(self, work: Callable[[Any], T], size: int = 0) -> T:
        """Do a work in a transaction and return what it returns, once it is committed."""
        loop = _loop()
        job = Job(work, size)
        group: _Group | None = getattr(self._open, "group", None)
        # a group of a loop that ended in the middle has nobody to commit it
        if group is not None and group.loop is loop and len(group.jobs) < self._room:
            group.jobs.append(job)
            await group.waiting().wait()
            return job.outcome()
        group = _Group(loop)
        group.jobs.append(job)
        if self._inline is None and self._alone:
            # on its way to the thread at once; whoever writes meanwhile shares the transaction after it
            self._alone -= 1
            if not self._soon(group):
                await group.waiting().wait()
            return job.outcome()
        self._open.group = group
        try:
            await checkpoint()
        except BaseException:
            group.jobs.remove(job)
            raise
        finally:
            # a full group has been followed by another
            if self._open.group is group:
                self._open.group = None
            settled = self._settle_here(group)
        if not settled:
            await group.waiting().wait()
        return job.outcome()

    def _soon(self, group: _Group) -> bool:
        """Hand a group to the thread; True if it was settled while the caller blocked for a moment."""
        if self._took > self._brief:
            self._enqueue(group)
            return False
        group.brief = lock = threading.Lock()
        lock.acquire()
        self._enqueue(group)
        if lock.acquire(timeout=self._brief):
            return True
        with self._lock:
            # if it is not settled yet, it is to be woken through its loop
            group.brief = None
            return group.settled

    def _settle_here(self, group: _Group) -> bool:
        jobs = group.jobs
        if not jobs:
            return True
        settled = True
        self._alone = _ALONE if len(jobs) == 1 else 0
        try:
            # whoever went to the thread first is served first
            settled = self._inline is not None and not self._pending and not self._closed and self._inline(jobs)
        except Exception as error:  # as the thread would, except that a group is tried again there, one by one
            settled = len(jobs) == 1
            if settled:
                jobs[0].error = error
        except BaseException:
            for job in jobs:
                job.error = StoreError(f"{self.name}: the write was interrupted; it may have taken effect or not.")
            raise
        finally:
            if settled and group.done is not None:
                group.done.set()
        if not settled:
            self._enqueue(group)
        return settled

    def _enqueue(self, group: _Group) -> None:
        done = group.waiting()
        with self._lock:
            if self._closed:
                for job in group.jobs:
                    job.error = StoreError(f"{self.name} is closed. Open it again to go on.")
                done.set()
                if group.brief is not None:
                    group.brief.release()
                return
            self._pending += 1
            self._queue.put(group)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name=f"loomgraph {self.name}", daemon=True)
                self._thread.start()

    def _serve(self) -> None:
        closing = False
        while not closing:
            groups = [self._queue.get()]
            with suppress(Empty):
                while len(groups) < _JOBS:
                    groups.append(self._queue.get_nowait())
            closing = None in groups
            present = [group for group in groups if group is not None]
            for jobs in _portions([job for group in present for job in group.jobs]):
                self._settle(jobs)
            with self._lock:
                self._pending -= len(present)
                for group in present:
                    group.settled = True
            for group in present:
                group.wake()

    def _settle(self, jobs: Sequence[Job[Any]]) -> None:
        began = time.monotonic()
        try:
            self._commit(jobs)
            self._took = time.monotonic() - began
        except BaseException as error:
            self._took = math.inf
            if len(jobs) > 1 and not isinstance(error, StoreError):
                for job in jobs:
                    self._settle([job])
                return
            for job in jobs:
                job.error = error

    def stop(self) -> None:
        """Commit what is waiting, take nothing more, and end the thread. Blocks; may be called twice."""
        with self._lock:
            first, self._closed = not self._closed, True
            if first:
                self._queue.put(None)
        if self._thread is not None:
            self._thread.join()


def _portions(jobs: list[Job[Any]]) -> list[list[Job[Any]]]:
    portions: list[list[Job[Any]]] = []
    room = 0
    for job in jobs:
        if not portions or room < job.size or len(portions[-1]) >= _JOBS:
            portions.append([])
            room = _BYTES
        portions[-1].append(job)
        room -= job.size
    return portions


def _loop() -> Any:
    """The running event loop (asyncio) or its entry token (trio)."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        import trio

        return trio.lowlevel.current_trio_token()
