"""What is PostgreSQL's own about its store: lost connections, clocks, versions, addresses."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import to_thread

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed", exc_type=ImportError)

from loomgraph.errors import (  # noqa: E402
    RunExistsError,
    StoreAddressError,
    StoreError,
    StoreLockedError,
    StoreVersionError,
)
from loomgraph.store.opening import open_store  # noqa: E402
from loomgraph.store.postgres import PostgresStore  # noqa: E402
from loomgraph.store.postgres.schema import _LOCK, prepare  # noqa: E402
from loomgraph.store.protocol import Batch, RunHeader, StoredEvent  # noqa: E402

ROOT = Path(__file__).parents[2]


def _schema() -> str:
    return f"t_{uuid.uuid4().hex}"


def _header(run_id: str = "r") -> RunHeader:
    return RunHeader(run_id=run_id, graph="g", fingerprint="f", created=1.0)


def _event(seq: int) -> StoredEvent:
    return StoredEvent(seq, 1.0, "k", "", b"")


def _until_blocked(watching: Any, other: Any) -> None:
    """Return once somebody waits for what `other` has locked. Each question is a trip to the server."""
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    while watching.execute(blocked, (other.info.backend_pid,)).fetchone() == (0,):
        pass


@pytest.mark.anyio
async def test_connections_that_were_cut_off_while_idle_are_made_anew(postgres_address: str) -> None:
    async with PostgresStore(postgres_address, schema=_schema()) as store:
        lease = await store.create(_header(), Batch([_event(0)]), owner="me", ttl=60.0)
        assert len(await store.events("r")) == 1
        with psycopg.connect(postgres_address, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchall()
        assert len(await store.events("r")) == 1
        await store.append(lease, Batch([_event(1)]))
        assert len(await store.events("r")) == 2


@pytest.mark.anyio
async def test_leases_go_by_the_servers_clock(postgres_address: str) -> None:
    async with PostgresStore(postgres_address, schema=_schema()) as store:
        lease = await store.create(_header(), owner="me", ttl=1_000.0)
        assert abs(lease.expires - 1_000.0 - time.time()) < 500.0


@pytest.mark.anyio
async def test_a_row_that_stays_locked_past_the_deadline_is_an_error_that_says_how_long(postgres_address: str) -> None:
    schema = _schema()
    async with PostgresStore(postgres_address, schema=schema, wait=0.05) as store:
        lease = await store.create(_header(), owner="me", ttl=60.0)
        with psycopg.connect(postgres_address) as other:
            other.execute(f"SELECT * FROM {schema}.leases FOR UPDATE")
            with pytest.raises(StoreLockedError, match=r"for 0\.05 s"):
                await store.append(lease, Batch([_event(0)]))
            other.rollback()
        await store.append(lease, Batch([_event(0)]))


@pytest.mark.anyio
async def test_whoever_meets_another_transaction_sees_its_work_when_it_tries_again(postgres_address: str) -> None:
    schema = _schema()
    columns = "graph, fingerprint, status, created, updated, input, metadata, version"
    async with PostgresStore(postgres_address, schema=schema) as store:
        await store.create(_header(), owner="me", ttl=60.0)
        with psycopg.connect(postgres_address) as other, psycopg.connect(postgres_address, autocommit=True) as third:
            # somebody records the same run, and is not done yet
            other.execute(f"INSERT INTO {schema}.runs (run_id, {columns}) SELECT 's', {columns} FROM {schema}.runs")
            refused: list[str] = []

            async def create() -> None:
                try:
                    await store.create(_header("s"), owner="me", ttl=60.0)
                except RunExistsError as error:
                    refused.append(error.run_id)

            async with anyio.create_task_group() as group:
                group.start_soon(create)
                await to_thread.run_sync(_until_blocked, third, other)
                other.commit()
            assert refused == ["s"]


@pytest.mark.anyio
async def test_a_schema_that_another_process_makes_meanwhile_is_waited_for_and_used(postgres_address: str) -> None:
    schema = _schema()
    store = PostgresStore(postgres_address, schema=schema)
    with psycopg.connect(postgres_address) as other, psycopg.connect(postgres_address, autocommit=True) as third:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        async with anyio.create_task_group() as group:
            group.start_soon(partial(store.create, _header(), owner="me", ttl=60.0))
            await to_thread.run_sync(_until_blocked, third, other)
            prepare(other, schema, "other", 60.0)
            other.commit()
    assert (await store.load("r")).graph == "g"
    await store.close()


@pytest.mark.anyio
async def test_a_read_of_several_queries_shows_one_moment(postgres_address: str) -> None:
    schema = _schema()
    async with PostgresStore(postgres_address, schema=schema) as store:
        await store.create(_header(), owner="me", ttl=60.0)

        def query(connection: Any) -> list[Any]:
            first = connection.execute("SELECT count(*) FROM runs").fetchone()
            with psycopg.connect(postgres_address) as other:
                other.execute(f"DELETE FROM {schema}.runs")
            return [first, connection.execute("SELECT count(*) FROM runs").fetchone()]

        assert await store._read(query) == [(1,), (1,)]


@pytest.mark.anyio
async def test_a_schema_of_a_newer_version_is_refused_by_number(postgres_address: str) -> None:
    schema = _schema()
    async with PostgresStore(postgres_address, schema=schema) as store:
        await store.create(_header(), owner="me", ttl=60.0)
    with psycopg.connect(postgres_address) as other:
        other.execute(f"UPDATE {schema}.format SET version = 99")
    newer = PostgresStore(postgres_address, schema=schema)
    with pytest.raises(StoreVersionError, match="format version 99"):
        await newer.load("r")
    with pytest.raises(StoreVersionError, match="format version 99"):
        await newer.create(_header("s"), owner="me", ttl=60.0)
    await newer.close()


@pytest.mark.anyio
async def test_a_server_that_is_not_there_is_named_without_its_password(tmp_path: Path) -> None:
    store = open_store(f"postgresql://me:secret@/runs?host={tmp_path}")
    for call in (lambda: store.load("r"), lambda: store.create(_header(), owner="me", ttl=1.0)):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            await call()
        assert "secret" not in str(caught.value)
        assert str(tmp_path) in str(caught.value)
    await store.close()


def test_an_address_that_cannot_be_read_is_refused_at_once() -> None:
    with pytest.raises(StoreAddressError, match="names no store") as caught:
        open_store("postgresql://me:secret@[host/runs")
    assert "secret" not in str(caught.value)


def test_without_psycopg_the_error_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from loomgraph.errors import StoreError\n"
        "from loomgraph.store.opening import open_store\n"
        "try:\n    open_store('postgresql://localhost/runs')\n"
        "except StoreError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "loomgraph-engine[postgres]" in done.stdout
