"""Why a call of a language model did not end in an answer, one class per decision a caller can make.

Imports no SDK: adapters turn whatever their SDK raises, or lets through, into one of these. What a provider says is
shown cut short, and adapters redact it before it comes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from loomgraph.errors.base import LoomgraphError, brief_text, names

__all__ = [
    "CassetteError",
    "CassetteMismatchError",
    "ContentFilterError",
    "ContextOverflowError",
    "CorruptResponseError",
    "ModelAuthenticationError",
    "ModelConnectionError",
    "ModelError",
    "ModelMissingError",
    "ModelNameError",
    "ModelNotFoundError",
    "ModelOverloadedError",
    "ModelPermanentError",
    "ModelPermissionError",
    "ModelQuotaError",
    "ModelRateLimitError",
    "ModelRequestError",
    "ModelServerError",
    "ModelTimeoutError",
    "ModelTransientError",
    "ModelsExhaustedError",
    "OutputTruncatedError",
    "OutputValidationError",
    "ScriptExhaustedError",
    "ScriptMismatchError",
    "StreamStalledError",
    "StreamTruncatedError",
    "ToolArgumentsError",
]


class ModelError(LoomgraphError):
    """A model call did not end in an answer.

    `model` is the model's name. `status` is the HTTP status, `code` the provider's own word for the error,
    `request_id` what the provider's support asks for; each None where there was none. `retry_after` is how many
    seconds the provider asked to wait. `response` is what was received, where a whole response was. `attempts` counts
    the tries that were made. `transient` says whether the same call may succeed later.
    """

    transient: bool = False
    said: ClassVar[str] = "failed"
    remedy: ClassVar[str] = ""

    def __init__(
        self,
        model: str,
        detail: str = "",
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        response: Any = None,
    ) -> None:
        self.model, self.detail = model, detail
        self.status, self.code, self.request_id = status, code, request_id
        self.retry_after, self.response = retry_after, response
        self.attempts = 1
        facts = [f"status {status}"] if status is not None else []
        facts += [f"code '{code}'"] if code else []
        facts += [f"request {request_id}"] if request_id else []
        facts += [f"retry after {retry_after:g} s"] if retry_after is not None else []
        said = f"model '{model}' {self.said}" + (f": {brief_text(detail, 200)}" if detail else "")
        aside = f" ({', '.join(facts)})" if facts else ""
        super().__init__(f"{said.rstrip('.')}{aside}. {self.remedy}".rstrip())


class ModelTransientError(ModelError):
    """The same call may succeed later. The default `Retry` tries again."""

    transient = True


class ModelServerError(ModelTransientError):
    """The provider failed (a 5xx, or an error in the middle of a stream)."""

    said = "failed at its provider"


class ModelOverloadedError(ModelTransientError):
    """The provider has too much to do (503, 529)."""

    said = "is overloaded"


class ModelRateLimitError(ModelTransientError):
    """Too many calls or tokens in too short a time. `retry_after` is what the provider asked for, if it did."""

    said = "refused the call for its rate limit"
    remedy = "Call less often, for instance through RateLimited."


class ModelConnectionError(ModelTransientError):
    """The provider could not be reached, or the connection broke."""

    said = "could not be reached, or the connection broke"


class ModelTimeoutError(ModelTransientError):
    """No answer began within the adapter's `timeout`."""

    said = "did not begin to answer in time"
    remedy = "Raise the adapter's timeout= if the model needs longer."


class StreamStalledError(ModelTransientError):
    """An answer began and then nothing came for the adapter's `timeout`."""

    said = "stopped in the middle of its answer"
    remedy = "Raise the adapter's timeout= if the model pauses that long."


class StreamTruncatedError(ModelTransientError):
    """The stream ended before the provider said that the answer is complete."""

    said = "ended its stream before the answer was complete"


class CorruptResponseError(ModelTransientError):
    """What came is not what the protocol says: a chunk or a body that is no JSON, or of another shape."""

    said = "sent what its protocol does not allow"
    remedy = "Check that base_url= names an API of this kind."


class ToolArgumentsError(ModelTransientError):
    """The arguments of a tool call are cut off, or no JSON object. `tool` is the tool's name, `raw` their text."""

    said = "sent a tool call with unusable arguments"

    def __init__(self, model: str, tool: str, raw: str, detail: str, *, response: Any = None) -> None:
        self.tool, self.raw = tool, raw
        super().__init__(model, f"tool '{tool}': {detail}, in {brief_text(raw, 120)!r}", response=response)


