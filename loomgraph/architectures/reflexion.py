"""Reflexion: try, be judged, learn a lesson in words, try again (Shinn et al. 2023, arXiv:2303.11366).

Differs from the paper: lessons may be kept for later runs, of which the most fitting are recalled; the reflection sees
the answer and its judgement, not the steps that led to it; the best attempt is returned, not the last.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from loomgraph.architectures.drafts import AtCap, Kinds, OutT, Rounds, TaskT, best_node, check_rounds
from loomgraph.architectures.lessons import Lesson, LessonStore
from loomgraph.architectures.roles import (
    Part,
    both,
    judging,
    noted,
    role,
    sections,
    shown,
    task_of,
    told_of,
    told_part,
    typed,
)
from loomgraph.errors import DefinitionError
from loomgraph.graph.context import Context
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.workflow import Workflow

__all__ = ["Evaluation", "Evaluator", "Reflexion"]

EVALUATOR = (
    "You judge an answer to a task; somebody else wrote it. Check it against the task, point by point. Score it from 0 "
    "(wrong or useless) to 1 (right and complete), and say in a few sentences what decided the score."
)
REFLECTOR = (
    "You attempted a task and were not good enough. From the attempt and its judgement, find the one mistake that "
    "mattered most, and write down in one or two sentences what to do differently next time. Speak to yourself; do not "
    "solve the task."
)


class Evaluation(BaseModel):
    """How good an answer is."""

    model_config = ConfigDict(extra="forbid")

    score: float = Field(ge=0, le=1, description="From 0, wrong or useless, to 1, right and complete.")
    reason: str = Field(description="What decided the score.")


Evaluator: TypeAlias = Callable[[Any, Any], "Evaluation | Awaitable[Evaluation]"]
"""A function of the task and the answer, plain (it runs in a worker thread) or `async def`: tests that are run, say."""


class Recalled(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """What an attempt begins with: the task, and the lessons that it is shown."""

    shown: list[Lesson]


class Reflected(Rounds[TaskT, OutT], Generic[TaskT, OutT]):
    """What was learned from the last attempt, in words."""

    text: str


@dataclass(frozen=True)
class Reflexion:
    """recall -> attempt -> evaluate -> the best answer, or reflect -> store -> recall; at most `max_attempts` times.

    Stops when the score reaches `threshold`, and after `max_attempts`; then the answer with the highest score is given,
    of equal ones the earliest. With `at_cap="fail"` a run whose last attempt did not reach the threshold fails with
    ThresholdError, which has all answers.

    Each attempt is a fresh start with at most `top_k_lessons` lessons: this run's first, the latest before the earlier,
    then those of other runs that `lessons` recalls. Without `lessons` a run learns from itself alone; its own lessons
    are in its log either way, and a resume finds them there.

    Calls of models: kB + k + (k - 1), for k attempts and B calls of `base`, plus one for each answer that had to be
    repaired; with an `evaluate` function k fewer. `base` is how an attempt is made: an architecture works with the
    agent's tools and instructions; another graph takes text. `evaluator` and `reflector` are instructions: the agent's
    are shown to the first and come before the second's. Each role has the agent's model unless it is given its own.
    Raises DefinitionError.
    """

    base: Part = "react"
    max_attempts: int = 3
    threshold: float = 0.8
    top_k_lessons: int = 5
    lessons: LessonStore | None = None
    at_cap: AtCap = "best"
    evaluate: Evaluator | None = None
    evaluator: str = EVALUATOR
    reflector: str = REFLECTOR
    evaluator_model: Model | str | None = None
    reflector_model: Model | str | None = None
    name: str = "reflexion"

    def __post_init__(self) -> None:
        check_rounds("Reflexion", "max_attempts", self.max_attempts, self.threshold, self.at_cap)
        if self.top_k_lessons < 0:
            raise DefinitionError(f"Reflexion(top_k_lessons={self.top_k_lessons}) is below 0; 0 shows none.")

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way, from its input to its output."""
        kinds = Kinds.of(agent)
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)

        async def begin(task: Any) -> Any:
            return kinds.ready(task=task)

        async def go_round(rounds: Any) -> Any:
            return rounds

        either = kinds.ready | kinds.rejected
        first = wf.node(typed(begin, task=told_of(agent), gives=kinds.ready))
        rounds = wf.node(typed(go_round, rounds=either, gives=either), name="round")
        recall = wf.node(self._recall(agent))
        attempt = wf.node(self._attempt(agent))
        evaluate = wf.node(self._evaluate(agent))
        reflect = wf.node(self._reflect(agent))
        store = wf.node(self._store(agent))
        best = wf.node(best_node(agent, self.threshold, self.at_cap))
        wf.chain(START, first, rounds)
        wf.edge(rounds, recall, when=kinds.ready)
        wf.chain(recall, attempt, evaluate)
        wf.edge(evaluate, rounds, when=kinds.rejected)
        wf.edge(evaluate, best, when=kinds.accepted)
        wf.edge(rounds, reflect, when=kinds.rejected)
        wf.chain(reflect, store, recall)
        wf.loop(rounds, evaluate, cap=self.max_attempts, on_cap=best)
        wf.edge(best, END)
        return wf

    def _recall(self, agent: Agent[Any, Any]) -> Any:
        limit, kept = self.top_k_lessons, self.lessons
        recalled: Any = Recalled
        recalled = recalled[told_of(agent), agent.output]

        async def recall(rounds: Any, ctx: Context) -> Any:
            chosen = list(reversed(rounds.lessons))[:limit]
            if kept is not None and len(chosen) < limit:
                own = {lesson.id for lesson in rounds.lessons}
                task = task_of(agent, rounds.task).text
                found = await kept.recall(task, user_id=ctx.user_id, limit=limit + len(own))
                chosen += [lesson for lesson in found if lesson.id not in own]
            return rounds.to(recalled, shown=chosen[:limit])

        return typed(recall, rounds=Kinds.of(agent).ready, ctx=Context, gives=recalled)

    def _attempt(self, agent: Agent[Any, Any]) -> Any:
        draft = Kinds.of(agent).draft
        recalled: Any = Recalled
        recalled = recalled[told_of(agent), agent.output]

        def ask(given: Any) -> UserMessage:
            task = task_of(agent, given.task)
            lessons = "\n".join(f"- {lesson.text}" for lesson in given.shown)
            return sections(task=task, lessons_from_earlier_attempts=lessons) if lessons else task

        async def attempted(given: Any, answer: Any) -> Any:
            return given.to(draft, answer=answer)

        base = told_part(self.base, agent, "base", takes=recalled, prompt=ask)
        return noted("attempt", base, attempted, takes=recalled, answer=agent.output, gives=draft, called="base")

    def _evaluate(self, agent: Agent[Any, Any]) -> Any:
        kinds, threshold = Kinds.of(agent), self.threshold

        def ask(given: Any) -> UserMessage:
            return sections(task=task_of(agent, given.task), answer=shown(given.answer))

        async def judge(given: Any, answer: Evaluation) -> Any:
            good = answer.score >= threshold
            return given.to(
                kinds.accepted if good else kinds.rejected, drafts=given.judged(answer.score, answer.reason)
            )

        told = judging(agent, self.evaluator)
        evaluator: Any = role(
            agent, "evaluator", told, input=kinds.draft, output=Evaluation, prompt=ask, model=self.evaluator_model
        )
        if self.evaluate is not None:
            evaluator = typed(_testing(self.evaluate), given=kinds.draft, gives=Evaluation)
        return noted("evaluate", evaluator, judge, takes=kinds.draft, answer=Evaluation, gives=kinds.outcome)

    def _reflect(self, agent: Agent[Any, Any]) -> Any:
        rejected = Kinds.of(agent).rejected
        reflected: Any = Reflected
        reflected = reflected[told_of(agent), agent.output]

        def ask(given: Any) -> UserMessage:
            last = given.drafts[-1]
            earlier = "\n".join(f"- {lesson.text}" for lesson in given.lessons)
            return sections(
                task=task_of(agent, given.task),
                your_answer=shown(last.answer),
                judgement=f"{last.review}\n\nScore: {last.score:g}",
                lessons_so_far=earlier,
            )

        async def learn(given: Any, answer: str) -> Any:
            return given.to(reflected, text=answer.strip())

        told = both(agent.instructions, self.reflector)
        reflector = role(agent, "reflector", told, input=rejected, output=str, prompt=ask, model=self.reflector_model)
        return noted("reflect", reflector, learn, takes=rejected, answer=str, gives=reflected)

    def _store(self, agent: Agent[Any, Any]) -> Any:
        ready, kept = Kinds.of(agent).ready, self.lessons
        reflected: Any = Reflected
        reflected = reflected[told_of(agent), agent.output]

        async def store(learned: Any, ctx: Context) -> Any:
            if not learned.text:  # a model that had nothing to say has taught nothing
                return learned.to(ready)
            lesson = Lesson(
                id=ctx.idempotency_key,
                text=learned.text,
                task=task_of(agent, learned.task).text,
                score=learned.drafts[-1].score,
                user_id=ctx.user_id,
            )
            if kept is not None:
                await kept.add(lesson)
            return learned.to(ready, lessons=[*learned.lessons, lesson])

        return typed(store, learned=reflected, ctx=Context, gives=ready)


def _testing(evaluate: Evaluator) -> Callable[..., Any]:
    """The function as a node body; its name is the node's."""
    if inspect.iscoroutinefunction(evaluate):

        async def test(given: Any) -> Any:
            return await evaluate(given.task, given.answer)

        return test

    def test_in_thread(given: Any) -> Any:
        return evaluate(given.task, given.answer)

    test_in_thread.__name__ = "test"
    return test_in_thread
