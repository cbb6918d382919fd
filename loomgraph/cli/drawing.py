"""`loomgraph draw`: a workflow, or a run of a store, as a picture. Runs nothing; a logged run needs no workflow."""

from __future__ import annotations

import enum
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from loomgraph.cli.exits import UsageError, exits, say
from loomgraph.cli.going import WHERE
from loomgraph.cli.keeping import TracebackOpt
from loomgraph.cli.stores import StoreOpt, with_store
from loomgraph.integrations.load import load
from loomgraph.runtime.comparing import compare
from loomgraph.runtime.logbook import Log, read_log
from loomgraph.store.protocol import Store

__all__ = ["draw"]


class Format(enum.StrEnum):
    """What `draw` writes."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    PNG = "png"
    TEXT = "text"


class View(enum.StrEnum):
    """What of a run."""

    GRAPH = "graph"
    TIMELINE = "timeline"
    FLAME = "flame"
    MESSAGES = "messages"


class By(enum.StrEnum):
    """What a flame shows."""

    TIME = "time"
    TOKENS = "tokens"
    COST = "cost"
    CALLS = "calls"


_ENDINGS = {
    ".svg": Format.SVG,
    ".png": Format.PNG,
    ".dot": Format.DOT,
    ".gv": Format.DOT,
    ".txt": Format.TEXT,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
}


def draw(
    target: Annotated[
        str | None, typer.Argument(metavar="[MODULE:WORKFLOW]", help=f"{WHERE} With --run it may be left out.")
    ] = None,
    *,
    run: Annotated[str | None, typer.Option("--run", metavar="RUN", help="Draw this run of --store.")] = None,
    against: Annotated[
        str | None, typer.Option("--against", metavar="RUN", help="Compare --run with this one.")
    ] = None,
    view: Annotated[View, typer.Option("--view", help="What to draw of the run.")] = View.GRAPH,
    by: Annotated[By, typer.Option("--by", help="What a flame shows.")] = By.TIME,
    form: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="By default what FILE ends in says it (.svg, .png, .dot, .txt, .mmd), else mermaid or text.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
    store: StoreOpt = None,
    traceback: TracebackOpt = False,
) -> None:
    """Draw a workflow, or a run of a store, as Mermaid, Graphviz DOT, SVG, PNG or text."""
    with exits(show_traceback=traceback):
        wanted = form if form is not None or out is None or not out.suffix else _ENDINGS.get(out.suffix.lower())
        if wanted is None and out is not None and out.suffix:
            raise UsageError(f"'{out}' says no format. Use --format, or one of {', '.join(_ENDINGS)}.")
        if wanted is Format.PNG and out is None and sys.stdout.isatty():
            raise UsageError("a PNG is no text for a terminal. Say where to: -o FILE.")
        drawn = _drawn(_asked(target, run, against, view, by, store), wanted)
        if out is None:
            typer.echo(drawn, nl=False)
            return
        try:
            out.write_bytes(drawn)
        except OSError as error:
            raise UsageError(f"cannot write '{out}': {error.strerror or error}.") from error
        say(f"wrote {out}")


def _asked(target: str | None, run: str | None, against: str | None, view: View, by: By, store: str | None) -> Any:
    """What is to be drawn; over the graph of `target`, if there is one, else over that of the log."""
    if run is None:
        if target is None:
            raise UsageError("draw what? Name a workflow as MODULE:WORKFLOW, or a run with --run and --store.")
        if against is not None or view is not View.GRAPH:
            raise UsageError("--against and --view are about a run: name it with --run and --store.")
        return load(target)
    if against is not None:
        if view is not View.GRAPH:
            raise UsageError("--against draws two runs over one graph; leave --view out.")

        async def both(opened: Store) -> Any:
            return await compare(opened, run, against)

        found: Any = with_store(store, both)
        return found if target is None else _Over(load(target), found)

    async def one(opened: Store) -> Log:
        return await read_log(opened, run)

    log = with_store(store, one)
    match view:
        case View.GRAPH:
            return log if target is None else _Over(load(target), log)
        case View.TIMELINE:
            return log.timeline()
        case View.FLAME:
            return log.flame(by.value)
        case View.MESSAGES:
            return log.messages()


class _Over:
    """A run over a graph that its log does not name: the workflow as it is now."""

    def __init__(self, graph: Any, run: Any) -> None:
        self._graph, self._run = graph, run

    def __getattr__(self, name: str) -> Any:
        return lambda: getattr(self._graph, name)(self._run)


def _drawn(thing: Any, form: Format | None) -> bytes:
    if form is None:
        form = Format.MERMAID if hasattr(thing, "to_mermaid") else Format.TEXT
    render = getattr(thing, f"to_{form.value}", None)
    if render is None:
        there = ", ".join(other.value for other in Format if hasattr(thing, f"to_{other.value}"))
        raise UsageError(f"this view has no form '{form.value}'. Use --format with one of: {there}.")
    drawn: str | bytes = render()
    return drawn if isinstance(drawn, bytes) else (drawn.rstrip("\n") + "\n").encode()
