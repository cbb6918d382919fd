"""ActorCritic: one model works, another judges, until the judge is content.

After the actor-critic methods of reinforcement learning (Konda and Tsitsiklis 1999), with prompts in place of updates:
nothing is learned beyond the run. It differs from SelfRefine in that the actor does the whole task anew in each round,
tools included, and that the two are meant to be different models, so that one does not judge its own taste.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loomgraph.architectures.drafts import AtCap, Kinds, best_node, check_rounds, critique, story
from loomgraph.architectures.roles import (
    Part,
    noted,
    sections,
    shown,
    task_of,
    told_of,
    told_part,
    typed,
)
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.workflow import Workflow

__all__ = ["ActorCritic", "Review"]

CRITIC = (
    "You judge an answer to a task; somebody else wrote it. Look for what is wrong, missing or unproven, and list each "
    "as an issue that can be acted on. Score the answer from 0 (useless) to 1 (nothing to object to)."
)
AGAIN = (
    "Your earlier answers to this task were judged as you see. Answer the task anew, as a whole: settle every issue of "
    "the last review, keep what is good, and answer with nothing but the answer."
)


class Review(BaseModel):
    """What a critic says of an answer."""

    model_config = ConfigDict(extra="forbid")

    score: float = Field(ge=0, le=1, description="From 0, useless, to 1, nothing to object to.")
    issues: list[str] = Field(description="What has to be settled, each on its own; empty if there is nothing.")
    summary: str = Field(description="The judgement in a sentence or two.")

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"- {issue}" for issue in self.issues)])


@dataclass(frozen=True)
class ActorCritic:
    """actor -> critic -> the best answer, or actor again, at most `max_rounds` times.

    Stops when the score reaches `threshold`, and after `max_rounds`; then the answer with the highest score is given,
    of equal ones the earliest. With `at_cap="fail"` a run whose last answer did not reach the threshold fails with
    ThresholdError, which has all of them.

    Calls of models: k(B + 1) for k rounds and B calls of `base`, which is 2k where the actor needs no tools; plus one
    for each answer that had to be repaired. `base` is how the actor works: an architecture works with the agent's
    tools and instructions; another graph takes text. `critic` are instructions, after which the critic reads those of
    the agent; `again` is what the actor is told from the second round on. `critic_model` should be another model than
    the agent's. Raises DefinitionError.
    """

    base: Part = "react"
    max_rounds: int = 3
    threshold: float = 0.9
    at_cap: AtCap = "best"
    critic: str = CRITIC
    again: str = AGAIN
    critic_model: Model | str | None = None
    name: str = "actor-critic"

    def __post_init__(self) -> None:
        check_rounds("ActorCritic", "max_rounds", self.max_rounds, self.threshold, self.at_cap)

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way, from its input to its output."""
        kinds = Kinds.of(agent)
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)

        async def begin(task: Any) -> Any:
            return kinds.ready(task=task)

        first = wf.node(typed(begin, task=told_of(agent), gives=kinds.ready))
        act = wf.node(self._act(agent))
        critique = wf.node(self._critique(agent))
        best = wf.node(best_node(agent, self.threshold, self.at_cap))
        wf.chain(START, first, act, critique)
        wf.edge(critique, act, when=kinds.rejected)
        wf.edge(critique, best, when=kinds.accepted)
        wf.loop(act, critique, cap=self.max_rounds, on_cap=best)
        wf.edge(best, END)
        return wf

    def _act(self, agent: Agent[Any, Any]) -> Any:
        kinds, again = Kinds.of(agent), self.again
        takes = kinds.ready | kinds.rejected

        def ask(given: Any) -> UserMessage:
            task = task_of(agent, given.task)
            return sections(task=task, **story(given, shown), now=again) if given.drafts else task

        async def answered(given: Any, answer: Any) -> Any:
            return given.to(kinds.draft, answer=answer)

        actor = told_part(self.base, agent, "actor", takes=takes, prompt=ask)
        return noted("act", actor, answered, takes=takes, answer=agent.output, gives=kinds.draft, called="actor")

    def _critique(self, agent: Agent[Any, Any]) -> Any:
        threshold = self.threshold

        def verdict(review: Review) -> tuple[bool, float, str]:
            return review.score >= threshold, review.score, str(review)

        return critique(agent, self.critic, output=Review, section="answer", model=self.critic_model, verdict=verdict)
