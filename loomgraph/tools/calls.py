"""A call that a model or a plan asks for, and what came of it. Plain values; they run nothing."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Outcome", "ToolCall", "ToolResult"]

Outcome: TypeAlias = Literal["ok", "error", "skipped", "denied"]


class ToolCall(BaseModel):
    """One call: `id` is unique in its batch, `name` the tool's, `arguments` its arguments by name.

    `arguments` that are text are JSON that nobody has read yet, as some providers send it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    arguments: dict[str, Any] | str = Field(default_factory=dict[str, Any])


class ToolResult(BaseModel):
    """What came of a call.

    `content` is what the model reads: the value as text, or why there is none ("error": the tool failed or could not
    be called; "skipped": a call whose result it needs has none; "denied": it was not permitted). `value` is the value
    as plain JSON data; references of later calls reach into it. `ends_turn` says that the tool's answer is the answer.
    `omitted` is how many characters of a long value `content` leaves out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    outcome: Outcome
    content: str
    value: Any = None
    ends_turn: bool = False
    omitted: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.outcome == "ok"
