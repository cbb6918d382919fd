"""What every adapter refuses before it sends anything, so that the message names the tool or part that is meant."""

from __future__ import annotations

import re

from loomgraph.errors import ModelRequestError
from loomgraph.models.messages import ProviderPart
from loomgraph.models.requests import ModelRequest

__all__ = ["check_tools", "foreign"]

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def check_tools(name: str, request: ModelRequest) -> None:
    """Refuse tools that the provider would, with the tool's name."""
    known = {tool.name for tool in request.tools}
    for tool in request.tools:
        if not _NAME.fullmatch(tool.name):
            raise ModelRequestError(name, f"tool '{tool.name}': names are 1 to 64 of a-z, A-Z, 0-9, _ and -")
    choice = request.tool_choice
    if choice not in {"auto", "none", "required"} and choice not in known:
        raise ModelRequestError(name, f"tool_choice='{choice}' is neither a mode nor a tool of this request")
    if choice == "required" and not known:
        raise ModelRequestError(name, "tool_choice='required' without tools")


def foreign(name: str, part: ProviderPart) -> ModelRequestError:
    """The refusal of a part that belongs to another provider."""
    kind = part.block.get("type", "part")
    return ModelRequestError(
        name, f"the conversation holds a '{kind}' that only '{part.provider}' understands; stay with it or take it out"
    )
