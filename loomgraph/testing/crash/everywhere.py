"""`crash_test`: one graph killed everywhere. Chooses where; the checks are the driver's."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loomgraph.testing.crash.driver import AtCall, AtWrite, CrashDriver, InTime, Kill, Life, Trial
from loomgraph.testing.crash.life import Backend
from loomgraph.testing.crash.subject import Subject

__all__ = ["CrashReport", "crash_test", "further_kills"]


@dataclass(frozen=True, kw_only=True)
class CrashReport:
    """What was done: the run that nobody disturbed, and those that were killed, at least `kills` times in all."""

    whole: Trial
    trials: tuple[Trial, ...]

    @property
    def kills(self) -> int:
        """How many processes were killed."""
        return sum(life.killed for trial in self.trials for life in trial.lives)


def crash_test(
    make: Callable[..., Subject],
    *arguments: Any,
    folder: Path,
    stride: int = 1,
    instants: int = 20,
    seed: int = 0,
    backend: Backend = "asyncio",
    driver: CrashDriver | None = None,
) -> CrashReport:
    """Kill a run at its writes and between them, go on with it elsewhere, and compare it with one that was left alone.

    `make` is a function that another process can import; it returns the Subject for `arguments` (JSON data). The run is
    killed before and after every `stride`-th write, and at `instants` others; half of the runs are killed once or
    twice more while they go on. All of this is drawn with `seed`, but some of the instants are a matter of time.
    `driver` is for tests that share the processes of one `make`. Raises AssertionError for the first life in which
    anything is not as it must be.
    """
    if driver is None:
        with CrashDriver(make) as made:
            settings = {"stride": stride, "instants": instants, "seed": seed}
            return crash_test(make, *arguments, folder=folder, **settings, backend=backend, driver=made)
    chance = random.Random(seed)  # noqa: S311 - the point is that it can be repeated
    whole = driver.trial(folder, *arguments, backend=backend)
    alone = whole.live(count=True)
    kills: list[Kill] = []
    for number in range(1 + seed % stride, alone.writes + 1, stride):
        kills += [AtWrite(number), AtWrite(number, late=True)]
    kills += [_instant(chance, alone) for _ in range(instants)]
    trials: list[Trial] = []
    for kill in kills:
        trial = driver.trial(folder, *arguments, backend=backend)
        trial.survive([kill, *further_kills(chance, alone)])
        trial.compare(whole)
        trials.append(trial)
    return CrashReport(whole=whole, trials=tuple(trials))


def further_kills(chance: random.Random, alone: Life) -> list[Kill]:
    """None, one or two more, somewhere in what a life that went through to the end did."""
    kills: list[Kill] = []
    for _ in range(chance.choice((0, 0, 1, 2))):
        if chance.random() < 0.5:
            kills.append(AtWrite(chance.randint(1, alone.writes), chance.random() < 0.5))
        else:
            kills.append(_instant(chance, alone))
    return kills


def _instant(chance: random.Random, alone: Life) -> Kill:
    """Mostly one that can be repeated."""
    if chance.random() < 0.7:
        return AtCall(chance.randint(1, max(1, alone.calls)))
    return InTime(chance.uniform(0.0, alone.seconds))
