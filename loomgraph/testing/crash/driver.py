"""Runs that are killed with SIGKILL and go on in other processes, and the checks that each of their lives must pass.

What is checked of every life: the file it found is whole; the log it found is what a log may be; nothing that was
settled there ran again, and no durable step that was done; nothing ran twice in one life; all that ran had been
recorded as begun. And of the last one: the outcome is that of a run that nobody disturbed, and so is its replay.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, assert_never

from loomgraph.errors import DefinitionError
from loomgraph.testing.crash.evidence import Found, Line, read_lines
from loomgraph.testing.crash.life import Backend, Order
from loomgraph.testing.crash.subject import Subject, address_of

__all__ = ["AtCall", "AtWrite", "CrashDriver", "Ended", "InTime", "Kill", "Life", "Trial"]


class AtWrite(NamedTuple):
    """Killed at its `number`-th write to the store (from 1): before it, or with `late` as soon as it is durable."""

    number: int
    late: bool = False


class AtCall(NamedTuple):
    """Killed when the run calls a Python or C function, or returns from one, for the `number`-th time (from 1)."""

    number: int


class InTime(NamedTuple):
    """Killed by another process after so many seconds, wherever it is then."""

    seconds: float


Kill = AtWrite | AtCall | InTime


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a run ended: its status, its outcome as the subject tells it, and the same of its replay.

    `failed` says whether any attempt failed in it, `activations` and `attempts` how many there were, and `amounts`
    what `ctx.meter` counted.
    """

    status: str
    outcome: Any
    replayed: Any
    failed: bool
    activations: int
    attempts: int
    amounts: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Life:
    """One process. `ended` is how the run ended in it, None if it was killed before; `lines` are its calls.

    `found` is what the log said when it began, None if it was killed before it could say. `writes` and `calls` (if
    they were counted) are how many it made, `seconds` how long it lived.
    """

    kill: Kill | None
    killed: bool
    found: Found | None
    ended: Ended | None
    lines: tuple[Line, ...]
    writes: int = 0
    calls: int = 0
    seconds: float = 0.0


