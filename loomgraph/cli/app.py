"""The commands and their options. Each loads its target, calls the library once and prints.

Results go to stdout, everything else to stderr, so that output can be piped.
"""

from __future__ import annotations

import enum
import functools
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import anyio
import typer
from rich.console import Console

from loomgraph import Graph, Workflow
from loomgraph.cli.exits import FAILED, UsageError, exits, say
from loomgraph.cli.load import Target, load
from loomgraph.cli.progress import Progress
from loomgraph.cli.runs import drive, event_line, output_json, read_input, result_json
from loomgraph.errors import CompileError, Finding, RunError
from loomgraph.events import Event

__all__ = ["app"]

app = typer.Typer(
    name="loomgraph",
    help="Draw, run and check typed workflow graphs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

TargetArg = Annotated[
    str,
    typer.Argument(
        metavar="MODULE:WORKFLOW",
        help="A dotted module or a path to a .py file, then the name of a Workflow or Graph in it, "
        "which may be left out if there is only one.",
    ),
]
TracebackOpt = Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")]


class Format(enum.StrEnum):
    """What `draw` writes."""

    MERMAID = "mermaid"
    DOT = "dot"


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
        Format | None, typer.Option("--format", help="By default what FILE ends in says it (.dot, .gv), else mermaid.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
    traceback: TracebackOpt = False,
) -> None:
    """Draw a workflow as Mermaid or Graphviz DOT."""
    with exits(show_traceback=traceback):
        loaded = load(target)
        dot = form is Format.DOT or (form is None and out is not None and out.suffix in (".dot", ".gv"))
        text = loaded.to_dot() if dot else loaded.to_mermaid()
        if out is None:
            typer.echo(text.rstrip("\n").encode())
            return
        try:
            out.write_text(text.rstrip("\n") + "\n", encoding="utf-8", newline="\n")
        except OSError as error:
            raise UsageError(f"cannot write '{out}': {error.strerror or error}.") from error
        say(f"wrote {out}")


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


@app.command()
def run(
    target: TargetArg,
    *,
    given: Annotated[
        str | None, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The run's input; - reads stdin.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="How many nodes may run at a time.")] = None,
    deadline: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop the run after this long.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as one JSON document.")] = False,
    as_events: Annotated[bool, typer.Option("--events", help="Print each event as a line of JSON only.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    traceback: TracebackOpt = False,
) -> None:
    """Run a workflow and print its output as JSON. Exits with 1 if the run fails, with 2 if it cannot start."""
    with exits(show_traceback=traceback):
        if as_json and as_events:
            raise UsageError("--json and --events both want stdout. Give one of them.")
        if deadline is not None and not deadline > 0:
            raise UsageError(f"--deadline {deadline:g} leaves no time. Give seconds > 0.")
        graph = _compiled(load(target))
        value = read_input(graph, given)
        console = Console(stderr=True)
        with Progress(console, quiet=quiet or as_events) as progress:
            watch = _print_event if as_events else progress.feed
            start = functools.partial(drive, graph, value, watch, limit=limit, deadline=deadline)
            try:
                result = anyio.run(start)
            except RunError as error:
                if as_json:
                    typer.echo(result_json(error.result, str(error)))
                raise
        if not quiet and not as_events:
            count = _count(len(result.activations), "activation")
            say(f"run {result.run_id} {result.status} in {result.seconds:.2f} s, {count}")
        if not as_events:
            typer.echo(result_json(result) if as_json else output_json(graph, result.output))


def _print_event(event: Event) -> None:
    typer.echo(event_line(event))


def _compiled(loaded: Target) -> Graph[Any, Any]:
    graph = loaded.compile() if isinstance(loaded, Workflow) else loaded
    for finding in graph.warnings:
        say(f"warning {finding}")
    return graph
