"""A forked run that is killed with SIGKILL and goes on in another process ends as if nothing had happened.

The fork is made once; its file is copied into the place of each run that is to die, so the first life finds it there.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.crash import AtWrite, CrashDriver, Trial
from loomgraph.testing.crash.everywhere import further_kills
from loomgraph.testing.crash.life import RUN
from tests.crash.graphs import GRAPHS
from tests.crash.subjects import subject

STRIDE = int(os.environ.get("LOOMGRAPH_CRASH_STRIDE", "12"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX")

EDITS: dict[str, dict[str, Any]] = {
    "loop_with_state": {"outputs": {"inner#0.1": 3}},
    "map_of_graphs": {"outputs": {"piece[1]/in_a_thread": 40}},
    "steps_inside_a_node": {"inputs": {"START": 2}},
}
"""By graph, an edit in the middle of what it does."""


@pytest.fixture(scope="module")
def driver() -> Iterator[CrashDriver]:
    with CrashDriver(subject) as made:
        yield made


async def forked(name: str, path: Path) -> None:
    """A run to its end under another id, and a fork of it with an edit, which nobody has gone on with."""
    make, value = GRAPHS[name]
    graph = make()
    async with SQLiteStore(path) as store:
        await graph.run(value, store=store, run_id="before")
        await graph.fork("before", store=store, run_id=RUN, **EDITS[name])


@pytest.mark.parametrize("name", sorted(EDITS))
def test_a_fork_killed_anywhere_and_resumed_elsewhere_ends_as_one_that_nobody_disturbed(
    name: str, tmp_path: Path, driver: CrashDriver
) -> None:
    anyio.run(forked, name, tmp_path / "runs.db")

    def trial() -> Trial:
        made = driver.trial(tmp_path, name)
        shutil.copy(tmp_path / "runs.db", made.folder / "runs.db")
        return made

    whole = trial()
    alone = whole.live(count=True)
    assert alone.ended is not None
    assert alone.ended.status == "succeeded"
    ran = {line.key for line in alone.lines if line.what == "body"}
    reference, chance, kills = json.dumps(alone.ended.outcome), random.Random(1), 0
    for number in range(1, alone.writes + 1, STRIDE):
        for late in (False, True):
            again = trial()
            again.survive([AtWrite(number, late), *further_kills(chance, alone)])
            again.compare(whole)
            ended = again.lives[-1].ended
            assert ended is not None
            assert json.dumps(ended.outcome) == reference
            # what the edit does not touch was taken over, in whichever life
            assert {line.key for life in again.lives for line in life.lines if line.what == "body"} <= ran
            kills += sum(life.killed for life in again.lives)
    assert kills
