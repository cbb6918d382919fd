"""What one run may use: its own budget, and its user's, which all runs of the user in one store share.

A user's account is a book of notes in the store: who is about to use something writes that down, and whether it was
left follows from the order of the book, which is the same for every process. What a process held when it was killed is
free again once its run goes on, or after an hour.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from pydantic_core import from_json, to_json

from loomgraph.engine.facts import Entry
from loomgraph.errors import BudgetExceededError, DefinitionError
from loomgraph.events import Metered, RunRedriven, RunResumed
from loomgraph.graph.budget import UNLIMITED, Budget, UserBudget, limited
from loomgraph.runtime.notes import book_of, read_book, write_book
from loomgraph.runtime.options import RunOptions
from loomgraph.store.protocol import Store

__all__ = ["Purse", "spent_by_user"]

# how long what a dead process held is held for it, in seconds: longer than any call of a model takes
_HELD = 3600.0
SECONDS = "seconds"
_NONE: frozenset[str] = frozenset()


class Purse:
    """The accounts of one run. Raises DefinitionError for a user's budget without a user or a store."""

    def __init__(self, options: RunOptions, run_id: str, store: Store | None) -> None:
        budget = options.budget
        self.account = budget.account(run_id) if isinstance(budget, Budget) else budget or UNLIMITED
        self._own = isinstance(budget, Budget)
        self._since = 0.0
        self.user = None if options.user_budget is None else _user_account(options, run_id, store)
        self.limits = frozenset(self.account.limits) if self.account.limits else _NONE
        if self.user is not None:
            self.limits |= frozenset(self.user.limits)

    def count(self, entries: Sequence[Entry], copied: int) -> None:
        """What the run used in its earlier lives; the first `copied` entries are those of the run it is a fork of."""
        if self.user is None and (not self._own or not self.limits):
            return  # nobody asks
        before: float | None = None
        for at, (when, kind, _, values) in enumerate(entries):
            if kind is Metered:
                self._spend(values[0], own=at >= copied)
            elif before is not None and kind is not RunResumed and kind is not RunRedriven:
                self._spend({SECONDS: max(0.0, when - before)}, own=at >= copied)
            before = when

    def _spend(self, amounts: Mapping[str, float], *, own: bool) -> None:
        if self._own:  # an account that is shared was told when it happened
            self.account.spend(amounts)
        if own and self.user is not None:
            self.user.spend(amounts)

    def spend(self, amounts: Mapping[str, float]) -> None:
        """Count what was used."""
        self.account.spend(amounts)
        if self.user is not None:
            self.user.spend(amounts)

    @asynccontextmanager
    async def reserve(self, amounts: Mapping[str, float]) -> AsyncGenerator[None]:
        """Hold these amounts of both while the block runs. Raises BudgetExceededError."""
        with self.account.reserve(**amounts):
            if self.user is None:
                yield
            else:
                async with self.user.hold(amounts):
                    yield

    def start(self, deadline: float | None) -> float | None:
        """The run begins to run; returns the seconds until it has to end, by its deadline or by a budget."""
        self._since = time.monotonic()
        left = [self.account.left(SECONDS)] if SECONDS in self.account.limits else []
        if self.user is not None and SECONDS in self.user.limits:
            left.append(self.user.left(SECONDS))
        return min([*left, *([] if deadline is None else [deadline])], default=None)

    def stop(self) -> None:
        """The run does not run any more."""
        if SECONDS in self.limits:
            self.spend({SECONDS: time.monotonic() - self._since})

    async def begin(self) -> None:
        """Put what is known of this run into its user's book."""
        if self.user is not None:
            await self.user.begin()

    async def end(self) -> None:
        """The same when the run ends here."""
        if self.user is not None:
            await self.user.settle(())


