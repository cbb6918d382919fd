"""Claims about recorded DAGs: every edge is respected, every task runs once, and nobody waits without a reason.

Times are virtual, so they are exact. The recorded instances are looked for in the directory that LOOMGRAPH_WFINSTANCES
names, else in ../shared/data/wfinstances beside the checkout; instances made up here and examples/wfcommons/small.json
make the same claims where there are none.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from examples.wfcommons.__main__ import main
from examples.wfcommons.checks import bound, check
from examples.wfcommons.instance import Instance, InstanceError, Task, load
from examples.wfcommons.workflow import Executed, build, execute
from loomgraph.events import NodeStarted
from tests.e2e.virtual import virtually
from tests.e2e.wfformat import document

ROOT = Path(__file__).parents[2]
SMALL = ROOT / "examples" / "wfcommons" / "small.json"
RECORDED = Path(os.environ.get("LOOMGRAPH_WFINSTANCES", ROOT.parent / "shared" / "data" / "wfinstances"))
FILES = sorted(RECORDED.glob("*.json"))
SEEDS = range(12)
NOTHING = pytest.param(
    RECORDED,
    marks=pytest.mark.skip(reason=f"no recorded instances in {RECORDED}; name their place with LOOMGRAPH_WFINSTANCES"),
)
NO_TIME = 1e-9


def instances(tmp_path: Path) -> list[Instance]:
    """The instance of the example, and those made with a seed."""
    paths = [SMALL]
    for seed in SEEDS:
        paths.append(tmp_path / f"{seed}.json")
        paths[-1].write_text(json.dumps(document(seed)), encoding="utf-8")
    return [load(path) for path in paths]


def run(instance: Instance, limit: int | None = None) -> Executed:
    return virtually(partial(execute, instance, 1.0, limit))


def claim(instance: Instance, limit: int | None, executed: Executed) -> None:
    """Everything that a run of an instance promises."""
    broken = [one for one in check(instance, executed, 1.0, limit) if not one.kept]
    assert not broken
    if limit is None or limit >= len(instance.tasks):
        assert executed.seconds == pytest.approx(instance.critical_path)
    elif limit == 1:
        assert executed.seconds == pytest.approx(instance.work)
    else:
        assert executed.seconds <= bound(instance, limit) + NO_TIME


# ---------------------------------------------------------------------- instances of our own


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 7, 100])
def test_a_dag_keeps_its_order_runs_each_task_once_and_ends_in_time(limit: int | None, tmp_path: Path) -> None:
    for instance in instances(tmp_path):
        claim(instance, limit, run(instance, limit))


def test_a_limited_run_never_has_more_tasks_under_way_than_its_limit(tmp_path: Path) -> None:
    for instance in instances(tmp_path):
        ran = [record.output for record in run(instance, limit=3).result.activations]
        for one in ran:
            under_way = [other for other in ran if other.started <= one.started < other.ended]
            assert len(under_way) <= 3


def test_every_task_gets_the_outputs_of_all_its_parents_in_their_order(tmp_path: Path) -> None:
    for instance in instances(tmp_path):
        events = run(instance).result.events
        given = {event.node: event.input for event in events if isinstance(event, NodeStarted)}
        for task in instance.tasks.values():
            if task.parents:
                assert [one.task for one in given[task.id]] == list(task.parents)


def test_the_graph_of_an_instance_has_no_warnings(tmp_path: Path) -> None:
    assert [build(instance, 1.0).warnings for instance in instances(tmp_path)] == [()] * (len(SEEDS) + 1)


# ---------------------------------------------------------------------- recorded instances


@pytest.mark.parametrize("limit", [None, 1, 2, 4])
@pytest.mark.parametrize("path", FILES or [NOTHING], ids=lambda path: path.stem)
def test_a_recorded_dag_keeps_its_order_runs_each_task_once_and_ends_in_time(path: Path, limit: int | None) -> None:
    instance = load(path)
    claim(instance, limit, run(instance, limit))


# ---------------------------------------------------------------------- the checks, and the command


def test_the_checks_see_a_run_that_broke_its_promises() -> None:
    instance = load(SMALL)
    slower = Executed(instance.critical_path * 1.06, run(instance).result)
    assert [one.kept for one in check(instance, slower, 1.0, None)] == [True, True, True, False]
    # as if one of two tasks that ran side by side had had to wait for the other
    waits = Task("align.1", 9, ("split", "reference", "align.3"))
    order = dict.fromkeys(["fetch", "reference", "split", "align.3", *instance.tasks])
    stricter = Instance("stricter", {name: waits if name == waits.id else instance.tasks[name] for name in order})
    assert [one.kept for one in check(stricter, run(instance), 1.0, 1)][:2] == [False, False]
    missing = Instance("missing", {id: task for id, task in instance.tasks.items() if id != "archive"})
    assert [one.kept for one in check(missing, run(instance), 1.0, 1)][2] is False


@pytest.mark.parametrize("options", [[], ["--limit", "2"], ["--scale", "0.5"]])
def test_the_command_prints_a_table_and_ends_well(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(SMALL), "--virtual", *options]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("small: 11 tasks, 16 edges\nwork 70.5 s, critical path 39.0 s")
    assert printed.count("kept") == 4
    assert "BROKEN" not in printed


def _cut(made: dict[str, Any]) -> None:
    del made["workflow"]["execution"]["tasks"][0]


def _lose(made: dict[str, Any]) -> None:
    made["workflow"]["specification"]["tasks"][0]["parents"] = ["nobody"]


def _turn(made: dict[str, Any]) -> None:
    for task in made["workflow"]["specification"]["tasks"]:
        task["parents"] = [made["workflow"]["specification"]["tasks"][-1]["id"]]


def _double(made: dict[str, Any]) -> None:
    made["workflow"]["specification"]["tasks"] *= 2


def _empty(made: dict[str, Any]) -> None:
    made["workflow"]["specification"]["tasks"] = []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "does not say how long task '"),
        (_lose, "waits for 'nobody', which is not in it."),
        (_turn, "goes round in a circle: "),
        (_double, "has two tasks with the same id."),
        (_empty, "is not WfFormat 1.5: workflow.specification.tasks: "),
    ],
)
def test_an_instance_that_cannot_be_run_is_refused_with_its_reason(
    spoil: Callable[[dict[str, Any]], None], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = copy.deepcopy(document(0))
    spoil(made)
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(made), encoding="utf-8")
    with pytest.raises(InstanceError) as caught:
        load(path)
    assert said in str(caught.value)
    assert main([str(path)]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_not_there_is_refused_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "nowhere.json")]) == 2
    assert "nowhere.json: No such file" in capsys.readouterr().err
