"""Every architecture survives `kill -9` after each of its nodes: the same answer, and no call of a model paid twice.

Here a few of the writes; `make crash` kills at every one. What is checked of each life is in `loomgraph.testing.crash`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loomgraph.models import ModelRequest
from loomgraph.testing.crash import AtWrite, CrashDriver, Subject, Trial, note
from tests.architectures.stage import PLAYS, Speaker, said, told

EVERY = "LOOMGRAPH_CRASH_STRIDE" in os.environ

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX")


def subject(name: str) -> Subject:
    """A run of the play of that name, whose model notes what it is paid for."""
    play = PLAYS[name]

    async def paid(request: ModelRequest) -> None:
        note("model", f"{told(request)} {said(request)} {len(request.messages)}")

    return Subject(graph=play.agent(Speaker(play.answer, paid)).graph, value=play.task)


@pytest.fixture(scope="module")
def driver() -> Iterator[CrashDriver]:
    with CrashDriver(subject) as made:
        yield made


def asked(trial: Trial) -> Counter[str]:
    return Counter(line.detail for life in trial.lives for line in life.lines if line.what == "note")


@pytest.mark.parametrize("name", PLAYS)
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
    # one run in five lives, each of which gets about a fifth further
    trial = driver.trial(tmp_path, name)
    trial.survive([AtWrite(max(1, alone.writes // 5), late=life % 2 == 0) for life in range(4)])
    trial.compare(whole)
    check_paid(trial, whole, PLAYS[name].width)


def check_paid(trial: Trial, whole: Trial, width: int) -> None:
    """An answer that was recorded is not asked for again; what was under way at a kill may be."""
    kills = sum(life.killed for life in trial.lives)
    again = asked(trial) - asked(whole)
    assert asked(whole) <= asked(trial)
    assert sum(again.values()) <= kills * width
