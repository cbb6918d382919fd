"""What an SDK raises becomes one of our errors, here and nowhere else. Imports no SDK: it reads what errors carry.

Both SDKs (and LiteLLM, whose errors are OpenAI's) give their errors the same attributes, but let errors of the HTTP
library and of the JSON parser through as they are; which ones differs with the API and the moment. So what counts is an
error's facts and the names of its classes, not where it comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeAlias, cast

from loomgraph.errors import (
    ContentFilterError,
    ContextOverflowError,
    CorruptResponseError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelPermissionError,
    ModelQuotaError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    ModelTimeoutError,
    StreamStalledError,
)
from loomgraph.errors.redaction import redact

__all__ = ["refused", "retry_after", "translated"]

# The words by which providers name what went wrong, where no status says it (in the middle of a stream).
_STATUS_OF = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "timeout_error": 504,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "api_error": 500,
    "server_error": 500,
    "overloaded_error": 529,
    "server_is_overloaded": 529,
    "slow_down": 529,
}
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "model_context_window_exceeded", "exceed_context_size_error"})
_OVERFLOW = re.compile(
    r"maximum context length|context length exceeded|exceeds? the (?:maximum|available|model's)? ?context|"
    r"context window|prompt is too long|prompt too long|input is too long|too many (?:input |prompt )?tokens|"
    r"reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE,
)
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached"})
_QUOTA = re.compile(
    r"credit balance is too low|exceeded your current quota|insufficient (?:credits|balance)", re.IGNORECASE
)
_FILTER_CODES = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "responsibleaipolicyviolation",
        "invalid_prompt",
        "bio_policy",
        "misalignment_policy_violation",
        "image_content_policy_violation",
    }
)
_Kind: TypeAlias = type[ModelError]
_BY_STATUS: dict[int, _Kind] = {
    401: ModelAuthenticationError,
    402: ModelQuotaError,
    403: ModelPermissionError,
    404: ModelNotFoundError,
    408: ModelTimeoutError,
    409: ModelServerError,
    425: ModelServerError,
    429: ModelRateLimitError,
    499: ModelServerError,
    501: ModelRequestError,
    503: ModelOverloadedError,
    504: ModelTimeoutError,
    529: ModelOverloadedError,
}


def refused(
    model: str,
    message: str,
    *,
    status: int | None = None,
    code: str | None = None,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> ModelError:
    """What a provider says in its own words, as one of our errors. `code` and `kind` are its code and type."""
    words = {word.lower() for word in (code, kind) if word}
    known = status
    if known is None:
        numbers = [int(word) for word in words if word.isdecimal() and 400 <= int(word) < 600]
        known = next(iter(numbers), None) or next((_STATUS_OF[word] for word in sorted(words & _STATUS_OF.keys())), 500)
    error = _class_of(known, words, message)(
        model,
        redact(message),
        status=status,
        code=code or kind,
        request_id=request_id,
        retry_after=retry_after(headers or {}),
    )
    if error.transient and headers is not None and headers.get("x-should-retry") == "false":
        error.transient = False
    return error


def _class_of(status: int, words: set[str], message: str) -> _Kind:
    if words & _QUOTA_CODES or (status in {400, 402, 403, 429} and _QUOTA.search(message)):
        return ModelQuotaError
    if words & _OVERFLOW_CODES or (status in {400, 413, 422} and _OVERFLOW.search(message)):
        return ContextOverflowError
    if words & _FILTER_CODES:
        return ContentFilterError
    if "model_not_found" in words:
        return ModelNotFoundError
    if "overloaded_error" in words:
        return ModelOverloadedError
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 400 <= status < 500:
        return ModelRequestError
    return ModelServerError if status >= 500 else CorruptResponseError


def retry_after(headers: Mapping[str, str]) -> float | None:
    """How many seconds the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if text is None:
            continue
        try:
            seconds = float(text) * scale
        except ValueError:
            seconds = _until(text, headers.get("date"))
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def _until(moment: str, now: str | None) -> float:
    """Seconds until a date, by the provider's own clock where it told it."""
    try:
        then = parsedate_to_datetime(moment)
        start = parsedate_to_datetime(now) if now is not None else datetime.now(UTC)
        return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - start).total_seconds())
    except (ValueError, TypeError):
        return math.nan


def translated(model: str, error: Exception, *, begun: bool) -> ModelError:
    """The error as one of ours. `begun` says whether the answer had begun, so that a timeout is a stall."""
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"TimeoutException", "APITimeoutError", "TimeoutError"}:
        made: ModelError = StreamStalledError(model) if begun else ModelTimeoutError(model)
    elif "APIConnectionError" in names:
        made = _connection(model, error)
    elif "CredentialsError" in names or (isinstance(error, TypeError) and "authentication" in str(error)):
        made = ModelAuthenticationError(model, redact(str(error)))
    elif names & {"APIResponseValidationError", "DecodingError"}:
        made = CorruptResponseError(model, redact(str(error)))
    elif "APIError" in names:
        made = _told(model, error)
    elif names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        made = ModelRequestError(model, redact(f"{type(error).__name__}: {error}"))
    elif names & {"TransportError", "OSError"}:
        made = ModelConnectionError(model, redact(f"{type(error).__name__}: {error}"))
    elif begun:  # a JSONDecodeError, or our reading of a chunk that has another shape than the protocol says
        made = CorruptResponseError(model, redact(f"{type(error).__name__}: {error}"))
    else:  # the SDK refuses to send it
        made = ModelRequestError(model, redact(f"{type(error).__name__}: {error}"))
    return made


def _connection(model: str, error: Exception) -> ModelError:
    """The SDKs say "Connection error." for anything that happens while sending; the cause knows better."""
    cause = error.__cause__
    if cause is None:
        return ModelConnectionError(model, redact(str(error)))
    names = {cls.__name__ for cls in type(cause).__mro__}
    detail = redact(f"{type(cause).__name__}: {cause}")
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError", "ValueError", "TypeError"}:
        return ModelRequestError(model, detail)
    return ModelConnectionError(model, detail)


def _told(model: str, error: Any) -> ModelError:
    """An error in which the provider says something. One in the middle of a stream has no status, or says 200."""
    body: Any = error.body
    inner: Any = cast(Any, body).get("error", cast(Any, body)) if isinstance(body, dict) else {}
    said: dict[str, Any] = cast(dict[str, Any], inner) if isinstance(inner, dict) else {}
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None)
    return refused(
        model,
        str(said.get("message") or getattr(error, "message", error)),
        status=status if isinstance(status, int) and status >= 300 else None,
        code=_word(said.get("code") or getattr(error, "error_code", None)),
        kind=_word(said.get("type") or getattr(error, "type", None)),
        headers=getattr(response, "headers", None),
        request_id=getattr(error, "request_id", None),
    )


def _word(value: Any) -> str | None:
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else None
