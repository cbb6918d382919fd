"""Why a run ended without a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loomgraph.errors.activation import ActivationError
from loomgraph.errors.architectures import ArchitectureError
from loomgraph.errors.base import Failure, LoomgraphError, brief
from loomgraph.errors.values import ValueRefusedError

__all__ = [
    "ActivationLimitError",
    "DeadlineError",
    "ExitOvertakenError",
    "LoopCapError",
    "NoResultError",
    "NodeFailedError",
    "RunCancelledError",
    "RunError",
    "RunSuspendedError",
]


# how many of each kind a message lists
_SHOWN = 5


class RunError(LoomgraphError):
    """A run ended without a result. `.run_id` names it; `.finished` maps activation keys to finished outputs.

    `.failures` has every failed activation, first to fail first; `.result` is the RunResult as far as it came.
    `.summary` says it without the run's id: what a handler is given when a graph inside a node ends like this, which
    is then the same in every run.
    """

    def __init__(
        self, message: str, *, run_id: str, failures: Sequence[Failure] = (), finished: Mapping[str, Any] | None = None
    ) -> None:
        self.run_id = run_id
        self.failures = tuple(failures)
        self.finished: Mapping[str, Any] = finished if finished is not None else {}
        self.result: Any = None
        named = f"run '{run_id}'"
        told = message.removeprefix(f"{named}: ")
        self.summary = told if not told.startswith(named) else f"the run{told.removeprefix(named)}"
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
        count = len(finished or {})
        more = "".join(f"\n  also failed: {failure}" for failure in failures[1:])
        # refusals of the library's own say themselves what to do
        own = (ActivationError, ArchitectureError, ValueRefusedError)
        own_remedy = bool(self.exceptions) and isinstance(self.exceptions[0], own)
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
        self.summary = "; ".join(str(failure) for failure in failures)


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
    """The run took longer than its `deadline`, or than its budget of seconds had left (`budget`)."""

    def __init__(
        self, *, run_id: str, seconds: float, finished: Mapping[str, Any] | None = None, budget: bool = False
    ) -> None:
        self.seconds, self.budget = seconds, budget
        within = f"the {seconds:g} s that its budget had left" if budget else f"its deadline of {seconds:g} s"
        remedy = "Raise the budget and resume" if budget else "Raise deadline="
        super().__init__(
            f"run '{run_id}' did not finish within {within}. {remedy}, or look at the slowest nodes in .finished.",
            run_id=run_id,
            finished=finished,
        )


class RunSuspendedError(RunError):
    """The run waits for somebody, so it has no output yet.

    `.questions` are the ids of what it asks, `.signals` the names of the signals it waits for, `.interrupts` the keys
    of the activations that it was told to stop at.
    """

    def __init__(
        self,
        *,
        run_id: str,
        questions: Mapping[str, str],
        signals: Sequence[str],
        interrupts: Sequence[str],
        finished: Mapping[str, Any] | None = None,
    ) -> None:
        self.questions, self.signals, self.interrupts = tuple(questions), tuple(signals), tuple(interrupts)
        lines = [f"\n  question '{id}': {text}" for id, text in list(questions.items())[:_SHOWN]]
        lines += [f"\n  and {len(questions) - _SHOWN} more questions"] if len(questions) > _SHOWN else []
        lines += [f"\n  signal '{name}'" for name in self.signals[:_SHOWN]]
        lines += [f"\n  stopped at '{key}', as it was told" for key in self.interrupts[:_SHOWN]]
        answers = f", answers={{{next(iter(questions))!r}: ...}}" if questions else ""
        send = f" Send a signal with graph.signal({run_id!r}, {signals[0]!r}, value, store=...)." if signals else ""
        super().__init__(
            f"run '{run_id}' is suspended and has no output yet. It waits for:{''.join(lines)}\n"
            f"Go on with await graph.resume({run_id!r}, store=...{answers}).{send}",
            run_id=run_id,
            finished=finished,
        )
