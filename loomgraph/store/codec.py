"""Typed values as content-addressed JSON, and back. Never pickles, never guesses, never writes what will not read back.

A value is written through its declared type. Small ones stand in the event itself; larger ones are rows, found by the
hash of their content, so equal values are stored once. A long list is stored by its growth: the hash of a list is a
chain over its items, so any list that begins like one already written only adds its new items.

What is read back is validated against the type it was declared with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from loomgraph.errors import CodecError, ValueMissingError, ValueTooLargeError
from loomgraph.graph.signature import describe_type
from loomgraph.store.exact import same
from loomgraph.store.types import TypeRegistry

__all__ = ["Codec", "Rows"]

Rows = dict[bytes, bytes]
"""Values to store: digest -> data."""

_DIGEST: Final = 16
_INLINE: Final = 96
# lists shorter than this are cheaper inside their parent than as a row of their own
_LIST_ITEMS: Final = 8
_PLAIN, _LIST = b"J", b"L"
_ROW_KEY, _LIST_KEY, _ESCAPE = "$row", "$list", "$is"
# whatever of it could be taken for one of these has it in its text
_OURS: Final = b'"$'
_EMPTY: Final = hashlib.blake2b(b"[]", digest_size=_DIGEST).digest()
# of these the JSON is short, however it is escaped
_SHORT_INT: Final = 10**18
_SHORT_TEXT: Final = 15
_SCALARS: Final[frozenset[Any]] = frozenset({int, str, bool})


class Codec:
    """Writes and reads values. `known` are digests the store has for sure, so they are not written again.

    `max_bytes` bounds one value's own row. `registry` has the types that JSON does not know.
    """

    def __init__(self, *, max_bytes: int = 64 * 1024 * 1024, registry: TypeRegistry | None = None) -> None:
        self.max_bytes = max_bytes
        self.registry = registry if registry is not None else TypeRegistry.default()
        self.known: set[bytes] = set()
        self._adapters: dict[Any, TypeAdapter[Any]] = {}

    # ------------------------------------------------------------------ writing

    def dump(self, tp: Any, value: Any, where: str) -> tuple[Any, Rows]:
        """The JSON that stands for the value in an event, and the rows it needs.

        Raises CodecError, naming `where` and the type, for what does not read back exactly, and ValueTooLargeError.
        """
        rows: Rows = {}
        if type(value) is tp and tp in _SCALARS and _is_scalar_text(value):
            plain: Any = value
        else:
            text = self._checked(tp, value, where)
            if len(text) <= _INLINE and _OURS not in text:
                return json.loads(text), rows
            plain = self._split(json.loads(text), rows, where)
        text = to_json(plain)
        if len(text) <= _INLINE:
            return plain, rows
        return {_ROW_KEY: self._row(_PLAIN + text, rows, where)}, rows

    def is_plain(self, tp: Any, value: Any) -> bool:
        """Whether `dump` would give back the value as it is, told from its looks; False where that takes more."""
        if value is None:
            return tp is None or tp is type(None)
        if type(value) is not tp:
            return False
        if tp is int:
            return bool(-_SHORT_INT < value < _SHORT_INT)
        return tp is bool or bool(tp is str and len(value) <= _SHORT_TEXT and value.isascii())

    def _checked(self, tp: Any, value: Any, where: str) -> bytes:
        """The value's JSON, of which it is known that it reads back as the same value."""
        adapter = self._adapter(tp)
        try:
            text = adapter.dump_json(value, by_alias=True)
            back = adapter.validate_json(text, by_alias=True)
        except (PydanticSerializationError, ValidationError, ValueError, TypeError) as error:
            raise CodecError(where, describe_type(tp), value, str(error)) from error
        difference = same(value, back)
        if difference is not None:
            raise CodecError(where, describe_type(tp), value, difference)
        return text

    def _split(self, plain: Any, rows: Rows, where: str) -> Any:
        """Long lists become rows of their own; keys that look like ours are escaped."""
        if isinstance(plain, dict):
            fields = cast("dict[str, Any]", plain)
            split = {key: self._split(item, rows, where) for key, item in fields.items()}
            return {_ESCAPE: split} if len(split) == 1 and next(iter(split)).startswith("$") else split
        if not isinstance(plain, list):
            return plain
        listed: list[Any] = plain  # pyright: ignore[reportUnknownVariableType]
        items = [self._split(item, rows, where) for item in listed]
        return items if len(items) < _LIST_ITEMS else {_LIST_KEY: self._list(items, rows, where)}

    def _list(self, items: list[Any], rows: Rows, where: str) -> str:
        texts = [to_json(item) for item in items]
        digests = [_EMPTY]
        for text in texts:
            digests.append(hashlib.blake2b(digests[-1] + text, digest_size=_DIGEST).digest())
        start = len(texts)
        while start and digests[start] not in self.known and digests[start] not in rows:
            start -= 1
        if start < len(texts):
            data = _LIST + digests[start] + b"[" + b",".join(texts[start:]) + b"]"
            self._put(digests[-1], data, rows, where)
        return digests[-1].hex()

    def _row(self, data: bytes, rows: Rows, where: str) -> str:
        digest = hashlib.blake2b(data, digest_size=_DIGEST).digest()
        self._put(digest, data, rows, where)
        return digest.hex()

    def _put(self, digest: bytes, data: bytes, rows: Rows, where: str) -> None:
        if len(data) > self.max_bytes:
            raise ValueTooLargeError(where, len(data), self.max_bytes)
        if digest not in self.known:
            rows[digest] = data

    # ------------------------------------------------------------------ reading

    def load(self, tp: Any, ref: Any, values: Mapping[bytes, bytes], where: str) -> Any:
        """The value that `dump` wrote, validated; `values` has every row it reaches.

        Raises ValueMissingError for a row that is not there, CodecError for what the type does not accept any more.
        """
        if type(ref) is tp and tp in _SCALARS:
            return ref
        plain = self._join(ref, values, where)
        try:
            return self._adapter(tp).validate_json(to_json(plain), by_alias=True)
        except ValidationError as error:
            raise CodecError(where, describe_type(tp), plain, str(error)) from error

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
                return self._join(json.loads(_fetch(values, bytes.fromhex(item), where)[1:]), values, where)
            if key == _LIST_KEY:
                return self._joined(bytes.fromhex(item), values, where)
        return {key: self._join(item, values, where) for key, item in fields.items()}

    def _joined(self, digest: bytes, values: Mapping[bytes, bytes], where: str) -> list[Any]:
        """A list, from its last growth back to its beginning."""
        parts: list[list[Any]] = []
        while digest != _EMPTY:
            data = _fetch(values, digest, where)
            digest = data[1 : 1 + _DIGEST]
            parts.append(json.loads(data[1 + _DIGEST :]))
        return [self._join(item, values, where) for part in reversed(parts) for item in part]

    def _adapter(self, tp: Any) -> TypeAdapter[Any]:
        found = self._adapters.get(tp) if _hashable(tp) else None
        if found is None:
            found = self.registry.adapter(tp)
            if _hashable(tp):
                self._adapters[tp] = found
        return found


def _fetch(values: Mapping[bytes, bytes], digest: bytes, where: str) -> bytes:
    data = values.get(digest)
    if data is None:
        raise ValueMissingError(where, digest.hex())
    return data


def _is_scalar_text(value: Any) -> bool:
    """JSON text is UTF-8, which has no lone surrogates."""
    return not isinstance(value, str) or value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)


def _hashable(tp: Any) -> bool:
    try:
        hash(tp)
    except TypeError:
        return False
    return True
