"""The benchmarks measure what they say: every workload gives its right result, and the table and targets read right."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from benchmarks.engines import IMPORTS, UnsupportedError, load
from benchmarks.harness import UNSUPPORTED, Cell
from benchmarks.table import markdown
from benchmarks.targets import verdicts
from benchmarks.workloads import BY_NAME, PROCESSES, WORKLOADS

TINY = {"lattice": 3, "branches": 2, "runs": 4, "build": 20, "compile": 20, "compile-mixed": 20}
TIMED = [workload.name for workload in WORKLOADS if workload.name not in PROCESSES]


@pytest.mark.parametrize("name", TIMED)
def test_a_workload_gives_the_result_it_is_checked_against(name: str) -> None:
    size = TINY.get(name, 7)
    job = load("loomgraph").job(name, size)
    given = job.setup()

    async def once() -> object:
        return await job.run(given)

    assert asyncio.run(once()) == BY_NAME[name].expected(size)


@pytest.mark.parametrize("name", ["chain", "loop", "fanout", "map", "lattice", "branches", "runs"])
def test_the_hand_written_floor_gives_the_same_result(name: str) -> None:
    size = TINY.get(name, 7)
    job = load("asyncio").job(name, size)

    async def once() -> object:
        return await job.run(None)

    assert asyncio.run(once()) == BY_NAME[name].expected(size)


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


def test_a_target_that_was_not_measured_is_not_missed() -> None:
    assert verdicts([_cell("langgraph", "chain", 100, [], "absent")]) == []
