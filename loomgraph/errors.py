"""Every exception loomgraph raises on purpose: one tree, one branch per decision a caller can make.

    LoomgraphError
    ├── DefinitionError             a builder call that cannot mean anything; fix the call
    ├── CompileError                the graph is unsound; `.findings` lists everything at once
    ├── ValueRefusedError           a value may not enter or leave here
    │   ├── InputRefusedError           the run's input is not of the declared type
    │   ├── OutputRefusedError          a node or a run produced something its annotation forbids
    │   └── CopyRefusedError            a value cannot be copied, so nodes could not be isolated
    ├── ActivationError             why one activation failed, when the engine itself says so
    │   ├── AmbiguousInputError         two alternatives of one input were taken in one pass
    │   ├── JoinIncompleteError         a required member of a join was skipped while another was taken
    │   ├── QuorumError                 an early join or map cannot reach its quorum any more
    │   ├── MapInputError               a map was given something that is not a list
    │   ├── ScopeCancelledError         a graph run with ctx.run was cancelled from outside
    │   ├── NoRouteError                no edge out of a conditional node matched
    │   ├── ConditionError              a `when` predicate raised
    │   ├── CacheKeyError               a cached node's input has no JSON form to compare by
    │   ├── StrayCancellationError      node code let out a cancellation that nobody asked for
    │   ├── NodeTimeoutError            an attempt exceeded its `timeout`
    │   └── StateError                  StateConflictError, StateFieldError, StateTypeError, ReducerError
    └── RunError                    a run ended without a result; carries `.run_id` and what finished
        ├── NodeFailedError             one or more activations failed; the first one's exception is `__cause__`
        ├── LoopCapError                a loop reached its cap; names the cycle, carries the last values
        ├── ExitOvertakenError          a loop was left and repeated in the same iteration
        ├── ActivationLimitError        the run's total cap was reached
        ├── NoResultError               the run ended and END was never reached
        ├── RunCancelledError           somebody cancelled the run
        └── DeadlineError               the run exceeded its deadline

Errors take typed arguments and build their own sentence: what is wrong, by name, then what to do.
This module imports nothing of loomgraph and never formats a user's value longer than 200 characters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "ActivationError",
    "ActivationLimitError",
    "AmbiguousInputError",
    "CacheKeyError",
    "CompileError",
    "ConditionError",
    "CopyRefusedError",
    "DeadlineError",
    "DefinitionError",
    "ExitOvertakenError",
    "Failure",
    "Finding",
    "InputRefusedError",
    "JoinIncompleteError",
    "LoomgraphError",
    "LoopCapError",
    "MapInputError",
    "NoResultError",
    "NoRouteError",
    "NodeFailedError",
    "NodeTimeoutError",
    "OutputRefusedError",
    "QuorumError",
    "ReducerError",
    "RunCancelledError",
    "RunError",
    "ScopeCancelledError",
    "StateConflictError",
    "StateError",
    "StateFieldError",
    "StateTypeError",
    "StrayCancellationError",
    "ValueRefusedError",
    "brief",
    "names",
]


def brief(value: object, limit: int = 200) -> str:
    """The `repr` of a value, cut to `limit` characters; never raises."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= limit else text[: limit - 1] + "…"


def names(items: Sequence[str], last: str = "and") -> str:
    """`['a', 'b', 'c']` as `'a', 'b' and 'c'`."""
    quoted = [f"'{item}'" for item in items]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an activation failed, as a value: what an `on_error` handler receives and what the log keeps.

    `node` is the path of the node, `key` the activation key, `attempt` the last attempt (1-based), `error`
    the exception's class name, `message` its text.
    """

    node: str
    key: str
    attempt: int
    error: str
    message: str

    def __str__(self) -> str:
        return f"{self.key} (attempt {self.attempt}): {self.error}: {self.message}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `compile()` has to say: `message` says what is wrong, `remedy` what to do about it.

    `rule` is a stable kebab-case id, `nodes` the names involved, `severity` "error" (refused) or "warning".
    """

    rule: str
    message: str
    remedy: str
    nodes: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"[{self.rule}] {self.message}\n    -> {self.remedy}"


class LoomgraphError(Exception):
    """The root of the tree: catch this to catch everything loomgraph raises on purpose."""


class DefinitionError(LoomgraphError):
    """A builder call that cannot mean anything, whatever else the workflow says."""


