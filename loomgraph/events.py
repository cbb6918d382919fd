"""The log's vocabulary: what happened in a run, in the past tense, as frozen pydantic models.

Events are a file format: a `kind` literal each, `extra="forbid"`, and VERSION, which grows when a reader of older
logs would misread a newer one. Values in them (`Any`) are the run's own values; how they are stored is the store's
business. Nothing here decides anything.

An activation key names one firing of one node, and is unique in its run:

    draft               a node
    draft#2             in the third iteration of its loop (0-based; nested loops outermost first: #2.0)
    score[7]            item 7 of a map (0-based)
    review/draft        a node of the graph inside the node `review`
    review!2/draft      the same, inside the second attempt of `review`
    agent/@plan/step    a node of a graph that `agent` ran with ctx.run(..., key="plan")

A question's id is the key of the activation that asks it, and what tells its questions apart:

    approve             the first question of `approve` that was asked without a key
    approve@2           the second
    approve@colour      the one asked with key="colour"
    pay@doubt#1         whether `pay`, which must not run twice, had done its work when its process died

Names are percent-escaped where they contain one of %/#[]!@ or a control character.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from loomgraph.errors import Failure

__all__ = [
    "VERSION",
    "AttemptFailed",
    "Emitted",
    "Event",
    "IterationStarted",
    "JoinDecided",
    "LoopCapReached",
    "LoopEnded",
    "MapCompleted",
    "MapStarted",
    "MessageRefused",
    "Metered",
    "NodeCancelled",
    "NodeFailed",
    "NodeHeld",
    "NodeSkipped",
    "NodeStarted",
    "NodeSucceeded",
    "Origin",
    "QuestionAnswered",
    "QuestionAsked",
    "QuestionWithdrawn",
    "RunCancelled",
    "RunFailed",
    "RunRedriven",
    "RunResumed",
    "RunStarted",
    "RunSucceeded",
    "RunSuspended",
    "ScopeEnded",
    "ScopeStarted",
    "SignalAwaited",
    "SignalReceived",
    "StepSucceeded",
    "activation_key",
    "escape",
    "node_path",
    "path_of",
    "question_id",
]

VERSION = 2

Origin: TypeAlias = Literal["run", "reused", "edited"]
"""Where an answer comes from: from code that ran, from an earlier part of the log, or from whoever forked the run."""

_UNSAFE = re.compile(r"[%/#\[\]!@\x00-\x1f\x7f]")
_DECORATION = re.compile(r"#[\d.]+|\[\d+\]|!\d+")


@lru_cache(maxsize=16_384)
def escape(name: str) -> str:
    """A node's name as it stands in keys and paths; `urllib.parse.unquote` gives it back."""
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


def activation_key(scope: str, name: str, iteration: Sequence[int], index: int | None) -> str:
    """The key of an activation of node `name` in the scope whose path is `scope` ("" for the run's own graph)."""
    loops = "#" + ".".join(map(str, iteration)) if iteration else ""
    item = "" if index is None else f"[{index}]"
    return f"{scope}/{escape(name)}{loops}{item}" if scope else f"{escape(name)}{loops}{item}"


def node_path(key: str) -> tuple[str, ...]:
    """The names of the nodes in an activation key, outermost first, without iterations, items and attempts."""
    return tuple(unquote(_DECORATION.sub("", part)) for part in key.split("/"))


def path_of(key: str) -> str:
    """The path of an activation's node: the key without iterations, items and attempts, names still escaped."""
    return "/".join(_DECORATION.sub("", part) for part in key.split("/"))


def question_id(key: str, name: str) -> str:
    """The id of a question that the activation `key` asks; `name` is "" for its first one without a key."""
    return f"{key}@{name}" if name else key


