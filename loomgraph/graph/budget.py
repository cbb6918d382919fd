"""Budgets: how much of what may be used, checked before it is used. Counts what it is told; measures nothing.

An amount is reserved before the call that will use it, so that calls at the same time cannot overshoot together, and
settled by what was really used.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from loomgraph.errors import BudgetExceededError, DefinitionError

__all__ = ["UNLIMITED", "Account", "Budget", "UserBudget", "limited"]


class Budget:
    """Limits by name: `Budget(cost=2.50, model_calls=40, output_tokens=20_000)`. The names are those of `ctx.meter`.

    `tokens` stands for input and output tokens together, and `seconds` for the time that the run takes in all of its
    lives, waiting while it is suspended left out. Raises DefinitionError for a limit below zero.
    """

    def __init__(self, **limits: float) -> None:
        for name, limit in limits.items():
            if not 0 <= limit < math.inf:
                raise DefinitionError(f"Budget({name}={limit!r}): a limit is a finite number of at least 0.")
        self.limits: Mapping[str, float] = dict(limits)

    def __repr__(self) -> str:
        return f"Budget({', '.join(f'{name}={limit:g}' for name, limit in self.limits.items())})"

    def account(self, name: str = "run") -> Account:
        """An account of its own under these limits; give the same account to several runs and they share it."""
        return Account(self, name)


class UserBudget(Budget):
    """What all runs of one user in one store may use together: `run(user_id="ada", user_budget=UserBudget(cost=20))`.

    `period` is a name of yours such as "2026-11"; each has an account of its own, beginning with nothing spent.
    """

    def __init__(self, period: str = "", **limits: float) -> None:
        super().__init__(**limits)
        self.period = period

    def __repr__(self) -> str:
        period = f"{self.period!r}, " if self.period else ""
        return f"UserBudget({period}{', '.join(f'{name}={limit:g}' for name, limit in self.limits.items())})"


class Account:
    """What was spent and what is reserved of one budget. May be shared by runs, tasks and threads of a process.

    `name` is what errors call it, for instance the user it belongs to.
    """

    def __init__(self, budget: Budget, name: str = "run") -> None:
        self.budget = budget
        self.name = name
        self._spent: dict[str, float] = {}
        self._reserved: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def limits(self) -> Mapping[str, float]:
        """What is limited, by name."""
        return self.budget.limits

    @property
    def spent(self) -> Mapping[str, float]:
        """What was spent, by name; only what is limited."""
        with self._lock:
            return dict(self._spent)

    def left(self, name: str) -> float:
        """How much may still be reserved of this; infinity for what is not limited."""
        with self._lock:
            return self._left(name)

    def spend(self, amounts: Mapping[str, float]) -> None:
        """Count what was used, whether it was reserved or not. Never refuses: it has been used."""
        with self._lock:
            for name, amount in limited(amounts, self.budget.limits):
                self._spent[name] = self._spent.get(name, 0) + amount

    @contextmanager
    def reserve(self, **amounts: float) -> Generator[None]:
        """Hold these amounts while the block runs; what it really uses is counted by `spend`.

        Raises BudgetExceededError, before anything is held, if one of them is not left.
        """
        wanted = list(limited(amounts, self.budget.limits))
        with self._lock:
            for name, amount in wanted:
                if amount > self._left(name):
                    limit, spent = self.budget.limits[name], self._spent.get(name, 0)
                    raise BudgetExceededError(self.name, name, limit, spent, self._reserved.get(name, 0), amount)
            for name, amount in wanted:
                self._reserved[name] = self._reserved.get(name, 0) + amount
        try:
            yield
        finally:
            with self._lock:
                for name, amount in wanted:
                    self._reserved[name] -= amount

    def _left(self, name: str) -> float:
        limit = self.budget.limits.get(name, math.inf)
        return max(0.0, limit - self._spent.get(name, 0) - self._reserved.get(name, 0))


UNLIMITED: Final = Account(Budget(), "nobody")
"""The account of a run without a budget."""


def limited(amounts: Mapping[str, float], limits: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Of these amounts those that are limited, with the `tokens` they come to."""
    for name, amount in amounts.items():
        if name in limits:
            yield name, amount
    if "tokens" in limits and "tokens" not in amounts:
        yield "tokens", amounts.get("input_tokens", 0) + amounts.get("output_tokens", 0)