class _Zygote:
    """A process that forks lives; see `zygote`."""

    def __init__(self, place: str, name: str, seed: int) -> None:
        # text hashes, and with them the order of sets, differ between the processes as they do in real life
        settings = {"PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            [sys.executable, "-m", "loomgraph.testing.crash.zygote", place, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | settings,
        )

    def live(self, order: Order) -> dict[str, Any]:
        """What the life said, and whether it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks the runs ended with code {self._process.wait()}; see above why")
        said: dict[str, Any] = json.loads(answer)
        return said

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


class CrashDriver:
    """The processes in which runs live and die, for one function that makes their subject. Use it with `with`.

    `processes` fork the lives in turn, so that a run goes on in a child of another process than the one it died in.
    """

    def __init__(self, make: Callable[..., Subject], *, processes: int = 2) -> None:
        if not hasattr(os, "fork"):
            raise DefinitionError(
                "crash tests fork processes and kill them, which needs Linux, macOS or another POSIX."
            )
        place, name = address_of(make)
        self._zygotes = [_Zygote(place, name, seed) for seed in range(1, processes + 1)]
        self._turn = itertools.cycle(self._zygotes)
        self._folders = itertools.count()

    def trial(self, folder: Path, *arguments: Any, backend: Backend = "asyncio") -> Trial:
        """A new run, of the subject that these arguments (JSON data) make, in a new folder inside `folder`."""
        own = folder / f"{next(self._folders):05d}"
        own.mkdir(parents=True)
        return Trial(self, own, list(arguments), backend)

    def live(self, order: Order) -> dict[str, Any]:
        """Have a life lived in the process whose turn it is."""
        return next(self._turn).live(order)

    def close(self) -> None:
        """End the processes."""
        for zygote in self._zygotes:
            zygote.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass
class Trial:
    """One run and its lives. Every `live` raises AssertionError for what must not be."""

    driver: CrashDriver
    folder: Path
    arguments: list[Any]
    backend: Backend = "asyncio"
    lives: list[Life] = field(default_factory=list[Life])
    _read: int = 0
    _settled: frozenset[str] = frozenset()

    def live(self, kill: Kill | None = None, *, count: bool = False) -> Life:
        """Begin the run or go on with it, until it ends or is killed. `count` counts its calls."""
        order = Order(
            arguments=self.arguments,
            folder=str(self.folder),
            life=len(self.lives),
            backend=self.backend,
            write=0,
            late=False,
            call=-1 if count else 0,
            after=0.0,
        )
        match kill:
            case AtWrite(number, late):
                order["write"], order["late"] = number, late
            case AtCall(number):
                order["call"] = number
            case InTime(seconds):
                order["after"] = seconds
            case None:
                pass
            case _:
                assert_never(kill)
        began = time.monotonic()
        said = self.driver.live(order)
        lines = read_lines(self.folder / "calls")
        life = Life(
            kill=kill,
            killed=said["killed"],
            found=Found.from_json(said["found"]) if "found" in said else None,
            ended=Ended(**said["ended"]) if "ended" in said else None,
            lines=tuple(lines[self._read :]),
            writes=said.get("writes", 0),
            calls=said.get("calls", 0),
            seconds=time.monotonic() - began,
        )
        self._read = len(lines)
        self.lives.append(life)
        self._check(life, said)
        return life

    def survive(self, kills: Iterable[Kill]) -> Life:
        """A life for each kill, and then lives until the run has ended; the last one."""
        for kill in kills:
            life = self.live(kill)
            if life.ended is not None:
                return life
        return self.live()

    def compare(self, other: Trial) -> None:
        """Raise AssertionError unless both runs ended, and with the same outcome.

        How many activations and attempts there were is compared too, unless something failed: what had failed and was
        not yet taken by anybody when its process died is tried anew, which is counted. What `ctx.meter` counted may be
        more than in `other`, for an attempt that died was paid for all the same, but not less.
        """
        mine, theirs = self.lives[-1].ended, other.lives[-1].ended
        assert mine is not None, "a run that was killed has no outcome to compare"
        assert theirs is not None, "there is no outcome to compare with"
        same = (mine.status, mine.outcome) == (theirs.status, theirs.outcome)
        self._claim(same, f"its outcome is\n{mine.outcome}\nand should be\n{theirs.outcome}")
        if not mine.failed:
            ran = [(ended.activations, ended.attempts) for ended in (mine, theirs)]
            self._claim(ran[0] == ran[1], f"it ran {ran[0]} activations and attempts, and should have {ran[1]}")
        less = [name for name, amount in theirs.amounts.items() if mine.amounts.get(name, 0) < amount]
        self._claim(not less, f"it used {mine.amounts}, which is less than {theirs.amounts}")

    # ------------------------------------------------------------------ checks

    def _check(self, life: Life, said: dict[str, Any]) -> None:
        self._claim(not said.get("damage"), f"the file it found is damaged: {said.get('damage')}")
        self._claim("error" not in said, f"it raised\n{said.get('error')}")
        self._claim(life.killed or life.ended is not None, "it neither ended nor was killed")
        if life.found is not None:
            self._check_log(life.found)
            self._check_lives(life.found, self.lives[:-1])
            self._check_calls(life, life.found)
        else:
            self._claim(not life.lines, "it called something before it read the log")
        if life.ended is not None:
            left = Found.from_json(said["left"])
            self._check_log(left)
            self._check_lives(left, self.lives)
            ended = life.ended
            same = ended.status != "succeeded" or ended.outcome == ended.replayed
            self._claim(same, f"its outcome is\n{ended.outcome}\nand its replay\n{ended.replayed}")

    def _check_log(self, found: Found) -> None:
        self._claim(not found.problems, f"the log says what it may not say: {'; '.join(found.problems)}")
        lost = self._settled - found.settled
        self._claim(not lost, f"the log has lost that {sorted(lost)} was settled")
        self._settled = found.settled

    def _check_lives(self, found: Found, lives: Sequence[Life]) -> None:
        """What these lives called, against a log that was read after them."""
        early = sorted({line.key for life in lives for line in life.lines if line.what != "note"} - found.started)
        self._claim(not early, f"{early} was called, and the log does not say that it began")
        for life in lives:
            bodies = Counter(line.key for line in life.lines if line.what == "body")
            twice = sorted(key for key, count in bodies.items() if count > 1 + found.waits.get(key, 0))
            self._claim(not twice, f"{twice} ran twice in one process")

    def _check_calls(self, life: Life, found: Found) -> None:
        """What a life called, against the log that it found."""
        again = sorted({line.key for line in life.lines if line.what == "body"} & found.settled)
        self._claim(not again, f"{again} ran, though the log it found says that it was settled")
        done = set(found.steps)
        for line in life.lines:
            step = (line.key, line.detail)
            if line.what == "step":
                self._claim(step not in done, f"{line.detail} of {line.key} was taken, though it was done")
            elif line.what == "stepped":
                done.add(step)

    def _claim(self, holds: bool, otherwise: str) -> None:
        if not holds:
            told = "\n".join(f"  life {i}: {_told(life)}" for i, life in enumerate(self.lives))
            raise AssertionError(f"life {len(self.lives) - 1}: {otherwise}\n{told}\n  arguments: {self.arguments!r}")


def _told(life: Life) -> str:
    end = "was killed" if life.killed else "ended"
    found = "nothing read" if life.found is None else f"{life.found.events} events found"
    return f"{found}, {sum(line.what == 'body' for line in life.lines)} bodies run, {end} ({life.kill})"
