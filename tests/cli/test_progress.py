"""Claims about progress: a fold of events, shown as lines or as a table."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from loomgraph import END, START, Context, Retry, Workflow
from loomgraph.cli.progress import Progress

wf = Workflow("steps", input=int, output=list[int])


@wf.node
async def count(number: int) -> list[int]:
    return list(range(number))


@wf.node
async def work(item: int) -> int:
    return item


@wf.node(retry=Retry(attempts=2, delay=0))
async def flaky(items: list[int], ctx: Context) -> list[int]:
    if ctx.attempt == 1:
        raise ConnectionError("not [yet]")
    return items


wf.edge(START, count)
wf.map(count, work)
wf.chain(work, flaky, END)
graph = wf.compile()


def _shown(console: Console, *, quiet: bool = False) -> Progress:
    result = graph.run_sync(3)
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


def test_on_a_terminal_every_node_has_one_line_with_its_items_and_retries() -> None:
    out = io.StringIO()
    progress = _shown(Console(file=out, force_terminal=True, width=80, height=20))
    rows = progress.tally.rows
    assert list(rows) == ["count", "work", "flaky"]
    assert [row.status for row in rows.values()] == ["done", "done", "done"]
    assert rows["work"].count == "3/3"
    assert rows["flaky"].retries == 1
    assert "3/3" in out.getvalue()
    assert "1 retried" in out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_writes_nothing(terminal: bool) -> None:
    out = io.StringIO()
    _shown(Console(file=out, force_terminal=terminal), quiet=True)
    assert out.getvalue() == ""
