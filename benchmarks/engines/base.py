"""What an engine offers the harness: for a workload and a size, a Job; nothing for what it cannot express."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.workloads import BY_NAME


def nothing() -> None:
    """No preparation before each round."""


@dataclass(frozen=True)
class Job:
    """`run` is timed and gives the result; `setup` is called before each round, untimed, and feeds it."""

    run: Callable[[Any], Awaitable[Any]]
    setup: Callable[[], Any] = nothing


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
