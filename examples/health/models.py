"""The values that travel along the edges of the health graph. Frozen data; no behaviour beyond simple sums."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

Kind: TypeAlias = Literal["python", "markdown", "config", "other", "skipped"]
Severity: TypeAlias = Literal["error", "warning", "note"]


class Value(BaseModel):
    """What all of them are: frozen, and closed to fields that nobody declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(Value):
    """What to look at: a directory, at most `limit` files, none of `exclude`; and where the last report may be."""

    root: Path
    limit: int | None = None
    exclude: tuple[Path, ...] = ()
    previous: Path | None = None


class SourceFile(Value):
    """A file: where it is, and its name below the root, with '/' on every platform and fit to be printed."""

    path: Path
    name: str


class Listing(Value):
    """The files below the root, and how they were found."""

    files: tuple[SourceFile, ...]
    by: Literal["git", "walk"]


class Problem(Value):
    """One thing to mend, at a line (1-based) of a file."""

    check: str
    severity: Severity
    name: str
    line: int
    message: str


class Text(Value):
    """A file that was read. The sub-classes say its kind, so that an edge can be chosen by type."""

    file: SourceFile
    text: str
    size: int
    newlines: tuple[str, ...]
    problems: tuple[Problem, ...] = ()


class PythonText(Text):
    """Python source."""


class MarkdownText(Text):
    """Markdown."""


class ConfigText(Text):
    """TOML, JSON or YAML."""


class OtherText(Text):
    """Any other text."""


class Skipped(Value):
    """A file that is not text, or too large to look at."""

    file: SourceFile
    size: int
    reason: str


class Function(Value):
    """A function or method: its first line, its length in lines, its cyclomatic complexity."""

    name: str
    line: int
    lines: int
    complexity: int


class Link(Value):
    """A relative link of a Markdown file: the path part ("" for the file itself) and the fragment ("" for none)."""

    line: int
    path: str
    fragment: str


class Import(Value):
    """What a Python file imports when it is itself imported: a module, or a name from it, which may be a module."""

    line: int
    module: str
    name: str | None = None


class Hygiene(Value):
    """What is checked in every text, whatever its kind."""

    lines: int
    problems: tuple[Problem, ...] = ()
    paragraphs: tuple[tuple[int, str], ...] = ()


class Details(Value):
    """What the checks of one kind found."""

    kind: Kind
    problems: tuple[Problem, ...] = ()
    functions: tuple[Function, ...] = ()
    imports: tuple[Import, ...] = ()
    links: tuple[Link, ...] = ()
    anchors: tuple[str, ...] = ()


class FileReport(Value):
    """All there is to say of one file by itself. `paragraphs` are the line and digest of the longer ones."""

    name: str
    kind: Kind
    size: int
    lines: int = 0
    problems: tuple[Problem, ...] = ()
    functions: tuple[Function, ...] = ()
    imports: tuple[Import, ...] = ()
    links: tuple[Link, ...] = ()
    anchors: tuple[str, ...] = ()
    paragraphs: tuple[tuple[int, str], ...] = ()
    skipped: str | None = None


class ImportGraph(Value):
    """Which Python files import which others, with the line of the import; only those below the root."""

    imports: dict[str, dict[str, int]]


class Ranking(Value):
    """The importance of Python files by who imports whom, while it is being computed.

    `shares` add up to 1; `change` is the largest change in the last round, `rounds` how many there were.
    """

    graph: ImportGraph
    shares: dict[str, float]
    change: float = 1.0
    rounds: int = 0


class Importance(Value):
    """The outcome: shares, and whether the rounds came to rest before the cap."""

    shares: dict[str, float]
    rounds: int
    settled: bool


class History(Value):
    """How many of the last commits changed each file; `unknown` says why if there is nothing to say."""

    commits: int = 0
    changes: dict[str, int] = {}
    unknown: str | None = None


class Totals(Value):
    """The sums that two reports are compared by."""

    files: int
    lines: int
    errors: int
    warnings: int
    notes: int
    by_check: dict[str, int]


class Previous(Value):
    """What the last report in the same place said."""

    made: str
    totals: Totals


class HotSpot(Value):
    """A file where trouble is likely to cost: important or often changed, and complex. `score` orders them."""

    name: str
    line: int
    score: float
    changes: int
    importance: float
    complexity: int
    problems: int


class Health(Value):
    """The graph's answer."""

    root: str
    found: int
    listed_by: Literal["git", "walk"]
    totals: Totals
    previous: Previous | None
    problems: tuple[Problem, ...]
    files: tuple[FileReport, ...]
    hot_spots: tuple[HotSpot, ...]
    importance: Importance
    history: History