class CompileError(LoomgraphError):
    """The graph is unsound. `.findings` has every finding, errors first."""

    def __init__(self, workflow: str, findings: Sequence[Finding]) -> None:
        self.workflow = workflow
        self.findings = tuple(findings)
        errors = [f for f in self.findings if f.severity == "error"]
        count = f"{len(errors)} error{'s' if len(errors) != 1 else ''}"
        lines = "\n".join(f"  {i}. {finding}" for i, finding in enumerate(errors, 1))
        super().__init__(f"workflow '{workflow}' does not compile, {count}:\n{lines}")


class ValueRefusedError(LoomgraphError):
    """A value may not pass here; nothing was coerced and nothing was dropped."""


class InputRefusedError(ValueRefusedError):
    """The value given to a run is not of the graph's input type. Nothing ran."""

    def __init__(self, graph: str, expected: str, value: object, detail: str) -> None:
        super().__init__(
            f"graph '{graph}' takes {expected}, not {brief(value)}: {detail}. "
            f"Pass a value of that type; loomgraph converts nothing silently."
        )


class OutputRefusedError(ValueRefusedError):
    """What a node returned is not of its declared output type."""

    def __init__(self, node: str, expected: str, value: object, detail: str) -> None:
        super().__init__(
            f"node '{node}' is declared to return {expected} but returned {brief(value)}: {detail}. "
            f"Return what the annotation says, or change the annotation."
        )


class CopyRefusedError(ValueRefusedError):
    """A value cannot be copied, so a node that mutates it would change it for others too."""

    def __init__(self, value: object, cause: str) -> None:
        super().__init__(
            f"a {type(value).__name__} cannot be copied ({cause}), so it cannot travel along an edge. "
            f"Pass plain data along edges, and live objects (clients, locks, handles) with deps=."
        )


class ActivationError(LoomgraphError):
    """The engine itself refuses to go on with one activation; never retried, may be taken by `on_error`."""


class AmbiguousInputError(ActivationError):
    """Two alternatives of one input were taken in one pass."""

    def __init__(self, node: str, sources: Sequence[str]) -> None:
        self.node, self.sources = node, tuple(sources)
        super().__init__(
            f"node '{node}' got a value from {names(sources)} in one pass, but plain edges mean \"one of these\". "
            f'Use wf.join([...], into={node!r}) for "all of these", or make the branches exclusive with when=.'
        )


class JoinIncompleteError(ActivationError):
    """A required member of a join was skipped while another was taken."""

    def __init__(self, node: str, skipped: Sequence[str], taken: Sequence[str]) -> None:
        self.node, self.skipped, self.taken = node, tuple(skipped), tuple(taken)
        super().__init__(
            f"the join into '{node}' got {names(taken)} but {names(skipped)} was skipped and is required. "
            f"Give that parameter a default or an Optional type, or join into one list."
        )


class QuorumError(ActivationError):
    """Fewer members finished than an early join or map needs. `.failures` has the failed ones."""

    def __init__(self, node: str, needed: int, got: int, total: int, failures: Sequence[Failure] = ()) -> None:
        self.node, self.needed, self.got, self.total, self.failures = node, needed, got, total, tuple(failures)
        causes = "".join(f"; {failure}" for failure in self.failures[:5])
        super().__init__(
            f"'{node}' needs {needed} of {total} results and can only have {got}{causes}. "
            f"Lower the quorum, or make the branches more reliable with retry=."
        )


class MapInputError(ActivationError):
    """A map node was given something it cannot go through item by item."""

    def __init__(self, node: str, value: object) -> None:
        self.node = node
        super().__init__(
            f"the map '{node}' takes a list, not {brief(value)}. Return a list from the node before it, or use a "
            f"plain edge instead of wf.map."
        )


class ScopeCancelledError(ActivationError):
    """A graph that a node ran with ctx.run was cancelled before it had a result."""

    def __init__(self, graph: str) -> None:
        super().__init__(f"graph '{graph}' was cancelled before it had a result, because its run is ending.")


class NoRouteError(ActivationError):
    """No edge out of a conditional node matched its value."""

    def __init__(self, node: str, value: object, conditions: Sequence[str]) -> None:
        self.node, self.value, self.conditions = node, value, tuple(conditions)
        super().__init__(
            f"no edge out of '{node}' matches {brief(value)}: it has edges for {', '.join(conditions)}. "
            f"Add an edge for this value, or one with when=OTHERWISE."
        )


