"""A store with a few runs of one workflow, and the page over it without a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import anyio
import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, Graph, Retry, Workflow
from loomgraph.nodes import Human
from loomgraph.store.sqlite import SQLiteStore

pytest.importorskip("starlette", reason="the extra ui is not installed")
from starlette.testclient import TestClient

from loomgraph.ui import Server

EVIL = "<script>window.evil = true</script><img src=x onerror='window.evil = true'>"


class Order(BaseModel):
    text: str
    items: int = 3


class Approval(BaseModel):
    yes: bool
    level: Literal["low", "high"] = "low"


failing = {"once": True}


def orders() -> Graph[Any, Any]:
    """check, then a price for each item, then a person, then pay; item 1 fails once."""
    wf = Workflow("orders", input=Order, output=str)

    @wf.node
    async def check(order: Order) -> Order:
        return order

    @wf.node
    async def parts(order: Order) -> list[int]:
        return list(range(order.items))

    @wf.node(retry=Retry(attempts=2, delay=0.001))
    async def price(item: int, ctx: Context) -> int:
        ctx.meter(tokens=10)
        if item == 1 and failing.pop("once", False):
            raise ConnectionError(EVIL)
        return item * 3

    @wf.node
    async def total(prices: list[int]) -> int:
        return sum(prices)

    approve = wf.node(Human("Pay {input} EUR?", answer=Approval, input=int), name="approve")

    @wf.node
    async def pay(approval: Approval) -> str:
        return f"{EVIL} paid: {approval.yes}"

    wf.chain(START, check, parts)
    wf.map(parts, price, limit=2)
    wf.chain(price, total, approve, pay, END)
    return wf.compile()


def broken() -> Graph[Any, Any]:
    """One node, which fails."""
    wf = Workflow("broken", input=str, output=str)

    @wf.node
    async def only(text: str) -> str:
        raise RuntimeError(f"no {text}")

    wf.chain(START, only, END)
    return wf.compile()


@pytest.fixture(scope="session")
def graph() -> Graph[Any, Any]:
    """The workflow of the runs."""
    return orders()


async def fill(address: str, graph: Graph[Any, Any]) -> None:
    """`done` has succeeded, `asks` waits for its answer, `failed` has failed, `long/é #1` has a name of its own."""
    async with SQLiteStore(address) as store:
        await graph.run(Order(text=EVIL), store=store, run_id="done", user_id="ada")
        await graph.resume("done", store=store, answers={"approve": {"yes": True}})
        await graph.run(Order(text="b"), store=store, run_id="asks")
        with pytest.raises(Exception, match="no luck"):
            await broken().run("luck", store=store, run_id="failed")
        with pytest.raises(Exception, match="no x"):
            await broken().run("x", store=store, run_id="long/é #1?&=")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, graph: Graph[Any, Any]) -> Path:
    """A store file with these runs, not to be written to."""
    path = tmp_path_factory.mktemp("filled") / "runs.db"
    anyio.run(fill, str(path), graph)
    return path


@pytest.fixture
def db(tmp_path: Path, filled: Path) -> Path:
    """A store file of the test's own with these runs."""
    return Path(shutil.copy(filled, tmp_path / "runs.db"))


class Page:
    """The page's server, spoken to as its own page would."""

    def __init__(self, client: TestClient, server: Server) -> None:
        self.client = client
        self.server = server

    def get(self, name: str, status: int = 200, /, **query: Any) -> Any:
        """What a document says; asserts the status."""
        found = self.client.get(f"/api/{name}", params=query)
        assert found.status_code == status, found.text
        return found.json()

    def post(self, name: str, status: int = 200, /, **body: Any) -> Any:
        """What comes of an act; asserts the status."""
        found = self.client.post(f"/api/{name}", json=body, headers={"Origin": self.server.address.rstrip("/")})
        assert found.status_code == status, found.text
        return found.json()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call an async function where the server runs."""
        assert self.client.portal is not None
        return self.client.portal.call(function, *arguments)

    def until(self, run: str, *statuses: str) -> Any:
        """The run once it has one of these statuses; its changes are read as the page reads them."""
        for _ in range(400):
            told = self.get("run", run=run)
            if told["run"]["status"] in statuses and not told["here"]:
                return told
            self.call(anyio.sleep, 0.01)
        raise AssertionError(f"{run} is {told['run']['status']}")


Open = Callable[..., Page]


@pytest.fixture
def opened(db: Path) -> Iterator[Open]:
    """Open the page over the store, with code or without: `opened(graph)`."""
    servers: list[tuple[TestClient, Server]] = []

    def open_page(*graphs: Graph[Any, Any], store: Any = None) -> Page:
        server = Server(SQLiteStore(str(db)) if store is None else store, graphs, port=0)
        client = TestClient(server.app, base_url=server.address.rstrip("/"), follow_redirects=False)
        client.__enter__()
        servers.append((client, server))
        entered = client.get(f"/?token={server.token}")
        assert entered.status_code == 303
        return Page(client, server)

    yield open_page
    for client, server in servers:
        client.__exit__(None, None, None)
        server.close()


@pytest.fixture
def page(opened: Open, graph: Graph[Any, Any]) -> Page:
    """The page with the code of the runs at hand."""
    return opened(graph)
