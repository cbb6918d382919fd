"""Language models behind one protocol: adapters for providers, models for tests, and models made of other models.

    model = resolve_model("openai:gpt-5.2")             # or "anthropic:...", "openai-chat:NAME@URL", "echo"
    response = await model.generate(ModelRequest(messages=(user("Hello"),)))
    answer = await ask(model, "Who wrote Dune?", Book)  # typed, repaired once if it does not fit

An SDK is imported when its adapter is first called, and nowhere else. A call is tried again in one place (`retrying`),
so a node that calls a model needs no `retry=` of its own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from loomgraph.models.messages import (
    AssistantMessage,
    Image,
    Message,
    ProviderPart,
    SystemMessage,
    Text,
    Thinking,
    ToolCall,
    ToolMessage,
    ToolResult,
    UserMessage,
    assistant,
    system,
    tool_results,
    user,
)
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import Effort, ModelRequest, OutputSpec, ToolSpec, request_of
from loomgraph.models.responses import (
    AttemptRestarted,
    FinishReason,
    ModelResponse,
    Price,
    ResponseDone,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallDone,
    ToolCallStarted,
    Usage,
    UsageReported,
)
from loomgraph.models.retrying import RETRY, Timing
from loomgraph.models.structured import Answer, OutputType, ask

if TYPE_CHECKING:  # loaded when first asked for
    from loomgraph.models.anthropic import AnthropicModel
    from loomgraph.models.cassette import CassetteModel
    from loomgraph.models.echo import EchoModel
    from loomgraph.models.fallback import FallbackModel
    from loomgraph.models.limited import RateLimited
    from loomgraph.models.litellm import LiteLLMModel
    from loomgraph.models.openai_chat import OpenAIChatModel
    from loomgraph.models.openai_responses import OpenAIModel
    from loomgraph.models.priced import Priced
    from loomgraph.models.scripted import ScriptedModel, Turn

__all__ = [
    "RETRY",
    "Answer",
    "AnthropicModel",
    "AssistantMessage",
    "AttemptRestarted",
    "CassetteModel",
    "EchoModel",
    "Effort",
    "FallbackModel",
    "FinishReason",
    "Image",
    "LiteLLMModel",
    "Message",
    "Model",
    "ModelRequest",
    "ModelResponse",
    "OpenAIChatModel",
    "OpenAIModel",
    "OutputSpec",
    "OutputType",
    "Price",
    "Priced",
    "ProviderPart",
    "RateLimited",
    "ResponseDone",
    "ScriptedModel",
    "StreamEvent",
    "SystemMessage",
    "Text",
    "TextDelta",
    "Thinking",
    "ThinkingDelta",
    "Timing",
    "ToolCall",
    "ToolCallDelta",
    "ToolCallDone",
    "ToolCallStarted",
    "ToolMessage",
    "ToolResult",
    "ToolSpec",
    "Turn",
    "Usage",
    "UsageReported",
    "UserMessage",
    "ask",
    "assistant",
    "request_of",
    "resolve_model",
    "system",
    "tool_results",
    "user",
]

_LATE = {
    "AnthropicModel": "anthropic",
    "CassetteModel": "cassette",
    "EchoModel": "echo",
    "FallbackModel": "fallback",
    "LiteLLMModel": "litellm",
    "OpenAIChatModel": "openai_chat",
    "OpenAIModel": "openai_responses",
    "Priced": "priced",
    "RateLimited": "limited",
    "ScriptedModel": "scripted",
    "Turn": "scripted",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'loomgraph.models' has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(f"loomgraph.models.{_LATE[name]}"), name)
    return found
