"""Takes secrets out of text before it is kept or shown: values of secret environment variables, and known key shapes.

It finds what is listed here and nothing else: a secret of another shape needs a pattern of its own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

__all__ = ["Redact", "environment_secrets", "redact", "redact_environment", "redacted"]

Redact: TypeAlias = Callable[[str], str]

# Shorter values than this are words, ports and switches.
_SHORTEST = 8
_NAMES = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$", re.IGNORECASE)
_SHAPES = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
    re.compile(r"\b(?:sk|rk|pk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9*]{12,}"),  # OpenAI, Anthropic, Stripe
    re.compile(r"\b(?:gh[opsur]|github_pat|glpat|xox[abeprs]|hf|gsk|npm|pypi)[-_][A-Za-z0-9_-]{16,}"),
    re.compile(r"\bA(?:KIA|SIA)[A-Z0-9]{16}\b"),  # AWS
    re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"),  # Google
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}"),  # JSON Web Tokens
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/._~=-]{12,}")
_IN_URL = re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)")
_MARK = "[redacted]"


def redact(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text with `[redacted]` in the place of each secret; a value from the environment names its variable."""
    text = redact_environment(text, environment)
    for shape in _SHAPES:
        text = shape.sub(_MARK, text)
    text = _BEARER.sub(rf"\1 {_MARK}", text)
    return _IN_URL.sub(_MARK, text)


def redact_environment(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The same for the values of secret environment variables alone: those are secrets, whatever they look like."""
    variables = os.environ if environment is None else environment
    for name, value in variables.items():
        if len(value) >= _SHORTEST and value in text and _NAMES.search(name):
            text = text.replace(value, f"[redacted {name}]")
    return text


def environment_secrets() -> dict[str, str]:
    """The secret variables of this process as they are now, to be given to `redact` where many texts are looked at."""
    return {name: value for name, value in os.environ.items() if len(value) >= _SHORTEST and _NAMES.search(name)}


def redacted(value: Any, by: Redact = redact) -> Any:
    """A JSON value with every string in it redacted, keys too."""
    if isinstance(value, str):
        return by(value)
    if isinstance(value, list):
        return [redacted(item, by) for item in cast(Sequence[Any], value)]
    if isinstance(value, dict):
        return {by(key): redacted(item, by) for key, item in cast(dict[str, Any], value).items()}
    return value
