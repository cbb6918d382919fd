"""What every test shares: both async backends, and hypothesis without a clock."""

from __future__ import annotations

import pytest
from hypothesis import settings

# A wall-clock deadline fails on a busy machine, not on a wrong program.
settings.register_profile("loomgraph", deadline=None, print_blob=True)
settings.load_profile("loomgraph")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every `@pytest.mark.anyio` test runs on asyncio and on trio."""
    return str(request.param)