class _Event(BaseModel):
    """What every event has: the run, its place in the run's log (0-based), and when (seconds since the epoch)."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    run_id: str
    seq: int
    time: float


class _NodeEvent(_Event):
    """An event of one activation: `node` is the node's path with '/', `parent` the enclosing activation's key."""

    node: str
    key: str
    parent: str | None = None


class RunStarted(_Event):
    """A run began: of which graph (name and fingerprint), with which input and first state.

    `taken` are the edges out of START.
    """

    kind: Literal["RunStarted"] = "RunStarted"
    version: int = VERSION
    graph: str
    fingerprint: str
    input: Any = None
    taken: tuple[int, ...] = ()
    state: Any = None


class RunResumed(_Event):
    """The run goes on after it stopped, maybe in another process; `events` are what it found in its log."""

    kind: Literal["RunResumed"] = "RunResumed"
    events: int


class RunRedriven(_Event):
    """The run begins once more, with another graph or with edits, and what follows is its log from here on.

    What stands before it is history: an answer in it is taken over where the same activation of an unchanged node is
    given the same input and sees the same state. `input`, `taken` and `state` are those that the run begins with now;
    `inputs` and `outputs` have what was edited, by activation key.
    """

    kind: Literal["RunRedriven"] = "RunRedriven"
    version: int = VERSION
    graph: str
    fingerprint: str
    input: Any = None
    taken: tuple[int, ...] = ()
    state: Any = None
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)


class RunSucceeded(_Event):
    """END was reached and nothing is active any more."""

    kind: Literal["RunSucceeded"] = "RunSucceeded"
    output: Any = None


class RunFailed(_Event):
    """The run ended without a result; `error` names the exception class that `result()` raises."""

    kind: Literal["RunFailed"] = "RunFailed"
    error: str
    message: str
    failures: tuple[Failure, ...] = ()


class RunCancelled(_Event):
    """The run was cancelled, or its deadline passed."""

    kind: Literal["RunCancelled"] = "RunCancelled"
    reason: str


class RunSuspended(_Event):
    """Nothing of the run can go on before somebody outside does something; its process lets go of it.

    `questions` and `signals` are how many of them it waits for; which ones, the events before this one say.
    `interrupts` are ("before" or "after", activation key) of where it was told to stop, and where a resume passes.
    """

    kind: Literal["RunSuspended"] = "RunSuspended"
    questions: int = 0
    signals: int = 0
    interrupts: tuple[tuple[str, str], ...] = ()


class MessageRefused(_Event):
    """A message in the run's inbox was neither an answer nor a signal; `reason` says why. Nothing came of it."""

    kind: Literal["MessageRefused"] = "MessageRefused"
    message: str
    reason: str


class NodeStarted(_NodeEvent):
    """An attempt is about to run, with this input (by parameter name where a join binds several)."""

    kind: Literal["NodeStarted"] = "NodeStarted"
    attempt: int
    input: Any = None


class AttemptFailed(_NodeEvent):
    """An attempt failed and another follows after `retry_in` seconds."""

    kind: Literal["AttemptFailed"] = "AttemptFailed"
    attempt: int
    failure: Failure
    retry_in: float


class NodeSucceeded(_NodeEvent):
    """An activation finished: its output, the edges it took (indexes), its state updates in order.

    `origin` says where the output comes from if no code gave it: it was "reused" from an earlier RunStarted's or
    RunRedriven's events, or "edited" by whoever forked the run.
    """

    kind: Literal["NodeSucceeded"] = "NodeSucceeded"
    attempt: int
    output: Any = None
    taken: tuple[int, ...] = ()
    updates: tuple[tuple[str, Any], ...] = ()
    cached: bool = False
    origin: Origin = "run"


class NodeHeld(_NodeEvent):
    """An activation finished where the run was told to stop after it: nothing follows from it yet.

    NodeSucceeded says the same once the run goes on.
    """

    kind: Literal["NodeHeld"] = "NodeHeld"
    attempt: int
    output: Any = None
    taken: tuple[int, ...] = ()
    updates: tuple[tuple[str, Any], ...] = ()
    cached: bool = False


class NodeFailed(_NodeEvent):
    """An activation failed after its attempts. `taken` has the on_error edge that handles it, if any."""

    kind: Literal["NodeFailed"] = "NodeFailed"
    attempt: int
    failure: Failure
    taken: tuple[int, ...] = ()
    origin: Origin = "run"


class NodeSkipped(_NodeEvent):
    """All in-edges of the node were skipped in this pass, so it was too."""

    kind: Literal["NodeSkipped"] = "NodeSkipped"


class NodeCancelled(_NodeEvent):
    """An activation was cancelled: an early join was decided, or the run is ending."""

    kind: Literal["NodeCancelled"] = "NodeCancelled"
    reason: str


class MapStarted(_NodeEvent):
    """A map node got its items."""

    kind: Literal["MapStarted"] = "MapStarted"
    count: int


class MapCompleted(_NodeEvent):
    """All items of a map are settled (or its quorum was reached); `winners` are the items in its output."""

    kind: Literal["MapCompleted"] = "MapCompleted"
    winners: tuple[int, ...]


class JoinDecided(_NodeEvent):
    """An early join into this node was decided: the edges that won, in declared order."""

    kind: Literal["JoinDecided"] = "JoinDecided"
    winners: tuple[int, ...]


