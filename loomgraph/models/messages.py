"""What a conversation is made of, as frozen values that survive JSON: parts, and messages of parts.

Text is text: nothing here formats, trims or interprets it, so braces and template syntax pass as they are. A part that
only one provider understands is kept as that provider wrote it and goes back to that provider alone.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, JsonValue

__all__ = [
    "AssistantMessage",
    "AssistantPart",
    "Image",
    "Message",
    "ProviderPart",
    "SystemMessage",
    "Text",
    "Thinking",
    "ToolCall",
    "ToolMessage",
    "ToolResult",
    "UserMessage",
    "UserPart",
    "Value",
    "assistant",
    "system",
    "tool_results",
    "user",
]


class Value(BaseModel):
    """A frozen value with these fields and no others."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Value):
    """Text, as it is. `annotations` is what its provider notes about it, such as citations; never sent back."""

    kind: Literal["text"] = "text"
    text: str
    annotations: tuple[dict[str, JsonValue], ...] = ()


class Image(Value):
    """A picture: `url` on the web, or `data` in base64 with its `media_type`. Exactly one of the two."""

    kind: Literal["image"] = "image"
    url: str | None = None
    data: str | None = None
    media_type: str = "image/png"

    def model_post_init(self, context: object, /) -> None:
        """Refuse an image that is nowhere, or in two places."""
        if (self.url is None) == (self.data is None):
            raise ValueError("an Image has either url= or data= (base64), and not both")

    @property
    def address(self) -> str:
        """The picture as one URL; of data, a `data:` URL."""
        return self.url if self.url is not None else f"data:{self.media_type};base64,{self.data}"


class Thinking(Value):
    """What a model thought. `signature` and `block` are what its `provider` needs to take it back, unchanged.

    Sent back to the provider it came from, and to no other: a signature is worth nothing elsewhere.
    """

    kind: Literal["thinking"] = "thinking"
    text: str
    provider: str
    signature: str | None = None
    block: dict[str, JsonValue] | None = None


class ToolCall(Value):
    """A model wants a tool called. `id` is unique in its conversation; the result refers to it."""

    kind: Literal["tool_call"] = "tool_call"
    id: str
    name: str
    arguments: dict[str, JsonValue] = Field(default_factory=dict[str, JsonValue])

    def result(self, content: str | Image, *, error: bool = False) -> ToolResult:
        """What came of this call, as a result that refers to it."""
        part = Text(text=content) if isinstance(content, str) else content
        return ToolResult(call_id=self.id, name=self.name, content=(part,), error=error)


class ProviderPart(Value):
    """What only `provider` understands, as it wrote it: searches it made itself, citations, whatever comes next.

    Sent back to that provider as it is. Another provider's adapter refuses the conversation rather than lose it.
    """

    kind: Literal["provider"] = "provider"
    provider: str
    block: dict[str, JsonValue]


class ToolResult(Value):
    """What came of a tool call. `error` tells the model that it failed; the text says how."""

    kind: Literal["tool_result"] = "tool_result"
    call_id: str
    name: str
    content: tuple[Annotated[Text | Image, Field(discriminator="kind")], ...]
    error: bool = False

    @property
    def text(self) -> str:
        """All text of it, joined."""
        return "".join(part.text for part in self.content if isinstance(part, Text))


UserPart: TypeAlias = Annotated[Text | Image | ProviderPart, Field(discriminator="kind")]
AssistantPart: TypeAlias = Annotated[Text | Thinking | ToolCall | ProviderPart, Field(discriminator="kind")]


class SystemMessage(Value):
    """Instructions to the model."""

    role: Literal["system"] = "system"
    text: str


class UserMessage(Value):
    """What the user says and shows."""

    role: Literal["user"] = "user"
    parts: tuple[UserPart, ...]

    @property
    def text(self) -> str:
        """All text of it, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


class AssistantMessage(Value):
    """What the model said, thought and wants called, in the order it came."""

    role: Literal["assistant"] = "assistant"
    parts: tuple[AssistantPart, ...]

    @property
    def text(self) -> str:
        """All text of it, joined; no thinking."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))

    @property
    def thinking(self) -> str:
        """All thinking of it, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, Thinking))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls of it, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


class ToolMessage(Value):
    """The results of the tool calls of the assistant message before it."""

    role: Literal["tool"] = "tool"
    results: tuple[ToolResult, ...]


Message: TypeAlias = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


def system(text: str) -> SystemMessage:
    """Instructions to the model."""
    return SystemMessage(text=text)


def user(*parts: str | Text | Image | ProviderPart) -> UserMessage:
    """A user's message of texts and pictures."""
    return UserMessage(parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def assistant(*parts: str | Text | Thinking | ToolCall | ProviderPart) -> AssistantMessage:
    """A model's message of texts, thinking and tool calls."""
    return AssistantMessage(parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def tool_results(*results: ToolResult) -> ToolMessage:
    """The results of the tool calls of one assistant message."""
    return ToolMessage(results=results)
