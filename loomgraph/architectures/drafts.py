"""Drafts that are judged and written again: what SelfRefine, ActorCritic and Reflexion have in common.

The values that travel along their edges, the critic, and the choice of the best draft. What a critic says and when a
draft is good enough is each architecture's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import Field

from loomgraph.architectures.lessons import Lesson
from loomgraph.architectures.roles import (
    Travelling,
    judging,
    noted,
    role,
    sections,
    shown,
    task_of,
    told_of,
    typed,
)
from loomgraph.errors import DefinitionError, ThresholdError
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.graph import Graph

__all__ = [
    "Accepted",
    "AtCap",
    "Draft",
    "Judged",
    "Kinds",
    "Ready",
    "Rejected",
    "Rounds",
    "best_node",
    "best_of",
    "check_rounds",
    "critique",
    "story",
]

TaskT = TypeVar("TaskT")
OutT = TypeVar("OutT")

AtCap: TypeAlias = Literal["best", "fail"]
"""What comes after the last round if no draft was good enough: the best one, or ThresholdError with all of them."""


class Judged(Travelling, Generic[OutT]):
    """A draft, its score from 0 to 1, and what was said of it."""

    answer: OutT
    score: float
    review: str


class Rounds(Travelling, Generic[TaskT, OutT]):
    """A task, the drafts that were judged so far, in order, and what was learned from them, if anything."""

    task: TaskT
    drafts: list[Judged[OutT]] = Field(default_factory=list[Any])
    lessons: list[Lesson] = Field(default_factory=list[Lesson])

    def to(self, kind: Any, **more: Any) -> Any:
        """The same as another kind, with these fields too."""
        same = {"task": self.task, "drafts": self.drafts} | ({"lessons": self.lessons} if self.lessons else {})
        return kind(**{**same, **more})


class Ready(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """An attempt may begin."""


class Draft(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """One more draft, `answer`, that is not judged yet."""

    answer: OutT

    def judged(self, score: float, review: str) -> list[Judged[OutT]]:
        """All drafts, with what is said of this one."""
        return [*self.drafts, Judged[Any](answer=self.answer, score=score, review=review)]


class Accepted(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """The last draft is good enough."""


class Rejected(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """The last draft is not good enough."""


@dataclass(frozen=True)
class Kinds:
    """The types that travel for one agent, with its input and output in them."""

    ready: Any
    draft: Any
    accepted: Any
    rejected: Any

    @classmethod
    def of(cls, agent: Agent[Any, Any]) -> Kinds:
        """Those of this agent."""
        generic: tuple[Any, ...] = (Ready, Draft, Accepted, Rejected)
        return cls(*(kind[told_of(agent), agent.output] for kind in generic))

    @property
    def outcome(self) -> Any:
        """What a judgement gives."""
        return self.accepted | self.rejected


def critique(
    agent: Agent[Any, Any],
    instructions: str,
    *,
    output: Any,
    section: str,
    model: Model | str | None,
    verdict: Callable[[Any], tuple[bool, float, str]],
) -> Graph[Any, Any]:
    """The graph that judges a draft: a critic sees the task and the draft, called `section`, and answers an `output`.

    `verdict` says what comes of it: whether the draft is accepted, its score, and what is said of it.
    """
    kinds = Kinds.of(agent)

    def ask(given: Any) -> UserMessage:
        return sections(task=task_of(agent, given.task), **{section: shown(given.answer)})

    async def judge(given: Any, answer: Any) -> Any:
        good, score, review = verdict(answer)
        return given.to(kinds.accepted if good else kinds.rejected, drafts=given.judged(score, review))

    told = judging(agent, instructions)
    critic = role(agent, "critic", told, input=kinds.draft, output=output, prompt=ask, model=model)
    return noted("critique", critic, judge, takes=kinds.draft, answer=output, gives=kinds.outcome)


def best_of(drafts: Sequence[Judged[OutT]]) -> Judged[OutT]:
    """The draft with the highest score; of equal ones the earliest."""
    return max(drafts, key=lambda draft: draft.score)


def best_node(agent: Agent[Any, Any], threshold: float | None, at_cap: AtCap) -> Callable[..., Any]:
    """A node body that gives the best draft, of rounds whose last one was accepted or not."""

    async def best(rounds: Rounds[Any, Any]) -> Any:
        chosen = best_of(rounds.drafts)
        if at_cap == "fail" and isinstance(rounds, Rejected):
            answers = [draft.answer for draft in rounds.drafts]
            raise ThresholdError(agent.name, threshold, chosen.score, chosen.answer, answers)
        return chosen.answer

    return typed(best, rounds=Kinds.of(agent).outcome, gives=agent.output)


def story(rounds: Rounds[Any, Any], show: Callable[[Any], str]) -> dict[str, str]:
    """The drafts and what was said of each, as sections of a prompt."""
    told: dict[str, str] = {}
    for number, draft in enumerate(rounds.drafts, 1):
        told[f"draft_{number}"] = show(draft.answer)
        told[f"review_{number}"] = f"{draft.review}\n\nScore: {draft.score:g}"
    return told


def check_rounds(architecture: str, name: str, rounds: int, threshold: float | None, at_cap: AtCap) -> None:
    """Raise DefinitionError for settings that cannot be meant."""
    if rounds < 1:
        raise DefinitionError(f"{architecture}({name}={rounds}) would write nothing; use at least 1.")
    if threshold is None and architecture != "SelfRefine":
        raise DefinitionError(f"{architecture}(threshold=None) could not say when to stop; give a score from 0 to 1.")
    if threshold is not None and not 0 <= threshold <= 1:
        raise DefinitionError(f"{architecture}(threshold={threshold:g}) is out of reach; scores go from 0 to 1.")
    if at_cap not in ("best", "fail"):
        raise DefinitionError(f"{architecture}(at_cap={at_cap!r}) is unknown; use 'best' or 'fail'.")
