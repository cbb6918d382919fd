"""Commands that run a workflow, or send something to a run: run, resume, answer, signal, cancel."""

from __future__ import annotations

import enum
import math
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any, cast

import anyio
import typer
from rich.console import Console

from loomgraph import Graph, RunResult, Workflow
from loomgraph.cli.clean import clean
from loomgraph.cli.exits import FAILED, SUSPENDED, UsageError, ending_gently, exits, say
from loomgraph.cli.given import read_input, read_json
from loomgraph.cli.keeping import JsonOpt, TracebackOpt
from loomgraph.cli.outcome import event_line, output_json, plain_json, result_json
from loomgraph.cli.progress import Progress, spent
from loomgraph.cli.stores import RunArg, StoreOpt, command, opened_for, resume_command, store_words, with_store
from loomgraph.cli.tally import Tally
from loomgraph.cli.waiting import Waits
from loomgraph.errors import GraphChangedError, InDoubtError, RunBusyError, RunError
from loomgraph.events import Event
from loomgraph.integrations.load import Target, load
from loomgraph.runtime import cancelling, questions
from loomgraph.runtime.keeper import DEFAULT_TTL
from loomgraph.store.protocol import Store

__all__ = ["WHERE", "TargetArg", "answer", "cancel", "compiled", "resume", "run", "signal"]

