"""A directory that paths may not leave, whatever links and `..` are in them. Reads and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

from loomgraph.errors import ToolError

__all__ = ["Confined"]


class Confined:
    """The directory `root`, which must exist. Paths are relative to it and written with '/' or the system's own way.

    What is checked is where a path leads at that moment. A process that swaps directories for links meanwhile is not
    held off: give such processes a directory of their own.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).resolve(strict=True)
        if not self.root.is_dir():
            raise NotADirectoryError(f"{self.root} is not a directory.")

    def path(self, given: str) -> Path:
        """Where a path leads, resolved. Raises ToolError if that is outside of the directory."""
        if "\x00" in given:
            raise ToolError(f"{given!r} is not a path.")
        try:
            found = (self.root / given).resolve()
        except (OSError, RuntimeError) as error:  # a circle of links
            raise ToolError(f"'{given}' cannot be followed: {error}.") from error
        if found != self.root and self.root not in found.parents:
            raise ToolError(f"'{given}' is outside of the directory these tools work in. Use a path inside it.")
        return found

    def key(self, given: object) -> str:
        """The resource key of a path: the same for every way to write it."""
        try:
            return f"file:{self.path(str(given))}"
        except ToolError:
            return f"file:{given}"

    def shown(self, path: Path) -> str:
        """A path inside, relative and with '/'."""
        return path.relative_to(self.root).as_posix()

    def open(self, path: Path) -> int:
        """A file descriptor to read a resolved path by; not through a link that appeared meanwhile, and at once."""
        flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
        return os.open(path, os.O_RDONLY | sum(flags))
