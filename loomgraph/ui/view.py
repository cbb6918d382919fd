"""One run as the page sees it: its log, read once and then only what is new, and the folds of it. Writes nothing.

Values stay in the store until somebody looks at them. A view is shared by all who look at the run.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
from pydantic_core import to_jsonable_python

from loomgraph.engine.facts import event_of
from loomgraph.errors import LogMismatchError, UnknownEventError
from loomgraph.events import path_of
from loomgraph.runtime.format import KINDS, check_version, read_event
from loomgraph.runtime.keeper import ends, requested
from loomgraph.runtime.logbook import PlainReader
from loomgraph.runtime.questions import Question, read_answer
from loomgraph.runtime.seen import Seen
from loomgraph.runtime.waiting import plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import FINISHED, Message, RunHeader, Store, StoredEvent
from loomgraph.store.reach import reach
from loomgraph.ui.tally import Tally

__all__ = ["StoreGoneError", "View", "Views"]

_ASKING: Final = frozenset({"q", "a", "W", "S"})
_STARTS: Final = frozenset({"R", "R<"})
# that many events are folded between two looks at other work
_AT_ONCE: Final = 20_000


class View:
    """One run of a store, as of the last `refresh`."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.run_id = run_id
        self.tally = Tally()
        self.events: list[StoredEvent] = []
        self.header: RunHeader | None = None
        self._store = store
        self._codec = Codec()
        self._values: dict[bytes, bytes] = {}
        self._inbox: list[Message] = []
        self._ended = 0
        self._lock = anyio.Lock()
        self._reading = anyio.Lock()
        self._seen: tuple[int, int, Seen] | None = None
        self._found: tuple[tuple[str, str, str, int], list[int]] | None = None

    async def refresh(self) -> RunHeader:
        """Read what is new. Raises UnknownRunError, StoreVersionError, StoreKeyError, LogDamagedError."""
        async with self._lock:
            header = await self._store.load(self.run_id)
            check_version(header)
            if header.events < len(self.events):  # deleted, and made again under the same id
                self.tally, self.events, self._values = Tally(), [], {}
                self._inbox, self._ended = [], 0
                self._seen = self._found = None
            if header.events > len(self.events):
                await self._read(await self._store.events(self.run_id, len(self.events)))
            if not self.events:
                raise LogMismatchError(self.run_id, "RunStarted")
            if header.status not in FINISHED:
                self._inbox += await self._store.inbox(self.run_id, self._inbox[-1].position if self._inbox else 0)
            self.header = header
            return header

    async def _read(self, fresh: list[StoredEvent]) -> None:
        asking = [event.body for event in fresh if event.kind in _ASKING]
        if asking:
            await reach(self._store, self.run_id, asking, self._values)
        for at in range(0, len(fresh), _AT_ONCE):
            part = fresh[at : at + _AT_ONCE]
            if len(part) > 500:
                await anyio.to_thread.run_sync(self._tell, part)
            else:
                self._tell(part)
            self.events += part
            self._ended += ends(part)

    def _tell(self, part: Sequence[StoredEvent]) -> None:
        for stored in part:
            kind, key, fields = read_event(stored)
            if stored.kind in _ASKING:
                fields = plain_fields(self._codec, kind, fields, self._values)
            self.tally.tell(stored.seq, stored.time, kind, key, fields)

    # ------------------------------------------------------------------ questions

    async def questions(self) -> list[tuple[Question, bool]]:
        """The open questions in the order they were asked, and whether an answer to each is on its way."""
        asked = list(self.tally.waiting.questions.values())
        if not asked or self.header is None or self.header.status in FINISHED:
            return []
        sent = {(found.id, found.asked) for found in map(read_answer, self._inbox) if found is not None}
        return [(question, (question.id, question.seq) in sent) for question in asked]

    @property
    def cancelling(self) -> str | None:
        """Why the run was asked to stop, as long as it has not."""
        if self.header is None or self.header.status in FINISHED:
            return None
        return requested(self._inbox, self._ended)

    # ------------------------------------------------------------------ events

    async def matching(self, kind: str = "", node: str = "", key: str = "") -> Sequence[int]:
        """The numbers of the events of a kind, of a node and what is in it, or of an activation, in order."""
        if not (kind or node or key):
            return range(len(self.events))
        asked = (kind, node, key, len(self.events))
        if self._found is None or self._found[0] != asked:
            events = self.events[:]  # it grows meanwhile
            found = await anyio.to_thread.run_sync(lambda: [e.seq for e in events if _is(e, kind, node, key)])
            self._found = asked, found
            return found
        return self._found[1]

    async def event(self, seq: int) -> dict[str, Any]:
        """One event with its values, as plain JSON data. Raises LookupError if there is none of that number."""
        stored = self.events[seq]
        # the structure of the graph, by which edges are known that a node always takes
        begin = max(at for at in self.tally.passes if at <= seq)
        values: dict[bytes, bytes] = {}
        await reach(self._store, self.run_id, [stored.body, self.events[begin].body], values)

        def read() -> dict[str, Any]:
            reader = PlainReader(self._codec, values)
            first = reader.entry(self.events[begin])
            entry = first if begin == seq else reader.entry(stored)
            made: dict[str, Any] = to_jsonable_python(event_of(self.run_id, seq, entry), fallback=str)
            return made

        return await anyio.to_thread.run_sync(read)

    # ------------------------------------------------------------------ values

    async def value(self, key: str, what: str) -> Any:
        """What an activation was given ("input") or gave ("output"), as plain JSON data; of "" the run's own."""
        if key and key not in self.tally.activations:
            raise UnknownEventError(self.run_id, key, len(self.events), list(self.tally.activations))
        if not key and what == "input":
            begin = await self.event(self.tally.passes[-1])
            return begin["input"]

        def read() -> Any:
            if key:
                return seen.input(key) if what == "input" else seen.output(key)
            return seen.result

        async with self._reading:  # it folds the log when it is first asked, in the thread that asks
            seen = await self._all(key)
            return await anyio.to_thread.run_sync(read)

    async def _all(self, key: str) -> Seen:
        """The last pass with all of its values: inputs are in no event, they follow from the whole.

        What is known of an activation that has ended stays so, however the run goes on.
        """
        count, first = len(self.events), self.tally.passes[-1]
        found = self.tally.activations.get(key)
        if self._seen is not None and self._seen[:2] != (count, first):
            settled = found is not None and found.ended is not None and found.seqs[-1] < self._seen[0]
            if not settled or self._seen[1] != first:
                self._seen = None
        if self._seen is None:
            events = self.events[first:count]
            values = await self._store.values(await self._store.digests(self.run_id))
            self._seen = count, first, Seen(self.run_id, Codec(), values, events)
        return self._seen[2]

    async def shape(self, scope: str = "") -> tuple[str, Any]:
        """What the log keeps of the structure of its graph, and a name for it that equal structures share.

        With `scope`, that of the graph that a node ran last under that path, with ctx.run. Raises LookupError.
        """
        if scope and scope not in self.tally.scopes:
            raise UnknownEventError(self.run_id, scope, len(self.events), list(self.tally.scopes))
        begin = self.events[self.tally.scopes[scope] if scope else self.tally.passes[-1]]
        ref = read_event(begin)[2][4 if scope else 5]
        await reach(self._store, self.run_id, [begin.body], self._values)
        return json.dumps([ref, not scope]), self._codec.load(Any, ref, self._values, "the graph")


