"""Claims about several processes and one run: one of them has it, and one that lost it finds out before it acts."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import anyio
import anyio.to_thread
import pytest
from typer.testing import CliRunner

from loomgraph.cli.app import app
from loomgraph.errors import LeaseLostError, LoomgraphError, RunBusyError
from loomgraph.store.protocol import Batch, Lease, Store
from loomgraph.testing.crash import WatchedStore
from tests.crash.three import OUTPUT, WHOLE, noted, nowhere, three_nodes
from tests.places import Place
from tests.processes import Child, skip_where_none

pytestmark = pytest.mark.skipif(skip_where_none, reason="processes are stopped and forked, which needs POSIX")

Backend = Literal["asyncio", "trio"]
# seconds: one that a busy machine renews in time, and one that is to run out
LEASE, SHORT = 2.0, 0.15


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place that several processes can have stores of."""
    address: str | None = request.getfixturevalue("postgres_address") if request.param == "postgresql" else None
    return Place(str(request.param), tmp_path, address)


@pytest.fixture
def anyio_backend(shared: Place) -> str:
    """Each kind of place on one event loop."""
    return "asyncio" if shared.kind == "sqlite" else "trio"


async def told(work: Callable[[], Any]) -> tuple[Any, ...]:
    """What came of it, as one process can tell another."""
    try:
        return ("done", (await work()).output)
    except LoomgraphError as error:
        return (type(error).__name__, getattr(error, "owner", None), str(error))


# ---------------------------------------------------------------------- many want it


def wants_it(parent: Connection, place: Place, calls: Path, backend: Backend) -> None:
    """Go on with the run, if nobody else does, and wait for a word in the middle of it."""

    async def main() -> None:
        def at(where: str) -> None:
            if where == "in the step":
                parent.send(("has it", os.getpid()))

        graph = three_nodes(calls)
        store = Waiting(place.store(), parent)
        parent.send("ready")
        parent.recv()
        parent.send(await told(lambda: graph.resume("r", store=store, lease=LEASE, deps=at)))
        await store.close()

    anyio.run(main, backend=backend)


class Waiting(WatchedStore):
    """Says when the write after the first steps is due, and waits for a word; the event loop goes on meanwhile."""

    def __init__(self, inner: Store, parent: Connection) -> None:
        super().__init__(inner)
        self._parent = parent

    def append_now(self, lease: Lease, batch: Batch) -> bool:
        return False

    async def append(self, lease: Lease, batch: Batch) -> None:
        if any(event.kind == "p" for event in batch.events):
            await anyio.to_thread.run_sync(self._parent.recv)
        await super().append(lease, batch)


async def failed_at_first(store: Store, calls: Path) -> None:
    """Begin the run and leave it in the middle, as a killed process does, with nobody's lease."""

    class Enough(BaseException):
        pass

    def at(where: str) -> None:
        raise Enough

    with pytest.raises(Enough):
        await three_nodes(calls).run(1, store=store, run_id="r", deps=at)


@pytest.mark.anyio
async def test_of_many_processes_that_want_a_run_one_has_it_and_keeps_it_and_the_others_are_told_whose_it_is(
    shared: Place, tmp_path: Path, anyio_backend_name: Backend
) -> None:
    calls = tmp_path / "calls"
    store = shared.store()
    await failed_at_first(store, calls)
    calls.write_text("first 0\n", encoding="utf-8")  # what the killed one had finished
    children = [Child(wants_it, shared, calls, anyio_backend_name) for _ in range(4)]
    try:
        assert [child.hear() for child in children] == ["ready"] * 4
        for child in children:
            child.tell()
        said = {child: child.hear() for child in children}
        assert [what[0] for what in said.values()].count("has it") == 1, said
        [(winner, (_, pid))] = [(child, what) for child, what in said.items() if what[0] == "has it"]
        for child, what in said.items():
            if child is not winner:
                name, owner, message = what
                assert (name, f":{pid}:" in owner, owner in message) == ("RunBusyError", True, True)
        # the winner keeps it for as long as it takes, beyond its first lease
        with pytest.raises(RunBusyError) as first:
            await store.acquire("r", "somebody", 1)
        asked = 0.0
        while asked <= first.value.expires:
            asked = time.time()
            with pytest.raises(RunBusyError, match=f":{pid}:"):
                await store.acquire("r", "somebody", 1)
            await anyio.sleep(LEASE / 10)
        winner.tell()
        assert winner.hear() == ("done", OUTPUT)
        assert noted(calls) == WHOLE
        assert (await three_nodes(calls).resume("r", store=store, deps=nowhere)).output == OUTPUT
        assert noted(calls) == WHOLE
    finally:
        for child in children:
            child.kill()
        await store.close()


ORDER = """
import os
from loomgraph import END, START, Workflow

wf = Workflow("order", input=int, output=int)

@wf.node
async def price(value: int) -> int:
    with open("calls", "a") as file:
        file.write(f"price {os.getpid()}\\n")
    return value * 2

@wf.node
async def pay(value: int) -> int:
    if not os.path.exists("open"):
        raise ConnectionError("closed")
    with open("calls", "a") as file:
        file.write(f"pay {os.getpid()}\\n")
    return value + 1

wf.chain(START, price, pay, END)
"""


def waits_for_it(parent: Connection, folder: Path, command: list[str]) -> None:
    """Call the command, as a shell does, after a word."""
    os.chdir(folder)
    parent.send("ready")
    parent.recv()
    done = CliRunner().invoke(app, command)
    parent.send((done.exit_code, done.stdout, done.stderr))