class ModelPermanentError(ModelError):
    """The same call will fail the same way. Never retried by default."""


class ModelAuthenticationError(ModelPermanentError):
    """No key, or one that the provider does not take (401)."""

    said = "does not know who is calling"
    remedy = "Check the API key, and that it belongs to this provider."


class ModelPermissionError(ModelPermanentError):
    """The key may not do this (403)."""

    said = "does not allow this call"
    remedy = "Check what the key's project may use."


class ModelQuotaError(ModelPermanentError):
    """The account has no credit left (402, or OpenAI's 429 `insufficient_quota`)."""

    said = "refused the call because the account has no credit left"
    remedy = "Add credit or raise the spending limit; waiting does not help."


class ModelNotFoundError(ModelPermanentError):
    """There is no such model, or no such API at that address (404)."""

    said = "was not found"
    remedy = "Check the model's name and base_url=; a server without the Responses API is written 'openai-chat:NAME'."


class ModelRequestError(ModelPermanentError):
    """The request cannot be served as it is: refused by the provider (400, 413, 422), or by the adapter."""

    said = "cannot serve this request"


class ContextOverflowError(ModelPermanentError):
    """The conversation does not fit the model's context window."""

    said = "cannot take a conversation this long"
    remedy = "Shorten the conversation, or use a model with a larger context window."


class ContentFilterError(ModelPermanentError):
    """The provider's filter stopped the answer, or the model refused. `response` has what there was of it."""

    said = "did not answer for reasons of content"


class OutputTruncatedError(ModelPermanentError):
    """The answer reached its token limit and is cut short. `response` has what there is of it."""

    said = "reached the token limit before the answer was complete"
    remedy = "Raise max_tokens, or accept a cut answer with accept_truncated=True."


class OutputValidationError(ModelError):
    """An answer that is not of the asked type, after repair. `raw` is its text, `schema` the JSON schema."""

    said = "did not give an answer of the asked type"

    def __init__(self, model: str, detail: str, *, raw: str, schema: dict[str, Any], response: Any = None) -> None:
        self.raw, self.schema = raw, schema
        super().__init__(model, f"{brief_text(detail, 100)}; it said {brief_text(raw, 80)!r}", response=response)


class ModelsExhaustedError(ModelError):
    """Every model of a FallbackModel failed or was resting. `errors` has the failure of each that was tried.

    `transient` if one of them may succeed later; `retry_after` is then the shortest wait.
    """

    said = "has no model left that answers"

    def __init__(
        self, model: str, errors: Sequence[ModelError], resting: Sequence[str], retry_after: float | None
    ) -> None:
        self.errors, self.resting = tuple(errors), tuple(resting)
        self.transient = bool(resting) or any(error.transient for error in errors)
        tried = "; ".join(f"{type(error).__name__} from '{error.model}'" for error in errors)
        rest = f"{names(self.resting)} resting after repeated failures" if self.resting else ""
        super().__init__(model, "; ".join(part for part in (tried, rest) if part), retry_after=retry_after)


class ScriptMismatchError(ModelError):
    """A ScriptedModel was asked something that its script does not expect; `detail` says what."""

    said = "was asked what its script does not expect"


class ScriptExhaustedError(ModelError):
    """A ScriptedModel was asked more often than its script has turns."""

    said = "was asked once more than its script has turns"
    remedy = "Add a turn, or find out why there is one more call."


class CassetteError(ModelError):
    """A cassette cannot be read, or has no answer to replay."""

    said = "cannot replay"


class CassetteMismatchError(CassetteError):
    """The cassette has no recording of this request. `diff` is against the closest one that it has."""

    said = "has no recording of this request"
    remedy = "If the change is meant, delete the file and record again."

    def __init__(self, model: str, path: str, diff: str) -> None:
        self.diff = diff
        super().__init__(model, path)
        self.args = (f"{self.args[0]}\n{diff}",)


class ModelNameError(LoomgraphError):
    """A string that names no model; `known` are the kinds there are."""

    def __init__(self, name: str, detail: str, known: Sequence[str], suggestion: str | None = None) -> None:
        self.name = name
        hint = f"Did you mean '{suggestion}'?" if suggestion else f"Models are written {names(known, 'or')}."
        super().__init__(f"'{name}' names no model: {detail}. {hint}")


class ModelMissingError(LoomgraphError):
    """A model's library is not installed; `extra` is the extra of loomgraph-engine that brings it."""

    def __init__(self, model: str, package: str, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"model '{model}' needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'loomgraph-engine[{extra}]'"
        )
