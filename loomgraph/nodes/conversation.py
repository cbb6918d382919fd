"""What travels along the edges of an agent: a conversation, and what a model wants next. Plain values."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from loomgraph.models.messages import Message, ToolCall
from loomgraph.models.responses import ModelResponse

__all__ = ["Answered", "Calls", "Conversation", "Ended"]


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Conversation(_Value):
    """All that was said, without the instructions. `repairs` is how many answers were sent back as not fitting."""

    messages: list[Message]
    repairs: int = 0

    def plus(self, *messages: Message) -> Conversation:
        """The same conversation with these messages at its end."""
        return Conversation(messages=[*self.messages, *messages], repairs=self.repairs)


class Calls(_Value):
    """The model wants tools called; its message is the last one of the conversation."""

    conversation: Conversation
    calls: list[ToolCall]


class Answered(_Value):
    """The model answered and wants nothing more; its message is the last one of the conversation."""

    conversation: Conversation
    response: ModelResponse


class Ended(_Value):
    """A tool that ends the turn gave `content`, and `value` as data: that is the agent's answer."""

    conversation: Conversation
    content: str
    value: object = None
