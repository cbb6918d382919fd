"""A value may not pass here; nothing is coerced and nothing is dropped."""

from __future__ import annotations

from loomgraph.errors.base import LoomgraphError, brief, brief_text

__all__ = [
    "CodecError",
    "CopyRefusedError",
    "InputRefusedError",
    "OutputRefusedError",
    "UnreadableError",
    "ValueRefusedError",
    "ValueTooLargeError",
]


class ValueRefusedError(LoomgraphError):
    """A value may not pass here; nothing was coerced and nothing was dropped."""


class InputRefusedError(ValueRefusedError):
    """The value given to a run is not of the graph's input type. Nothing ran."""

    def __init__(self, graph: str, expected: str, value: object, detail: str) -> None:
        super().__init__(
            f"graph '{graph}' takes {expected}, not {brief(value)}: {detail}. "
            f"Pass a value of that type; loomgraph converts nothing silently."
        )


class OutputRefusedError(ValueRefusedError):
    """What a node returned is not of its declared output type."""

    def __init__(self, node: str, expected: str, value: object, detail: str) -> None:
        super().__init__(
            f"node '{node}' is declared to return {expected} but returned {brief(value)}: {detail}. "
            f"Return what the annotation says, or change the annotation."
        )


class CopyRefusedError(ValueRefusedError):
    """A value cannot be copied, so a node that mutates it would change it for others too."""

    def __init__(self, value: object, cause: str) -> None:
        super().__init__(
            f"a {type(value).__name__} cannot be copied ({cause}), so it cannot travel along an edge. "
            f"Pass plain data along edges, and live objects (clients, locks, handles) with deps=."
        )


class CodecError(ValueRefusedError):
    """A value does not survive being stored as its declared type. Nothing was written."""

    def __init__(self, where: str, declared: str, value: object, detail: str) -> None:
        self.where, self.declared, self.detail = where, declared, detail
        super().__init__(self._sentence(brief(value, 80), brief_text(detail).rstrip(".")))

    def _sentence(self, shown: str, detail: str) -> str:
        if "SecretStr(" in detail or "SecretBytes(" in detail:
            remedy = "A log keeps no secrets: hand them over with deps=, or loomgraph.register(Class, dump, load)."
        else:
            remedy = "Declare the exact type, or register the class with loomgraph.register(Class, dump, load)."
        return (
            f"{self.where} gave {shown}, declared as {self.declared}, which does not survive being stored: {detail}. "
            f"{remedy}"
        )


class UnreadableError(CodecError):
    """A stored value is not of its declared type any more: the type has changed since."""

    def _sentence(self, shown: str, detail: str) -> str:
        return (
            f"{self.where} was stored as {shown}, which is not a value of {self.declared} any more: {detail}. "
            f"Go on with the code that wrote it, or make the type take what it took then."
        )


class ValueTooLargeError(ValueRefusedError):
    """A value, written as JSON, is larger than the run allows; `.size` and `.limit` are in bytes."""

    def __init__(self, where: str, size: int, limit: int) -> None:
        self.where, self.size, self.limit = where, size, limit
        super().__init__(
            f"{where} gave a value of {size:_} bytes, and the limit for one is {limit:_}. "
            f"Keep large data in files and pass their paths, or raise the limit with max_value_bytes=."
        )
