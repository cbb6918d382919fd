"""Commands over the runs of a store: list, show, prune, delete, export, import. They need no workflow, and run none."""

from __future__ import annotations

import contextlib
import enum
import json
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from loomgraph.cli.clean import clean
from loomgraph.cli.exits import UsageError, exits, say
from loomgraph.cli.outcome import event_line, header_json, plain_json, record_json
from loomgraph.cli.stores import RunArg, StoreOpt, with_store
from loomgraph.cli.tables import table
from loomgraph.cli.waiting import Waits
from loomgraph.cli.when import moment, short, span
from loomgraph.errors import brief_text
from loomgraph.runtime.logbook import Log, read_log
from loomgraph.runtime.notes import BOOK
from loomgraph.runtime.result import ActivationRecord
from loomgraph.store.keys import new_key
from loomgraph.store.protocol import FINISHED, RunFilter, RunHeader, RunPage, RunStatus, Store

__all__ = ["delete", "export", "import_", "key", "prune", "runs", "show"]


class State(enum.StrEnum):
    """The statuses of runs."""

    RUNNING = "running"
    SUSPENDED = "suspended"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
TracebackOpt = Annotated[bool, typer.Option("--traceback", help="Show where an error came from.")]
StatusOpt = Annotated[
    list[State] | None, typer.Option("--status", help="Only runs of this status; may be given several times.")
]


