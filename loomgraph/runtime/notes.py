"""What runs write down for later, beside their logs: about one run, or about a user in all runs of a store.

Notes about a run are messages in its inbox and go where it goes; a fork takes those along that were written before its
place, and a run that is driven once more keeps those of what it takes over. Notes about a user are in the inbox of a
run that never runs, `@user/NAME`, because an inbox has what notes need: one order for all processes, and nothing
written twice.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from loomgraph.errors import (
    AppendConflictError,
    RunExistsError,
    StorelessPauseError,
    StoreTamperedError,
    UnknownRunError,
)
from loomgraph.graph.context import Whose
from loomgraph.runtime.keeper import owner_name
from loomgraph.store.opening import opened
from loomgraph.store.protocol import UNSEALED, Message, RunHeader, Store

__all__ = ["BOOK", "Book", "Note", "Notes", "book_of", "note_about_user", "read_book", "taken_along", "write_book"]

BOOK = "@notes"
"""What the header of a book calls its graph; no workflow can."""


class Note(NamedTuple):
    """A note about a run: which activation wrote it, and how many events were durable by then.

    Those two are None in a note of a version that did not keep them.
    """

    topic: str
    data: Any
    key: str | None = None
    seq: int | None = None

    @classmethod
    def of(cls, message: Message) -> Note | None:
        """The note that a message is; None for any other message. Raises ValueError if it only says that it is one."""
        if message.kind != "note":
            return None
        found = from_json(message.data)
        match found:
            case [str(topic), data]:
                return cls(topic, data)
            case [str(topic), data, str(key), int(seq)]:
                return cls(topic, data, key, seq)
            case _:
                raise ValueError("it is no JSON list with topic, data, key and seq, as ctx.note writes it")

    def id(self, run_id: str, begin: int) -> str:
        """What its message is called: the same for the same note of one activation, in one pass through the graph."""
        told = [run_id.encode(), (self.key or "").encode(), to_json([self.topic, self.data])]
        return hashlib.sha256(b"\0".join([*told, *([b"%d" % begin] if begin else [])])).hexdigest()[:32]


class Notes:
    """The notes that one run may write and read. `store` is None for a run without one.

    `written` says how many events of the run are durable. The pass of the run through its graph began with event
    `begin`; of a note of an earlier pass `holds` says whether it is still one, by activation key and events.
    """

    def __init__(
        self, store: Store | None, run_id: str, user_id: str | None, written: Callable[[], int] = lambda: 0
    ) -> None:
        self.store, self.run_id, self.user_id = store, run_id, user_id
        self.begin = 0
        self.holds: Callable[[str, int], bool] = lambda key, seq: True
        self._written = written

    async def add(self, key: str, topic: str, data: Any, whose: Whose) -> None:
        """Write a note; `key` is the activation's, whose same note twice is one. Raises StorelessPauseError."""
        place = self._place(whose)
        if self.store is None or place is None:
            missing = "a store to keep it in" if self.store is None else "user_id="
            raise StorelessPauseError(self.run_id, f"something is to be noted about its {whose}, which needs {missing}")
        note = Note(topic, data, key, max(self._written(), self.begin + 1))
        if whose == "run":
            await write_book(self.store, place, note.id(place, self.begin), "note", to_json(note), made=False)
        else:
            await write_book(self.store, place, note.id(self.run_id, 0), "note", to_json([topic, data]))

    async def read(self, topic: str, whose: Whose) -> list[Any]:
        """The notes on a topic, in the order they were written; none where there is nowhere to keep them."""
        place = self._place(whose)
        if self.store is None or place is None:
            return []
        seen: dict[Any, Any] = {}
        for message in await read_book(self.store, place):
            note = None
            with suppress(ValueError):  # the log has it as a MessageRefused
                note = Note.of(message)
            if note is None or note.topic != topic:
                continue
            if note.key is None or note.seq is None:
                seen[message.position] = note.data
            elif note.seq > self.begin or self.holds(note.key, note.seq):
                seen.setdefault((note.key, to_json(note.data)), note.data)
        return list(seen.values())

    def _place(self, whose: Whose) -> str | None:
        if whose == "run":
            return self.run_id
        return None if self.user_id is None else book_of(self.user_id)


def taken_along(inbox: Sequence[Message], new_id: str, starts: Sequence[int], last: int, edited: str) -> list[Message]:
    """The notes for a fork, as messages of it: those written before `last` events were durable, not after.

    `starts` are where the passes of its log begin. `edited` is the key of an activation that is given something else in
    the last of them, or "": what it and the graphs in it wrote there is left behind.
    """
    found: dict[str, Message] = {}
    inside = re.compile(f"{re.escape(edited)}([!/].*)?")
    for message in inbox:
        note = None
        with suppress(ValueError):  # it is none
            note = Note.of(message)
        if note is None or note.key is None or note.seq is None or note.seq > last:
            continue
        begin = starts[bisect_left(starts, note.seq) - 1]
        if not edited or begin != starts[-1] or not inside.fullmatch(note.key):
            id = note.id(new_id, begin)
            found.setdefault(id, message._replace(id=id))
    return list(found.values())


class Book:
    """A list of JSON values in a store that many processes add to; nothing is added twice under one id.

    `store` is a Store, or a string that names one, which is opened for each call.
    """

    def __init__(self, store: Store | str, place: str) -> None:
        self._store, self._place = store, place
        self._read: list[Any] = []
        self._position = 0

    async def add(self, id: str, data: Any) -> None:
        """Add a value at the end; does nothing if one was added under this id."""
        async with opened(self._store) as kept:
            assert kept is not None
            await write_book(kept, self._place, id, "entry", to_json(data))

    async def read(self) -> list[Any]:
        """All values, in the order in which they were added. Reads what is new since the last time."""
        async with opened(self._store) as kept:
            assert kept is not None
            found = await read_book(kept, self._place, self._position)
        for message in found:
            if message.kind == UNSEALED:
                raise StoreTamperedError(kept.name, self._place, f"the message '{message.id}'")
            if message.position > self._position:  # another task may have read meanwhile
                self._read.append(from_json(message.data))
                self._position = message.position
        return list(self._read)


async def note_about_user(store: Store | str, user_id: str, topic: str, data: Any) -> None:
    """Write a note about a user from outside of any run."""
    async with opened(store) as kept:
        assert kept is not None
        await write_book(kept, book_of(user_id), uuid.uuid4().hex, "note", to_json([topic, data]))


def book_of(user_id: str, part: str = "") -> str:
    """The id of the book about a user, or of a part of it."""
    return f"@user/{user_id}/{part}" if part else f"@user/{user_id}"


async def write_book(store: Store, place: str, id: str, kind: str, data: bytes, *, made: bool = True) -> None:
    """Put a message into a book, which is `made` if it is not there yet. The same id twice is one message."""
    with suppress(AppendConflictError):  # the same note, sealed or written at another time
        try:
            await store.post(place, id, kind, data)
        except UnknownRunError:
            if not made:
                raise
            with suppress(RunExistsError):
                header = RunHeader(run_id=place, graph=BOOK, fingerprint="", created=time.time())
                await store.release(await store.create(header, owner=owner_name(), ttl=60.0))
            await store.post(place, id, kind, data)


async def read_book(store: Store, place: str, after: int = 0) -> list[Message]:
    """The messages of a book behind a position; none if nobody wrote any."""
    try:
        return await store.inbox(place, after)
    except UnknownRunError:
        return []
