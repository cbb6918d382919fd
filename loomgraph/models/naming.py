"""Which model a string means. Loads no SDK and opens no connection: a model does that when it is first called."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from typing_extensions import Unpack

from loomgraph.errors import ModelNameError
from loomgraph.models.adapter import Options
from loomgraph.models.protocol import Model

__all__ = ["ENTRY_POINTS", "model_kinds", "resolve_model"]

ENTRY_POINTS = "loomgraph.models"
"""The entry point group in which a package offers a kind of model: a callable of (name, **options)."""

_KINDS = {
    "anthropic": ("loomgraph.models.anthropic", "AnthropicModel"),
    "echo": ("loomgraph.models.echo", "EchoModel"),
    "litellm": ("loomgraph.models.litellm", "LiteLLMModel"),
    "openai": ("loomgraph.models.openai_responses", "OpenAIModel"),
    "openai-chat": ("loomgraph.models.openai_chat", "OpenAIChatModel"),
}
_NAMELESS = frozenset({"echo"})


def model_kinds() -> tuple[str, ...]:
    """The kinds of model that strings can name here, with those of installed packages."""
    return tuple(sorted({*_KINDS, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def resolve_model(model: Model | str, **options: Unpack[Options]) -> Model:
    """The model that a string names; a Model as it is.

    `openai:gpt-5.2`, `anthropic:claude-sonnet-5`, `openai-chat:llama3.3@http://localhost:11434/v1` (any server that
    speaks OpenAI's Chat Completions), `echo`. `options` go to the adapter. Raises ModelNameError.
    """
    if not isinstance(model, str):
        return model
    kind, _, rest = model.partition(":")
    name, at, address = rest.partition("@http")
    if at:
        options["base_url"] = f"http{address}"
    make = _maker(model, kind)
    if not name and kind not in _NAMELESS:
        raise ModelNameError(model, "the name of the model is missing", _forms())
    made: Model = make(name, **options)
    return made


def _maker(model: str, kind: str) -> Callable[..., Any]:
    if kind in _KINDS:
        module, attribute = _KINDS[kind]
        return cast(Callable[..., Any], getattr(import_module(module), attribute))
    points = [point for point in entry_points(group=ENTRY_POINTS) if point.name == kind]
    if len(points) > 1:
        offers = ", ".join(sorted(point.value for point in points))
        raise ModelNameError(model, f"several packages offer '{kind}': {offers}", _forms())
    if points:
        return cast(Callable[..., Any], points[0].load())
    known = model_kinds()
    close = difflib.get_close_matches(kind, known, n=1)
    rest = model[len(kind) :]
    if rest or not close:
        suggestion = f"{close[0]}{rest}" if close else None
        detail = f"'{kind}' is no kind of model" if rest else "it has no kind in front"
    else:
        suggestion, detail = close[0], f"'{kind}' is no kind of model"
    raise ModelNameError(model, detail, _forms(), suggestion)


def _forms() -> list[str]:
    return [kind if kind in _NAMELESS else f"{kind}:NAME" for kind in model_kinds()]
