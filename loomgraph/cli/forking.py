"""Commands that make a run from another and put two runs side by side: fork, compare. They run no node."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from loomgraph.cli.clean import clean
from loomgraph.cli.exits import UsageError, exits, say
from loomgraph.cli.given import pairs
from loomgraph.cli.going import WHERE, compiled
from loomgraph.cli.keeping import JsonOpt, TracebackOpt
from loomgraph.cli.outcome import header_json, plain_json, record_json
from loomgraph.cli.stores import RunArg, StoreOpt, resume_command, with_store
from loomgraph.cli.tables import table
from loomgraph.errors import brief_text
from loomgraph.integrations.load import load
from loomgraph.runtime.comparing import Comparison, Difference
from loomgraph.runtime.comparing import compare as compared
from loomgraph.runtime.forking import copied
from loomgraph.runtime.result import ActivationRecord, Usage
from loomgraph.store.protocol import RunHeader, Store

__all__ = ["compare", "fork"]


def fork(
    run: RunArg,
    *,
    target: Annotated[
        str | None,
        typer.Option("--graph", "-g", metavar="MODULE:WORKFLOW", help=f"What it is to go on with. {WHERE}"),
    ] = None,
    store: StoreOpt = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="EVENT|KEY", help="Where to leave the other run; by default where it ends."),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option("--output", "-o", metavar="KEY=JSON", help="What an activation gave instead; several times."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="KEY=JSON", help="What one was given instead; START is the run itself."),
    ] = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The id of the new run; made if left out.")
    ] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Make a new run that begins as another did, edited or not, and print its id. Runs nothing: resume does.

    `loomgraph show RUN` has the keys. What an edit does not touch is taken over, the rest runs anew.
    """
    with exits(show_traceback=traceback):
        place = int(at) if at is not None and at.isdecimal() else at
        given, gave = pairs(inputs, "--input"), pairs(outputs, "--output")
        if target is None and (given or gave):
            raise UsageError("an edit is checked by the types of its graph. Say which: --graph MODULE:WORKFLOW")
        graph = None if target is None else compiled(load(target))

        async def work(opened: Store) -> RunHeader:
            if graph is None:
                return await opened.load(await copied(opened, run, run_id, place))
            made = await graph.fork(run, store=opened, at=place, run_id=run_id, inputs=given, outputs=gave)
            return await opened.load(made)

        header = with_store(store, work)
        typer.echo(plain_json(header_json(header)) if as_json else clean(header.run_id))
        say(f"forked from {clean(run)} after its event {header.fork_seq}")
        say(f"go on with it: {resume_command(header.run_id, target or 'MODULE:WORKFLOW', store)}")


def compare(
    left: Annotated[str, typer.Argument(metavar="RUN", help="The id of one run.")],
    right: Annotated[str, typer.Argument(metavar="OTHER", help="The id of the other, a fork of it for instance.")],
    *,
    store: StoreOpt = None,
    node: Annotated[str | None, typer.Option("--node", help="Only activations of this node (a name or path).")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what is the same too.")] = False,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Show what two runs did otherwise, activation by activation: code, inputs, outputs, failures."""
    with exits(show_traceback=traceback):

        async def work(opened: Store) -> Comparison:
            return await compared(opened, left, right)

        both = with_store(store, work)
        wanted = both.activations if node is None else both.node(node)
        shown = [found for found in wanted if everything or not found.same]
        if as_json:
            typer.echo(plain_json(_document(both, shown)))
            return
        if both.left.status != both.right.status:
            typer.echo(f"status: {both.left.status} -> {both.right.status}")
        for what, values in (("input", both.input), ("output", both.output)):
            if values[0] != values[1]:
                typer.echo(f"{what}: {' -> '.join(clean(_shown(value)) for value in values)}".encode())
        if shown:
            table(("KEY", "DIFFERS", both.left.run_id, both.right.run_id), [_row(found) for found in shown])
        count = len(both.differences)
        of = f"{len(both.activations)} activation{'' if len(both.activations) == 1 else 's'}"
        say("the runs did the same" if both.same else f"{count} of {of} differ{'s' if count == 1 else ''}")


def _row(found: Difference) -> tuple[str, ...]:
    records = (found.left, found.right)
    differs: list[str] = list(found.differs)
    if not found.both:
        differs = ["only there"]
    if not found.same and any(record is not None and record.origin == "edited" for record in records):
        differs.append("edited")
    return found.key, ", ".join(differs), _cell(found, found.left), _cell(found, found.right)


def _cell(found: Difference, record: ActivationRecord | None) -> str:
    """What is most telling of one side."""
    if record is None:
        return "-"
    if record.failure is not None:
        text = f"{record.failure.error}: {record.failure.message}"
    elif record.status != "succeeded" or "status" in found.differs:
        text = record.status if record.output is None else f"{record.status}: {_shown(record.output)}"
    else:
        text = _shown(record.output)
    return brief_text(text, 40)


def _shown(value: Any) -> str:
    return brief_text(json.dumps(value, ensure_ascii=False), 80)


def _document(both: Comparison, shown: list[Difference]) -> dict[str, Any]:
    return {
        "same": both.same,
        "left": header_json(both.left),
        "right": header_json(both.right),
        "input": list(both.input),
        "output": list(both.output),
        "usage": [_usage(usage) for usage in both.usage],
        "activations": [
            {
                "key": found.key,
                "node": found.node,
                "differs": list(found.differs),
                "source": found.source,
                "left": None if found.left is None else record_json(found.left),
                "right": None if found.right is None else record_json(found.right),
            }
            for found in shown
        ],
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {"activations": usage.activations, "attempts": usage.attempts, "amounts": dict(usage.amounts)}
