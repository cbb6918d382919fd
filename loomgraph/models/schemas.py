"""JSON schemas for providers that enforce them: only what their strict modes take. Never changes what a schema admits
to be refused: what is left out here is checked when the answer is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

__all__ = ["is_recursive", "strict_schema"]

# What strict mode takes; anything else is told to the model in the description.
_KEPT = frozenset(
    {
        *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "$ref", "$defs"),
        *("title", "description", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        *("multipleOf", "minItems", "maxItems"),
    }
)
_DROPPED = frozenset({"default", "discriminator", "examples", "readOnly", "writeOnly", "deprecated"})
_UNSUPPORTED = frozenset(
    {
        *("prefixItems", "patternProperties", "propertyNames", "not", "if", "then", "else", "contains", "$dynamicRef"),
    }
)


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema with every field required and none besides, as strict mode wants it.

    None if that cannot be said, as of a mapping with any keys or of a tuple.
    """
    try:
        return _strict(dict(schema), cast(Mapping[str, Any], schema.get("$defs", {})), ())
    except _NotStrictError:
        return None


class _NotStrictError(Exception):
    pass


def _strict(schema: Any, definitions: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(schema, dict) or not schema:
        raise _NotStrictError  # anything at all, or nothing
    node = cast(dict[str, Any], schema)
    if _UNSUPPORTED & node.keys():
        raise _NotStrictError
    if "$ref" in node and len(node) > 1:
        inside, node = (*inside, str(node["$ref"])), _inlined(node, definitions, inside)
    if "allOf" in node:
        node = _merged(node)
    out: dict[str, Any] = {}
    told: list[str] = []
    for key, value in node.items():
        match key:
            case "oneOf" | "anyOf":
                out["anyOf"] = [_strict(item, definitions, inside) for item in value]
            case "properties" | "$defs":
                out[key] = {name: _strict(item, definitions, inside) for name, item in value.items()}
            case "items":
                out[key] = _strict(value, definitions, inside)
            case _ if key in _KEPT:
                out[key] = value
            case _ if key not in _DROPPED:
                told.append(f"{key}: {value}")
            case _:
                pass
    if told:
        out["description"] = " ".join([*filter(None, [out.get("description")]), f"({', '.join(told)})"])
    _close(out)
    return out


def _close(node: dict[str, Any]) -> None:
    """An object takes its fields, all of them, and no others; a list says what is in it."""
    if node.get("type") == "array" and "items" not in node:
        raise _NotStrictError
    if node.get("type") != "object" and "properties" not in node:
        return
    if "properties" not in node or node.get("additionalProperties", False) not in (False, None):
        raise _NotStrictError
    node["additionalProperties"] = False
    node["required"] = list(node["properties"])


def _inlined(node: dict[str, Any], definitions: Mapping[str, Any], inside: tuple[str, ...]) -> dict[str, Any]:
    """A reference with more beside it, which strict mode does not take, as what it refers to."""
    reference = str(node["$ref"])
    name = reference.removeprefix("#/$defs/")
    if reference in inside or name not in definitions:
        return {"$ref": reference}
    beside = {key: value for key, value in node.items() if key not in {"$ref", "default"}}
    return {**definitions[name], **beside}


def _merged(node: dict[str, Any]) -> dict[str, Any]:
    """An `allOf` of one is that one."""
    parts: list[Any] = node["allOf"]
    if len(parts) != 1:
        raise _NotStrictError
    return {**parts[0], **{key: value for key, value in node.items() if key != "allOf"}}


def is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition refers to itself, at whatever remove."""
    definitions = cast(Mapping[str, Any], schema.get("$defs", {}))
    edges = {name: set(_references(body)) for name, body in definitions.items()}
    settled: set[str] = set()
    while True:
        free = {name for name, targets in edges.items() if name not in settled and targets <= settled}
        if not free:
            return len(settled) < len(edges)
        settled |= free


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in cast(dict[str, Any], node).items():
            if key == "$ref":
                yield str(value).removeprefix("#/$defs/")
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for item in cast(Sequence[Any], node):
            yield from _references(item)