class StoreGoneError(Exception):
    """The store's file was removed or replaced: what is still open is nobody's any more."""


class Views:
    """The runs that somebody looks at; those that were not looked at for longest are let go of."""

    def __init__(self, store: Store, keep: int = 8) -> None:
        self._store = store
        path: Any = getattr(store, "path", None)
        self._path = path if isinstance(path, Path) else None
        self._file: tuple[int, int] | None = None
        self._keep = keep
        self._views: dict[str, View] = {}

    def check(self) -> None:
        """Raise StoreGoneError if the store is a file and another one, or none, has its place by now.

        An open file can be read and written after it was removed; what is sent to it then is lost without a word.
        """
        if self._path is None:
            return
        try:
            found = self._path.stat()
        except OSError:
            found = None
        file = None if found is None else (found.st_dev, found.st_ino)
        if self._file is None:
            self._file = file
        elif file != self._file:
            what = "is not there any more" if file is None else "is another one by now"
            raise StoreGoneError(f"The file '{self._path}' of this store {what}. Put it back and start the page anew.")

    async def get(self, run_id: str) -> View:
        """The run as it is now. Raises what `View.refresh` raises."""
        self.check()
        view = self._views.pop(run_id, None) or View(self._store, run_id)
        await view.refresh()
        self._views[run_id] = view
        while len(self._views) > self._keep:
            del self._views[next(iter(self._views))]
        return view


def _is(event: StoredEvent, kind: str, node: str, key: str) -> bool:
    if kind and KINDS[event.kind].__name__ != kind:
        return False
    if key:
        return event.key == key
    if not node:
        return True
    path = path_of(event.key)
    return path == node or path.startswith(f"{node}/")
