"""Which files to look at: those that git knows, else those below the directory. Opens none of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from examples.health.models import Listing, Request, SourceFile

# directories that hold what was made or installed, not what was written here
IGNORED = frozenset({"__pycache__", "node_modules", "bower_components", "build", "dist", "out", "site", "venv", "env"})


def list_files(request: Request) -> Listing:
    """The regular files below the root in order of their names, without symbolic links and without `exclude`."""
    by_git = _git_files(request.root)
    files = sorted(_wanted(request, by_git or _walk(request.root)), key=lambda file: file.name)
    return Listing(files=tuple(files), by="git" if by_git else "walk")


def _git_files(root: Path) -> list[str]:
    """What git tracks or would track; empty where there is no git, no repository, or all is ignored."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        ran = subprocess.run(command, capture_output=True, check=True, timeout=60)  # noqa: S603  # no shell
    except (OSError, subprocess.SubprocessError):
        return []
    return sorted({os.fsdecode(name) for name in ran.stdout.split(b"\0") if name})


def _walk(root: Path) -> Iterator[str]:
    """Every file below `root`, but for hidden directories, virtual environments and `IGNORED`; follows no link."""
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and name not in IGNORED and not (here / name / "pyvenv.cfg").exists()
        ]
        yield from ((here / name).relative_to(root).as_posix() for name in names)


def _wanted(request: Request, names: Iterable[str]) -> Iterator[SourceFile]:
    for name in names:
        path = request.root / name
        if path.is_symlink() or not path.is_file() or path in request.exclude:
            continue
        # a name that is not UTF-8 can be opened, but neither printed nor written as JSON
        yield SourceFile(path=path, name=name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
