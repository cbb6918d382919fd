"""A store that fails at any one write: the run ends with that error, and goes on from its log as if it had not been."""

from __future__ import annotations

from collections import Counter

import pytest

from loomgraph import Graph
from loomgraph.errors import StoreFullError, StoreLockedError, UnknownRunError
from loomgraph.store.protocol import Store
from loomgraph.testing.crash import FailingStore, WatchedStore
from tests.places import Place
from tests.runtime.rehearsal import Rehearsal, settled

pytestmark = pytest.mark.anyio


def _error(at: int) -> Exception:
    name = "sqlite:runs.db"
    errors: list[Exception] = [StoreFullError(name, "disk I/O error"), StoreLockedError(name, 30), OSError("gone")]
    return errors[at % len(errors)]


class Attempted:
    """One graph, run again and again on a store that fails, and then resumed on what it failed to spoil."""

    def __init__(self, place: Place, inner: Store) -> None:
        self.place, self.inner = place, inner
        self.rehearsal = Rehearsal()
        self.graph: Graph[int, str] = self.rehearsal.graph()

    def called(self) -> Counter[str]:
        """What was called since this was asked last."""
        calls = Counter(self.rehearsal.calls)
        self.rehearsal.calls.clear()
        return calls

    async def whole(self) -> int:
        """Run undisturbed; says how many writes that took."""
        watched = WatchedStore(self.inner)
        self.reference = await self.graph.run(0, store=watched, run_id="whole")
        self.all = set(self.called())
        return watched.writes

    async def fail(self, name: str, failing: FailingStore) -> None:
        """Run until the write fails, mend the store, and go on."""
        ended: list[BaseException] = []
        try:
            result = await self.graph.run(0, store=failing, run_id=name)
        except Exception as error:
            ended.append(error)
        else:  # nothing was left to fail but giving the lease up
            assert result.output == self.reference.output
        before = self.called()
        self.place.ahead += 3600  # whatever lease is left has run out
        try:
            events = await self.inner.events(name)
            done = settled(events)
        except UnknownRunError:
            assert (failing.at, failing.late, ended, before) == (1, False, [failing.error], Counter())
            return
        started = {event.key for event in events if event.kind == "s"}
        assert {call.partition(" ")[0] for call in before} <= started, "what began is in the log"
        assert ended == [failing.error] or failing.writes <= failing.at
        if failing.at > 1 and ended:
            assert any(name in note for note in failing.error.__notes__)
        await self._go_on(name, before, done)

    async def _go_on(self, name: str, before: Counter[str], done: set[str]) -> None:
        result = await self.graph.resume(name, store=self.inner)
        again = self.called()
        assert (result.output, result.state) == (self.reference.output, self.reference.state)
        assert {a.key: a.status for a in result.activations} == {a.key: a.status for a in self.reference.activations}
        assert result.usage == self.reference.usage
        assert not set(again) & done, "what was durable is not repeated"
        assert set(before) | set(again) == self.all


@pytest.mark.parametrize("broken", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("late", [False, True], ids=["before it is made", "although it was made"])
async def test_a_run_whose_store_fails_at_any_write_ends_with_its_error_and_can_be_resumed(
    place: Place, late: bool, broken: bool
) -> None:
    inner = place.store()
    try:
        attempted = Attempted(place, inner)
        writes = await attempted.whole()
        for at in range(1, writes + 1, 7 if place.kind == "postgresql" else 1):
            failing = FailingStore(inner, _error(at), at=at, late=late, broken=broken)
            await attempted.fail(f"r{at}", failing)
    finally:
        await inner.close()
