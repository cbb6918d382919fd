"""What is checked in every text: white space, newlines, length, notes left behind. Knows no kind of file."""

from __future__ import annotations

import hashlib
import re

from examples.health.models import Hygiene, Problem, PythonText, Severity, Text

LONGEST_CODE = 500
LONGEST_OTHER = 2000
LONGEST_LINE = 400
LONG_PARAGRAPH = 200
"""Characters; shorter paragraphs may well be the same in two files."""

_WORDS = ("TODO", "FIXME", "XXX", "HACK")
_NOTE = re.compile(rf"(?:#|//|/\*|<!--|--|;|\*)\s?.*?\b({'|'.join(_WORDS)})\b[:( ]?\s*(.*)")
_GENERATED = re.compile(r"(^|/)([^/]*\.lock|[^/]*-lock\.[a-z]+|[^/]*\.min\.[a-z]+|[^/]*\.svg|[^/]*\.csv|LICENSE[^/]*)$")


def check_text(text: Text) -> Hygiene:
    """The checks that hold for any text. Files that tools write (lock files, minified code) are only counted."""
    lines = text.text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if _GENERATED.search(text.file.name):
        return Hygiene(lines=len(lines))
    problems = [*_of_lines(text, lines), *_of_the_whole(text, lines)]
    return Hygiene(lines=len(lines), problems=tuple(problems), paragraphs=tuple(_paragraphs(text.text)))


def _of_lines(text: Text, lines: list[str]) -> list[Problem]:
    found: list[Problem] = []
    trailing = [number for number, line in enumerate(lines, 1) if line != line.rstrip() and not _is_break(text, line)]
    if trailing:
        found.append(_problem(text, "trailing-space", "note", trailing[0], f"{_lines(trailing)} end in white space"))
    for number, line in enumerate(lines, 1):
        if len(line) > LONGEST_LINE and "|" not in line:
            found.append(_problem(text, "long-line", "note", number, f"a line of {len(line)} characters"))
        note = _NOTE.search(line) if len(line) <= LONGEST_LINE else None
        if note is not None:
            said = f"{note[1]}: {note[2].strip(' -*/>')[:80]}".rstrip(": ")
            found.append(_problem(text, "left-to-do", "note", number, said))
    return found


def _of_the_whole(text: Text, lines: list[str]) -> list[Problem]:
    found: list[Problem] = []
    if len(text.newlines) > 1:
        kinds = ", ".join({"\n": "LF", "\r\n": "CRLF", "\r": "CR"}[newline] for newline in text.newlines)
        found.append(_problem(text, "mixed-newlines", "warning", 1, f"lines end in {kinds}"))
    if text.text and not text.text.endswith("\n"):
        found.append(_problem(text, "no-final-newline", "note", len(lines), "the last line has no end"))
    longest = LONGEST_CODE if isinstance(text, PythonText) else LONGEST_OTHER
    if len(lines) > longest:
        found.append(_problem(text, "long-file", "warning", 1, f"{len(lines)} lines, more than {longest}"))
    return found


def _is_break(text: Text, line: str) -> bool:
    """Two spaces at the end of a line of Markdown are a line break."""
    return text.file.name.lower().endswith((".md", ".markdown")) and line.endswith("  ") and bool(line.strip())


def _paragraphs(text: str) -> list[tuple[int, str]]:
    """The first line and a digest of each long paragraph; white space and case do not count."""
    found: list[tuple[int, str]] = []
    line = 1
    for block in re.split(r"(\n\s*\n)", text):
        words = " ".join(block.lower().split())
        if len(words) >= LONG_PARAGRAPH:
            found.append((line, hashlib.sha256(words.encode()).hexdigest()[:16]))
        line += block.count("\n")
    return found


def _lines(numbers: list[int]) -> str:
    return "1 line" if len(numbers) == 1 else f"{len(numbers)} lines"


def _problem(text: Text, check: str, severity: Severity, line: int, message: str) -> Problem:
    return Problem(check=check, severity=severity, name=text.file.name, line=max(line, 1), message=message)
