"""Lessons: what an agent learned from attempts that were not good enough, and where they are kept for other runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from loomgraph.errors import DefinitionError
from loomgraph.runtime.notes import Book, book_of

__all__ = ["Lesson", "LessonStore", "MemoryLessons", "StoredLessons", "most_useful"]


class Lesson(BaseModel):
    """One lesson: its `text`, and the task, the score and the user of the attempt that taught it.

    `id` names the activation that learned it, the same after every resume.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    text: str
    task: str
    score: float
    user_id: str | None = None


@runtime_checkable
class LessonStore(Protocol):
    """Where lessons are kept for other runs. May be used by many runs at once.

    - A lesson that was added is there for every recall that begins afterwards; the same `id` twice is one lesson.
    - A recall gives lessons of that user alone (None: of runs without a user): a user's task is nobody else's.
    """

    async def add(self, lesson: Lesson) -> None:
        """Keep a lesson."""
        ...

    async def recall(self, task: str, *, user_id: str | None, limit: int) -> Sequence[Lesson]:
        """At most `limit` lessons that may help with a task, the most useful first."""
        ...


class MemoryLessons:
    """Keeps lessons as long as the process lives; `lessons` has them in the order they came."""

    def __init__(self) -> None:
        self._kept: dict[str, Lesson] = {}

    @property
    def lessons(self) -> tuple[Lesson, ...]:
        """All of them."""
        return tuple(self._kept.values())

    async def add(self, lesson: Lesson) -> None:
        """Keep a lesson."""
        self._kept.setdefault(lesson.id, lesson)

    async def recall(self, task: str, *, user_id: str | None, limit: int) -> Sequence[Lesson]:
        """The lessons whose tasks share most words with this one; of equal ones the latest."""
        return most_useful(self.lessons, task, user_id=user_id, limit=limit)


class StoredLessons:
    """Keeps lessons in a store of runs, beside them: `StoredLessons("sqlite:runs.db")`, or a Store of any kind.

    The lessons about a user are in a book of their own, `@user/USER/lessons/NAME`, deleted as a run is; those of
    runs without a user are in `@lessons/NAME`. Raises StoreError; DefinitionError for what would keep nothing.
    """

    def __init__(self, store: Any, name: str = "default") -> None:
        if store == "memory:":
            raise DefinitionError(
                "StoredLessons('memory:') would be a new store each time. Use MemoryLessons(), or give a MemoryStore."
            )
        self._store, self._name = store, name
        self._books: dict[str | None, Book] = {}

    async def add(self, lesson: Lesson) -> None:
        """Keep a lesson; durable on return."""
        await self._book(lesson.user_id).add(lesson.id, lesson)

    async def recall(self, task: str, *, user_id: str | None, limit: int) -> Sequence[Lesson]:
        """The lessons whose tasks share most words with this one; of equal ones the latest."""
        found = [Lesson.model_validate(data, strict=True) for data in await self._book(user_id).read()]
        return most_useful(found, task, user_id=user_id, limit=limit)

    def _book(self, user_id: str | None) -> Book:
        if user_id not in self._books:
            place = f"@lessons/{self._name}" if user_id is None else book_of(user_id, f"lessons/{self._name}")
            self._books[user_id] = Book(self._store, place)
        return self._books[user_id]


def most_useful(lessons: Sequence[Lesson], task: str, *, user_id: str | None, limit: int) -> list[Lesson]:
    """Those of a user's lessons, in the order they came, whose tasks share most words with a task; at most `limit`.

    Of equal ones the latest come first. How much two tasks share is the part of all their words that both have.
    """
    wanted = _words(task)

    def shared(lesson: Lesson) -> float:
        words = _words(lesson.task)
        return len(words & wanted) / max(1, len(words | wanted))

    own = [lesson for lesson in reversed(lessons) if lesson.user_id == user_id]
    return sorted(own, key=shared, reverse=True)[:limit]


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
