"""Why an architecture came to no answer. Each carries the work that was finished, as the values it was made of.

Raised inside a node, so a run's caller finds it as the `__cause__` of the NodeFailedError, or takes it with `on_error`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loomgraph.errors.base import LoomgraphError, brief, brief_text, names

__all__ = [
    "ArchitectureError",
    "CyclicPlanError",
    "DebateQuorumError",
    "EmptyBeamError",
    "EmptyPlanError",
    "PingPongError",
    "PlanError",
    "PlanStepError",
    "PlanTooLongError",
    "SpawnError",
    "ThresholdError",
    "UnknownWorkerError",
    "UnresolvableRouteError",
]


class ArchitectureError(LoomgraphError):
    """An architecture came to no answer that it may give.

    `complaint` is what is said to the model whose answer led there, where it may answer again.
    """

    complaint: str = ""


class ThresholdError(ArchitectureError):
    """No draft was good enough. `best` is the best one, `score` its score, `drafts` are all of them, in order."""

    def __init__(self, name: str, threshold: float | None, score: float, best: Any, drafts: Sequence[Any]) -> None:
        self.name, self.threshold, self.score = name, threshold, score
        self.best, self.drafts = best, tuple(drafts)
        wanted = "was accepted" if threshold is None else f"reached the score {threshold:g}"
        super().__init__(
            f"'{name}': none of {len(self.drafts)} drafts {wanted}; the best one has {score:g}: {brief(best, 80)}. "
            f'Allow more rounds, ask for less, or take the best one with at_cap="best".'
        )


class DebateQuorumError(ArchitectureError):
    """Too many debaters failed. `absent` says who and why, `rounds` has the positions of each round."""

    def __init__(
        self, name: str, needed: int, got: int, total: int, absent: Sequence[Any], rounds: Sequence[Sequence[Any]]
    ) -> None:
        self.name, self.needed, self.got, self.total = name, needed, got, total
        self.absent, self.rounds = tuple(absent), tuple(tuple(positions) for positions in rounds)
        why = "; ".join(f"{one.debater}: {one.error}: {brief_text(one.message, 80)}" for one in self.absent[:5])
        super().__init__(
            f"'{name}': {got} of {total} debaters are left, and the debate needs {needed} ({why}). Mend what made them "
            f"fail and run it again, or lower quorum=."
        )


class EmptyBeamError(ArchitectureError):
    """No first step of a tree of thoughts was good enough. `paths` has all that were scored."""

    def __init__(self, name: str, min_score: float, paths: Sequence[Any]) -> None:
        self.name, self.min_score, self.paths = name, min_score, tuple(paths)
        best = max((path.score for path in self.paths), default=None)
        said = "no step was proposed" if best is None else f"the best of {len(self.paths)} first steps has {best:g}"
        super().__init__(
            f"'{name}': no step has a score of {min_score:g} or more ({said}). Lower min_score=, raise branch_factor=, "
            f"or say more of the task."
        )


class UnresolvableRouteError(ArchitectureError):
    """A router's model chose a route that is not there, or was not sure enough, and there is no fallback.

    `.route`, `.confidence` and `.reason` are what it said, `.value` is what was to be routed.
    """

    def __init__(
        self, route: str, confidence: float, reason: str, value: Any, known: Sequence[str], least: float
    ) -> None:
        self.route, self.confidence, self.reason, self.value, self.known = (
            route,
            confidence,
            reason,
            value,
            tuple(known),
        )
        what = (
            f"the route '{route}' is sure to {confidence:g} and has to be to {least:g} (it says: {brief_text(reason)})"
            if route in known
            else f"there is no route '{route}', only {names(list(known))}"
        )
        super().__init__(f"{what}. Give the router a fallback=, or describe its routes better.")


class UnknownWorkerError(ArchitectureError):
    """Somebody was named who is not there. `.worker` is the name, `.finished` what was done until then."""

    def __init__(self, by: str, worker: str, known: Sequence[str], finished: Any) -> None:
        self.by, self.worker, self.known, self.finished = by, worker, tuple(known), finished
        self.complaint = f"'{worker}' is not there; there are {names(list(known)) or 'none'}."
        super().__init__(
            f"'{by}' named '{worker}', who is not there; there are {names(list(known)) or 'none'}. Describe the others "
            f"to it, or give it a better model."
        )


class SpawnError(ArchitectureError):
    """A worker that a model wanted could not be made: too many, or the name is taken. `.finished` is what was done."""

    def __init__(self, by: str, worker: str, detail: str, finished: Any) -> None:
        self.by, self.worker, self.finished = by, worker, finished
        self.complaint = f"the worker '{worker}' cannot be made: {detail}."
        super().__init__(f"'{by}' wanted to make the worker '{worker}', but {detail}.")


class PingPongError(ArchitectureError):
    """Two agents handed a task to each other again and again. `.turns` has all that was said."""

    def __init__(self, between: Sequence[str], times: int, turns: Any) -> None:
        self.between, self.times, self.turns = tuple(between), times, turns
        super().__init__(
            f"{names(list(between))} handed the task to each other {times} times in a row. Tell them apart better in "
            f"their instructions, or raise max_ping_pong=."
        )


class PlanError(ArchitectureError):
    """A plan that cannot be carried out. `.plan` is the plan, `.finished` what earlier plans came to.

    `begun` is how many of its first calls were carried out before the rest of it was known (`stream_plan=`); what they
    came to is in `.finished` too.
    """

    def __init__(self, complaint: str, remedy: str, plan: Any, finished: Any, begun: int = 0) -> None:
        self.plan, self.finished, self.complaint, self.begun = plan, finished, complaint, begun
        done = "Nothing of it was carried out." if not begun else f"The first {begun} of its calls were carried out."
        super().__init__(f"{complaint} {done} {remedy}")


_ASK_BETTER = "Say more of the task, or give the planner a better model."


class EmptyPlanError(PlanError):
    """A plan without a step."""

    def __init__(self, plan: Any, finished: Any) -> None:
        super().__init__("the plan has no step.", _ASK_BETTER, plan, finished)


class PlanTooLongError(PlanError):
    """A plan of more steps than `max_steps` allows."""

    def __init__(self, steps: int, limit: int, plan: Any, finished: Any, begun: int = 0) -> None:
        self.steps, self.limit = steps, limit
        complaint = f"the plan has {steps} steps, and {limit} are allowed."
        super().__init__(complaint, "Raise max_steps=, or ask for less.", plan, finished, begun)


class PlanStepError(PlanError):
    """A step that cannot be carried out as it is written: a taken id, a reference to nothing, an unknown tool."""

    def __init__(self, step: str, detail: str, plan: Any, finished: Any, begun: int = 0) -> None:
        self.step = step
        complaint = f"step '{step}' of the plan cannot be carried out: {detail.rstrip('.')}."
        super().__init__(complaint, _ASK_BETTER, plan, finished, begun)


class CyclicPlanError(PlanError):
    """Steps that wait for each other. `.cycle` has their ids."""

    def __init__(self, cycle: Sequence[str], plan: Any, finished: Any, begun: int = 0) -> None:
        self.cycle = tuple(cycle)
        ring = " -> ".join(f"'{step}'" for step in [*cycle, *cycle[:1]])
        super().__init__(f"steps of the plan wait for each other: {ring}.", _ASK_BETTER, plan, finished, begun)
