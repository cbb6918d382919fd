"""The real mermaid package, asked what it understands of a text: one node process, one JSON line a question."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.npm import node_for

HERE = Path(__file__).parent / "mermaid"


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
    return RealMermaid(node_for(HERE))
