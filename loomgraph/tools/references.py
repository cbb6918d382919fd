"""References: an argument that names the result of another call of its batch, and how it is replaced by it.

Two ways to write them. In "plan" syntax, which a planner is taught: `#E1`, `#name` of a call that is there, `$1`,
`${1}`, `{{E1}}`, `$name.field$`, each with an optional path into the result (`.field`, `[0]`, `["any key"]`). In "ids"
syntax, for calls that a chat model emits with ids of their own, only `{{id}}` with an id of the batch: there, text such
as `$1` in a shell command is text.

A whole argument that is a reference becomes the value, with its type. Inside text it becomes text: strings as they
are, anything else as JSON. Nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from pydantic_core import to_json

__all__ = ["PathError", "Reference", "Syntax", "find_references", "may_refer", "replace_references"]

Syntax: TypeAlias = Literal["plan", "ids"]

_NAME = r"[A-Za-z_][\w-]*"
_PATH = rf"(?:\.{_NAME}|\[\d+\]|\[\"[^\"]*\"\]|\['[^']*'\])*"
_IDS = re.compile(rf"\{{\{{\s*(?P<a>[^\s{{}}.\[\]]+)(?P<ap>{_PATH})\s*\}}\}}")
# `$name.free text$`: closed by a second dollar sign, so that field names may have spaces in them
_CLOSED = r"\$(?P<b>\w+)(?P<bp>(?:\.[^.$\[\]\n]+|\[\d+\])*)\$(?!\d)"
_PLAN = re.compile(
    rf"{_IDS.pattern}|{_CLOSED}|\$\{{(?P<c>[\w-]+)(?P<cp>{_PATH})\}}"
    rf"|\#(?P<d>E\d+)(?P<dp>{_PATH})|\#(?P<f>[A-Za-z_]\w*(?:-\w+)*)(?P<fp>{_PATH})|\$(?P<e>{_NAME}|\d+(?!\.?\d))(?P<ep>{_PATH})"
)
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\"([^\"]*)\"\]|\['([^']*)'\]")


class PathError(LookupError):
    """A reference's path leads nowhere in the result; the text says where it ends and what there is."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`text` as it was written, the `id` of the call it names, the `path` into its result.

    `known` says whether the batch has a call of that id.
    """

    text: str
    id: str
    path: tuple[str | int, ...]
    known: bool


def find_references(arguments: Any, ids: Collection[str], syntax: Syntax) -> list[Reference]:
    """The references in the strings of a JSON value, each text once, in order."""
    found: dict[str, Reference] = {}
    for text in _strings(arguments):
        for _, _, reference in _in_text(text, ids, syntax):
            found.setdefault(reference.text, reference)
    return list(found.values())


def may_refer(arguments: Any, ids: Collection[str]) -> bool:
    """Whether a whole argument in plan syntax is text as long as no call has a name that it could mean: `#price`."""
    for text in _strings(arguments):
        found = _PLAN.match(text)
        whole = found is not None and found.end() == len(text)
        if found is not None and whole and found["f"] is not None and _known(found["f"], ids) is None:
            return True
    return False


def replace_references(arguments: Any, ids: Collection[str], syntax: Syntax, value_of: Callable[[str], Any]) -> Any:
    """The same JSON value with every reference replaced. Raises PathError for a path that leads nowhere."""
    if isinstance(arguments, str):
        return _replaced(arguments, ids, syntax, value_of)
    if isinstance(arguments, dict):
        items = cast(dict[str, Any], arguments)
        return {key: replace_references(item, ids, syntax, value_of) for key, item in items.items()}
    if isinstance(arguments, list):
        listed: list[Any] = arguments  # pyright: ignore[reportUnknownVariableType]
        return [replace_references(item, ids, syntax, value_of) for item in listed]
    return arguments


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        items = cast(dict[str, Any], value)
        for item in items.values():
            yield from _strings(item)
    elif isinstance(value, list):
        listed: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        for item in listed:
            yield from _strings(item)


def _in_text(text: str, ids: Collection[str], syntax: Syntax) -> Iterator[tuple[int, int, Reference]]:
    """The references in a text with their places. What only looks like one is left out."""
    pattern = _PLAN if syntax == "plan" else _IDS
    for match in pattern.finditer(text):
        groups = match.groupdict()
        kind = next(name for name in "abcdef" if groups.get(name) is not None)
        written, path = groups[kind], groups[kind + "p"] or ""
        name = _known(written, ids)
        whole = match.span() == (0, len(text))
        if name is None and (syntax == "ids" or kind == "f" or (kind in "be" and not whole)):
            continue  # `costs $100`, `{{name}}` of a template, `#fff`: not ours
        yield match.start(), match.end(), Reference(match[0], name or written, _steps(path), name is not None)


def _known(written: str, ids: Collection[str]) -> str | None:
    """The id that was meant: as written, or without or with the `E` of ReWOO's plans."""
    for candidate in (written, written[1:] if written[:1] in "Ee" else f"E{written}", f"#{written}", f"${written}"):
        if candidate in ids:
            return candidate
    return None


def _steps(path: str) -> tuple[str | int, ...]:
    steps: list[str | int] = []
    for match in _STEP.finditer(path):
        name, position, *quoted = match.groups()
        steps.append(int(position) if position is not None else next(x for x in (name, *quoted) if x is not None))
    return tuple(steps)


def _replaced(text: str, ids: Collection[str], syntax: Syntax, value_of: Callable[[str], Any]) -> Any:
    parts: list[str] = []
    position = 0
    for start, end, reference in _in_text(text, ids, syntax):
        value = _reach(value_of(reference.id), reference)
        if (start, end) == (0, len(text)):
            return value
        parts += [text[position:start], value if isinstance(value, str) else to_json(value).decode()]
        position = end
    return "".join([*parts, text[position:]]) if parts else text


def _reach(value: Any, reference: Reference) -> Any:
    for depth, step in enumerate(reference.path):
        try:
            if isinstance(value, (dict, list)):
                container = cast(Any, value)
                value = container[step]
                continue
        except (KeyError, IndexError, TypeError):
            pass
        raise PathError(_astray(value, reference, depth))
    return value


def _astray(value: Any, reference: Reference, depth: int) -> str:
    walked = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in reference.path[:depth])
    where = f"the result of '{reference.id}'" + (f" at {walked}" if walked else "")
    step = reference.path[depth]
    if isinstance(value, dict):
        fields: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        keys = list(fields)
        there = "has the fields " + ", ".join(repr(key) for key in keys[:10]) if keys else "has no fields"
    elif isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        there = f"is a list of {len(items)}"
    else:
        there = f"is a {type(value).__name__}"
    return f"{reference.text} asks for {step!r}, but {where} {there}."
