"""Claims about progress: a fold of events, shown as lines or as a table."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from rich.console import Console
from typer.testing import CliRunner

from loomgraph import END, OTHERWISE, START, Context, Retry, Workflow, events
from loomgraph.cli.app import app
from loomgraph.cli.progress import Progress
from loomgraph.cli.tally import Tally
from loomgraph.errors import NodeFailedError
from loomgraph.runtime.logbook import read_log
from loomgraph.store.memory import MemoryStore

wf = Workflow("steps", input=int, output=list[int])


@wf.node
async def count(number: int) -> list[int]:
    return list(range(number))


@wf.node
async def work(item: int) -> int:
    return item


@wf.node(retry=Retry(attempts=2, delay=0))
async def flaky(items: list[int], ctx: Context) -> list[int]:
    ctx.meter(input_tokens=900, output_tokens=600, cost=0.004)
    if ctx.attempt == 1:
        raise ConnectionError("not [yet]")
    return items


wf.edge(START, count)
wf.map(count, work)
wf.chain(work, flaky, END)
graph = wf.compile()


def rounds() -> Workflow[int, int]:
    """A node that goes round until its value is 3, then one that fails the first time."""
    looped = Workflow("rounds", input=int, output=int)
    once = [True]

    @looped.node
    async def step(x: int) -> int:
        return x + 1

    @looped.node
    async def last(x: int) -> int:
        if once:
            once.clear()
            raise ConnectionError("down")
        return x

    looped.edge(START, step)
    looped.edge(step, step, when=lambda x: x < 3, cap=5)
    looped.edge(step, last, when=OTHERWISE)
    looped.edge(last, END)
    return looped


def _shown(console: Console, *, quiet: bool = False, items: int = 3) -> Progress:
    result = graph.run_sync(items)
    with Progress(console, quiet=quiet) as progress:
        for event in result.events:
            progress.feed(event)
    return progress


def test_where_there_is_no_terminal_a_line_says_what_settled() -> None:
    out = io.StringIO()
    _shown(Console(file=out, force_terminal=False))
    assert out.getvalue().splitlines() == [
        "count: done",
        "work: 3 items",
        "work: done",
        "flaky: attempt 1 failed (ConnectionError: not [yet])",
        "flaky: done",
    ]


def test_a_long_map_says_after_each_tenth_how_far_it_is() -> None:
    out = io.StringIO()
    _shown(Console(file=out, force_terminal=False), items=200)
    lines = [line.partition(",")[0] for line in out.getvalue().splitlines() if line.startswith("work: ")]
    assert lines == ["work: 200 items", *(f"work: {at}/200 items" for at in range(20, 200, 20)), "work: done"]


def test_on_a_terminal_every_node_has_one_line_with_its_items_and_retries_and_all_have_one_with_tokens() -> None:
    out = io.StringIO()
    progress = _shown(Console(file=out, force_terminal=True, width=80, height=20))
    rows = progress.tally.rows
    assert list(rows) == ["count", "work", "flaky"]
    assert [row.status for row in rows.values()] == ["done", "done", "done"]
    assert rows["work"].count == "3/3"
    assert rows["work"].rate() is not None
    assert rows["flaky"].retries == 1
    assert "3/3" in out.getvalue()
    assert "/s" in out.getvalue()
    assert "1 retried" in out.getvalue()
    # both attempts were paid for
    assert "6 done, 3.0k tokens, cost 0.008" in out.getvalue()


@pytest.mark.parametrize("width", [20, 40, 79])
def test_no_line_of_a_narrow_terminal_is_folded(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, height=20)
    progress = _shown(console)
    lines = console.render_lines(progress.shown(), pad=False)
    assert len(lines) == 4
    assert all(sum(segment.cell_length for segment in line) <= width for line in lines)


def test_where_a_terminal_is_low_what_is_done_makes_way_for_what_goes_on() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=5)
    progress = Progress(console, now=lambda: 0.0)
    for event in graph.run_sync(3).events:
        if event.kind == "NodeSucceeded" and event.node == "count":
            continue
        progress.feed(event)
    with console.capture() as captured:
        console.print(progress.shown())
    assert "2 more that are done" in captured.get()
    assert "running" in captured.get()


def test_a_run_that_goes_on_begins_with_what_is_recorded_and_says_which_round_its_loop_is_in() -> None:
    async def twice() -> tuple[list[str | None], Tally]:
        store, looped = MemoryStore(), rounds().compile()
        with pytest.raises(NodeFailedError):
            await looped.run(0, store=store, run_id="r")
        known = (await store.load("r")).events
        await looped.resume("r", store=store)
        tally = Tally()
        told = [tally.feed(event, past=event.seq < known) for event in (await read_log(store, "r")).events]
        return told[known:], tally

    told, tally = anyio.run(twice)
    assert [line for line in told if line] == ["goes on after 13 events, with 3 activations done", "last: done"]
    assert tally.rows["step"].count == "round 3"
    assert tally.rows["step"].finished == 3
    assert [row.status for row in tally.rows.values()] == ["done", "done"]


def test_the_time_between_a_kill_and_a_resume_is_nobodys_and_a_map_goes_on_where_it_was() -> None:
    at: Any = {"run_id": "r", "node": "work", "key": "work"}
    first: Any = {**at, "key": "work[0]"}
    second: Any = {**at, "key": "work[1]"}
    tally = Tally()
    for event in (
        events.MapStarted(seq=1, time=10, count=2, **at),
        events.NodeStarted(seq=2, time=10, attempt=1, **at),
        events.NodeStarted(seq=3, time=10, attempt=1, **first),
        events.NodeStarted(seq=4, time=10, attempt=1, **second),
        events.NodeSucceeded(seq=5, time=11, attempt=1, **first),
        events.RunResumed(run_id="r", seq=6, time=1000, events=6),
        events.NodeStarted(seq=7, time=1000, attempt=1, **second),
        events.NodeSucceeded(seq=8, time=1002, attempt=1, **second),
    ):
        tally.feed(event, past=event.seq < 6)
    row = tally.rows["work"]
    assert (row.status, row.count, row.spent(1003)) == ("running", "2/2", 4)
    tally.feed(events.NodeSucceeded(seq=9, time=1003, attempt=1, **at))
    assert (row.status, row.seconds) == ("done", 4)


def test_what_waits_for_somebody_does_not_look_as_if_it_ran() -> None:
    asking = Workflow("asking", input=int, output=int)

    @asking.node
    async def ask(x: int, ctx: Context) -> int:
        return await ctx.ask("How many?", int)

    asking.chain(START, ask, END)
    tally = Tally()
    for event in anyio.run(lambda: asking.compile().run(1, store=MemoryStore(), run_id="r")).events:
        tally.feed(event)
    assert tally.rows["ask"].status == "waiting"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_writes_nothing(terminal: bool) -> None:
    out = io.StringIO()
    _shown(Console(file=out, force_terminal=terminal), quiet=True)
    assert out.getvalue() == ""


def test_every_command_but_those_that_print_a_drawing_or_an_address_has_json() -> None:
    from typer.main import get_group

    commands = get_group(app).commands
    without = {
        name
        for name, command in commands.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"draw", "ui"}


def test_json_of_a_check_has_each_finding_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "half.py").write_text(
        "from loomgraph import START, Workflow\nwf = Workflow('half', input=int, output=int)\n"
        "def one(x: int) -> int: ...\nwf.edge(START, one)\n",
        encoding="utf-8",
    )
    done = CliRunner().invoke(app, ["check", "half.py", "--json"])
    document = json.loads(done.stdout)
    assert done.exit_code == 1
    assert document["workflow"] == "half"
    assert {found["rule"] for found in document["findings"]} == {"no-end"}
    assert all(found["remedy"] for found in document["findings"])
