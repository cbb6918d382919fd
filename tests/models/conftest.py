"""The servers of this folder's tests, one of each for a session, and no key of a real provider in sight."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.models.servers import FaultServer, FixtureServer, fault_server, fixture_server
from tests.npm import Unavailable


@pytest.fixture(scope="session")
def faults() -> Iterator[FaultServer]:
    """A server that fails when told to, or a skip that says why there is none."""
    pytest.importorskip("openai", reason="openai is not installed", exc_type=ImportError)
    pytest.importorskip("anthropic", reason="anthropic is not installed", exc_type=ImportError)
    try:
        with fault_server() as server:
            yield server
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def fixtures() -> Iterator[FixtureServer]:
    """A server that answers from fixtures, or a skip that says why there is none."""
    pytest.importorskip("openai", reason="openai is not installed", exc_type=ImportError)
    pytest.importorskip("anthropic", reason="anthropic is not installed", exc_type=ImportError)
    try:
        with fixture_server() as server:
            yield server
    except (Unavailable, OSError) as error:
        pytest.skip(str(error))


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
