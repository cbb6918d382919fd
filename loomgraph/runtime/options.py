"""How a run may be run: the keywords of `Graph.run`, `start` and `resume`, and what they become. Checks, no more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypedDict

from loomgraph.errors import DefinitionError
from loomgraph.events import VERSION
from loomgraph.graph.budget import Account, Budget, UserBudget
from loomgraph.graph.definition import OnFailure
from loomgraph.runtime.durable import Durability
from loomgraph.runtime.keeper import DEFAULT_TTL
from loomgraph.store.codec import MAX_BYTES
from loomgraph.store.protocol import RunHeader

__all__ = ["DEFAULT_LAG", "InDoubt", "ResumeKeywords", "RunKeywords", "RunOptions", "WhenAsked", "whom"]

InDoubt: TypeAlias = Literal["fail", "rerun", "ask"]
WhenAsked: TypeAlias = Literal["suspend", "wait"]
"""suspend: once nothing can go on without an answer, the run lets go of this process. wait: it stays, and looks into
its inbox once a second, or as often as the lease is renewed if that is sooner."""
# how far a reader of run.events() may fall behind before the run waits for it, in events
DEFAULT_LAG = 1024


class ResumeKeywords(TypedDict, total=False):
    """What may be said anew each time a run goes on.

    `limit` is how many attempts may run at a time, over all nested scopes; `deadline` is in seconds; `deps` are live
    objects for `ctx.deps`; `user_id`, `session_id` and `metadata` are handed to nodes, and a run that goes on has those
    it was started with unless others are given; `max_activations` and
    `on_failure` override the workflow's; `lag` is how many events a reader may fall behind before the run waits for
    it, None for no end; `durability` says what a crash may lose ("sync": nothing, "batch", "exit"); `lease` is how
    many seconds the run stays this process's without a sign of life; `in_doubt` is what a resume does about a node
    with effect="once" that began and may or may not have had its effect: refuse ("fail"), run it again ("rerun"), or
    ask a durable question ("ask"), answered "rerun" or {"output": ...}. `when_asked` is what the run does once nothing
    can go on without an answer or a signal: "suspend" or "wait". `interrupt_before` and `interrupt_after` are names of
    nodes (paths such as "review/draft" for nested ones) where the run is suspended before they start, or after they
    finished and before anything follows from it; a resume passes them. `max_value_bytes` is how large one stored value
    may be, as JSON (64 MiB if left out). `budget` is how much of what the run may use: of a Budget a resume counts what
    the run used before, an Account is shared by whoever is given it. `user_budget` is how much all runs of this user
    in this store may use together.
    """

    limit: int | None
    deadline: float | None
    deps: Any
    user_id: str | None
    session_id: str | None
    metadata: Mapping[str, Any] | None
    max_activations: int | None
    on_failure: OnFailure | None
    lag: int | None
    durability: Durability
    lease: float
    in_doubt: InDoubt
    when_asked: WhenAsked
    interrupt_before: Sequence[str]
    interrupt_after: Sequence[str]
    max_value_bytes: int
    budget: Budget | Account | None
    user_budget: UserBudget | None


class RunKeywords(ResumeKeywords, total=False):
    """The same, and what only a new run has: its id (made if left out) and its first state."""

    run_id: str | None
    state: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The keywords with their defaults. Raises DefinitionError for what cannot be meant."""

    run_id: str | None = None
    limit: int | None = None
    deadline: float | None = None
    deps: Any = None
    user_id: str | None = None
    session_id: str | None = None
    state: Any = None
    metadata: Mapping[str, Any] | None = None
    max_activations: int | None = None
    on_failure: OnFailure | None = None
    lag: int | None = DEFAULT_LAG
    durability: Durability = "sync"
    lease: float = DEFAULT_TTL
    in_doubt: InDoubt = "fail"
    when_asked: WhenAsked = "suspend"
    interrupt_before: Sequence[str] = ()
    interrupt_after: Sequence[str] = ()
    max_value_bytes: int = MAX_BYTES
    budget: Budget | Account | None = None
    user_budget: UserBudget | None = None

    @property
    def interrupts(self) -> bool:
        """Whether the run is told to stop anywhere."""
        return bool(self.interrupt_before or self.interrupt_after)

    def header(self, run_id: str, graph: str, fingerprint: str, created: float) -> RunHeader:
        """What a store keeps of a run that begins, at `created` seconds since the epoch."""
        return RunHeader(
            run_id=run_id,
            graph=graph,
            fingerprint=fingerprint,
            created=created,
            user_id=self.user_id,
            session_id=self.session_id,
            metadata=json.dumps(dict(self.metadata or {})),
            version=VERSION,
        )

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise DefinitionError(f"run(limit={self.limit}) would run nothing; use at least 1, or leave it out.")
        if self.deadline is not None and not self.deadline > 0:
            raise DefinitionError(f"run(deadline={self.deadline}) leaves no time; use seconds > 0, or leave it out.")
        if self.max_activations is not None and self.max_activations < 1:
            raise DefinitionError(f"run(max_activations={self.max_activations}) would start nothing; use at least 1.")
        if self.durability not in ("sync", "batch", "exit"):
            raise DefinitionError(f"run(durability={self.durability!r}) is unknown; use 'sync', 'batch' or 'exit'.")
        if self.in_doubt not in ("fail", "rerun", "ask"):
            raise DefinitionError(f"resume(in_doubt={self.in_doubt!r}) is unknown; use 'fail', 'rerun' or 'ask'.")
        if self.when_asked not in ("suspend", "wait"):
            raise DefinitionError(f"run(when_asked={self.when_asked!r}) is unknown; use 'suspend' or 'wait'.")
        for word, names in (("interrupt_before", self.interrupt_before), ("interrupt_after", self.interrupt_after)):
            if isinstance(names, str):
                raise DefinitionError(f"run({word}={names!r}) is one name and should be a list: {word}=[{names!r}].")
        if self.max_value_bytes < 128:
            raise DefinitionError(f"run(max_value_bytes={self.max_value_bytes}) is too small; use at least 128.")
        if not self.lease > 0:
            raise DefinitionError(f"run(lease={self.lease}) would be lost at once; use seconds > 0.")


def whom(header: RunHeader) -> ResumeKeywords:
    """What a run was started with and goes on with unless something else is said: for whom it is, and its metadata."""
    return {"user_id": header.user_id, "session_id": header.session_id, "metadata": json.loads(header.metadata)}