WHERE = (
    "A dotted module or a path to a .py file, then the name of a Workflow or Graph in it, "
    "which may be left out if there is only one."
)
TargetArg = Annotated[str, typer.Argument(metavar="MODULE:WORKFLOW", help=WHERE)]
GraphOpt = Annotated[str, typer.Option("--graph", "-g", metavar="MODULE:WORKFLOW", help=WHERE)]
LimitOpt = Annotated[int | None, typer.Option("--limit", min=1, help="How many nodes may run at a time.")]
DeadlineOpt = Annotated[
    float | None, typer.Option("--deadline", metavar="SECONDS", help="Stop the run after this long.")
]
LeaseOpt = Annotated[
    float | None,
    typer.Option(
        "--lease", metavar="SECONDS", help="How long the run stays this process's without a sign of life; else 30."
    ),
]
EventsOpt = Annotated[bool, typer.Option("--events", help="Print each event as a line of JSON only.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]


class OnChange(enum.StrEnum):
    """See `loomgraph.runtime.recorded.OnChange`."""

    STRICT = "strict"
    COMPATIBLE = "compatible"
    RERUN = "rerun"


class InDoubt(enum.StrEnum):
    """See `loomgraph.runtime.options.InDoubt`."""

    FAIL = "fail"
    RERUN = "rerun"
    ASK = "ask"


class _Show:
    """How a run is shown while it goes on and when it has ended, and what is said if it did not get there."""

    def __init__(self, target: str, address: str | None, *, as_json: bool, as_events: bool, quiet: bool) -> None:
        if as_json and as_events:
            raise UsageError("--json and --events both want stdout. Give one of them.")
        self._target = target
        self._address = address
        self._as_json = as_json
        self._as_events = as_events
        self.is_quiet = quiet or as_events
        # set once the run is in its store
        self._recorded: str | None = None
        # how many events of the run were there before
        self.known = 0
        self._seen = -1
        self._tally: Tally | None = None

    def advice(self, error: BaseException | None = None) -> str | None:
        """How to go on with a run that stopped half-way, or could not go on."""
        if self._recorded is None or self._address is None:
            return None
        what, options = "the run can go on", list[str]()
        if isinstance(error, RunBusyError):
            what, options = "to wait for it", ["--wait"]
        elif isinstance(error, GraphChangedError):
            what, options = "where only code changed", ["--on-change", "compatible"]
        elif isinstance(error, InDoubtError):
            what, options = "to run it again", ["--in-doubt", "rerun"]
        return f"{what}: {resume_command(self._recorded, self._target, self._address, *options)}"

    def begins(self, run_id: str) -> None:
        """Say which run this is, and how it goes on should nobody be left to say it."""
        if self._address is not None and not self.is_quiet:
            say(f"run {clean(run_id)}")
            say(f"if this process is killed: {resume_command(run_id, self._target, self._address, '--wait')}")

    def recorded(self, run_id: str) -> None:
        """From here on the run is in its store, if it has one."""
        self._recorded = run_id

    async def patiently(self, attempt: Callable[[float], Awaitable[RunResult[Any]]]) -> RunResult[Any]:
        """Attempt again, until whoever has the run has let go of it or shows no sign of life any more."""
        try:
            return await attempt(0)
        except RunBusyError as error:
            say(f"waiting for '{error.owner}' to let go of the run")
        return await attempt(math.inf)

    def go(self, work: Callable[[Callable[[Event], None]], Awaitable[RunResult[Any]]]) -> RunResult[Any]:
        """Do the work, showing its events. Raises what it raises."""
        with Progress(Console(stderr=True), quiet=self.is_quiet) as progress:
            self._tally = progress.tally

            def watch(event: Event) -> None:
                self.recorded(event.run_id)
                if event.seq <= self._seen:  # an attempt that found the run busy has told it already
                    return
                self._seen = event.seq
                if not self._as_events:
                    progress.feed(event, past=event.seq < self.known)
                elif event.seq >= self.known:
                    typer.echo(event_line(event))

            async def begin() -> RunResult[Any]:
                return await work(watch)

            try:
                with ending_gently():
                    return anyio.run(begin)
            except RunError as error:
                if self._as_json:
                    typer.echo(result_json(error.result, str(error)))
                raise

    def end(self, graph: Graph[Any, Any], result: RunResult[Any]) -> None:
        """Print what came of it. Ends the command if the run is suspended."""
        if not self.is_quiet:
            number = len(result.activations)
            count = f"{number} activation{'' if number == 1 else 's'}"
            used = "" if self._tally is None else spent(self._tally)
            say(f"run {clean(result.run_id)} {result.status} in {result.seconds:.2f} s, {count}{used}")
        if self._as_json:
            typer.echo(result_json(result))
        elif result.status == "succeeded" and not self._as_events:
            typer.echo(output_json(graph, result.output))
        if result.status == "suspended":
            Waits.of(result).tell()
            advice = self.advice()
            if advice is not None:
                say(advice)
            raise typer.Exit(SUSPENDED)


def run(
    target: TargetArg,
    *,
    given: Annotated[
        str | None, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The run's input; - reads stdin.")
    ] = None,
    store: StoreOpt = None,
    run_id: Annotated[
        str | None, typer.Option("--run-id", metavar="ID", help="The id of the run in its store; made if left out.")
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="The user id that nodes and lists see.")] = None,
    session: Annotated[str | None, typer.Option("--session", help="The session id that nodes and lists see.")] = None,
    limit: LimitOpt = None,
    deadline: DeadlineOpt = None,
    lease: LeaseOpt = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as one JSON document.")] = False,
    as_events: EventsOpt = False,
    quiet: QuietOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Run a workflow and print its output as JSON.

    With a store every step is recorded before it is acted on, and the run can go on after a crash. Exits with 1 if the
    run fails, with 2 if it cannot start, with 3 if it waits for an answer.
    """
    with exits(show_traceback=traceback):
        show = _Show(target, store, as_json=as_json, as_events=as_events, quiet=quiet)
    with exits(show_traceback=traceback, advice=show.advice):
        _check_deadline(deadline)
        graph = compiled(load(target))
        value = read_input(graph, given)
        name = run_id if run_id is not None else uuid.uuid4().hex
        show.begins(name)

        async def work(watch: Callable[[Event], None]) -> RunResult[Any]:
            async with (
                _kept(store) as kept,
                graph.start(
                    value,
                    store=kept,
                    run_id=name,
                    user_id=user,
                    session_id=session,
                    limit=limit,
                    deadline=deadline,
                    lease=lease or DEFAULT_TTL,
                ) as handle,
            ):
                async for event in handle.events():
                    watch(event)
                return await handle.result()

        result = show.go(work)
        show.end(graph, result)


def resume(
    run: RunArg,
    *,
    target: GraphOpt,
    store: StoreOpt = None,
    answers: Annotated[
        str | None, typer.Option("--answers", metavar="JSON|@FILE|-", help="Answers by question id: {ID: ANSWER}.")
    ] = None,
    on_change: Annotated[
        OnChange,
        typer.Option("--on-change", help="What to do about nodes that ran and have other code now."),
    ] = OnChange.STRICT,
    in_doubt: Annotated[
        InDoubt,
        typer.Option("--in-doubt", help='What to do about a node with effect="once" that may have run.'),
    ] = InDoubt.FAIL,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the process that has the run lets go.")] = False,
    limit: LimitOpt = None,
    deadline: DeadlineOpt = None,
    lease: LeaseOpt = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as one JSON document.")] = False,
    as_events: EventsOpt = False,
    quiet: QuietOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Go on with a run where its log ends. Nothing that finished runs again. Exits as `run` does."""
    with exits(show_traceback=traceback):
        show = _Show(target, store, as_json=as_json, as_events=as_events, quiet=quiet)
    with exits(show_traceback=traceback, advice=show.advice):
        _check_deadline(deadline)
        graph = compiled(load(target))
        given = _answers(answers)

        async def work(watch: Callable[[Event], None]) -> RunResult[Any]:
            async with opened_for(store, new=False) as kept:
                header = await kept.load(run)
                show.recorded(run)
                show.known = header.events

                async def attempt(seconds: float) -> RunResult[Any]:
                    async with graph.reopen(
                        run,
                        store=kept,
                        answers=given,
                        on_change=on_change.value,
                        in_doubt=in_doubt.value,
                        wait=seconds,
                        limit=limit,
                        deadline=deadline,
                        lease=lease or DEFAULT_TTL,
                    ) as handle:
                        async for event in handle.events():
                            watch(event)
                        return await handle.result()

                return await (show.patiently(attempt) if wait else attempt(0))

        result = show.go(work)
        show.end(graph, result)


def answer(
    run: RunArg,
    question: Annotated[str | None, typer.Argument(metavar="[ID]", help="The question's id.")] = None,
    given: Annotated[
        str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="The answer; left out, open questions are listed.")
    ] = None,
    *,
    store: StoreOpt = None,
    by: Annotated[str | None, typer.Option("--by", help="Who answers; the log keeps it.")] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Answer a question of a run, or list its open questions. Runs nothing: `loomgraph resume` does."""
    with exits(show_traceback=traceback):
        value = None if given is None else read_json(given, "the answer")
        if question is not None and given is None:
            raise UsageError(f"answer question '{question}' with what? Give the answer as JSON.")

        async def work(opened: Store) -> Waits:
            if question is not None:
                await questions.answer(opened, run, {question: value}, by=by)
            return await Waits.read(opened, run)

        waits = with_store(store, work)
        if as_json:
            typer.echo(plain_json(waits.document()))
            return
        left = len(waits.questions)
        if question is not None:
            say(f"answered; {left} question{'' if left == 1 else 's'} left")
        elif not left:
            say("no open questions")
        waits.tell()


def signal(
    run: RunArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What nodes wait for.")],
    given: Annotated[str | None, typer.Argument(metavar="[JSON|@FILE|-]", help="The value; null if left out.")] = None,
    *,
    store: StoreOpt = None,
    id: Annotated[str | None, typer.Option("--id", help="Sent again under the same id, it is one signal.")] = None,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Send a signal to a run, for the node that waits for it or will. Runs nothing: `loomgraph resume` does."""
    with exits(show_traceback=traceback):
        value = None if given is None else read_json(given, "the signal")

        async def work(opened: Store) -> None:
            await questions.signal(opened, run, name, value, id=id)

        with_store(store, work)
        if as_json:
            typer.echo(plain_json({"run_id": run, "signal": name, "id": id, "sent": True}))
        else:
            say(f"sent '{clean(name)}' to run {clean(run)}")


def cancel(
    run: RunArg,
    *,
    store: StoreOpt = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; the log keeps it.")] = "loomgraph cancel was called",
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for the run's end.")
    ] = 0.0,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Cancel a run, wherever it goes on. What finished is kept, and `loomgraph resume` can go on with it later.

    A run that no process has is ended at once. Another process that has it is asked to stop; with --wait, exits with 1
    if it has not stopped by then.
    """
    with exits(show_traceback=traceback):

        async def work(opened: Store) -> str:
            return await cancelling.cancel(opened, run, reason=reason, wait=wait)

        status = with_store(store, work)
        if as_json:
            typer.echo(plain_json({"run_id": run, "status": status}))
        if status == "cancelled":
            say(f"cancelled run {clean(run)}")
        else:
            say(f"run {clean(run)} was asked to stop and has not ended yet")
            say("to wait for it: " + command("cancel", run, *store_words(store), "--wait", "60"))
        if status == "running" and wait:
            raise typer.Exit(FAILED)


# ---------------------------------------------------------------------- parts


def compiled(loaded: Target) -> Graph[Any, Any]:
    """The graph of what was loaded; its warnings go to stderr. Raises CompileError."""
    graph = loaded.compile() if isinstance(loaded, Workflow) else loaded
    for finding in graph.warnings:
        say(f"warning {finding}")
    return graph


@asynccontextmanager
async def _kept(address: str | None) -> AsyncGenerator[Store | None]:
    if address is None:
        yield None
        return
    async with opened_for(address, new=True) as store:
        yield store


def _check_deadline(deadline: float | None) -> None:
    if deadline is not None and not deadline > 0:
        raise UsageError(f"--deadline {deadline:g} leaves no time. Give seconds > 0.")


def _answers(text: str | None) -> Mapping[str, Any]:
    given: Any = {} if text is None else read_json(text, "--answers")
    if isinstance(given, dict):
        return cast("dict[str, Any]", given)
    raise UsageError('--answers is not an object. Write {"QUESTION ID": ANSWER, ...}.')
