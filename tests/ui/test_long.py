"""Claims about work that takes long: the page's server answers others meanwhile, and sends what was asked for."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import Graph
from loomgraph.runtime.logbook import read_log
from loomgraph.store.protocol import Store
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.crash import WatchedStore
from tests.ui.conftest import Open, Page

# seconds after which work that holds up the server has failed its test
PATIENCE = 20.0


class Slow(dict[bytes, bytes]):
    """Values of which each takes as long to read as it takes somebody to say so."""

    def __init__(self, values: dict[bytes, bytes], hold: Callable[[], None]) -> None:
        super().__init__(values)
        self._hold = hold

    def __getitem__(self, digest: bytes) -> bytes:
        self._hold()
        return super().__getitem__(digest)

    def get(self, digest: bytes, default: Any = None) -> Any:
        self._hold()
        return super().get(digest, default)


class SlowStore(WatchedStore):
    """Its values are slow once `slow` is set. Notes whether whoever read one was held up in vain."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.slow, self.read, self.go_on = threading.Event(), threading.Event(), threading.Event()
        self.in_vain: list[str] = []

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        return Slow(await super().values(digests), self._hold)

    def _hold(self) -> None:
        if self.slow.is_set():
            self.read.set()
            if not self.go_on.wait(PATIENCE):
                self.in_vain.append(threading.current_thread().name)


@pytest.mark.parametrize(
    "long",
    [
        pytest.param(lambda page: page.get("compare", left="done", right="asks")["same"], id="compare"),
        pytest.param(lambda page: "UnknownRun" in page.client.get(EXPORT).text, id="export"),
    ],
)
def test_others_are_answered_while_a_long_run_is_compared_or_exported(
    opened: Open, graph: Graph[Any, Any], db: Path, long: Callable[[Page], bool]
) -> None:
    store = SlowStore(SQLiteStore(str(db)))
    page = opened(graph, store=store)
    store.slow.set()
    with ThreadPoolExecutor(1) as pool:
        waited = pool.submit(long, page)
        assert store.read.wait(PATIENCE), "the long work has begun"
        assert page.get("about")["graphs"] == ["orders"]
        assert page.get("runs")["runs"]
        store.go_on.set()
        assert waited.result() is False
    assert not store.in_vain


EXPORT = "/api/export?run=done&form=events"


def test_events_are_exported_one_a_line_as_the_log_has_them(page: Page, db: Path) -> None:
    async def read() -> Any:
        async with SQLiteStore(str(db)) as store:
            return (await read_log(store, "done")).events

    lines = page.client.get(EXPORT).text.splitlines()
    told = [json.loads(event.model_dump_json(fallback=str, serialize_as_any=True)) for event in anyio.run(read)]
    assert [json.loads(line) for line in lines] == told


def test_the_pages_of_a_comparison_are_those_of_one_and_a_run_that_went_on_is_compared_anew(page: Page) -> None:
    def told(**query: Any) -> Any:
        return page.get("compare", left="done", right="asks", all=1, **query)

    whole = told()
    parts = [told(start=at, limit=1)["activations"] for at in range(whole["total"])]
    assert [one for part in parts for one in part] == whole["activations"]
    page.post("cancel", run="asks")
    assert told()["right"]["status"] == "cancelled"
