"""The commands that read a workflow, and the list of all commands. Each calls the library once and prints.

Results go to stdout, everything else to stderr, so that output can be piped.
"""

from __future__ import annotations

import enum
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from loomgraph import Workflow
from loomgraph.cli import forking, going, keeping, showing
from loomgraph.cli.exits import FAILED, UsageError, exits, say
from loomgraph.cli.going import TargetArg
from loomgraph.cli.keeping import TracebackOpt
from loomgraph.cli.load import load
from loomgraph.errors import CompileError, Finding
from loomgraph.runtime.drawing import Drawable

__all__ = ["app"]

app = typer.Typer(
    name="loomgraph",
    help="Draw, run and check typed workflow graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


class Format(enum.StrEnum):
    """What `draw` writes."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    PNG = "png"
    TEXT = "text"


_ENDINGS = {
    ".dot": Format.DOT,
    ".gv": Format.DOT,
    ".svg": Format.SVG,
    ".png": Format.PNG,
    ".txt": Format.TEXT,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    "": Format.MERMAID,
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"loomgraph {version('loomgraph-engine')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Draw, run and check typed workflow graphs."""


@app.command()
def draw(
    target: TargetArg,
    *,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="By default what FILE ends in says it (.svg, .png, .dot, .txt), else mermaid."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
    traceback: TracebackOpt = False,
) -> None:
    """Draw a workflow as Mermaid, Graphviz DOT, SVG, PNG or text."""
    with exits(show_traceback=traceback):
        loaded = load(target)
        wanted = form or _ENDINGS.get("" if out is None else out.suffix.lower())
        if wanted is None:
            raise UsageError(f"'{out}' says no format. Use --format, or one of {', '.join(filter(None, _ENDINGS))}.")
        if wanted is Format.PNG and out is None and sys.stdout.isatty():
            raise UsageError("a PNG is no text for a terminal. Say where to: -o FILE.")
        drawn: bytes = loaded.to_png() if wanted is Format.PNG else _text(loaded, wanted)
        if out is None:
            typer.echo(drawn, nl=False)
            return
        try:
            out.write_bytes(drawn)
        except OSError as error:
            raise UsageError(f"cannot write '{out}': {error.strerror or error}.") from error
        say(f"wrote {out}")


def _text(drawn: Drawable, form: Format) -> bytes:
    text: str = getattr(drawn, f"to_{form.value}")()
    return (text.rstrip("\n") + "\n").encode()


@app.command()
def check(target: TargetArg, *, traceback: TracebackOpt = False) -> None:
    """Print every finding of compile() and its remedy. Exits with 1 if there are errors."""
    with exits(show_traceback=traceback):
        name, findings = _findings(target)
    errors = [finding for finding in findings if finding.severity == "error"]
    warnings = [finding for finding in findings if finding.severity == "warning"]
    for finding in (*errors, *warnings):
        typer.echo(f"{finding.severity} {finding}".encode())
    verdict = f"{_count(len(errors), 'error')}, {_count(len(warnings), 'warning')}"
    typer.echo(f"workflow '{name}': {verdict if findings else 'sound, no findings'}".encode())
    if errors:
        raise typer.Exit(FAILED)


def _findings(target: str) -> tuple[str, list[Finding]]:
    try:
        loaded = load(target)
    except CompileError as error:  # the module compiles its workflow itself, at import
        return error.workflow, list(error.findings)
    return loaded.name, list(loaded.check() if isinstance(loaded, Workflow) else loaded.warnings)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


app.command()(going.run)
app.command()(going.resume)
app.command()(going.answer)
app.command()(going.signal)
app.command()(forking.fork)
app.command()(forking.compare)
app.command()(keeping.runs)
app.command()(keeping.show)
app.command()(showing.watch)
app.command()(showing.ui)
app.command()(keeping.prune)
app.command()(keeping.delete)
app.command()(keeping.export)
app.command("import")(keeping.import_)
app.command()(keeping.key)
