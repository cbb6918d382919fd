"""One conformance for every store: what the protocol promises, claim by claim."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import Store
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.stores import CHECKS, Check, run_check


def _name(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.anyio
async def test_a_store_in_memory_keeps_what_it_promises(check: Check) -> None:
    made: dict[str, Store] = {}

    def make(storage: str, clock: Callable[[], float]) -> Store:
        return made.setdefault(storage, MemoryStore(clock=clock))

    await run_check(check, make)


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.anyio
async def test_a_store_in_a_sqlite_file_keeps_what_it_promises(check: Check, tmp_path: Path) -> None:
    def make(storage: str, clock: Callable[[], float]) -> Store:
        return SQLiteStore(tmp_path / f"{storage}.db", clock=clock)

    await run_check(check, make)


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.anyio
async def test_a_store_that_waits_for_the_disk_keeps_what_it_promises(check: Check, tmp_path: Path) -> None:
    def make(storage: str, clock: Callable[[], float]) -> Store:
        return SQLiteStore(tmp_path / f"{storage}.db", synchronous="FULL", clock=clock)

    await run_check(check, make)


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.anyio
async def test_a_store_in_a_postgresql_database_keeps_what_it_promises(check: Check, postgres_address: str) -> None:
    from loomgraph.store.postgres import PostgresStore

    def make(storage: str, clock: Callable[[], float]) -> Store:
        return PostgresStore(postgres_address, schema=storage, clock=clock)

    await run_check(check, make)


@pytest.mark.parametrize("check", CHECKS, ids=_name)
@pytest.mark.anyio
async def test_an_encrypted_store_keeps_what_the_store_in_it_promises(check: Check, tmp_path: Path) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed")
    from loomgraph.store.encrypted import EncryptedStore

    def make(storage: str, clock: Callable[[], float]) -> Store:
        return EncryptedStore(SQLiteStore(tmp_path / f"{storage}.db", clock=clock), bytes(32))

    await run_check(check, make)
