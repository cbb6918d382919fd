"""What one model is told of what others said: texts between tags, and a conversation as one text. Formats nothing.

Texts are joined, so whatever braces or tags they have, they are read as they were written.
"""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.models.messages import (
    AssistantMessage,
    Image,
    Message,
    ProviderPart,
    SystemMessage,
    Text,
    ToolMessage,
    UserMessage,
    UserPart,
)

__all__ = ["sections", "transcript"]


def sections(**named: str | UserMessage | None) -> UserMessage:
    """One message of several texts, each between tags of its name; None and "" are left out. Pictures stay in place.

    Each section is a part of its own, so that a message that says more than the last one did costs a log what is new.
    """
    parts: list[Text | Image | ProviderPart] = []

    def say(text: str, *, begins: bool = False) -> None:
        if parts and not begins and isinstance(parts[-1], Text):
            parts[-1] = Text(text=parts[-1].text + text)
        else:
            parts.append(Text(text=text))

    for name, said in named.items():
        if said is None or said == "":
            continue
        say(f"\n\n<{name}>\n" if parts else f"<{name}>\n", begins=True)
        for piece in (Text(text=said),) if isinstance(said, str) else said.parts:
            if isinstance(piece, Text):
                say(piece.text)
            else:
                parts.append(piece)
        say(f"\n</{name}>")
    return UserMessage(parts=tuple(parts))


def transcript(messages: Sequence[Message]) -> UserMessage:
    """A conversation for somebody who is no part of it: who said what, with its pictures, in order.

    What was called is not in it, and what came of the calls is.
    """
    said: list[UserPart] = []
    for message in messages:
        match message:
            case UserMessage(parts=parts):
                said += [Text(text="user: "), *parts]
            case AssistantMessage():
                if not message.text:
                    continue  # it called tools and said nothing
                said.append(Text(text=f"assistant: {message.text}"))
            case SystemMessage(text=text):
                said.append(Text(text=f"system: {text}"))
            case ToolMessage(results=results):
                said += [Text(text=f"tool {result.name}: {result.text}") for result in results]
        said.append(Text(text="\n"))
    return UserMessage(parts=tuple(said[:-1]))
