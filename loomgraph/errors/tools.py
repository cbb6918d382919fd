"""What a tool call can come to besides its function's own exception. A model reads it, so it says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.errors.base import LoomgraphError, brief, brief_text, names

__all__ = [
    "ToolCycleError",
    "ToolError",
    "ToolInputError",
    "ToolReferenceError",
    "ToolResultError",
    "ToolServerError",
    "ToolTimeoutError",
    "UnknownToolError",
]


class ToolError(LoomgraphError):
    """A call that could not be carried out. Raise it in a tool to tell the model why, in these very words."""


class UnknownToolError(ToolError):
    """A call of a tool that is not there."""

    def __init__(self, name: str, known: Sequence[str], close: Sequence[str] = ()) -> None:
        self.name = name
        hint = f"Did you mean {names(close, 'or')}?" if close else f"There are {names(known) or 'no tools'}."
        super().__init__(f"there is no tool '{name}'. {hint}")


class ToolInputError(ToolError):
    """Arguments that do not fit the tool's schema. `.complaints` has one sentence for each."""

    def __init__(self, name: str, complaints: Sequence[str]) -> None:
        self.name, self.complaints = name, tuple(complaints)
        super().__init__(f"the arguments of '{name}' do not fit its schema: {'; '.join(complaints)}. Call it again.")


class ToolReferenceError(ToolError):
    """An argument refers to a call's result that is not there, or not reachable, or waits for this very call."""


class ToolCycleError(ToolReferenceError):
    """Calls that wait for each other's results. `.cycle` has their ids."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = tuple(cycle)
        ring = " -> ".join(f"'{call}'" for call in self.cycle)
        super().__init__(f"these calls wait for each other's results: {ring}. Break the circle.")


class ToolTimeoutError(ToolError, TimeoutError):
    """A call took longer than the tool's timeout, in seconds, and was stopped."""

    def __init__(self, name: str, seconds: float) -> None:
        self.name, self.seconds = name, seconds
        super().__init__(f"tool '{name}' was stopped after its timeout of {seconds:g} s. Ask for less at a time.")


class ToolServerError(ToolError):
    """The server behind a tool could not be reached, ended, or took too long. What it did is not known."""

    def __init__(self, server: str, detail: str) -> None:
        self.server = server
        super().__init__(f"the tool server '{server}' failed: {brief_text(detail)}. It is connected anew when called.")


class ToolResultError(ToolError):
    """A tool returned what JSON cannot hold."""

    def __init__(self, name: str, declared: str, value: object, detail: str) -> None:
        super().__init__(
            f"tool '{name}' returned {brief(value, 80)}, declared as {declared}, which is not JSON data: "
            f"{brief_text(detail)}. Return plain data, or annotate what it returns."
        )
