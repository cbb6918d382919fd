"""SelfRefine: a draft is criticised and written again until it is good enough (Madaan et al. 2023, arXiv:2303.17651).

Differs from the paper: critic and refiner may be other models than the author; the critic also gives a score, so the
best draft is returned rather than the last; no examples are in the prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from loomgraph.architectures.drafts import AtCap, Kinds, best_node, check_rounds, critique, story
from loomgraph.architectures.roles import (
    Part,
    both,
    noted,
    part,
    role,
    sections,
    shown,
    taken_by,
    task_of,
    told_of,
    typed,
)
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.conversation import Conversation
from loomgraph.runtime.workflow import Workflow

__all__ = ["Critique", "SelfRefine"]

CRITIC = (
    "You review a draft that answers a task. Say what is wrong or missing, point by point, and how to mend it; be "
    "specific, and do not rewrite the draft. Score it from 0 (useless) to 1 (nothing to improve). Set stop only if no "
    "further round could improve it."
)
REFINER = (
    "You improve your answer to a task. You are shown the task, your earlier drafts and the reviews of them. Write the "
    "whole answer anew: mend what the last review finds, keep what is good, and answer with nothing but the answer."
)


class Critique(BaseModel):
    """What a critic says of a draft."""

    model_config = ConfigDict(extra="forbid")

    feedback: str = Field(description="What is wrong or missing, and how to mend it.")
    score: float = Field(ge=0, le=1, description="From 0, useless, to 1, nothing to improve.")
    stop: bool = Field(description="Whether no further round could improve the draft.")


@dataclass(frozen=True)
class SelfRefine:
    """base -> critique -> the best draft, or refine -> critique, at most `max_rounds` critiques.

    Stops when the critic says so, when the score reaches `threshold` (if there is one), and after `max_rounds`; then
    the draft with the highest score is the answer, of equal ones the earliest. With `at_cap="fail"` a run whose last
    round was no stop fails with ThresholdError, which has all drafts.

    Calls of models: B + 2k - 1, for B calls of `base` and k rounds, plus one for each answer that had to be repaired.
    `base` writes the first draft; an architecture in it works with the agent's tools, and another graph takes what the
    agent takes. `critic` and `refiner` are instructions; the agent's own come before the refiner's, and are shown to
    the critic. Each role has the agent's model unless it is given its own. Raises DefinitionError.
    """

    base: Part = "react"
    max_rounds: int = 3
    threshold: float | None = None
    at_cap: AtCap = "best"
    critic: str = CRITIC
    refiner: str = REFINER
    critic_model: Model | str | None = None
    refiner_model: Model | str | None = None
    name: str = "self-refine"

    def __post_init__(self) -> None:
        check_rounds("SelfRefine", "max_rounds", self.max_rounds, self.threshold, self.at_cap)

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way, from its input to its output."""
        kinds, base = Kinds.of(agent), part(self.base, agent, "base")
        takes = told_of(agent) if Conversation in taken_by(base) else agent.input
        wf: Workflow[Any, Any] = Workflow(agent.name, input=takes, output=agent.output, doc=agent.description)

        async def write(given: Any, answer: Any) -> Any:
            return kinds.draft(task=given, answer=answer)

        async def go_round(rounds: Any) -> Any:
            return rounds

        first = wf.node(noted("draft", base, write, takes=takes, answer=agent.output, gives=kinds.draft, called="base"))
        rounds = wf.node(
            typed(go_round, rounds=kinds.draft | kinds.rejected, gives=kinds.draft | kinds.rejected), name="round"
        )
        critique = wf.node(self._critique(agent))
        refine = wf.node(self._refine(agent))
        best = wf.node(best_node(agent, self.threshold, self.at_cap))
        wf.edge(START, first)
        wf.edge(first, rounds)
        wf.edge(rounds, critique, when=kinds.draft)
        wf.edge(rounds, refine, when=kinds.rejected)
        wf.edge(refine, critique)
        wf.edge(critique, rounds, when=kinds.rejected)
        wf.edge(critique, best, when=kinds.accepted)
        wf.loop(rounds, critique, cap=self.max_rounds, on_cap=best)
        wf.edge(best, END)
        return wf

    def _critique(self, agent: Agent[Any, Any]) -> Any:
        threshold = self.threshold

        def verdict(said: Critique) -> tuple[bool, float, str]:
            good = said.stop or (threshold is not None and said.score >= threshold)
            return good, said.score, said.feedback

        return critique(agent, self.critic, output=Critique, section="draft", model=self.critic_model, verdict=verdict)

    def _refine(self, agent: Agent[Any, Any]) -> Any:
        kinds = Kinds.of(agent)

        def ask(given: Any) -> UserMessage:
            return sections(task=task_of(agent, given.task), **story(given, shown))

        async def rewrite(given: Any, answer: Any) -> Any:
            return given.to(kinds.draft, answer=answer)

        told = both(agent.instructions, self.refiner)
        refiner = role(
            agent, "refiner", told, input=kinds.rejected, output=agent.output, prompt=ask, model=self.refiner_model
        )
        return noted("refine", refiner, rewrite, takes=kinds.rejected, answer=agent.output, gives=kinds.draft)