class _UserAccount:
    """One run's view of its user's account."""

    def __init__(self, store: Store, user_id: str, budget: UserBudget, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self.limits = budget.limits
        self.place = book_of(user_id, f"budget/{budget.period}" if budget.period else "budget")
        self.name = f"{user_id}, {budget.period}" if budget.period else user_id
        self._used: dict[str, float] = {}
        self._ledger = _Ledger()
        self._lock = anyio.Lock()

    def spend(self, amounts: Mapping[str, float]) -> None:
        for name, amount in limited(amounts, self.limits):
            self._used[name] = self._used.get(name, 0) + amount

    def left(self, name: str) -> float:
        """How much was left when the book was last read."""
        return max(0.0, self.limits[name] - self._ledger.spent(name) - self._ledger.held(name))

    async def begin(self) -> None:
        await self._write("drop", {"run": self.run_id})
        await self.settle(())

    async def settle(self, done: Sequence[str]) -> None:
        """Write down what the run has used so far, in all, and which holds are over."""
        await self._write("used", {"run": self.run_id, "amounts": self._used, "done": list(done)})
        await self._read()

    @asynccontextmanager
    async def hold(self, amounts: Mapping[str, float]) -> AsyncGenerator[None]:
        wanted = dict(limited(amounts, self.limits))
        if not wanted:
            yield
            return
        id, now = uuid.uuid4().hex, time.time()
        limits = {name: self.limits[name] for name in wanted}
        held = {"id": id, "run": self.run_id, "amounts": wanted, "limits": limits, "at": now, "until": now + _HELD}
        try:  # from here on: who is cancelled while it is written does not know whether it was
            await self._write("hold", held)
            await self._read()
            refused = self._ledger.refused.pop(id, None)
            if refused is not None:
                name, spent, reserved = refused
                raise BudgetExceededError(self.name, name, limits[name], spent, reserved, wanted[name])
            yield
        finally:
            with anyio.CancelScope(shield=True):
                await self.settle([id])

    async def _write(self, kind: str, data: Mapping[str, Any]) -> None:
        await write_book(self.store, self.place, uuid.uuid4().hex, kind, to_json(data))

    async def _read(self) -> None:
        async with self._lock:
            for message in await read_book(self.store, self.place, self._ledger.position):
                self._ledger.take(message.position, message.kind, from_json(message.data))


class _Ledger:
    """A fold of a book: what was used by each run, and what is held. The same in every process that has read it."""

    def __init__(self) -> None:
        self.position = 0
        self.refused: dict[str, tuple[str, float, float]] = {}
        self._totals: dict[str, dict[str, float]] = {}
        self._holds: dict[str, tuple[str, dict[str, float], float]] = {}

    def take(self, position: int, kind: str, data: Mapping[str, Any]) -> None:
        """One message more."""
        self.position = position
        if kind == "hold":
            self._holds = {id: hold for id, hold in self._holds.items() if hold[2] > data["at"]}
            for name, amount in data["amounts"].items():
                spent, held = self.spent(name), self.held(name)
                if spent + held + amount > data["limits"][name]:
                    self.refused[data["id"]] = (name, spent, held)
                    return
            self._holds[data["id"]] = (data["run"], data["amounts"], data["until"])
        elif kind == "used":
            self._totals[data["run"]] = data["amounts"]
            for id in data["done"]:
                self._holds.pop(id, None)
        elif kind == "drop":
            self._holds = {id: hold for id, hold in self._holds.items() if hold[0] != data["run"]}

    def spent(self, name: str) -> float:
        """What all runs have used."""
        return sum(total.get(name, 0) for total in self._totals.values())

    def held(self, name: str) -> float:
        """What is reserved by calls under way."""
        return sum(hold[1].get(name, 0) for hold in self._holds.values())

    def totals(self) -> dict[str, float]:
        """What all runs have used, by name."""
        return {name: self.spent(name) for total in self._totals.values() for name in total}


async def spent_by_user(store: Store, user_id: str, period: str = "") -> dict[str, float]:
    """What a user's runs in this store have used of what their budgets limited."""
    ledger = _Ledger()
    for message in await read_book(store, book_of(user_id, f"budget/{period}" if period else "budget")):
        ledger.take(message.position, message.kind, from_json(message.data))
    return ledger.totals()


def _user_account(options: RunOptions, run_id: str, store: Store | None) -> _UserAccount:
    budget = options.user_budget
    assert budget is not None
    if store is None or options.user_id is None:
        missing = "store=, where the account is kept" if store is None else "user_id=, whose account it is"
        raise DefinitionError(f"run(user_budget={budget!r}) needs {missing}.")
    return _UserAccount(store, options.user_id, budget, run_id)
