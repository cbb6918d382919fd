"""Names as a person can read them: nothing invisible, nothing that reorders its neighbours, nothing endless.

Knows no output format: what a format must escape is its renderer's business.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata

__all__ = ["clipped", "counted", "legible", "seconds", "wrapped"]

# Controls, lone surrogates, line separators, and the marks that reorder the text after them.
_HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_PLAIN = re.compile(r"[!-~]+(?: [!-~]+)*")
# Letters and symbols whose glyph is a blank.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_INVISIBLE = frozenset({"Cf", "Mn", "Zs"})
_ELLIPSIS = "\u2026"


def legible(name: str) -> str:
    """The name with hidden characters as Python escapes; a name that would look empty stands in quotes.

    Newlines stay. Two names may look alike only if their letters do.
    """
    if _PLAIN.fullmatch(name):
        return name
    shown = _HIDDEN.sub(lambda found: ascii(found[0])[1:-1], name.replace("\r\n", "\n"))
    if all(c in _BLANK or c == "\n" or unicodedata.category(c) in _INVISIBLE for c in shown):
        return ascii(name)
    return shown


def clipped(text: str, limit: int) -> str:
    """At most about `limit` characters: the middle of a longer text gives way to an ellipsis."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    head, rest = _boundary(text, limit - tail - 1), _boundary(text, len(text) - tail)
    return text[:head] + _ELLIPSIS + text[rest:]


def wrapped(text: str, width: int, limit: int) -> tuple[str, ...]:
    """The lines of a text, clipped to `limit` characters in all and broken at about `width`."""
    if len(text) <= width and "\n" not in text:
        return (text,)
    out: list[str] = []
    for line in clipped(text, limit).split("\n"):
        if len(line) <= width:
            out.append(line)
            continue
        words = textwrap.wrap(line, width, break_long_words=False, break_on_hyphens=False, drop_whitespace=True)
        for word in words:
            out.extend(_pieces(word, width))
    return tuple(out)


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces of at most about `width`, broken after punctuation where it has some."""
    out: list[str] = []
    while len(word) > width:
        cut = max((word.rfind(mark, width // 2, width) + 1 for mark in "_-./:,"), default=0)
        cut = _boundary(word, cut or width)
        out.append(word[:cut])
        word = word[cut:]
    return [*out, word] if word else out


def _boundary(text: str, at: int) -> int:
    """The first place from `at` on that does not part a character from its accents, joiners or modifiers."""
    while 0 < at < len(text) and (_sticks(text[at]) or text[at - 1] == "\u200d"):
        at += 1
    return at


def _sticks(c: str) -> bool:
    return c == "\u200d" or unicodedata.category(c) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= c <= "\U0001f3ff"


def seconds(value: float) -> str:
    """A duration in two or three digits: `<0.1 ms`, `4.2 ms`, `0.31 s`, `2 min 05 s`, `3 h 07 min`, `2 d 04 h`."""
    if value < 0.00005:
        return "<0.1 ms"
    if value < 0.00995:
        return f"{value * 1000:.1f} ms"
    if round(value, 2) < 1:
        return f"{value:.2f} s"
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24:02d} h"


def counted(value: float) -> str:
    """A count in three digits: `640`, `1.5k`, `23k`, `1.2M`."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:.1f}{unit}" if value < 10 * size else f"{value / size:.0f}{unit}"
    return f"{value:.0f}"
