"""Rounds: every engine in turn, then all again, so that what the machine does meanwhile falls on all of them alike.

An engine that is absent, cannot say a workload, fails, is wrong or is too slow gets a note instead of a figure.
"""

import json
import os
import select
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.engines import IMPORTS
from benchmarks.workloads import PROCESSES, Workload

ROOT = Path(__file__).resolve().parent.parent
UNSUPPORTED = "unsupported"
_FRESH = "import time\nbefore = time.perf_counter()\n{code}\nprint(time.perf_counter() - before)"
_FIRST = """import asyncio
from benchmarks.engines import load
job = load({engine!r}).job("chain", {size})
assert asyncio.run(job.run(job.setup())) == {size}"""


@dataclass
class Cell:
    """One engine's rounds of one workload at one size, in seconds; or the note that says why there are none."""

    engine: str
    workload: Workload
    size: int
    rounds: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def seconds(self) -> float:
        """The median round; the best of fresh processes, whose noise is all on one side."""
        return min(self.rounds) if self.workload.name in PROCESSES else statistics.median(self.rounds)

    @property
    def best(self) -> float:
        """The figure of the quickest round: what it costs when nothing else wants the machine."""
        return self.workload.figure(min(self.rounds), self.size)

    @property
    def figure(self) -> float:
        """The reported number of the workload's unit."""
        return self.workload.figure(self.seconds, self.size)


@dataclass(frozen=True)
class Settings:
    """`rounds` at most; an engine sits out once it has used `budget` seconds; a round over `limit` is given up."""

    rounds: int = 5
    budget: float = 5.0
    limit: float = 30.0


class Worker:
    """The process of one engine, started when first needed and again after it had to be stopped."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.absent = ""
        self.version = ""
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start the process and learn the library's version, or that it is absent."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", self.engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        answer = self._answer(60)
        self.version, self.absent = answer.get("version", ""), answer.get("absent", "")
        if "failed" in answer:
            self.absent = answer["failed"]

    def ask(self, limit: float, **order: Any) -> dict[str, Any]:
        """The answer to one order; `{"slow": ...}` after stopping a process that took longer than `limit` seconds."""
        if self._process is None:
            self.start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer(limit)

    def _answer(self, limit: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], limit)
        if not ready:
            self.stop()
            return {"slow": f"over {limit:.0f} s"}
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            return {"failed": "its process ended"}
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def measure(
    engines: Sequence[str],
    plan: Sequence[tuple[Workload, tuple[int, ...]]],
    settings: Settings,
    progress: Callable[[str], None],
) -> tuple[list[Cell], dict[str, str]]:
    """All cells of the plan, and each present engine's version."""
    workers = {engine: Worker(engine) for engine in engines}
    try:
        for worker in workers.values():
            worker.start()
        cells: list[Cell] = []
        for workload, sizes in plan:
            given_up: dict[str, str] = {}
            for size in sizes:
                progress(f"{workload.name} {size}")
                row = [Cell(engine, workload, size, note=_known(workers[engine], given_up)) for engine in engines]
                _refused(row, workers, settings.limit)
                _foresee(row, cells, settings.limit)
                rounds = _processes if workload.name in PROCESSES else _rounds
                rounds([cell for cell in row if not cell.note], workers, settings)
                given_up.update({cell.engine: cell.note for cell in row if cell.note.startswith("over ")})
                cells.extend(row)
        return cells, {name: worker.version for name, worker in workers.items() if worker.version}
    finally:
        for worker in workers.values():
            worker.stop()


def _known(worker: Worker, given_up: dict[str, str]) -> str:
    return "absent" if worker.absent else given_up.get(worker.engine, "")


def _refused(row: list[Cell], workers: dict[str, Worker], limit: float) -> None:
    """A fresh process that runs a chain is for engines that can say one."""
    for cell in row:
        if cell.workload.name == "first" and not cell.note:
            cell.note = _note(workers[cell.engine].ask(limit, do="prepare", workload="chain", size=cell.size))


def _foresee(row: list[Cell], cells: list[Cell], limit: float) -> None:
    """Spare what cannot end in time: an engine whose smaller size, scaled up, is already over the limit."""
    for cell in row:
        if cell.note or cell.workload.amount:
            continue
        for smaller in cells:
            same = smaller.engine == cell.engine and smaller.workload is cell.workload and smaller.rounds
            if same and smaller.seconds * cell.size / smaller.size > limit:
                cell.note = f"over {limit:.0f} s"


def _note(answer: dict[str, Any]) -> str:
    if "unsupported" in answer:
        return str(answer["unsupported"]) or UNSUPPORTED
    for kind in ("wrong", "failed"):
        if kind in answer:
            return f"{kind}: {answer[kind]}"
    return str(answer.get("slow", ""))


def _rounds(cells: list[Cell], workers: dict[str, Worker], settings: Settings) -> None:
    for cell in cells:
        order = {"do": "prepare", "workload": cell.workload.name, "size": cell.size}
        cell.note = _note(workers[cell.engine].ask(settings.limit, **order))
        if not cell.note:  # a first round, thrown away unless it used up the budget: caches fill, imports happen
            answer = workers[cell.engine].ask(settings.limit, do="run")
            cell.note = _note(answer)
            if not cell.note and answer["seconds"] > settings.budget:
                cell.rounds.append(answer["seconds"])
    spent = {cell.engine: sum(cell.rounds) for cell in cells}
    for _ in range(settings.rounds):
        for cell in cells:
            if cell.note or spent[cell.engine] > settings.budget:
                continue
            answer = workers[cell.engine].ask(settings.limit, do="run")
            cell.note = _note(answer)
            if not cell.note:
                cell.rounds.append(answer["seconds"])
                spent[cell.engine] += answer["seconds"]


def _processes(cells: list[Cell], _workers: dict[str, Worker], settings: Settings) -> None:
    """A fresh process each time; the first of each only writes the byte code, as installing a package does."""
    with TemporaryDirectory(prefix="loomgraph-bench-") as folder:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        env["PYTHONPYCACHEPREFIX"] = folder
        for index in range(settings.rounds * 2 + 1):
            for cell in cells:
                seconds = _process(cell, env)
                if index:
                    cell.rounds.append(seconds)


def _process(cell: Cell, env: dict[str, str]) -> float:
    first = _FIRST.format(engine=cell.engine, size=cell.size)
    code = _FRESH.format(code=IMPORTS[cell.engine] if cell.workload.name == "import" else first)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def figures(cells: Sequence[Cell]) -> Iterator[Cell]:
    """The cells that have a figure."""
    return (cell for cell in cells if cell.rounds and not cell.note)
