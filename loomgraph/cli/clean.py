"""Text that cannot steer a terminal: names, failures and answers come from anywhere. Changes nothing else."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["clean", "clean_lines"]

# control characters, and those that turn the direction of writing
_STEERING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BUT_LINES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def clean(text: str) -> str:
    """A text in one line, with what could steer a terminal written out as Python would."""
    return _STEERING.sub(_escaped, text)


def clean_lines(text: str) -> str:
    """The same for a text of several lines."""
    return _BUT_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
