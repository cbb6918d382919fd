"""The objects of a JSON list whose text is still coming: each is read as soon as its last brace is there.

Judges nothing: whether the whole text is an answer is said when all of it is there. Reads each character once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic_core import from_json

__all__ = ["GrowingList"]

_MARK = re.compile(r'["{}\[\]]')
_IN_TEXT = re.compile(r'["\\]')


class GrowingList:
    """The first list that is a value of the key `name`, in a text that comes in pieces.

    Ends, without an error, at the list's end and at what is no object.
    """

    def __init__(self, name: str) -> None:
        self._begins = re.compile(rf'"{re.escape(name)}"\s*:\s*\[')
        self._text = ""
        self._at = -1  # the next character to read; -1 before the list
        self._item = 0  # where the object began that is being read
        self._depth = 0
        self._quoted = False
        self._over = False

    def feed(self, text: str) -> Iterator[Any]:
        """The objects that are complete with this text, in order."""
        self._text += text
        if self._at < 0:
            found = self._begins.search(self._text)
            if found is None:
                return
            self._at = found.end()
        while not self._over:
            mark = (_IN_TEXT if self._quoted else _MARK).search(self._text, self._at)
            if mark is None:
                self._at = len(self._text)
                return
            if mark[0] == "\\" and mark.end() == len(self._text):
                self._at = mark.start()  # what it escapes is still to come
                return
            self._at = mark.end() + (mark[0] == "\\")
            if self._read(mark[0], mark.start()):
                try:
                    yield from_json(self._text[self._item : self._at], allow_inf_nan=False)
                except ValueError:
                    self._over = True

    def _read(self, mark: str, at: int) -> bool:
        """Take notice of a character; True if it ends an object of the list."""
        if mark == '"':
            self._quoted = not self._quoted
            self._over = not self._depth
        elif mark in "{[":
            if not self._depth:
                self._item = at
                self._over = mark == "["
            self._depth += 1
        elif mark != "\\":
            self._depth -= 1
            self._over = self._depth < 0
            return not self._depth
        return False
