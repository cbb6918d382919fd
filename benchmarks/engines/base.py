"""What an engine offers the harness: for a workload and a size, a Job; nothing for what it cannot express."""

import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads import BY_NAME


def nothing() -> None:
    """No preparation before each round."""


async def left(_: Any) -> None:
    """Nothing to clean up after a round."""


@dataclass(frozen=True)
class Job:
    """`run` is timed and gives the result. `setup`, plain or async, is called before each round, untimed, and feeds it;
    `after` is awaited behind it with the same, untimed."""

    run: Callable[[Any], Awaitable[Any]]
    setup: Callable[[], Any] = nothing
    after: Callable[[Any], Awaitable[None]] = left


async def perform(job: Job) -> tuple[Any, float]:
    """What one run gives, and the seconds it took."""
    given = job.setup()
    if inspect.isawaitable(given):
        given = await given
    try:
        before = time.perf_counter()
        result = await job.run(given)
        return result, time.perf_counter() - before
    finally:
        await job.after(given)


class UnsupportedError(Exception):
    """The engine has no way to say this workload; the reason, if there is one to give, is printed."""


class Engine:
    """One library. A workload is a method of the same name with `_` for `-`: size -> Job."""

    name = ""
    distribution: str | None = None
    import_line = ""

    def job(self, workload: str, size: int) -> Job:
        """The prepared job. Raises UnsupportedError if the library cannot express the workload."""
        if workload not in BY_NAME:
            raise KeyError(workload)
        method: Callable[[int], Job] | None = getattr(self, workload.replace("-", "_"), None)
        if method is None:
            raise UnsupportedError
        return method(size)
