"""What every test shares: both async backends, hypothesis without a clock, and a place for runs of each kind."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.places import KINDS, Place

# A wall-clock deadline fails on a busy machine, not on a wrong program.
settings.register_profile("loomgraph", deadline=None, print_blob=True)
settings.load_profile("loomgraph")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every `@pytest.mark.anyio` test runs on asyncio and on trio."""
    return str(request.param)


@pytest.fixture(scope="session")
def postgres_address() -> Generator[str]:
    """The address of a PostgreSQL server that lives as long as the session; skips where none can be had."""
    pytest.importorskip("psycopg", reason="psycopg is not installed", exc_type=ImportError)
    from tests.store.server import ServerMissingError, postgres

    with ExitStack() as stack:
        try:
            address = stack.enter_context(postgres())
        except (ServerMissingError, OSError) as error:
            pytest.skip(f"no PostgreSQL server: {error}")
        yield address


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty place of each kind of store."""
    address: str | None = request.getfixturevalue("postgres_address") if request.param == "postgresql" else None
    return Place(str(request.param), tmp_path, address)
