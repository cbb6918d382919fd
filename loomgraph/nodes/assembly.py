"""What of a long conversation a model is shown: the newest part, or a summary and the newest part. Both are hooks.

A call and its result are never parted, and what the user said first stays, for it is what the work is about. Tokens are
estimated, at about four characters each, because nobody but the provider counts them.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_core import to_json

from loomgraph.errors import DefinitionError
from loomgraph.graph.context import Context
from loomgraph.models.messages import AssistantMessage, Message, ToolMessage, UserMessage, user
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.nodes.conversation import Conversation
from loomgraph.nodes.hooks import Hooks
from loomgraph.nodes.model_call import call_model

__all__ = ["SUMMARY", "compacted", "estimated_tokens", "trimmed"]

_CHARACTERS = 4
_LEFT_OUT = "earlier messages are left out here"
# a summary that takes the place of less than this part of the limit would have to be made again soon
_WORTH = 1 / 4

SUMMARY = """\
Below is the older part of a conversation that is too long to be kept whole. Write what somebody needs who goes on with
it and cannot see it: what was asked, what was found out with its exact names, numbers and paths, what was decided and
why, what was tried and failed, and what is still open. Write nothing else.
"""


def estimated_tokens(messages: Sequence[Message]) -> int:
    """How many tokens these messages may come to; an estimate."""
    return len(to_json(messages)) // _CHARACTERS


def trimmed(*, messages: int | None = None, tokens: int | None = None) -> Hooks:
    """Show the model what was said first and the newest messages: at most so many of them, or so many tokens.

    The conversation itself stays whole. Never fewer than the last exchange is shown. Raises DefinitionError without a
    limit.
    """
    if (messages is None and tokens is None) or min(messages or 1, tokens or 1) < 1:
        raise DefinitionError("trimmed() needs messages= or tokens=, at least 1.")

    def trim(conversation: Conversation, ctx: Context) -> Conversation | None:
        said = conversation.messages
        if _fits(said, messages, tokens):
            return None
        first = _first(said)
        at = len(said)
        for cut in reversed(_cuts(said, first)):
            if at < len(said) and not _fits([*said[:first], *said[cut:]], messages, tokens):
                break
            at = cut
        if at == len(said) or at == first:
            return None
        note = user(f"[{at - first} {_LEFT_OUT}.]")
        return conversation.model_copy(update={"messages": [*said[:first], note, *said[at:]]})

    return Hooks(before_context=trim)


def compacted(model: Model | str, *, tokens: int, keep: int = 6, prompt: str = SUMMARY) -> Hooks:
    """Once a conversation may have more than `tokens`, put a summary by `model` in the place of its older part.

    What was said first and at least the newest `keep` messages stay as they are. The summary is a durable step, counted
    and under the budget like any call, and the conversation in the log is the shorter one from there on. Raises
    DefinitionError for limits below 1.
    """
    if min(tokens, keep) < 1:
        raise DefinitionError(f"compacted(tokens={tokens}, keep={keep}): both are at least 1.")
    summarizer = resolve_model(model)

    async def compact(conversation: Conversation, ctx: Context) -> Conversation | None:
        said = conversation.messages
        if estimated_tokens(said) <= tokens:
            return None
        first = _first(said)
        at = max((cut for cut in _cuts(said, first) if cut <= len(said) - keep), default=first)
        if estimated_tokens(said[first:at]) < tokens * _WORTH:
            return None
        asked = ModelRequest(messages=(user(f"{prompt}\n{_told(said[first:at])}"),))

        async def summary() -> str:
            return (await call_model(summarizer, asked, ctx)).text

        told = await ctx.step("loomgraph:compact", summary, result=str)
        note = user(f"[{at - first} {_LEFT_OUT}. What they came to:]\n{told}")
        return conversation.model_copy(update={"messages": [*said[:first], note, *said[at:]]})

    return Hooks(before_iteration=compact)


def _fits(said: Sequence[Message], messages: int | None, tokens: int | None) -> bool:
    return (messages is None or len(said) <= messages) and (tokens is None or estimated_tokens(said) <= tokens)


def _first(said: Sequence[Message]) -> int:
    """How many messages stand at the beginning that stay: the user's, up to the first answer or an earlier summary."""
    for i, message in enumerate(said):
        if not isinstance(message, UserMessage) or _LEFT_OUT in message.text.partition("\n")[0]:
            return i
    return len(said)


def _cuts(said: Sequence[Message], first: int) -> list[int]:
    """Where a conversation may be cut so that no result stands without its call."""
    return [i for i in range(first, len(said)) if not isinstance(said[i], ToolMessage)]


def _told(said: Sequence[Message]) -> str:
    """Messages as text for somebody who is to read them and not to go on with them."""
    lines: list[str] = []
    for message in said:
        if isinstance(message, AssistantMessage):
            calls = [f"calls {call.name}({to_json(call.arguments).decode()})" for call in message.tool_calls]
            lines.append("\n".join([f"assistant: {message.text}", *calls]))
        elif isinstance(message, ToolMessage):
            lines.extend(f"result of {result.name}: {result.text}" for result in message.results)
        else:
            lines.append(f"{message.role}: {message.text}")
    return "\n\n".join(lines)
