"""Every architecture survives `kill -9` after each of its nodes: the same answer, and no call of a model paid twice.

Here a few of the writes; `make crash` kills at every one. What is checked of each life is in `loomgraph.testing.crash`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomgraph.testing.crash import AtWrite, CrashDriver, Trial
from tests.architectures.stage import PLAYS
from tests.architectures.subjects import subject

EVERY = "LOOMGRAPH_CRASH_STRIDE" in os.environ

# a process that dies once, just before a model is asked by a request that shows this text
DYING = {
    "a swarm after a handoff": ("swarm", "You look."),
    "a supervisor when one worker has reported and another is half-way": ("supervisor", "tool_result"),
    "a supervisor after a worker was made": ("supervisor_spawns", "You are made for this"),
    "a blackboard between two rounds": ("blackboard", "a {look}"),
    "a plan before the step that needs the others": ("plan_execute", "sum up {it}"),
    "a plan that failed before the next is made": ("rewoo_plans_anew", "capitals only"),
}
# those are killed once in `make test`, the others in five lives each; `make crash` kills all of them everywhere
NAMES = [name for name in PLAYS if EVERY or name not in {play for play, _ in DYING.values()}]

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX"),
    pytest.mark.timeout(600),  # killed at every write on a busy machine, one of them takes minutes
]


@pytest.fixture(scope="module")
def driver() -> Iterator[CrashDriver]:
    with CrashDriver(subject) as made:
        yield made


def asked(trial: Trial) -> Counter[str]:
    return Counter(line.detail for life in trial.lives for line in life.lines if line.what == "note")


@pytest.mark.parametrize("name", NAMES)
def test_a_run_killed_wherever_it_writes_goes_on_and_pays_for_nothing_twice(
    name: str, tmp_path: Path, driver: CrashDriver
) -> None:
    whole = driver.trial(tmp_path, name)
    alone = whole.live()
    assert alone.ended is not None
    assert alone.ended.outcome["output"] == PLAYS[name].output
    assert sum(asked(whole).values()) == PLAYS[name].calls
    if EVERY:
        for number in range(1, alone.writes + 1):
            trial = driver.trial(tmp_path, name)
            trial.survive([AtWrite(number, late=True)])
            trial.compare(whole)
            check_paid(trial, whole, PLAYS[name].width)
    # one run in four lives, each of which gets about a quarter further
    trial = driver.trial(tmp_path, name)
    trial.survive([AtWrite(max(1, alone.writes // 4), late=life % 2 == 0) for life in range(3)])
    trial.compare(whole)
    check_paid(trial, whole, PLAYS[name].width)


def check_paid(trial: Trial, whole: Trial, width: int) -> None:
    """An answer that was recorded is not asked for again; what was under way at a kill may be."""
    kills = sum(life.killed for life in trial.lives)
    again = asked(trial) - asked(whole)
    assert asked(whole) <= asked(trial)
    assert sum(again.values()) <= kills * width


@pytest.mark.parametrize(("name", "where"), DYING.values(), ids=DYING)
def test_killed_in_the_middle_of_a_call_it_pays_for_that_one_call_again(
    name: str, where: str, tmp_path: Path, driver: CrashDriver
) -> None:
    whole = driver.trial(tmp_path, name)
    whole.live()
    trial = driver.trial(tmp_path, name, where, str(tmp_path / "marker"))
    assert trial.live().killed
    assert asked(trial), "something was paid for before"
    trial.survive([])
    trial.compare(whole)
    check_paid(trial, whole, PLAYS[name].width)


def test_an_answer_that_is_forwarded_survives_a_kill_at_every_write_behind_it(
    tmp_path: Path, driver: CrashDriver
) -> None:
    whole = driver.trial(tmp_path, "supervisor_spawns")
    alone = whole.live()
    for number in range(alone.writes - 3, alone.writes):
        trial = driver.trial(tmp_path, "supervisor_spawns")
        trial.survive([AtWrite(number, late=True)])
        trial.compare(whole)
        assert asked(trial) == asked(whole)


def test_a_plan_whose_process_dies_while_it_is_written_is_asked_for_the_rest_and_makes_no_call_again(
    tmp_path: Path, driver: CrashDriver
) -> None:
    whole = driver.trial(tmp_path, "rewoo_streamed")
    alone = whole.live()
    for number in range(6, alone.writes):  # the first is in the middle of the plan, whatever else is written one day
        trial = driver.trial(tmp_path, "rewoo_streamed")
        trial.survive([AtWrite(number, late=True)])
        trial.compare(whole)
        plans = [text for text in asked(trial).elements() if "Plan the tool calls" in text]
        if len(plans) == 2:
            assert "may refer to them" in plans[1]
            assert '"id": "E1"' in plans[1]
            return
    raise AssertionError("no write was in the middle of the plan")
