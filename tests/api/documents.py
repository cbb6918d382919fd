"""The code in README.md and docs/*.md, run block by block. Refuses a block that is left out without a reason.

The ```python blocks of a page share one namespace, in order; top-level `await` works. What stands in a comment on the
line before a block's fence steers it:

    <!-- not run: reason -->      the block is shown only
    <!-- prints -->               the block is what the last python block printed
    <!-- draws: EXPRESSION -->    the block is the value of EXPRESSION in the page's namespace

`python -m tests.api.documents README.md docs/...` rewrites the last two kinds in place from what the code does.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import linecache
import re
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|prints|draws)(?:: (?P<detail>.+?))? -->\n+)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, text, where its text is in the page, and the mark before it."""

    page: Path
    line: int
    language: str
    text: str
    span: tuple[int, int]
    mark: str | None
    detail: str | None

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Every fenced block of a page, in order."""
    source = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(source):
        line = source.count("\n", 0, found.start("text")) + 1
        yield Block(
            page, line, found["language"], found["text"], found.span("text"), found["mark"], found["detail"]
        )


class Page:
    """The namespace of one page: a module of its own, so that annotations and source code can be looked up."""

    def __init__(self, page: Path) -> None:
        name = f"page_{re.sub(r'[^a-z0-9]', '_', page.stem.lower())}"
        self.module = types.ModuleType(name)
        sys.modules[name] = self.module
        self.printed = ""

    def run(self, block: Block) -> None:
        """Run a python block; line numbers in tracebacks are those of the page."""
        filename = f"<{block}>"
        linecache.cache[filename] = (len(block.text), None, block.text.splitlines(keepends=True), filename)
        code = compile(block.text, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            made = eval(code, vars(self.module))
            if inspect.iscoroutine(made):
                anyio.run(lambda: made)
        self.printed = out.getvalue()

    def value(self, expression: str) -> Any:
        """The value of an expression in the page's namespace."""
        return eval(expression, vars(self.module))


def shown(page: Page, block: Block) -> str | None:
    """What a generated block must contain; None for any other block."""
    if block.mark == "prints":
        return page.printed.rstrip("\n") + "\n"
    if block.mark == "draws":
        return str(page.value(block.detail or "")).rstrip("\n") + "\n"
    return None


def rewrite(path: Path) -> None:
    """Bring the generated blocks of a page up to date."""
    source, out, at, page = path.read_text(encoding="utf-8"), [], 0, Page(path)
    for block in blocks(path):
        if block.language == "python" and block.mark is None:
            page.run(block)
        text = shown(page, block)
        if text is not None:
            out += [source[at : block.span[0]], text]
            at = block.span[1]
    path.write_text("".join([*out, source[at:]]), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument))