def runs(
    place: Annotated[str | None, typer.Argument(metavar="[STORE]", help="The store, instead of --store.")] = None,
    *,
    store: StoreOpt = None,
    status: StatusOpt = None,
    graph: Annotated[str | None, typer.Option("--graph", help="Only runs of this graph, by its name.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="Only runs of this user id.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="Only runs of this session id.")] = None,
    parent: Annotated[str | None, typer.Option("--parent", metavar="RUN", help="Only forks of this run.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help="Only runs created since: 2026-05-01, 2h, 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Only runs created before.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 50,
    cursor: Annotated[str | None, typer.Option("--cursor", help="Go on where the last page ended.")] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """List the runs of a store, newest first."""
    with exits(show_traceback=traceback):
        now = time.time()
        where = RunFilter(
            status=_statuses(status),
            graph=graph,
            user_id=user,
            session_id=session,
            parent=parent,
            created_from=None if since is None else moment(since, "--since", now),
            created_before=None if until is None else moment(until, "--until", now),
        )

        async def page(opened: Store) -> RunPage:
            found = await opened.runs(where, limit=limit, cursor=cursor)
            return found._replace(runs=[header for header in found.runs if header.graph != BOOK])

        found = with_store(place or store, page)
        if as_json:
            document = {"runs": [header_json(header) for header in found.runs], "cursor": found.cursor}
            typer.echo(plain_json(document))
            return
        if not found.runs:
            say("no runs match" if where != RunFilter() or cursor else "no runs yet")
            return
        heads = ("RUN", "GRAPH", "STATUS", "CREATED", "SECONDS", "EVENTS", "USER", "SESSION")
        table(heads, [_row(header) for header in found.runs])
        if found.cursor is not None:
            say(f"there are more: --cursor '{found.cursor}'")


def _statuses(given: list[State] | None) -> tuple[RunStatus, ...]:
    return tuple(state.value for state in given or ())


def _row(header: RunHeader) -> tuple[str, ...]:
    return (
        header.run_id,
        header.graph,
        header.status,
        short(header.created),
        f"{header.updated - header.created:.2f}",
        str(header.events),
        header.user_id or "",
        header.session_id or "",
    )


def show(
    run: RunArg,
    *,
    store: StoreOpt = None,
    node: Annotated[str | None, typer.Option("--node", help="Only activations of this node (a name or path).")] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="STATUS", help="Only activations of this status, e.g. failed.")
    ] = None,
    as_events: Annotated[bool, typer.Option("--events", help="Print the log, an event a line of JSON.")] = False,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Show one run: what each node did, how often it was tried, how long it took, and what the run waits for."""
    with exits(show_traceback=traceback):

        async def read(opened: Store) -> tuple[Log, Waits]:
            return await read_log(opened, run), await Waits.read(opened, run)

        log, waits = with_store(store, read)
        if as_events:
            for event in log.events:
                typer.echo(event_line(event))
            return
        records = [
            record
            for record in log.activations
            if (node is None or node in (record.path[-1], "/".join(record.path)))
            and (not only or record.status in only)
        ]
        if as_json:
            document = {
                "run": header_json(log.header),
                "activations": [record_json(record) for record in records],
                **waits.document(),
            }
            typer.echo(plain_json(document))
            return
        _head(log.header)
        if records:
            created = log.header.created
            heads = ("KEY", "STATUS", "TRIES", "STARTED", "SECONDS", "WHAT")
            table(heads, [_activation(record, created) for record in records])
        waits.tell()


def _head(header: RunHeader) -> None:
    facts = [
        f"run {header.run_id} of graph {header.graph}: {header.status}",
        f"created {short(header.created)}, updated {short(header.updated)}, {header.events} events",
    ]
    if header.parent is not None:
        facts.append(f"forked from {header.parent} at event {header.fork_seq}")
    if header.user_id is not None or header.session_id is not None:
        facts.append(f"user {header.user_id or '-'}, session {header.session_id or '-'}")
    for fact in facts:
        typer.echo(clean(fact).encode())


def _activation(record: ActivationRecord, created: float) -> tuple[str, ...]:
    started = "" if record.started is None else f"+{record.started - created:.3f}"
    seconds = "" if record.started is None or record.ended is None else f"{record.ended - record.started:.3f}"
    if record.failure is not None:
        what = f"{record.failure.error}: {record.failure.message}"
    else:
        what = "" if record.output is None else json.dumps(record.output, ensure_ascii=False)
    tries = str(record.attempts or "") if record.origin == "run" else record.origin
    return record.key, record.status, tries, started, seconds, brief_text(what, 80)


def prune(
    *,
    store: StoreOpt = None,
    keep: Annotated[int | None, typer.Option("--keep", min=0, metavar="N", help="Spare the newest N.")] = None,
    older_than: Annotated[
        str | None, typer.Option("--older-than", metavar="SPAN", help="Spare those updated within: 30d, 12h.")
    ] = None,
    status: Annotated[
        list[State] | None, typer.Option("--status", help="Runs of this status; by default those that ended.")
    ] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Delete runs that ended. Given both rules, only what neither of them spares."""
    with exits(show_traceback=traceback):
        if keep is None and older_than is None:
            raise UsageError("prune what? Say --keep N, --older-than SPAN, or both.")
        seconds = None if older_than is None else span(older_than, "--older-than")

        async def work(opened: Store) -> int:
            return await opened.prune(keep=keep, older_than=seconds, status=_statuses(status) or FINISHED)

        count = with_store(store, work)
        typer.echo(plain_json({"pruned": count}) if as_json else f"{count} run{'' if count == 1 else 's'} deleted")


def delete(
    run: Annotated[list[str], typer.Argument(metavar="RUN...", help="The ids of the runs.")],
    *,
    store: StoreOpt = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Delete runs, whatever their status, unless a process has them."""
    with exits(show_traceback=traceback):

        async def work(opened: Store) -> None:
            for run_id in run:
                await opened.load(run_id)  # all are there, before any is gone
            for run_id in run:
                await opened.delete(run_id)

        with_store(store, work)
        typer.echo(plain_json({"deleted": run}) if as_json else f"deleted {', '.join(map(clean, run))}")


def export(
    run: RunArg,
    *,
    store: StoreOpt = None,
    out: Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Write one run as a file that `loomgraph import` takes, into any store."""
    with exits(show_traceback=traceback):
        if as_json and out is None:
            raise UsageError("--json and the run itself both want stdout. Say where the run goes: -o FILE.")
        if out is None and sys.stdout.isatty():
            raise UsageError(f"a run is a file, not a text to read. Say where: loomgraph export {run} -o {run}.run")

        async def work(opened: Store) -> None:
            if out is None:
                async for piece in opened.export(run):
                    sys.stdout.buffer.write(piece)
                sys.stdout.buffer.flush()
                return
            part = out.with_name(out.name + ".part")
            try:
                with part.open("wb") as file:
                    async for piece in opened.export(run):
                        file.write(piece)
                part.replace(out)
            except BaseException:
                with contextlib.suppress(OSError):
                    part.unlink()
                raise

        try:
            with_store(store, work)
        except OSError as error:
            raise UsageError(f"cannot write '{out}': {error.strerror or error}.") from error
        if as_json and out is not None:
            typer.echo(plain_json({"run_id": run, "file": str(out), "bytes": out.stat().st_size}))
        elif out is not None:
            say(f"wrote {out}")


def import_(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="What `loomgraph export` wrote; - reads stdin.")],
    *,
    store: StoreOpt = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Take a run from a file into a store."""
    with exits(show_traceback=traceback):
        try:
            data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read '{source}': {error.strerror or error}.") from error

        async def work(opened: Store) -> RunHeader:
            return await opened.import_(data)

        header = with_store(store, work, new=True)
        done = f"imported {clean(header.run_id)}: {header.status}, {header.events} events"
        typer.echo(plain_json(header_json(header)) if as_json else done)


def key(*, as_json: JsonOpt = False) -> None:
    """Print a new random key for an encrypted store, to be kept in LOOMGRAPH_KEY."""
    made = new_key()
    typer.echo(plain_json({"key": made}) if as_json else made)
