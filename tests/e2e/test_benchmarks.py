"""The benchmarks measure what they say: every workload gives its right result, and the table and targets read right."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.agents import ours, saying
from benchmarks.agents.__main__ import WAYS
from benchmarks.engines import IMPORTS, UnsupportedError, load
from benchmarks.engines.base import perform
from benchmarks.harness import UNSUPPORTED, Cell
from benchmarks.table import markdown
from benchmarks.targets import verdicts
from benchmarks.workloads import BY_NAME, PROCESSES, SHAPE_TITLES, WORKLOADS

TINY = {"lattice": 3, "branches": 2, "runs": 4, "build": 20, "compile": 20, "compile-mixed": 20, "draw": 20} | {
    f"compile-{shape}": 200 for shape in SHAPE_TITLES
}
DURABLE = [workload.name for workload in WORKLOADS if workload.name.startswith("durable-")]
TIMED = [workload.name for workload in WORKLOADS if workload.name not in PROCESSES]


def _result(engine: str, name: str) -> tuple[object, object]:
    """What the workload gave in a small size, and what it should have given."""
    size = TINY.get(name, 7)
    result, _ = asyncio.run(perform(load(engine).job(name, size)))
    if BY_NAME[name].amount:
        result, amount = result
        assert amount > 0
    return result, BY_NAME[name].expected(size)


@pytest.mark.parametrize("name", TIMED)
def test_a_workload_gives_the_result_it_is_checked_against(name: str) -> None:
    result, expected = _result("loomgraph", name)
    assert result == expected


@pytest.mark.parametrize("name", ["chain", "loop", "fanout", "map", "lattice", "branches", "runs", *DURABLE])
def test_the_hand_written_floor_gives_the_same_result(name: str) -> None:
    result, expected = _result("asyncio", name)
    assert result == expected


def test_the_measured_import_is_one_that_works() -> None:
    subprocess.run([sys.executable, "-c", IMPORTS["loomgraph"]], check=True)


def test_what_an_engine_cannot_say_is_said_so() -> None:
    with pytest.raises(UnsupportedError):
        load("asyncio").job("compile", 10)


def _cell(engine: str, name: str, size: int, seconds: list[float], note: str = "") -> Cell:
    return Cell(engine, BY_NAME[name], size, seconds, note)


def test_the_table_gives_figures_by_the_unit_and_ratios_to_ours() -> None:
    cells = [
        _cell("loomgraph", "chain", 1_000, [0.005, 0.009, 0.004]),
        _cell("langgraph", "chain", 1_000, [0.3, 0.2, 0.25]),
        _cell("burr", "chain", 1_000, [], "absent"),
        _cell("haystack", "chain", 1_000, [], "failed: it broke"),
        _cell("loomflow", "chain", 1_000, [], UNSUPPORTED),
    ]
    text = markdown(cells, [cell.engine for cell in cells], {"loomgraph": "1", "langgraph": "2"})
    assert "| chain | 1_000 | us/step | 5.00 | 250 (50x) |  | [a] | - |" in text
    assert "burr (absent)" in text
    assert "[a] haystack: failed: it broke" in text


def test_a_missed_target_is_told_from_a_met_one() -> None:
    cells = [
        _cell("loomgraph", "chain", 1_000, [0.005]),
        _cell("langgraph", "chain", 1_000, [0.3]),
        _cell("loomgraph", "map", 1_000, [0.01]),
        _cell("loomgraph", "map", 10_000, [0.15]),
        _cell("loomgraph", "lattice", 50, [], "wrong: result 1, not 2"),
    ]
    found = {verdict.promise: verdict.met for verdict in verdicts(cells)}
    assert found == {
        "lattice 50 works": False,
        "chain 1_000: under 10 us/step": True,
        "chain 1_000: at least 25 times as fast as langgraph": True,
        "map 10_000: under 20 us/item": True,
        "map: one of 10_000 costs at most 1.3 of one of 1_000": False,
    }


def test_durable_runs_are_held_to_what_hand_written_sql_costs_and_to_linear_growth() -> None:
    cells = [
        _cell("loomgraph", "durable-chain-full", 300, [0.2]),
        _cell("asyncio", "durable-chain-full", 300, [0.09]),
        _cell("loomgraph", "durable-written", 500, [4e6]),
        _cell("loomgraph", "durable-written", 1_000, [8e6]),
        _cell("loomgraph", "durable-chain", 1_000, [0.05]),
        _cell("burr", "durable-chain", 1_000, [0.04]),
    ]
    found = {verdict.promise: verdict.met for verdict in verdicts(cells)}
    assert found == {
        "durable-chain-full 300: at most 2 times hand-written": False,
        "durable-written 1_000: under 12 MB": True,
        "durable-written: 1_000 take at most 2.2 times 500": True,
        "durable-chain 1_000: under 80 us/step": True,
        "durable-chain 1_000: ahead of burr": False,
    }


def test_a_target_that_was_not_measured_is_not_missed() -> None:
    assert verdicts([_cell("langgraph", "chain", 100, [], "absent")]) == []


@pytest.mark.parametrize("way", WAYS)
def test_the_task_of_an_architecture_ends_as_it_should_and_counts_its_calls(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "WAIT", 0)
    speech = saying.Speech(tmp_path / "notes")
    graph = ours.make(way, speech, tmp_path / "runs.db")
    output = asyncio.run(ours.work(graph, tmp_path / "runs.db", saying.FIRST))
    assert output in ("done", "draft", "attempt", "answer")
    assert speech.asked == len((tmp_path / "notes").read_text().splitlines()) >= 2
