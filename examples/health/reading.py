"""Reading one file: its text and kind, or why it is left out. Never guesses an encoding."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath

from examples.health.models import (
    ConfigText,
    MarkdownText,
    OtherText,
    Problem,
    PythonText,
    Skipped,
    SourceFile,
    Text,
)

LARGEST = 1_000_000
"""Bytes; a larger file was hardly written by a person."""

_NEWLINE = re.compile(r"\r\n|\r|\n")
_KINDS: dict[str, type[PythonText | MarkdownText | ConfigText]] = {
    ".py": PythonText,
    ".pyi": PythonText,
    ".md": MarkdownText,
    ".markdown": MarkdownText,
    ".toml": ConfigText,
    ".json": ConfigText,
    ".yaml": ConfigText,
    ".yml": ConfigText,
}


class ChangedWhileReadError(Exception):
    """Somebody wrote to the file while it was being read, so what was read may be half old and half new."""


class SimulatedFlakeError(Exception):
    """A first read that fails on purpose, so that a run shows its retries. `--flake 0` turns this off."""


def read_file(file: SourceFile) -> PythonText | MarkdownText | ConfigText | OtherText | Skipped:
    """The file's text, by kind. Raises OSError if it cannot be read, ChangedWhileReadError if it changed meanwhile."""
    before = file.path.stat()
    if before.st_size > LARGEST:
        return Skipped(file=file, size=before.st_size, reason=f"larger than {LARGEST:,} bytes")
    data = file.path.read_bytes()
    after = file.path.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise ChangedWhileReadError(f"{file.name} changed while it was being read")
    if b"\0" in data[:8192]:
        return Skipped(file=file, size=len(data), reason="binary")
    problems: tuple[Problem, ...] = ()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8"
        problems = (Problem(check="encoding", severity="error", name=file.name, line=line, message=message),)
        text = data.decode("utf-8", errors="replace")
    kind: type[Text] = _KINDS.get(PurePosixPath(file.name).suffix.lower(), OtherText)
    newlines = tuple(sorted(set(_NEWLINE.findall(text))))
    read = kind(file=file, text=_NEWLINE.sub("\n", text), size=len(data), newlines=newlines, problems=problems)
    assert isinstance(read, PythonText | MarkdownText | ConfigText | OtherText)
    return read


def simulate_flake(name: str, attempt: int, share: float) -> None:
    """Raise SimulatedFlakeError on the first attempt at `share` (0 to 1) of all names, always the same ones."""
    drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
    if attempt == 1 and drawn < share:
        raise SimulatedFlakeError(f"simulated: the first read of {name} fails (--flake 0 turns this off)")
