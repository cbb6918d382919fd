"""The code in README.md and docs/*.md, run block by block. Refuses a block that is left out without a reason.

The ```python blocks of a page share one namespace, in order, and run in the page's folder; top-level `await` works.
What stands in a comment on the line before a block's fence steers it:

    <!-- not run: reason -->      the block is shown only
    <!-- prints -->               the block is what the last python block printed
    <!-- draws: EXPRESSION -->    the block is the value of EXPRESSION in the page's namespace
    <!-- file: NAME -->           the block is not run, but lies in the page's folder under this name
    <!-- picture: EXPRESSION -->  before an image, not a block: its file is the value of EXPRESSION, an SVG, at the
                                  end of the page

A ```console block is a session in that folder: lines after `$ ` are `loomgraph ...`, `export NAME=VALUE` or `echo $?`,
the others are what they print. Times and durations in it may be any.

`python -m tests.api.documents README.md docs/...` rewrites sessions, the blocks that print and draw, and
pictures, in place.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import linecache
import os
import re
import shlex
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_TIMES = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?|(?<=[ +])\d+\.\d{2,3}\b")

_BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>not run|prints|draws|file)(?:: (?P<detail>.+?))? -->\n+)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


_NO_VARIABLES = {name: None for name in os.environ if name.startswith("LOOMGRAPH_")}


_PICTURE = re.compile(r"^<!-- picture: (?P<expression>.+?) -->\n!\[[^\]]*\]\((?P<file>[^)]+)\)", re.MULTILINE)


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
        yield Block(page, line, found["language"], found["text"], found.span("text"), found["mark"], found["detail"])


def pictures(page: Path) -> Iterator[tuple[str, Path]]:
    """The pictures of a page: the expression that draws each, and its file."""
    for found in _PICTURE.finditer(page.read_text(encoding="utf-8")):
        yield found["expression"], page.parent / found["file"]


class Page:
    """The namespace of one page: a module of its own, so that annotations and source code can be looked up."""

    def __init__(self, page: Path) -> None:
        name = f"page_{re.sub(r'[^a-z0-9]', '_', page.stem.lower())}"
        self.module = types.ModuleType(name)
        sys.modules[name] = self.module
        self.printed = ""
        self._kept = tempfile.TemporaryDirectory(prefix="loomgraph-page-")
        self.folder = Path(self._kept.name)
        self._variables: dict[str, str] = {}
        self._code = 0

    def close(self) -> None:
        """Remove the page's folder, and the modules that were read from it."""
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(self._kept.name):
                del sys.modules[name]
        self._kept.cleanup()

    def keep(self, block: Block) -> None:
        """Put a block into the page's folder."""
        assert block.detail is not None
        (self.folder / block.detail).write_text(block.text, encoding="utf-8")

    def session(self, block: Block) -> str:
        """A console block as it is when its commands are run."""
        lines = re.sub(r"\\\n", "\0", block.text).splitlines()
        out: list[str] = []
        for line in lines:
            if line.startswith("$ "):
                out.append(line.replace("\0", "\\\n"))
                out += self._command(shlex.split(line[2:].replace("\0", " "))).splitlines()
        return "\n".join(out) + "\n"

    def _command(self, words: list[str]) -> str:
        match words:
            case ["export", setting]:
                name, _, value = setting.partition("=")
                self._variables[name] = value
                return ""
            case ["echo", "$?"]:
                return str(self._code)
            case ["loomgraph", *arguments]:
                from typer.testing import CliRunner

                from loomgraph.cli.app import app

                with contextlib.chdir(self.folder):
                    done = CliRunner().invoke(app, arguments, env={**_NO_VARIABLES, **self._variables})
                self._code = done.exit_code
                return done.output
            case _:
                raise AssertionError(f"a session knows no {words}")

    def run(self, block: Block) -> None:
        """Run a python block; line numbers in tracebacks are those of the page."""
        filename = f"<{block}>"
        linecache.cache[filename] = (len(block.text), None, block.text.splitlines(keepends=True), filename)
        code = compile(block.text, filename, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        out = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out):
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
    if block.language == "console":
        found = page.session(block)
        return block.text if _timeless(found) == _timeless(block.text) else found
    return None


def _timeless(text: str) -> str:
    """A session without its times, and without the spaces that depend on how long they are."""
    return re.sub(" +", " ", _TIMES.sub("#", text))


def rewrite(path: Path) -> None:
    """Bring the generated blocks of a page up to date."""
    source, out, at, page = path.read_text(encoding="utf-8"), [], 0, Page(path)
    for block in blocks(path):
        if block.mark == "file":
            page.keep(block)
        elif block.language == "python" and block.mark is None:
            page.run(block)
        text = shown(page, block)
        if text is not None:
            out += [source[at : block.span[0]], text]
            at = block.span[1]
    page.close()
    path.write_text("".join([*out, source[at:]]), encoding="utf-8", newline="\n")
    for expression, file in pictures(path):
        file.write_text(page.value(expression), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument))
