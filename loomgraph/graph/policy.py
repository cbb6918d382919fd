"""How a node is run, as frozen values: retries, caches, early joins, maps. No clock, no randomness."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from loomgraph.errors import (
    ActivationError,
    DefinitionError,
    ModelError,
    NodeTimeoutError,
    ToolError,
    ToolServerError,
    ToolTimeoutError,
    ValueRefusedError,
)

__all__ = ["Cache", "Limit", "MapSpec", "OnItemError", "Quorum", "Retry", "Wait", "retryable"]

# What a second try cannot mend: the code or the data is wrong, not the world.
_PROGRAMMING: tuple[type[BaseException], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    DefinitionError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    RecursionError,
    ReferenceError,
    SyntaxError,
    TypeError,
    ValueError,
    ValueRefusedError,
)
# 4xx that say "later", not "never".
_RETRYABLE_4XX = frozenset({408, 409, 425, 429})


def retryable(error: BaseException) -> bool:
    """Whether the default `Retry` tries again: not for programming errors, nor for 4xx other than 408, 409, 425, 429.

    A ModelError says itself whether it is transient; of a ToolError, a timeout and a server that is gone are. Another
    exception's HTTP status is read from `.status_code`, `.status` or `.response.status_code`.
    """
    if isinstance(error, NodeTimeoutError):
        return True
    if isinstance(error, ModelError):
        return error.transient
    if isinstance(error, ToolError):
        return isinstance(error, (ToolServerError, ToolTimeoutError))
    if not isinstance(error, Exception) or isinstance(error, ActivationError):
        return False
    status = _status(error)
    if status is not None:
        return not 400 <= status < 500 or status in _RETRYABLE_4XX
    return not isinstance(error, _PROGRAMMING)


def _status(error: Exception) -> int | None:
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "status"):
            status = getattr(holder, name, None)
            if isinstance(status, int) and not isinstance(status, bool):
                return status
    return None


def _asked(error: BaseException | None) -> float | None:
    """How many seconds the other side asked to wait, if it did."""
    asked = getattr(error, "retry_after", None)
    if isinstance(asked, bool) or not isinstance(asked, (int, float)):
        return None
    return float(asked) if asked >= 0 else None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try an activation again: up to `attempts` in all, waiting `delay * backoff**n` seconds, at most `max_delay`.

    `jitter` (0 to 1) takes away up to that share of the wait at random. `on` limits what is retried: exception
    classes, or a predicate of the exception; by default see `retryable`. An error whose `retry_after` says how many
    seconds the other side asked to wait is not tried again earlier, and not at all if that is more than
    `max_retry_after`.
    """

    attempts: int = 3
    delay: float = 0.1
    backoff: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.5
    on: tuple[type[BaseException], ...] | type[BaseException] | Callable[[BaseException], bool] | None = None
    max_retry_after: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise DefinitionError(f"Retry(attempts={self.attempts}) would never run; use at least 1.")
        seconds = min(self.delay, self.max_delay, self.max_retry_after)
        if seconds < 0 or self.backoff < 1 or not 0 <= self.jitter <= 1:
            raise DefinitionError(
                f"{self!r} cannot be waited for: delay, max_delay and max_retry_after are seconds >= 0, "
                f"backoff >= 1, jitter 0 to 1."
            )

    def wants(self, error: BaseException) -> bool:
        """Whether this error is one to try again for."""
        asked = _asked(error)
        if asked is not None and asked > self.max_retry_after:
            return False
        on = self.on
        if on is None:
            return retryable(error)
        if isinstance(on, (tuple, type)):
            return isinstance(error, on)
        return on(error)

    def wait(self, attempt: int, chance: float, error: BaseException | None = None) -> float:
        """Seconds to wait after `attempt` (1-based) failed with `error`; `chance` is uniform in 0..1."""
        try:
            full = self.delay * self.backoff ** (attempt - 1)
        except OverflowError:
            full = self.max_delay
        own = min(full, self.max_delay) * (1 - self.jitter * chance)
        return max(own, _asked(error) or 0.0)


@dataclass(frozen=True, slots=True)
class Cache:
    """Reuse a node's output for equal inputs, in this process: the newest `size` results, for `ttl` seconds.

    Inputs are compared by their JSON form, or by what `key(value)` returns. A node that reads state is not cached.
    """

    size: int = 1024
    ttl: float | None = None
    key: Callable[[Any], object] | None = None

    def __post_init__(self) -> None:
        if self.size < 1 or (self.ttl is not None and self.ttl <= 0):
            raise DefinitionError(f"{self!r} would keep nothing; use size >= 1 and ttl > 0 seconds.")


@dataclass(frozen=True, slots=True)
class Limit:
    """`limit=Limit(2, "search api")`: at most `n` attempts at a time over all nodes of one run that share the name.

    Nested graphs count too. Nodes that share a name and give different numbers keep to their own number each.
    """

    n: int
    name: str

    def __post_init__(self) -> None:
        if self.n < 1:
            raise DefinitionError(f"Limit({self.n}, {self.name!r}) would run nothing; use at least 1.")


@dataclass(frozen=True, slots=True)
class Quorum:
    """`wait=Quorum(k)`: go on at the k-th result and cancel what only fed the rest."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise DefinitionError(f"Quorum({self.k}) waits for nothing; use at least 1.")


Wait: TypeAlias = Literal["all", "first"] | Quorum
OnItemError: TypeAlias = Literal["fail", "collect", "skip"]


@dataclass(frozen=True, slots=True)
class MapSpec:
    """A node that runs once per item of its input; downstream sees the list, in the items' order.

    `limit`: items at a time within one map. `on_error`: "fail" fails the map, "collect" puts a `Failure` in the
    item's place, "skip" leaves the item out. `wait`: "all", "first" or `Quorum(k)`.
    """

    limit: int | None = None
    on_error: OnItemError = "fail"
    wait: Wait = "all"

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise DefinitionError(f"map(limit={self.limit}) would run no item; use at least 1, or leave it out.")
        if self.on_error not in ("fail", "collect", "skip"):
            raise DefinitionError(f"map(on_error={self.on_error!r}) is unknown; use 'fail', 'collect' or 'skip'.")
        if self.wait not in ("all", "first") and not isinstance(self.wait, Quorum):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise DefinitionError(f"map(wait={self.wait!r}) is unknown; use 'all', 'first' or Quorum(k).")
