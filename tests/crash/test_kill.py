"""A run killed with SIGKILL, wherever, and resumed in another process ends as if nothing had happened.

Real processes, real databases. What is checked of every life is in `loomgraph.testing.crash`; here are the graphs.
Here a sample of the writes and few random workflows; `make crash` kills at every write, of many.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from loomgraph.errors import CompileError
from loomgraph.testing.crash import AtCall, AtWrite, CrashDriver, InTime, Trial, crash_test
from tests.crash.graphs import CAP, GRAPHS
from tests.crash.habits import compiled
from tests.crash.subjects import subject
from tests.properties.budget import examples
from tests.properties.strategies import specs
from tests.properties.workflows import Spec

# every so many writes; `make crash` says 1, which is every write
STRIDE = int(os.environ.get("LOOMGRAPH_CRASH_STRIDE", "5"))
EXAMPLES = int(os.environ.get("LOOMGRAPH_CRASH_EXAMPLES", "0"))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX")


@pytest.fixture(scope="module")
def driver() -> Iterator[CrashDriver]:
    with CrashDriver(subject) as made:
        yield made


def check_notes(trial: Trial) -> None:
    """What node code wrote itself says the same as what the driver saw: nothing that was settled began again."""
    for life in trial.lives:
        noted = {line.key for line in life.lines if line.what == "note"}
        assert noted <= {line.key for line in life.lines if line.what == "body"}
        assert life.found is None or not noted & life.found.settled


@pytest.mark.parametrize("graph", sorted(GRAPHS))
def test_a_run_killed_at_any_write_and_resumed_elsewhere_ends_as_if_nothing_had_happened(
    graph: str, tmp_path: Path, driver: CrashDriver
) -> None:
    report = crash_test(subject, graph, folder=tmp_path, stride=STRIDE, instants=10 // STRIDE, driver=driver)
    assert report.kills >= len(report.trials) // 2
    for trial in report.trials:
        check_notes(trial)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(
    examples(3),
    max_examples=EXAMPLES or 3,
    derandomize=not EXAMPLES,
    phases=[Phase.generate],  # a failure says how to repeat it, and shrinking it would kill thousands
)
@given(specs(), st.integers(0, 20), st.integers(0, 999))
def test_any_workflow_may_be_killed_anywhere(
    driver: CrashDriver, backend: Literal["asyncio", "trio"], spec: Spec, value: int, seed: int
) -> None:
    try:
        compiled(spec, None)
    except CompileError:
        assume(False)
    stride, instants = (1, 10) if EXAMPLES else (60, 2)
    with tempfile.TemporaryDirectory() as folder:
        report = crash_test(
            subject,
            *(repr(spec), value, seed),
            folder=Path(folder),
            stride=stride,
            instants=instants,
            seed=seed,
            backend=backend,
            driver=driver,
        )
        for trial in report.trials:
            check_notes(trial)


def test_a_run_goes_on_in_interpreters_that_have_nothing_in_common_but_its_database(tmp_path: Path) -> None:
    with CrashDriver(subject, processes=1) as driver:
        whole = driver.trial(tmp_path / "whole", "steps_inside_a_node")
        alone = whole.live(count=True)
        trial = driver.trial(tmp_path / "killed", "steps_inside_a_node")
        trial.live(AtWrite(alone.writes // 3, late=True))
    for kill in (AtCall(alone.calls // 2), InTime(alone.seconds / 2), None):
        if trial.lives[-1].ended is None:
            with CrashDriver(subject, processes=1) as trial.driver:
                trial.live(kill)
    trial.compare(whole)


def test_what_is_counted_is_counted_over_crashes(tmp_path: Path, driver: CrashDriver) -> None:
    whole = driver.trial(tmp_path, "capped")
    alone = whole.live()
    assert alone.ended is not None
    assert alone.ended.outcome["error"][0] == "LoopCapError"
    trial = driver.trial(tmp_path, "capped")
    # a process for each write that there is: nobody lives long enough to reach the cap alone
    trial.survive([AtWrite(3, late=True)] * alone.writes)
    trial.compare(whole)
    assert len(trial.lives) > CAP
    assert trial.lives[-1].ended is not None
    bodies = Counter(line.key for life in trial.lives for line in life.lines if line.what == "body")
    assert set(bodies) == {f"again#{iteration}" for iteration in range(CAP)}
    # each body counts one use, in the same write that says that it succeeded: so once, however often it ran
    assert trial.lives[-1].ended.amounts == alone.ended.amounts == {"bodies": CAP}
