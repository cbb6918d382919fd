"""`python -m examples.patterns` makes docs/patterns.md from the files here; with `--run` it runs them all instead.

A pattern is one file: a docstring (title, answer, meaning), a `graph`, and a `main()`. The page is made of nothing
else, so what it shows is what the tests run.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "patterns.md"
TITLE = re.compile(r"WCP-(?P<number>\d+) (?P<name>.+): (?P<answer>yes|partly|no)")

INTRODUCTION = """\
# Workflow patterns

What can be said with a graph here, measured against the control-flow patterns that the workflow literature compares
systems by: the 20 of W.M.P. van der Aalst, A.H.M. ter Hofstede, B. Kiepuszewski and A.P. Barros, "Workflow Patterns",
Distributed and Parallel Databases 14(1), 2003, and those of the discriminator, partial join and loop family from
N. Russell, A.H.M. ter Hofstede, W.M.P. van der Aalst and N. Mulyar, "Workflow Control-Flow Patterns: A Revised View",
BPM Center Report BPM-06-22, 2006. The numbers are those of the second.

"Yes" means that the graph itself says it; "partly" and "no" say what is missing, and what comes nearest. Each pattern
is one file in `examples/patterns/` that runs: `python examples/patterns/01_sequence.py`. This page is made from those
files by `python -m examples.patterns`.
"""


@dataclass(frozen=True)
class Pattern:
    """One file: what its docstring says, and the rest of its source."""

    path: Path
    number: int
    name: str
    answer: str
    meaning: str
    code: str

    @classmethod
    def read(cls, path: Path) -> Pattern:
        """Read a pattern's file. Raises ValueError if its docstring has no title of the form `WCP-1 Name: yes`."""
        source = path.read_text(encoding="utf-8")
        opening = ast.parse(source).body[0]
        title, _, meaning = (ast.get_docstring(ast.parse(source)) or "").partition("\n")
        found = TITLE.fullmatch(title)
        if found is None:
            raise ValueError(f"{path.name}: {title!r} is not a title; write 'WCP-1 Name: yes', 'partly' or 'no'.")
        code = "".join(source.splitlines(keepends=True)[opening.end_lineno :]).strip("\n") + "\n"
        return cls(path, int(found["number"]), found["name"], found["answer"], meaning.strip(), code)

    def load(self) -> ModuleType:
        """The pattern's module, with its `graph` and `main`."""
        return importlib.import_module(f"examples.patterns.{self.path.stem}")

    @property
    def anchor(self) -> str:
        """The fragment of this pattern's section in the page."""
        return re.sub(r"[^a-z0-9 -]", "", f"{self.number} {self.name}".lower()).replace(" ", "-")

    def section(self) -> str:
        """The pattern's part of the page."""
        drawing = self.load().graph.to_mermaid().rstrip("\n")
        return (
            f"## {self.number}. {self.name}\n\n"
            f"{self.answer.capitalize()}. {self.meaning}\n\n"
            f"```python\n{self.code}```\n\n"
            f"<!-- draws: graph.to_mermaid() -->\n```mermaid\n{drawing}\n```\n"
        )


def patterns() -> list[Pattern]:
    """Every pattern of this folder, by number."""
    return [Pattern.read(path) for path in sorted(FOLDER.glob("[0-9]*.py"))]


def page() -> str:
    """The whole of docs/patterns.md."""
    found = patterns()
    rows = [f"| {p.number} | [{p.name}](#{p.anchor}) | {p.answer} |\n" for p in found]
    table = "| WCP | pattern | expressible |\n| --: | --- | --- |\n" + "".join(rows)
    return "\n".join([INTRODUCTION, table, *(pattern.section() for pattern in found)])


def main(arguments: list[str]) -> None:
    """Write the page, or run every pattern."""
    if arguments == ["--run"]:
        for pattern in patterns():
            print(f"-- {pattern.number}. {pattern.name}")
            pattern.load().main()
        return
    PAGE.write_text(page(), encoding="utf-8", newline="\n")
    print(f"wrote {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    main(sys.argv[1:])
