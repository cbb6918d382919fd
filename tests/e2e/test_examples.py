"""Claims about the numbered examples: each runs as a program and prints just this."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(path.stem for path in FOLDER.glob("[0-9]*.py"))

OUTPUTS = {
    "01_hello": """\
HELLO, WORLD!
greet: 'world' -> 'Hello, world'
shout: 'Hello, world' -> 'HELLO, WORLD!'
""",
    "02_route": """\
charged 40 twice: 40 will be refunded
the door is broken: we are looking at the door
lovely shop: thank you!
workflow 'careless triage' does not compile, 1 error:
  1. [unhandled-member] 'classify' may give Praise, but its edges only take Billing and Technical
    -> Add wf.edge('classify', ..., when=Praise), or an edge with when=OTHERWISE.
""",
    "03_parallel_join": """\
12 words, most often 'the', the longest is 'spotted'
""",
    "04_map": """\
1555 cents in 3 prices, 1 refused
  parse[2]: invalid literal for int() with base 10: 'free'
""",
    "05_loop": """\
'a loop that ends' after 3 rounds
'supercalifragilistic' cut after 4 rounds
""",
    "06_failures": """\
USD: 1.07 (attempts: 1)
EUR: 1.07 (attempts: 3)
yesterday's rate, because ask was busy at attempt 3 (attempts: 3)
run 'r1': node 'ask' failed: ask (attempt 1): ValueError: florins is no currency
  0 finished activations kept in .finished. Handle it with wf.on_error('ask', handler), or give the node \
retry=Retry(...).
the cause is your own exception: ValueError('florins is no currency')
""",
    "07_state": """\
Knots: a chapter on knots and a table of knots (from a book, a paper, its appendix; spent 4)
sources=['a book', 'a paper', 'its appendix'] spent=4 title='Knots'
""",
    "08_nested": """\
2 -> 5 (double, increase)
3 -> 10 (increase, increase, double)
increase
increase[0]
increase[0]/1 increase
increase[1]
increase[1]/1 increase
follow_plan
follow_plan[0]
follow_plan[0]/@plan/1 double
follow_plan[0]/@plan/2 increase
follow_plan[1]
follow_plan[1]/@plan/1 increase
follow_plan[1]/@plan/2 increase
follow_plan[1]/@plan/3 double
""",
    "09_events": """\
0 RunStarted
1 NodeStarted measure
2 NodeSucceeded measure
3 NodeStarted copy
4 Emitted copy page 1 of 5
5 Emitted copy page 2 of 5
6 Emitted copy page 3 of 5
7 NodeCancelled copy
8 RunCancelled
run 'copy-1' was cancelled: three pages are enough.
finished: {'measure': 5}
""",
    "11_questions": """\
suspended
  approve: Refund 120 EUR to Ann?
suspended waits for the signal paid
paid, receipt 4711 (as agreed)
""",
    "12_fork": """\
We are sorry. Your billing case is in line; we looked at 2 orders. The team ['classify', 'past_orders', 'draft', 'sign']
We are sorry. Your access case is next; we looked at 2 orders. The team ['draft', 'sign']
Thank you for telling us! Your access case is next; we looked at 2 orders. The team ['draft', 'sign']
classify: output (here it began)
draft: code, input, output
sign: input, output
""",
    "13_agent": """\
item='screws' count=100 accepted=True note='no nuts left'
  in_stock: 120
  in_stock: 0
  reserve: 100 screws reserved, 20 left
  reserve: ValueError: only 0 nuts are there
3 model calls, 13 activations
""",
    "14_crash_test": """\
left alone: succeeded with 60
killed at every second write and elsewhere: True
charged when left alone: ['10', '20', '30']
every killed run went on to the same end, and no charge that was recorded was made again
""",
}


def output_of(program: str, capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(str(FOLDER / f"{program}.py"), run_name="__main__")
    return capsys.readouterr().out


def test_every_numbered_example_is_claimed_here() -> None:
    assert sorted([*OUTPUTS, "10_drawing", "15_local_model"]) == PROGRAMS


@pytest.mark.parametrize(("program", "printed"), OUTPUTS.items(), ids=OUTPUTS)
def test_an_example_prints_what_it_is_there_to_show(
    program: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert output_of(program, capsys) == printed


def test_the_last_example_draws_the_graph_and_then_what_the_run_did(capsys: pytest.CaptureFixture[str]) -> None:
    drawn, ran = output_of("10_drawing", capsys).split("\n\n")[:2]
    assert drawn.startswith("flowchart TD\n")
    for label in ("still_dirty ↺ ≤ 3", "otherwise", "at the cap of 3"):
        assert label in drawn
        assert label in ran
    assert "visits" not in drawn
    assert re.search(r"scrub<br/>✓ 2 visits, \d", ran)
    assert "throw_away<br/>– skipped" in ran


def test_the_last_example_shows_the_run_in_a_terminal_and_its_critical_path(capsys: pytest.CaptureFixture[str]) -> None:
    printed = output_of("10_drawing", capsys)
    assert re.search(r"\nscrub +✓ 2 visits, .*\n├═▶ scrub +still_dirty ↺ ≤ 3\n", printed)
    assert "critical path (★): scrub#0 → scrub#1 → hang\n" in printed


def test_the_local_model_is_skipped_with_a_reason_where_no_server_answers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOMGRAPH_LOCAL_URL", "http://127.0.0.1:9/v1")
    assert output_of("15_local_model", capsys).startswith("skipped: no server with OpenAI's API answers at http://127")


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_example_says_how_to_run_it(program: str) -> None:
    assert f"Run it: python examples/{program}.py" in (FOLDER / f"{program}.py").read_text(encoding="utf-8")