class IterationStarted(_NodeEvent):
    """A loop goes round again: `node` is its header, `iteration` the vector of enclosing loops, 0-based."""

    kind: Literal["IterationStarted"] = "IterationStarted"
    iteration: tuple[int, ...]


class LoopEnded(_NodeEvent):
    """A loop ended after `iterations`; `exits` are the edges it released as taken.

    `failure` is why it could not go on, where an early join that is all it works for goes on without it.
    """

    kind: Literal["LoopEnded"] = "LoopEnded"
    iterations: int
    exits: tuple[int, ...] = ()
    failure: Failure | None = None


class LoopCapReached(_NodeEvent):
    """A loop wanted more iterations than its cap; `handled` says whether it has an on_cap target."""

    kind: Literal["LoopCapReached"] = "LoopCapReached"
    cap: int
    handled: bool


class ScopeStarted(_NodeEvent):
    """A graph began inside a node: its body (then `input` is the node's own), or one it ran with ctx.run.

    `key` is the new scope's path, `taken` the edges out of its START.
    """

    kind: Literal["ScopeStarted"] = "ScopeStarted"
    graph: str
    fingerprint: str
    taken: tuple[int, ...] = ()
    input: Any = None


class ScopeEnded(_NodeEvent):
    """A graph run with ctx.run ended; `failures` is empty if it succeeded with `output`."""

    kind: Literal["ScopeEnded"] = "ScopeEnded"
    output: Any = None
    failures: tuple[Failure, ...] = ()


class StepSucceeded(_NodeEvent):
    """A durable step inside a node finished: its key in the node, and its output."""

    kind: Literal["StepSucceeded"] = "StepSucceeded"
    step: str
    output: Any = None
    origin: Origin = "run"


class QuestionAsked(_NodeEvent):
    """A node asked somebody: the question as JSON data, and the JSON schema of the answers that it `expects`.

    The attempt that asked has ended; once there is an answer the node's code starts again from its beginning. Asked
    again under the same id, it was withdrawn before, or its last answer was `refused` for this reason.
    """

    kind: Literal["QuestionAsked"] = "QuestionAsked"
    id: str
    question: Any = None
    expects: Any = None
    refused: str | None = None


class QuestionAnswered(_NodeEvent):
    """A node has got the answer to its question; `by` is who gave it, where that was said."""

    kind: Literal["QuestionAnswered"] = "QuestionAnswered"
    id: str
    answer: Any = None
    by: str | None = None


class QuestionWithdrawn(_NodeEvent):
    """Nobody waits for an answer any more, and why."""

    kind: Literal["QuestionWithdrawn"] = "QuestionWithdrawn"
    id: str
    reason: str


class SignalAwaited(_NodeEvent):
    """A node waits for a signal, of which `expects` is the JSON schema. Its attempt has ended, as at a question."""

    kind: Literal["SignalAwaited"] = "SignalAwaited"
    signal: str
    expects: Any = None


class SignalReceived(_NodeEvent):
    """A node has got a signal; `message` is the id it was sent under, so that it is delivered once.

    With `refused`, it was not what the node waits for, and says why; the node waits on.
    """

    kind: Literal["SignalReceived"] = "SignalReceived"
    signal: str
    message: str
    value: Any = None
    refused: str | None = None


class Metered(_NodeEvent):
    """An attempt used something that is counted: how much of what, such as tokens, calls or cost. Amounts add up."""

    kind: Literal["Metered"] = "Metered"
    amounts: dict[str, int | float]


class Emitted(_NodeEvent):
    """A node said something with ctx.emit."""

    kind: Literal["Emitted"] = "Emitted"
    data: Any = None


Event: TypeAlias = Annotated[
    RunStarted
    | RunResumed
    | RunRedriven
    | RunSucceeded
    | RunFailed
    | RunCancelled
    | RunSuspended
    | MessageRefused
    | NodeStarted
    | AttemptFailed
    | NodeSucceeded
    | NodeHeld
    | NodeFailed
    | NodeSkipped
    | NodeCancelled
    | MapStarted
    | MapCompleted
    | JoinDecided
    | IterationStarted
    | LoopEnded
    | LoopCapReached
    | ScopeStarted
    | ScopeEnded
    | StepSucceeded
    | QuestionAsked
    | QuestionAnswered
    | QuestionWithdrawn
    | SignalAwaited
    | SignalReceived
    | Metered
    | Emitted,
    Field(discriminator="kind"),
]
