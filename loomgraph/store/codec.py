"""Typed values as content-addressed JSON, and back. Never pickles, never guesses, never writes what will not read back.

A value is written through its declared type. Small ones stand in the event itself; larger ones are rows, found by the
hash of their content, so equal values are stored once. A long list is stored by its growth: the hash of a list is a
chain over its items, so any list that begins like one already written only adds its new items.

What is read back is validated against the type it was declared with.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import to_json

from loomgraph.errors import CodecError, LogDamagedError, UnreadableError, ValueMissingError, ValueTooLargeError
from loomgraph.graph.signature import describe_type
from loomgraph.store.exact import same
from loomgraph.store.growth import DIGEST, EMPTY, Growth, chained, item_type
from loomgraph.store.types import TypeRegistry

__all__ = ["MAX_BYTES", "Codec", "Rows"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""How large one value may be, written as JSON, unless somebody says otherwise."""

Rows = dict[bytes, bytes]
"""Values to store: digest -> data."""

_INLINE: Final = 96
# lists shorter than this are cheaper inside their parent than as a row of their own
_LIST_ITEMS: Final = 8
# beginnings of lists written lately, of each list those that leave out its last few items
_PASSED: Final = 256
_TAIL: Final = 4
_PLAIN, _LIST = b"J", b"L"
_ROW_KEY, _LIST_KEY, _ESCAPE = "$row", "$list", "$is"
# whatever of it could be taken for one of these has it in its text
_OURS: Final = b'"$'
# of these the JSON is short, however it is escaped
_SHORT_INT: Final = 10**18
_SHORT_TEXT: Final = 15
_CALLING: Final = re.compile(r"^(Error serializing to JSON: |\w*Error: |Error calling function `[^`]*`: )+")
_SCALARS: Final[frozenset[Any]] = frozenset({int, str, bool, float})
_DECODER: Final = json.JSONDecoder()
# what every JSON parser and Python's own limit on digits take
_WIDE: Final = 1 << 63


