"""Commands to look at runs while they go on: watch in the terminal, ui in a browser."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import typer
from rich.console import Console

from loomgraph import Graph
from loomgraph.cli.clean import clean
from loomgraph.cli.exits import FAILED, SUSPENDED, UsageError, exits, say
from loomgraph.cli.going import WHERE, compiled
from loomgraph.cli.keeping import JsonOpt, TracebackOpt
from loomgraph.cli.outcome import event_line, header_json, plain_json, record_json
from loomgraph.cli.progress import Progress
from loomgraph.cli.stores import RunArg, StoreOpt, opened_for
from loomgraph.cli.waiting import Waits
from loomgraph.integrations.load import load
from loomgraph.runtime.following import Following
from loomgraph.runtime.logbook import read_log
from loomgraph.store.protocol import FINISHED, RunHeader, Store

if TYPE_CHECKING:  # the page is an extra
    from loomgraph.ui import Server

__all__ = ["ui", "watch"]


def watch(
    run: RunArg,
    *,
    store: StoreOpt = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay while the run waits for somebody, until it ends.")] = False,
    as_json: JsonOpt = False,
    as_events: Annotated[bool, typer.Option("--events", help="Print each event as a line of JSON only.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")] = False,
    traceback: TracebackOpt = False,
) -> None:
    """Follow a run that goes on in any process, until it ends or waits for somebody. Exits as the run did.

    Ctrl-C ends the watching, never the run.
    """
    with exits(show_traceback=traceback):
        if as_json and as_events:
            raise UsageError("--json and --events both want stdout. Give one of them.")

        async def work(progress: Progress) -> tuple[RunHeader, Waits, bytes | None]:
            async with opened_for(store, new=False) as opened:
                header = await _followed(opened, run, progress, as_events=as_events, wait=wait)
                document = await _document(opened, run) if as_json else None
                return header, await Waits.read(opened, run), document

        with Progress(Console(stderr=True), quiet=quiet or as_events) as progress:
            header, waits, document = anyio.run(work, progress)
        if document is not None:
            typer.echo(document)
        if not quiet:
            say(f"run {clean(run)} {header.status}, {header.events} events")
        if header.status == "suspended":
            waits.tell()
            raise typer.Exit(SUSPENDED)
        if header.status != "succeeded":
            raise typer.Exit(FAILED)


async def _followed(store: Store, run: str, progress: Progress, *, as_events: bool, wait: bool) -> RunHeader:
    async for header, events in Following(store, run):
        for event in events:
            if as_events:
                typer.echo(event_line(event))
            else:
                progress.feed(event)
        read = not events or events[-1].seq + 1 == header.events
        if read and (header.status in FINISHED or (header.status == "suspended" and not wait)):
            return header
    raise AssertionError("a log that is followed never ends by itself")


async def _document(store: Store, run: str) -> bytes:
    log = await read_log(store, run)
    waits = await Waits.read(store, run)
    records = [record_json(record) for record in log.activations]
    return plain_json({"run": header_json(log.header), "activations": records, **waits.document()})


def ui(
    place: Annotated[str | None, typer.Argument(metavar="[STORE]", help="The store, instead of --store.")] = None,
    *,
    store: StoreOpt = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--graph", "-g", metavar="MODULE:WORKFLOW", help=f"Code to go on with; several times. {WHERE}"),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8700,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST[:PORT]", help="A name it answers to besides its own; several times."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="LOOMGRAPH_UI_TOKEN",
            show_envvar=False,
            help="What opens the page; better in LOOMGRAPH_UI_TOKEN, for others see command lines. Made if left out.",
        ),
    ] = None,
    traceback: TracebackOpt = False,
) -> None:
    """Show the runs of a store in a browser: live, with answers, resume, fork and compare. Needs the extra `ui`.

    Prints the address that opens it. Other machines cannot reach it unless --host says so.
    """
    with exits(show_traceback=traceback):
        _needs()
        graphs = [compiled(load(one)) for one in target or ()]

        async def work() -> None:
            async with opened_for(place or store, new=False) as opened:
                server = _server(opened, graphs, host=host, port=port, token=token, names=name or ())
                await server.run(lambda: typer.echo(server.opening))

        anyio.run(work)


def _needs() -> None:
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise UsageError(f"the page needs the package {package}. Install it: pip install 'loomgraph-engine[ui]'")


def _server(store: Store, graphs: list[Graph[Any, Any]], *, host: str, port: int, **options: Any) -> Server:
    from loomgraph.ui import Server

    try:
        return Server(store, graphs, host=host, port=port, **options)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Choose another --port."
        ) from error
