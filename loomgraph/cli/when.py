"""Times and spans as people type and read them. The current time is given to it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from loomgraph.cli.exits import UsageError

__all__ = ["iso", "moment", "short", "span"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def span(text: str, option: str) -> float:
    """Seconds in `90s`, `15m`, `2h`, `30d`, `1w` or several of them together. Raises UsageError."""
    parts = _SPAN.findall(text)
    if not parts or "".join(map("".join, parts)) != text.replace(" ", ""):
        raise UsageError(f"{option} {text!r} is no span of time. Write 90s, 15m, 2h, 30d or 1w.")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment(text: str, option: str, now: float) -> float:
    """Seconds since the epoch of a date, a time (of the local zone if it has none) or a span ago. Raises UsageError."""
    if _SPAN.match(text) and text[-1] in _UNITS:
        return now - span(text, option)
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"{option} {text!r} is no time. Write 2026-05-01, 2026-05-01T12:30, or a span such as 2h."
        ) from None


def iso(seconds: float) -> str:
    """A moment in UTC, to the millisecond: what programs read."""
    return _utc(seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short(seconds: float) -> str:
    """A moment in the local zone, to the second: what people read."""
    return _utc(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
