"""How the values of a type stand in JSON: pydantic's schema of the type, rewritten so that reading restores them.

pydantic's own JSON is made for interfaces: it renames fields, leaves some out, adds computed ones, forgets which were
set, turns a time zone into an offset, and picks a member of a union by likeness. Here models are written field by
field under their own names and restored as `copy` would, a time keeps its zone, and a value of a union says of which
member it is where JSON would not tell. Nothing here promises exactness by itself: the codec compares what it reads
back with what it wrote, and refuses what differs.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time, tzinfo
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from pydantic_core import CoreSchema, core_schema

from loomgraph.store.unions import tags_of

__all__ = ["CONFIG", "Written", "rewrite"]

# bytes as base64, so that any bytes survive; non-finite floats as strings, so that JSON stays JSON
CONFIG: Final[Any] = {
    "ser_json_bytes": "base64",
    "val_json_bytes": "base64",
    "ser_json_inf_nan": "strings",
    "ser_json_timedelta": "iso8601",
}

Written: TypeAlias = "tuple[Callable[[Any], Any], Callable[[Any], Any]]"
"""How a registered class is written (dump) and read (load)."""

# pydantic's schemas are dicts whose keys depend on their type
_Schema: TypeAlias = Any

# besides the fields of a model: which were not set; besides those of a TypedDict: its keys, if in another order
_UNSET: Final = "$unset"
_ORDER: Final = "$order"
# what is not a schema, however much it looks like one
_OPAQUE: Final = frozenset({"metadata", "default", "expected", "config", "members", "serialization"})
_PLAIN_KEYS: Final = frozenset({"str", "int", "uuid", "date", "any"})


def rewrite(schema: CoreSchema, find: Callable[[type], Written | None], *, outside: bool = False) -> CoreSchema:
    """The schema that writes and reads the same type exactly; `find` knows the registered classes.

    With `outside` it reads JSON that somebody else wrote, as pydantic would, and knows the registered classes too.
    """
    rewritten: CoreSchema = _Rewriter(schema, find, outside=outside).rewritten()
    return rewritten


class _Rewriter:
    def __init__(self, schema: _Schema, find: Callable[[type], Written | None], *, outside: bool) -> None:
        self._schema = schema
        self._outside = outside
        self._find = find
        self._definitions: dict[str, _Schema] = {}
        if schema["type"] == "definitions":
            self._definitions = {definition["ref"]: definition for definition in schema["definitions"]}

    def rewritten(self) -> _Schema:
        return self._walk(self._schema)

    def _walk(self, schema: _Schema) -> _Schema:
        cls = schema.get("cls")
        written = self._find(cls) if isinstance(cls, type) else None
        if written is not None:
            return _referred(_registered(*written), schema)
        if self._outside or "serialization" in schema:
            return self._children(schema)  # whoever wrote it knows better
        match schema["type"]:
            case "datetime" | "time" as kind:
                return _moment(schema, datetime if kind == "datetime" else time)
            case "float":
                return _number(schema)
            case "decimal":
                return {**schema, "allow_inf_nan": True}
            case "complex":
                return _registered(*_COMPLEX)
            case "generator":
                return self._walk({**schema, "type": "list"})
            case "literal":
                return _literal(schema)
            case "model":
                return self._model(schema)
            case "dataclass":
                return self._dataclass(schema)
            case "typed-dict":
                return self._typed_dict(schema)
            case "union":
                return self._union(schema)
            case "dict":
                return self._dict(schema)
            case _:
                return self._children(schema)

    def _children(self, schema: _Schema) -> _Schema:
        return {key: item if key in _OPAQUE else self._inside(item) for key, item in schema.items()}

    def _inside(self, item: Any) -> Any:
        match item:
            case {"type": str()}:
                return self._walk(item)
            case dict():
                return {key: self._inside(inner) for key, inner in _entries(item)}
            case list():
                return [self._inside(inner) for inner in _all(item)]
            case tuple():
                return tuple(self._inside(inner) for inner in _all(item))
            case _:
                return item

    # ------------------------------------------------------------------ things with fields

    def _model(self, schema: _Schema) -> _Schema:
        cls, inner = schema["cls"], schema["schema"]
        if schema.get("root_model"):
            content = self._walk(inner)
            return _referred(_restored(content, content, _root_of, _root_maker(cls, schema)), schema)
        holder = inner
        while holder["type"] != "model-fields":  # validators of the whole model stand around it
            holder = holder["schema"]
        fields: dict[str, _Schema] = {name: self._walk(field["schema"]) for name, field in holder["fields"].items()}
        extra = _extra(holder, schema.get("config"))
        unset = core_schema.with_default_schema(core_schema.list_schema(core_schema.str_schema()), default=None)
        reading = {
            **{key: holder[key] for key in ("extras_schema", "extras_keys_schema") if key in holder},
            "type": "model-fields",
            "fields": {name: core_schema.model_field(field) for name, field in (*fields.items(), (_UNSET, unset))},
            "extra_behavior": extra,
        }
        writing = core_schema.typed_dict_schema(
            {
                **{name: core_schema.typed_dict_field(field) for name, field in fields.items()},
                _UNSET: core_schema.typed_dict_field(core_schema.list_schema(), required=False),
            },
            extra_behavior="allow" if extra == "allow" else "ignore",
        )
        around = _replaced(inner, holder, reading)
        return _referred(_restored(around, writing, _fields_of(cls, list(fields)), _maker(cls, schema)), schema)

    def _dataclass(self, schema: _Schema) -> _Schema:
        # one with a generic origin is not looked up among the ready-made ones, which are not ours
        return {
            **schema,
            "schema": self._walk(schema["schema"])
            if schema["schema"]["type"] != "dataclass-args"
            else self._fields(schema["schema"]),
            "config": dict(CONFIG),
            "generic_origin": schema.get("generic_origin", schema["cls"]),
        }

    def _typed_dict(self, schema: _Schema) -> _Schema:
        extra = _extra(schema, schema.get("config"))
        bare: _Schema = {**self._fields(schema), "config": dict(CONFIG), "extra_behavior": extra}
        bare.pop("ref", None)
        order = core_schema.typed_dict_field(core_schema.list_schema(core_schema.str_schema()), required=False)
        take = _in_order(list(schema["fields"]), closed=extra != "allow")
        ordered: _Schema = {**bare, "fields": {**bare["fields"], _ORDER: order}}
        return _referred(_restored(ordered, ordered, take, _reordered), schema)

    def _fields(self, schema: _Schema) -> _Schema:
        """The fields of a dataclass or TypedDict under their own names, all of them and no others."""
        fields = schema["fields"]
        bare: Any
        if isinstance(fields, dict):
            bare = {name: self._field(field) for name, field in _entries(fields)}
        else:
            bare = [self._field(field) for field in fields]
        return {**schema, "fields": bare, "computed_fields": []}

    def _field(self, field: _Schema) -> _Schema:
        kept = {key: item for key, item in field.items() if key not in _RENAMED}
        return {**kept, "schema": self._walk(field["schema"]), **({"init": True} if "init" in field else {})}

    # ------------------------------------------------------------------ unions and keys

    def _union(self, schema: _Schema) -> _Schema:
        choices: list[_Schema] = [
            choice[0] if isinstance(choice, tuple) else choice for choice in _all(schema["choices"])
        ]
        tags = tags_of([self._resolved(choice) for choice in choices], self._find)
        inner = [self._walk(choice) for choice in choices]
        plain: _Schema = {**schema, "choices": inner}
        if tags is None:
            return plain
        pairs: list[Any] = [
            core_schema.tuple_schema([core_schema.literal_schema([tag]), choice])
            for tag, choice in zip(tags.names, inner, strict=True)
        ]
        tagged = core_schema.no_info_after_validator_function(
            _second, core_schema.union_schema(pairs, mode="left_to_right")
        )
        writing = core_schema.tagged_union_schema(dict(zip(tags.names, pairs, strict=True)), discriminator=_first)
        # what was written when the type was no union yet, or a smaller one, is read as well
        reading = core_schema.union_schema([tagged, plain], mode="left_to_right")
        return {
            **reading,
            "serialization": core_schema.plain_serializer_function_ser_schema(tags.pair, return_schema=writing),
        }

    def _resolved(self, schema: _Schema) -> _Schema:
        while schema["type"] == "definition-ref" and schema["schema_ref"] in self._definitions:
            schema = self._definitions[schema["schema_ref"]]
        return schema

    def _dict(self, schema: _Schema) -> _Schema:
        """Keys that are no text in JSON make a list of pairs of it."""
        keys, values = self._walk(schema.get("keys_schema", _ANY)), self._walk(schema.get("values_schema", _ANY))
        if keys["type"] in _PLAIN_KEYS or _is_text(keys):
            return {**schema, "keys_schema": keys, "values_schema": values}
        pairs = core_schema.list_schema(core_schema.tuple_schema([keys, values]))
        return _restored(pairs, pairs, _items, dict)


_ANY: Final[_Schema] = {"type": "any"}
_RENAMED: Final = frozenset(
    {"validation_alias", "serialization_alias", "serialization_exclude", "serialization_exclude_if", "metadata"}
)


def _referred(schema: Any, original: _Schema) -> _Schema:
    return {**schema, "ref": original["ref"]} if "ref" in original else schema


def _replaced(outer: _Schema, old: _Schema, new: _Schema) -> _Schema:
    """`outer` with `old`, which it holds at the end of its chain of validators, replaced."""
    return new if outer is old else {**outer, "schema": _replaced(outer["schema"], old, new)}


def _extra(fields: _Schema, config: Mapping[str, Any] | None) -> str:
    """What is not among the fields is kept if the type says so, else refused: it would be lost."""
    behaviour = fields.get("extra_behavior") or (config or {}).get("extra_fields_behavior")
    return "allow" if behaviour == "allow" else "forbid"


def _restored(reading: Any, writing: Any, take: Callable[[Any], Any], make: Callable[[Any], Any]) -> _Schema:
    """A value written as what `take` gives, by the schema `writing`, and read by `make` from what `reading` gives."""
    return core_schema.no_info_after_validator_function(
        make,
        reading,
        serialization=core_schema.plain_serializer_function_ser_schema(take, return_schema=writing),
    )


def _registered(dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> _Schema:
    def read(data: Any) -> Any:
        try:
            return load(data)
        except (ValueError, AssertionError):
            raise
        except Exception as error:  # in a union, data of another member is tried as well
            raise ValueError(f"{type(error).__name__}: {error}") from error

    return core_schema.no_info_plain_validator_function(
        read, serialization=core_schema.plain_serializer_function_ser_schema(dump)
    )


# ---------------------------------------------------------------------- models


def _fields_of(cls: type[Any], names: Sequence[str]) -> Callable[[Any], Any]:
    count = len(names)

    def take(value: Any) -> Any:
        if type(value) is not cls:
            raise ValueError(
                f"a {type(value).__name__} stands where {cls.__name__} is declared, and would lose its own fields"
            )
        fields, given, extra = value.__dict__, value.__pydantic_fields_set__, value.__pydantic_extra__
        if not extra and len(given) >= count:
            return fields
        unset = [name for name in names if name not in given]
        taken = {**fields, **extra} if extra else dict(fields)
        if unset:
            taken[_UNSET] = unset
        return taken

    return take


def _maker(cls: Any, schema: _Schema) -> Callable[[Any], Any]:
    post_init = schema.get("post_init")
    put = object.__setattr__

    def make(parts: Any) -> Any:
        fields, extra, given = parts
        unset = fields.pop(_UNSET, None)
        if unset is not None:
            given = given.difference(unset, (_UNSET,))
        made = cls.__new__(cls)
        put(made, "__dict__", fields)
        put(made, "__pydantic_extra__", extra)
        put(made, "__pydantic_fields_set__", given)
        put(made, "__pydantic_private__", None)
        if post_init is not None:
            getattr(made, post_init)(None)
        return made

    return make


def _root_of(value: Any) -> Any:
    return value.root


def _root_maker(cls: Any, schema: _Schema) -> Callable[[Any], Any]:
    make = _maker(cls, schema)
    return lambda root: make(({"root": root}, None, {"root"}))


def _in_order(names: Sequence[str], *, closed: bool) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        keys = list(value)
        if closed and not names_set.issuperset(keys):
            raise ValueError(f"the key {next(key for key in keys if key not in names_set)!r} is not declared")
        if keys == names or keys == [name for name in names if name in value]:
            return value
        return {**value, _ORDER: keys}

    names_set = frozenset(names)
    return take


def _reordered(value: dict[str, Any]) -> dict[str, Any]:
    keys = value.pop(_ORDER, None)
    return value if keys is None else {key: value[key] for key in keys}


# ---------------------------------------------------------------------- scalars


def _number(schema: _Schema) -> _Schema:
    """A float, or an int where one is declared as float: each is read back as what it was. NaN is text."""
    integer = core_schema.int_schema(strict=True)
    real: _Schema = {**schema, "strict": False}
    return {
        **core_schema.union_schema([integer, real], mode="left_to_right"),
        "serialization": {"type": "any"},
    }


def _moment(schema: _Schema, cls: type[datetime | time]) -> _Schema:
    """A datetime or time as ISO 8601 text, followed by its zone as RFC 9557 writes it: `...+02:00[Europe/Berlin]`."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        text, *marks = value.replace("]", "").split("[")
        moment = cls.fromisoformat(text)
        for mark in marks:
            moment = moment.replace(fold=1) if mark == _FOLD else moment.replace(tzinfo=_zone(mark))
        return moment

    return core_schema.no_info_before_validator_function(
        read, schema, serialization=core_schema.plain_serializer_function_ser_schema(_written_moment)
    )


_FOLD: Final = "_fold=1"
_COMPLEX: Final[Written] = (
    lambda value: [_part(value.real), _part(value.imag)],
    lambda parts: complex(float(parts[0]), float(parts[1])),
)


def _part(number: float) -> Any:
    return number if math.isfinite(number) else str(number)


def _written_moment(value: datetime | time) -> str:
    zone = value.tzinfo
    text = value.isoformat()
    if isinstance(zone, ZoneInfo):
        if not zone.key:
            raise ValueError(f"the time zone {zone!r} has no name to find it by")
        text += f"[{zone.key}]"
    return f"{text}[{_FOLD}]" if value.fold else text


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except KeyError as error:
        raise ValueError(f"there is no time zone '{name}' here; install tzdata") from error


def _literal(schema: _Schema) -> _Schema:
    """Members of an enumeration by their names; JSON has the other literals."""
    members = [member for member in schema["expected"] if isinstance(member, enum.Enum)]
    if not members:
        return schema
    by_name: dict[Any, Any] = {f"{type(member).__name__}.{member.name}": member for member in members}
    names = {member: name for name, member in by_name.items()}
    by_name |= {other: other for other in schema["expected"] if not isinstance(other, enum.Enum)}

    def load(value: Any) -> Any:
        if value not in by_name:
            raise ValueError(f"{value!r} is none of {', '.join(map(str, by_name))}")
        return by_name[value]

    def dump(value: Any) -> Any:
        return names[value] if isinstance(value, enum.Enum) else value

    return _registered(dump, load)


def _is_text(schema: _Schema) -> bool:
    """Whether every value of a literal or an enumeration is text."""
    match schema["type"]:
        case "literal":
            return all(isinstance(value, str) for value in schema["expected"])
        case "enum":
            return all(isinstance(member.value, str) for member in schema["members"])
        case _:
            return False


def _entries(item: Any) -> Iterable[tuple[str, Any]]:
    return item.items()  # type: ignore[no-any-return]


def _all(item: Any) -> Iterable[Any]:
    return item  # type: ignore[no-any-return]


def _first(pair: Any) -> Any:
    return pair[0]


def _second(pair: Any) -> Any:
    return pair[1]


def _items(value: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    return list(value.items())
