"""Asks for JSON in words, where a provider cannot be told a schema. Formats nothing of the conversation."""

from __future__ import annotations

import json

from loomgraph.models.messages import SystemMessage
from loomgraph.models.requests import ModelRequest

__all__ = ["prompted"]

_ASK = (
    "Answer with exactly one JSON value that fits the JSON schema below, and with nothing else: no explanation, "
    "no code fence.\n\n"
)


def prompted(request: ModelRequest) -> ModelRequest:
    """The same question with its schema told in a system message, after those it begins with."""
    if request.output is None:
        return request
    schema = json.dumps(request.output.json_schema, ensure_ascii=False, separators=(",", ":"))
    messages = request.messages
    at = next((i for i, message in enumerate(messages) if not isinstance(message, SystemMessage)), len(messages))
    asked = (*messages[:at], SystemMessage(text=_ASK + schema), *messages[at:])
    return request.model_copy(update={"messages": asked, "output": None})