def test_commands_that_wait_for_a_run_all_get_its_result_and_one_of_them_runs_it(shared: Place, tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text(ORDER, encoding="utf-8")

    def called(count: int, *command: str) -> list[tuple[int, str, str]]:
        with ExitStack() as stack:
            words = [*command, "--store", shared.address, "--quiet"]
            children = [stack.enter_context(Child(waits_for_it, tmp_path, words)) for _ in range(count)]
            assert [child.hear() for child in children] == ["ready"] * count
            for child in children:
                child.tell()
            return [child.hear() for child in children]

    run_id = f"r-{uuid.uuid4().hex}"
    [(code, _, _)] = called(1, "run", "order.py", "--input", "20", "--run-id", run_id)
    assert code == 1
    (tmp_path / "open").touch()
    said = called(3, "resume", run_id, "--graph", "order.py", "--wait")
    assert [(code, json.loads(output)) for code, output, _ in said] == [(0, 41)] * 3
    assert all(not errors or errors.startswith("waiting for '") for _, _, errors in said)
    assert noted(tmp_path / "calls") == Counter(["price", "pay"])


# ---------------------------------------------------------------------- one that was stopped


class Stopping(WatchedStore):
    """Stops the process before or after the write that says what is told."""

    def __init__(self, inner: Store, stop: Callable[[str], None]) -> None:
        super().__init__(inner)
        self._stop = stop

    def before(self, number: int, what: str, batch: Batch) -> None:
        if any(event.kind == "p" for event in batch.events):
            self._stop("before the step is written")

    def after(self, number: int, what: str, batch: Batch) -> None:
        if any((event.kind, event.key) == ("s", "middle") for event in batch.events):
            self._stop("after the start is written")


def is_stopped(parent: Connection, place: Place, calls: Path, where: str, backend: Backend) -> None:
    """Run it, and stop this whole process at one place, until somebody wakes it."""

    stopped: list[str] = []

    def stop(here: str) -> None:
        if here == where and not stopped:  # a write that the store puts off is begun again
            stopped.append(here)
            parent.send(here)
            os.kill(os.getpid(), signal.SIGSTOP)

    async def main() -> None:
        store = Stopping(place.store(), stop)
        graph = three_nodes(calls)
        parent.send(await told(lambda: graph.run(1, store=store, run_id="r", lease=SHORT, deps=stop)))
        await store.close()

    anyio.run(main, backend=backend)


async def taken_over(store: Store, calls: Path) -> Any:
    """Go on with it once its owner has shown no sign of life for as long as its lease lasts."""
    while True:
        try:
            return await three_nodes(calls).resume("r", store=store, deps=nowhere)
        except RunBusyError as busy:
            await anyio.sleep(max(busy.expires - time.time(), 0.01))


# what the stopped process has done by then and does not do again; what it had begun is done by both
PLACES = {
    "after the start is written": WHOLE,
    "in the body": WHOLE + Counter(["middle"]),
    "in the step": WHOLE + Counter(["middle", "pay"]),
    "before the step is written": WHOLE + Counter(["middle", "pay"]),
    "behind the step": WHOLE + Counter(["middle"]),
}


@pytest.mark.anyio
@pytest.mark.parametrize("where", PLACES)
async def test_a_process_that_was_stopped_beyond_its_lease_finds_out_before_it_acts_or_writes(
    shared: Place, tmp_path: Path, where: str, anyio_backend_name: Backend
) -> None:
    calls = tmp_path / "calls"
    store = shared.store()
    with Child(is_stopped, shared, calls, where, anyio_backend_name) as child:
        assert child.hear() == where
        assert (await taken_over(store, calls)).output == OUTPUT
        log, header = await store.events("r"), await store.load("r")
        child.go_on()
        name, _, message = child.hear()
        assert name == "LeaseLostError"
        assert f":{child.pid}:" in message
        assert "does not own run 'r' any more" in message
    assert noted(calls) == PLACES[where]
    assert (await store.events("r"), await store.load("r")) == (log, header)
    await store.close()


@pytest.mark.anyio
async def test_a_process_that_was_stopped_and_not_replaced_goes_on(shared: Place, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    store = shared.store()
    with Child(is_stopped, shared, calls, "in the body", "asyncio") as child:
        assert child.hear() == "in the body"
        with pytest.raises(RunBusyError) as busy:
            await store.acquire("r", "somebody", 1)
        await anyio.sleep(max(0.0, busy.value.expires - time.time()))
        child.go_on()
        assert child.hear() == ("done", OUTPUT)
    assert noted(calls) == WHOLE
    await store.close()


# ---------------------------------------------------------------------- clocks


@pytest.mark.anyio
async def test_a_clock_that_is_ahead_takes_a_run_early_and_one_of_them_has_it(shared: Place, tmp_path: Path) -> None:
    calls, taken = tmp_path / "calls", list[Any]()
    store = shared.store()
    graph = three_nodes(calls)

    class Overtaken(WatchedStore):
        """Somebody whose clock is an hour ahead takes the run just before its step is written."""

        async def append(self, lease: Lease, batch: Batch) -> None:
            if any(event.kind == "p" for event in batch.events) and not taken:
                shared.ahead = 3600
                taken.append(await graph.resume("r", store=store, deps=nowhere))
                shared.ahead = 0
            await super().append(lease, batch)

        def append_now(self, lease: Lease, batch: Batch) -> bool:
            return False

    with pytest.raises(LeaseLostError, match="nobody owns the run now"):
        await graph.run(1, store=Overtaken(store), run_id="r", deps=nowhere)
    assert taken[0].output == OUTPUT
    assert noted(calls)["last"] == 1
    assert [event.kind for event in await store.events("r")].count("R+") == 1
    await store.close()
