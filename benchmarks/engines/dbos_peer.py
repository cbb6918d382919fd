"""DBOS as its documentation writes it: a workflow function whose steps are recorded, here in SQLite.

It has no graph, so only the durable workloads are its: a chain is steps in a row, a map is steps gathered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS

from benchmarks.engines import disk
from benchmarks.engines.base import Engine, Job, UnsupportedError
from benchmarks.workloads import message

_level = disk.NORMAL


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _as_all(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {_level}")


@DBOS.step()
async def _add(x: int) -> int:
    return x + 1


@DBOS.step()
async def _double(x: int) -> int:
    return x * 2


@DBOS.step()
async def _turn(i: int) -> str:
    return message(i)


@DBOS.workflow()
async def _chain(n: int) -> int:
    x = 0
    for _ in range(n):
        x = await _add(x)
    return x


@DBOS.workflow()
async def _map(n: int) -> int:
    return sum(await asyncio.gather(*(_double(x) for x in range(n))))


@DBOS.workflow()
async def _growing(n: int) -> int:
    messages: list[str] = []
    for i in range(n):
        messages.append(await _turn(i))
    return len(messages)


class Dbos(Engine):
    """A peer that records the steps of plain functions."""

    name = "dbos"
    distribution = "dbos"

    def durable_chain(self, n: int) -> Job:
        return _stored(_chain, n)

    def durable_chain_full(self, n: int) -> Job:
        return _stored(_chain, n, disk.FULL)

    def durable_map(self, n: int) -> Job:
        return _stored(_map, n)

    def durable_resume(self, n: int) -> Job:
        raise UnsupportedError("a workflow goes on when its process starts, not when it is asked to")

    def durable_kept(self, n: int) -> Job:
        return _appended(n, kept=True)

    def durable_written(self, n: int) -> Job:
        return _appended(n, kept=False)


def _open(path: Path, synchronous: str = disk.NORMAL) -> Path:
    global _level  # noqa: PLW0603 - it is one instance a process, and so is what its connections are told
    _level = synchronous
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "CRITICAL"})
    DBOS.launch()
    return path


def _stored(workflow: Callable[[int], Awaitable[int]], n: int, synchronous: str = disk.NORMAL) -> Job:
    async def run(_: Path) -> int:
        return await workflow(n)

    async def after(path: Path) -> None:
        await asyncio.to_thread(DBOS.destroy)
        disk.drop(path)

    return Job(run, lambda: _open(disk.fresh(), synchronous), after)


def _appended(n: int, *, kept: bool) -> Job:
    async def run(path: Path) -> tuple[int, int]:
        before = 0 if kept else disk.written()
        _open(path)
        turns = await _growing(n)
        await asyncio.to_thread(DBOS.destroy)
        return turns, disk.kept(path) if kept else disk.written() - before

    async def after(path: Path) -> None:
        disk.drop(path)

    return Job(run, disk.fresh, after)


ENGINE = Dbos()
