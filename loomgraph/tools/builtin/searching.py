"""The search behind grep, run as a script in a process of its own: it reads what to look for and prints what it found.

Imports nothing of the library, so that it starts at once.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

__all__ = ["MOST", "search_command"]

MOST = 200
_WIDEST = 500
_LARGEST = 10_000_000


def search_command(root: Path, where: Path, pattern: str, names: str, ignore_case: bool) -> tuple[list[str], bytes]:
    """The command that searches, and what it is to be given on its standard input."""
    asked = {
        "root": str(root),
        "where": str(where),
        "pattern": pattern,
        "names": names,
        "ignore_case": ignore_case,
    }
    return [sys.executable, "-I", __file__], json.dumps(asked).encode()


def _main() -> int:
    asked = json.loads(sys.stdin.buffer.read())
    try:
        wanted = re.compile(asked["pattern"], re.IGNORECASE if asked["ignore_case"] else 0)
    except re.error as error:
        _say(f"'{asked['pattern']}' is no regular expression: {error}.")
        return 2
    root, where = Path(asked["root"]), Path(asked["where"])
    try:
        files = [where] if where.is_file() else sorted(path for path in where.glob(asked["names"]) if path.is_file())
    except (ValueError, NotImplementedError) as error:
        _say(f"'{asked['names']}' is no pattern: {error}.")
        return 2
    found = 0
    for path in files:
        if root not in path.resolve().parents:
            continue
        for number, line in enumerate(_lines(path), 1):
            if wanted.search(line):
                _say(f"{path.relative_to(root).as_posix()}:{number}: {line[:_WIDEST]}")
                found += 1
                if found == MOST:
                    _say(f"[stopped after {MOST} lines]")
                    return 0
    return 0


def _say(line: str) -> None:
    sys.stdout.buffer.write(line.encode("utf-8", "replace") + b"\n")


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _LARGEST:
            return []
        return path.read_bytes().decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []  # not a text file


if __name__ == "__main__":
    sys.exit(_main())