class ConditionError(ActivationError):
    """A `when` predicate raised; its exception is the `__cause__`."""

    def __init__(self, node: str, target: str, condition: str, error: BaseException) -> None:
        self.node, self.target = node, target
        super().__init__(
            f"the condition {condition} on the edge '{node}' -> '{target}' raised {type(error).__name__}: {error}. "
            f"A predicate must answer for every value '{node}' can return."
        )


class CacheKeyError(ActivationError):
    """The input of a node with cache= cannot be compared, because it has no JSON form."""

    def __init__(self, node: str, value: object, detail: str) -> None:
        self.node = node
        super().__init__(
            f"node '{node}' is cached, but its input {brief(value)} has no JSON form to compare by ({detail}). "
            f"Give it cache=Cache(key=...), or take the cache away."
        )


class StrayCancellationError(ActivationError):
    """Node code let out a cancellation that neither the run nor its caller asked for."""

    def __init__(self, node: str) -> None:
        self.node = node
        super().__init__(
            f"node '{node}' let out a cancellation that nobody asked for, probably of a task it awaited. "
            f"Catch it in the node and return a value or raise an exception of your own."
        )


class NodeTimeoutError(ActivationError):
    """An attempt took longer than the node's `timeout` (seconds). Retried if the node has a `retry`."""

    def __init__(self, node: str, seconds: float) -> None:
        self.node, self.seconds = node, seconds
        super().__init__(f"node '{node}' did not finish within {seconds:g} s. Raise timeout=, or make the node faster.")


class StateError(ActivationError):
    """The state layer refused a write or a merge."""


class StateConflictError(StateError):
    """Two concurrent writes to a field that has no reducer."""

    def __init__(self, field: str, first: str, second: str) -> None:
        self.field, self.writers = field, (first, second)
        super().__init__(
            f"state field '{field}' was written by '{first}' and '{second}', neither of which runs after the other. "
            f"Give the field a reducer (Annotated[..., reducer]), or order the two nodes with an edge."
        )


class StateFieldError(StateError):
    """A write to a field the state model does not declare."""

    def __init__(self, node: str, field: str, known: Sequence[str], suggestion: str | None) -> None:
        self.node, self.field = node, field
        hint = f"Did you mean '{suggestion}'?" if suggestion else f"Declared fields: {', '.join(known) or 'none'}."
        super().__init__(f"node '{node}' wrote state field '{field}', which the state does not declare. {hint}")


class StateTypeError(StateError):
    """A write of a value that is not of the field's declared type."""

    def __init__(self, node: str, field: str, expected: str, value: object, detail: str) -> None:
        self.node, self.field = node, field
        super().__init__(
            f"node '{node}' wrote {brief(value)} to state field '{field}', which takes {expected}: {detail}. "
            f"Write a value of that type, or change the field's annotation."
        )


class ReducerError(StateError):
    """A reducer raised; its exception is the `__cause__`."""

    def __init__(self, field: str, error: BaseException) -> None:
        self.field = field
        super().__init__(
            f"the reducer of state field '{field}' raised {type(error).__name__}: {error}. "
            f"A reducer takes (current, update) and returns the new value, for any two values of the field."
        )


class RunError(LoomgraphError):
    """A run ended without a result. `.run_id` names it; `.finished` maps activation keys to finished outputs.

    `.failures` has every failed activation, first to fail first; `.result` is the RunResult as far as it came.
    """

    def __init__(
        self, message: str, *, run_id: str, failures: Sequence[Failure] = (), finished: Mapping[str, Any] | None = None
    ) -> None:
        self.run_id = run_id
        self.failures = tuple(failures)
        self.finished: Mapping[str, Any] = finished if finished is not None else {}
        self.result: Any = None
        super().__init__(message)


