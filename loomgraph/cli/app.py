"""The commands that read a workflow, and the list of all commands. Each calls the library once and prints.

Results go to stdout, everything else to stderr, so that output can be piped.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated

import typer

from loomgraph import Workflow
from loomgraph.cli import drawing, forking, going, keeping, showing, starting
from loomgraph.cli.exits import FAILED, exits
from loomgraph.cli.going import TargetArg
from loomgraph.cli.keeping import JsonOpt, TracebackOpt
from loomgraph.cli.outcome import plain_json
from loomgraph.errors import CompileError, Finding
from loomgraph.integrations.load import load

__all__ = ["app"]

app = typer.Typer(
    name="loomgraph",
    help="Draw, run and check typed workflow graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
def check(target: TargetArg, *, as_json: JsonOpt = False, traceback: TracebackOpt = False) -> None:
    """Print every finding of compile() and its remedy. Exits with 1 if there are errors."""
    with exits(show_traceback=traceback):
        name, findings = _findings(target)
    errors = [finding for finding in findings if finding.severity == "error"]
    warnings = [finding for finding in findings if finding.severity == "warning"]
    if as_json:
        typer.echo(plain_json({"workflow": name, "findings": [asdict(found) for found in (*errors, *warnings)]}))
    else:
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


app.command()(starting.new)
app.command()(drawing.draw)
app.command()(going.run)
app.command()(going.resume)
app.command()(going.answer)
app.command()(going.signal)
app.command()(going.cancel)
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
