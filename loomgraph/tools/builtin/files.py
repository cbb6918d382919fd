"""Tools for text files in one directory: read, write, edit, glob, grep. Nothing outside of it can be named."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loomgraph.errors import ToolError
from loomgraph.tools.builtin.confine import Confined
from loomgraph.tools.builtin.process import run_limited
from loomgraph.tools.builtin.searching import search_command
from loomgraph.tools.tool import Tool, tool

__all__ = ["file_tools"]

_MOST_BYTES = 10_000_000
_MOST_LINES = 2_000
_MOST_PATHS = 1_000


def file_tools(root: str | Path, *, read_only: bool = False) -> list[Tool]:
    """`read_file`, `glob`, `grep`, and unless `read_only` also `write_file` and `edit_file`, for the directory `root`.

    Calls on different files run at the same time, calls on one file in their order. Raises FileNotFoundError or
    NotADirectoryError for a root that is no directory.
    """
    confined = Confined(root)

    def touched(arguments: Mapping[str, Any]) -> list[str]:
        return [confined.key(arguments["path"])]

    reading = [_read_file(confined, touched), _glob(confined), _grep(confined)]
    return reading if read_only else [*reading, _write_file(confined, touched), _edit_file(confined, touched)]


def _read_file(confined: Confined, touched: Any) -> Tool:
    @tool(read_only=True, reads=touched)
    def read_file(path: str, start: int = 1, lines: int = _MOST_LINES) -> str:
        """Read a text file.

        Args:
            path: The file, relative to the working directory.
            start: The first line to show, counted from 1.
            lines: How many lines to show at most.
        """
        if start < 1 or lines < 1:
            raise ToolError("start and lines count from 1.")
        text = _text(confined, path)
        found = text.splitlines(keepends=True)
        chosen = found[start - 1 : start - 1 + lines]
        if found and not chosen:
            raise ToolError(f"'{path}' has {len(found)} lines; line {start} is behind its end.")
        left = len(found) - (start - 1 + len(chosen))
        note = f"\n[{left} more lines; go on with start={start + len(chosen)}]" if left > 0 else ""
        return "".join(chosen) + note

    return read_file


def _write_file(confined: Confined, touched: Any) -> Tool:
    @tool(writes=touched)
    def write_file(path: str, text: str) -> str:
        """Write a text file, new or in place of what it held; directories on the way are made.

        Args:
            path: The file, relative to the working directory.
            text: All that the file is to hold.
        """
        target = confined.path(path)
        if target.is_dir():
            raise ToolError(f"'{path}' is a directory.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text)
        return f"wrote {len(text.splitlines())} lines to {confined.shown(target)}"

    return write_file


def _edit_file(confined: Confined, touched: Any) -> Tool:
    @tool(reads=touched, writes=touched)
    def edit_file(path: str, old: str, new: str, every: bool = False) -> str:
        """Replace text in a file. The old text must be in it exactly once, character by character.

        Args:
            path: The file, relative to the working directory.
            old: The text to replace, with enough of its surroundings to be the only one.
            new: The text to put there.
            every: Replace all places, where there are several.
        """
        if not old:
            raise ToolError("old is empty; name the text to replace, or use write_file.")
        text = _text(confined, path)
        count = text.count(old)
        if count == 0:
            raise ToolError(f"the old text is not in '{path}'. Read the file again and copy the text exactly.")
        if count > 1 and not every:
            raise ToolError(f"the old text is in '{path}' {count} times. Add lines around it, or use every=true.")
        _replace(confined.path(path), text.replace(old, new))
        return f"replaced {count} place{'s' if count > 1 else ''} in {path}"

    return edit_file


def _glob(confined: Confined) -> Tool:
    @tool(read_only=True)
    def glob(pattern: str) -> list[str]:
        """Find files by name, sorted; `**` stands for any directories.

        Args:
            pattern: For example `src/**/*.py`, relative to the working directory.
        """
        if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise ToolError("the pattern is relative to the working directory and has no '..'.")
        try:
            found = [path for path in confined.root.glob(pattern) if _inside(confined, path) and path.is_file()]
        except (ValueError, NotImplementedError) as error:
            raise ToolError(f"'{pattern}' is no pattern: {error}.") from error
        names = sorted(path.relative_to(confined.root).as_posix() for path in found)
        if len(names) > _MOST_PATHS:
            raise ToolError(f"{len(names)} files match; narrow the pattern to at most {_MOST_PATHS}.")
        return names

    return glob


def _grep(confined: Confined) -> Tool:
    @tool(read_only=True)
    async def grep(pattern: str, path: str = ".", names: str = "**/*", ignore_case: bool = False) -> list[str]:
        """Search the lines of text files; gives `file:line: text` for each that matches, 200 at most.

        Args:
            pattern: A regular expression, as in Python.
            path: A file or directory, relative to the working directory.
            names: Which files in a directory, as a glob pattern.
            ignore_case: Whether upper and lower case are the same.
        """
        where = confined.path(path)
        if not where.exists():
            raise ToolError(f"there is no '{path}'.")
        # in a process of its own, because a regular expression may never end and a thread cannot be stopped
        command, data = search_command(confined.root, where, pattern, names, ignore_case)
        done = await run_limited(command, cwd=confined.root, data=data, seconds=30.0)
        if done.timed_out:
            raise ToolError("the search took more than 30 s and was stopped. Search fewer files, or a simpler pattern.")
        if done.code != 0:
            raise ToolError(done.text.strip() or "the search failed.")
        return done.text.splitlines()

    return grep


def _inside(confined: Confined, path: Path) -> bool:
    try:
        confined.path(str(path))
    except ToolError:
        return False
    return True


def _text(confined: Confined, given: str) -> str:
    path = confined.path(given)
    try:
        descriptor = confined.open(path)
    except IsADirectoryError as error:
        raise ToolError(f"'{given}' is a directory; list it with glob.") from error
    except FileNotFoundError as error:
        raise ToolError(f"there is no file '{given}'. Look for it with glob.") from error
    except OSError as error:
        raise ToolError(f"'{given}' cannot be read: {error.strerror}.") from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        os.close(descriptor)
        if stat.S_ISREG(found.st_mode):
            raise ToolError(f"'{given}' has {found.st_size} bytes, and {_MOST_BYTES} is the most that is read.")
        kind = "a directory; list it with glob" if stat.S_ISDIR(found.st_mode) else "no regular file"
        raise ToolError(f"'{given}' is {kind}.")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolError(f"'{given}' is not UTF-8 text (byte {error.start}).") from error


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all; it keeps its permissions."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current