class Codec:
    """Writes and reads values. `known` are digests the store has for sure, so they are not written again.

    `max_bytes` bounds one value, as JSON. `registry` has the types that JSON does not know.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, registry: TypeRegistry | None = None) -> None:
        self.max_bytes = max_bytes
        self.registry = registry if registry is not None else TypeRegistry.default()
        self.known: set[bytes] = set()
        self._passed: deque[bytes] = deque(maxlen=_PASSED)
        self._growth = Growth(lambda new, old: same(new, old, dump=self._dump_of, wary=True))

    # ------------------------------------------------------------------ writing

    def dump(self, tp: Any, value: Any, where: str) -> tuple[Any, Rows]:
        """The JSON that stands for the value in an event, and the rows it needs.

        Raises CodecError, naming `where` and the type, for what does not read back exactly, and ValueTooLargeError.
        """
        rows: Rows = {}
        if type(value) is tp and tp in _SCALARS and _is_json(value):
            plain: Any = value
            text = to_json(plain)
            self._weigh(len(text), where)
        else:
            grown = self._grown(tp, value, rows, where)
            if grown is not None:
                return grown, rows
            text = self._checked(tp, value, where)
            if len(text) <= _INLINE and _OURS not in text:
                return json.loads(text), rows
            try:
                plain = self._split(json.loads(text), rows)
            except RecursionError as error:
                raise CodecError(where, describe_type(tp), value, "it is nested too deeply") from error
            text = to_json(plain)
        if len(text) <= _INLINE:
            return plain, rows
        return {_ROW_KEY: self._row(_PLAIN + text, rows)}, rows

    def dump_whole(self, plain: Any, where: str) -> tuple[Any, Rows]:
        """The same for JSON data that is always read as a whole: one row, however long its lists are."""
        text = self._checked(Any, plain, where)
        if len(text) <= _INLINE or _OURS in text:
            return self.dump(Any, plain, where)
        rows: Rows = {}
        return {_ROW_KEY: self._row(_PLAIN + text, rows)}, rows

    def is_plain(self, tp: Any, value: Any) -> bool:
        """Whether `dump` would give back the value as it is, told from its looks; False where that takes more."""
        if value is None:
            return tp is None or tp is type(None)
        if type(value) is not tp:
            return False
        if tp is int:
            return bool(-_SHORT_INT < value < _SHORT_INT)
        return tp is bool or bool(tp is str and len(value) <= _SHORT_TEXT and value.isascii())

    def _grown(self, tp: Any, value: Any, rows: Rows, where: str) -> Any:
        """What stands for a long list whose items can be written one by one; None for anything else."""
        inner = item_type(tp)
        if inner is None or type(value) is not list:
            return None
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        if len(items) < _LIST_ITEMS:
            return None
        grown = self._growth.begun(tp, items)
        old = len(grown.items)
        parts: Rows = {}
        texts: list[bytes] = []
        try:
            for item in items[old:]:
                text = self._checked(inner, item, where)
                texts.append(to_json(self._split(json.loads(text), parts)))
                grown.add(item, texts[-1], len(text))
        except (CodecError, RecursionError):
            return None  # it is said of the list as a whole
        self._weigh(grown.sizes[-1], where)
        start = self._written(grown.digests, parts)
        if start < old or grown.sizes[-1] <= _INLINE:
            return None
        rows.update(parts)
        self._grow(grown.digests, start, texts[start - old :], rows)
        self._growth.remember(tp, grown)
        return {_LIST_KEY: grown.digests[-1].hex()}

    def _checked(self, tp: Any, value: Any, where: str) -> bytes:
        """The value's JSON, of which it is known that it reads back as the same value."""
        try:
            form = self.registry.form(tp)
            text = form.dump(value)
            self._weigh(len(text), where)
            back = form.load(text)
            difference = same(value, back, dump=self._dump_of)
        except ValueTooLargeError:
            raise
        except Exception as error:  # besides pydantic's errors whatever a type's own functions raise
            raise CodecError(where, describe_type(tp), value, _reason(error)) from error
        if difference is not None:
            raise CodecError(where, describe_type(tp), value, difference)
        return text

    def _dump_of(self, cls: type) -> Callable[[Any], Any] | None:
        written = self.registry.find(cls)
        return None if written is None else written[0]

    def _weigh(self, size: int, where: str) -> None:
        if size > self.max_bytes:
            raise ValueTooLargeError(where, size, self.max_bytes)

    def _split(self, plain: Any, rows: Rows) -> Any:
        """Long lists become rows of their own; keys that look like ours are escaped."""
        if isinstance(plain, dict):
            fields = cast("dict[str, Any]", plain)
            split = {key: self._split(item, rows) for key, item in fields.items()}
            return {_ESCAPE: split} if len(split) == 1 and next(iter(split)).startswith("$") else split
        if not isinstance(plain, list):
            return plain
        listed: list[Any] = plain  # pyright: ignore[reportUnknownVariableType]
        items = [self._split(item, rows) for item in listed]
        return items if len(items) < _LIST_ITEMS else {_LIST_KEY: self._list(items, rows)}

    def _list(self, items: list[Any], rows: Rows) -> str:
        texts = [to_json(item) for item in items]
        digests = [EMPTY]
        for text in texts:
            digests.append(chained(digests[-1], text))
        start = self._written(digests, rows)
        self._grow(digests, start, texts[start:], rows)
        return digests[-1].hex()

    def _written(self, digests: list[bytes], rows: Rows) -> int:
        """How many items the longest beginning has that is stored, or will be with `rows`."""
        start = len(digests) - 1
        while start and digests[start] not in self.known and digests[start] not in rows:
            start -= 1
        return start

    def _grow(self, digests: list[bytes], start: int, texts: list[bytes], rows: Rows) -> None:
        """Add the rows of a list whose first `start` items are stored; the rest are `texts`.

        What it has in common with a list written lately is a row of its own, in case the next one has that too: what is
        said last may change each time, and what was said before it stays.
        """
        end = len(digests) - 1
        fork = end
        while fork > start and digests[fork] not in self._passed:
            fork -= 1
        for begin, behind in ((start, fork), (fork, end)):
            if begin < behind:
                items = b",".join(texts[begin - start : behind - start])
                self._put(digests[behind], _LIST + digests[begin] + b"[" + items + b"]", rows)
        self._passed.extend(digests[max(start + 1, end - _TAIL) : end])

    def _row(self, data: bytes, rows: Rows) -> str:
        digest = hashlib.blake2b(data, digest_size=DIGEST).digest()
        self._put(digest, data, rows)
        return digest.hex()

    def _put(self, digest: bytes, data: bytes, rows: Rows) -> None:
        if digest not in self.known:
            rows[digest] = data

    # ------------------------------------------------------------------ reading

    def load(self, tp: Any, ref: Any, values: Mapping[bytes, bytes], where: str) -> Any:
        """The value that `dump` wrote, validated; `values` has every row it reaches.

        Raises ValueMissingError for a row that is not there, LogDamagedError for one that is not what was written, and
        UnreadableError for what the type takes no more.
        """
        if type(ref) is tp and tp in _SCALARS:
            return ref
        plain = self._join(ref, values, where)
        try:
            return self.registry.form(tp).load(to_json(plain))
        except Exception as error:  # as above
            raise UnreadableError(where, describe_type(tp), plain, _reason(error)) from error

    def accept(self, tp: Any, plain: Any, where: str) -> Any:
        """JSON data from outside (an answer, a signal) as a value of a type, by pydantic's rules and strictly.

        Raises UnreadableError if it is not one.
        """
        try:
            return self.registry.outside(tp).load(to_json(plain))
        except Exception as error:  # as above
            raise UnreadableError(where, describe_type(tp), plain, _reason(error)) from error

    def _join(self, ref: Any, values: Mapping[bytes, bytes], where: str) -> Any:
        if isinstance(ref, list):
            listed: list[Any] = ref  # pyright: ignore[reportUnknownVariableType]
            return [self._join(item, values, where) for item in listed]
        if not isinstance(ref, dict):
            return ref
        fields = cast("dict[str, Any]", ref)
        if len(fields) == 1:
            ((key, item),) = fields.items()
            if key == _ESCAPE:
                return {k: self._join(v, values, where) for k, v in item.items()}
            if key == _ROW_KEY:
                return self._join(_plain(values, bytes.fromhex(item), where), values, where)
            if key == _LIST_KEY:
                return self._joined(bytes.fromhex(item), values, where)
        return {key: self._join(item, values, where) for key, item in fields.items()}

    def _joined(self, digest: bytes, values: Mapping[bytes, bytes], where: str) -> list[Any]:
        """A list, from its last growth back to its beginning."""
        parts: list[list[Any]] = []
        while digest != EMPTY:
            digest, items = _grown(values, digest, where)
            parts.append(items)
        return [self._join(item, values, where) for part in reversed(parts) for item in part]