class NodeFailedError(RunError):
    """Activations failed and nothing took the failure. The first one's exception is the `__cause__`.

    `.node`, `.key` and `.attempt` are the first failure's; `.exceptions` has the exceptions of all of them, `.summary`
    says in one line what failed.
    """

    def __init__(
        self,
        *,
        run_id: str,
        failures: Sequence[Failure],
        exceptions: Sequence[BaseException] = (),
        finished: Mapping[str, Any] | None = None,
    ) -> None:
        first = failures[0]
        self.node, self.key, self.attempt = first.node, first.key, first.attempt
        self.exceptions = tuple(exceptions)
        self.summary = "; ".join(str(failure) for failure in failures)
        count = len(finished or {})
        more = "".join(f"\n  also failed: {failure}" for failure in failures[1:])
        # the engine's own refusals say themselves what to do
        own_remedy = bool(self.exceptions) and isinstance(self.exceptions[0], (ActivationError, ValueRefusedError))
        outer, _, name = first.node.rpartition("/")
        where = f"in the graph of '{outer}', " if outer else ""
        remedy = f" Handle it {where}with wf.on_error({name!r}, handler), or give the node retry=Retry(...)."
        super().__init__(
            f"run '{run_id}': node '{first.node}' failed: {first}{more}\n"
            f"  {count} finished activation{'s' if count != 1 else ''} kept in .finished."
            f"{'' if own_remedy else remedy}",
            run_id=run_id,
            failures=failures,
            finished=finished,
        )


class LoopCapError(RunError):
    """A loop wanted more iterations than its cap. `.cycle` names the nodes in order, `.values` what it carried."""

    def __init__(
        self,
        *,
        run_id: str,
        cycle: Sequence[str],
        cap: int,
        values: Mapping[str, Any],
        failures: Sequence[Failure] = (),
        finished: Mapping[str, Any] | None = None,
    ) -> None:
        self.cycle, self.cap, self.values = tuple(cycle), cap, dict(values)
        ring = " -> ".join([*cycle, cycle[0]]) if cycle else "?"
        last = "; ".join(f"'{name}' gave {brief(value, 80)}" for name, value in values.items())
        super().__init__(
            f"run '{run_id}': the loop {ring} ran {cap} iteration{'s' if cap != 1 else ''}, its cap, and wanted one "
            f"more ({last}). Raise cap=, make the loop's exit reachable sooner, or give it on_cap=.",
            run_id=run_id,
            failures=failures,
            finished=finished,
        )


class ExitOvertakenError(RunError):
    """A loop was left by one edge and repeated by another in the same iteration."""

    def __init__(
        self,
        *,
        run_id: str,
        source: str,
        target: str,
        header: str,
        failures: Sequence[Failure] = (),
        finished: Mapping[str, Any] | None = None,
    ) -> None:
        self.source, self.target, self.header = source, target, header
        super().__init__(
            f"run '{run_id}': the edge '{source}' -> '{target}' left the loop at '{header}' in an iteration that also "
            f"went round again, so its value would be lost. Make the two exclusive with when=, or say "
            f'exit="latest" on that edge to keep the latest value.',
            run_id=run_id,
            failures=failures,
            finished=finished,
        )


class ActivationLimitError(RunError):
    """The run started as many activations as `max_activations` allows."""

    def __init__(self, *, run_id: str, limit: int, node: str, finished: Mapping[str, Any] | None = None) -> None:
        self.limit, self.node = limit, node
        super().__init__(
            f"run '{run_id}' reached max_activations={limit} when '{node}' was about to start. "
            f"Raise max_activations=, or find what repeats with graph.to_mermaid(run).",
            run_id=run_id,
            finished=finished,
        )


class NoResultError(RunError):
    """Nothing is active any more and END was skipped, though the output type does not admit None."""

    def __init__(self, *, run_id: str, graph: str, output: str, finished: Mapping[str, Any] | None = None) -> None:
        super().__init__(
            f"run '{run_id}' of '{graph}' ended without reaching END: every edge into END was skipped, and the output "
            f"type {output} does not admit None. Add an edge to END for this case, or declare output=... | None.",
            run_id=run_id,
            finished=finished,
        )


class RunCancelledError(RunError):
    """Somebody cancelled the run; what finished is in `.finished`."""

    def __init__(self, *, run_id: str, reason: str, finished: Mapping[str, Any] | None = None) -> None:
        super().__init__(f"run '{run_id}' was cancelled: {reason}.", run_id=run_id, finished=finished)


class DeadlineError(RunError):
    """The run took longer than its `deadline` (seconds)."""

    def __init__(self, *, run_id: str, seconds: float, finished: Mapping[str, Any] | None = None) -> None:
        self.seconds = seconds
        super().__init__(
            f"run '{run_id}' did not finish within its deadline of {seconds:g} s. Raise deadline=, or look at the "
            f"slowest nodes in .finished.",
            run_id=run_id,
            finished=finished,
        )
