"""One PostgreSQL server for the tests of this folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack

import pytest

from tests.store.server import ServerMissingError, postgres


@pytest.fixture(scope="session")
def postgres_address() -> Generator[str]:
    """The address of a server that lives as long as the session; skips where none can be had."""
    pytest.importorskip("psycopg", reason="psycopg is not installed", exc_type=ImportError)
    with ExitStack() as stack:
        try:
            address = stack.enter_context(postgres())
        except (ServerMissingError, OSError) as error:
            pytest.skip(f"no PostgreSQL server: {error}")
        yield address