def _fetch(values: Mapping[bytes, bytes], digest: bytes, where: str) -> bytes:
    data = values.get(digest)
    if data is None:
        raise ValueMissingError(where, digest.hex())
    return data


def _plain(values: Mapping[bytes, bytes], digest: bytes, where: str) -> Any:
    """What a row says, if its content is what its digest is of. Raises LogDamagedError."""
    data = _fetch(values, digest, where)
    if hashlib.blake2b(data, digest_size=DIGEST).digest() != digest:
        raise _damaged(digest, where)
    return json.loads(data[1:])


def _grown(values: Mapping[bytes, bytes], digest: bytes, where: str) -> tuple[bytes, list[Any]]:
    """The same for the row of a list: what it goes on from, and its items."""
    data = _fetch(values, digest, where)
    before = chain = data[1 : 1 + DIGEST]
    items: list[Any] = []
    try:
        text = data[1 + DIGEST :].decode()
        at = 1
        while at < len(text):
            # the chain is over the items as they were written, so each is taken as it stands
            item, end = _DECODER.raw_decode(text, at)
            items.append(item)
            chain = chained(chain, text[at:end].encode())
            at = end + 1
    except ValueError as error:
        raise _damaged(digest, where) from error
    if chain != digest or at != len(text) or data[:1] != _LIST:
        raise _damaged(digest, where)
    return before, items


def _damaged(digest: bytes, where: str) -> LogDamagedError:
    return LogDamagedError(f"the value {digest.hex()} of {where}", "its content has another digest")


def _is_json(value: Any) -> bool:
    """Whether a scalar stands in JSON as it is: UTF-8 has no lone surrogates, and JSON no infinity."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    return bool(-_WIDE < value < _WIDE)


def _reason(error: Exception) -> str:
    """What an error of pydantic, or of a function that it called, says; without pydantic's own trimmings."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        # the labels of union arms are pydantic's, not the user's
        place = ".".join(str(part) for part in first["loc"] if "[" not in str(part))
        return f"{place}: {first['msg']}" if place else first["msg"]
    if isinstance(error, PydanticUserError):
        return error.message
    return _CALLING.sub("", str(error)) or type(error).__name__
