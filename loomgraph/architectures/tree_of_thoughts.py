"""TreeOfThoughts: next steps are proposed, scored and pruned, level by level (Yao et al. 2023, arXiv:2305.10601).

Differs from the paper: a score is one call with a reason, not a vote over several; equal siblings are scored once; a
branch is scored as soon as it is proposed; and the best path is not the answer but what the answer is written from.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from loomgraph.architectures.roles import (
    Part,
    Travelling,
    judging,
    list_of,
    noted,
    role,
    sections,
    task_of,
    told_of,
    told_part,
    typed,
)
from loomgraph.errors import DefinitionError, EmptyBeamError
from loomgraph.graph.refs import END, START
from loomgraph.models.messages import UserMessage
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["Appraisal", "Path", "Proposals", "Thought", "TreeOfThoughts"]

TaskT = TypeVar("TaskT")

PROPOSER = (
    "You think about a task one step at a time. Propose next steps that differ from each other in substance, each a "
    "complete thought that others can judge. Do not repeat the steps so far. If no step can help, propose none."
)
EVALUATOR = (
    "You judge the last step of a train of thought about a task. Score it from 0 (it cannot lead to a solution) to 1 "
    "(with it the task is solved), and say in a sentence what decided the score."
)
SYNTHESIZER = "These steps are the best that were found. Answer the task by them, as a whole."


class Proposals(BaseModel):
    """Next steps."""

    model_config = ConfigDict(extra="forbid")

    thoughts: list[str]


class Appraisal(BaseModel):
    """How promising a step is."""

    model_config = ConfigDict(extra="forbid")

    score: float = Field(ge=0, le=1, description="From 0, it cannot lead to a solution, to 1, the task is solved.")
    reason: str = Field(description="What decided the score.")


class Thought(Travelling):
    """One step, with its score once it has one."""

    text: str
    score: float = 0.0
    reason: str = ""


class Path(Travelling):
    """Steps from the root of the tree; the root has none."""

    thoughts: list[Thought] = Field(default_factory=list[Thought])

    @property
    def score(self) -> float:
        """That of its last step."""
        return self.thoughts[-1].score if self.thoughts else 0.0

    def plus(self, thought: Thought) -> Path:
        """One step further."""
        return Path(thoughts=[*self.thoughts, thought])

    def steps(self) -> str:
        """Its steps as a model is shown them."""
        return "\n\n".join(f"{number}. {thought.text}" for number, thought in enumerate(self.thoughts, 1))


class Tree(Travelling, Generic[TaskT]):
    """What is still to be explored, best or next first, and the best path that ended.

    `open` are the paths of one level (bfs), or those that were set aside on the way down (dfs).
    """

    task: TaskT
    open: list[Path]
    best: Path | None = None


class Growing(Tree[TaskT], Generic[TaskT]):
    """There is more to explore."""


class Grown(Tree[TaskT], Generic[TaskT]):
    """The search is over: solved, or nothing is left to explore."""


class Branch(Travelling, Generic[TaskT]):
    """A path that is to be continued, or one whose last step is to be scored."""

    task: TaskT
    path: Path


class Found(Travelling, Generic[TaskT]):
    """The path that the answer is written from."""

    task: TaskT
    path: Path


@dataclass(frozen=True)
class _Kinds:
    growing: Any
    grown: Any
    branch: Any
    found: Any

    @classmethod
    def of(cls, agent: Agent[Any, Any]) -> _Kinds:
        generic: tuple[Any, ...] = (Growing, Grown, Branch, Found)
        return cls(*(kind[told_of(agent)] for kind in generic))


@dataclass(frozen=True)
class TreeOfThoughts:
    """Per level: propose for each path of the beam, score each step, prune; then the answer from the best path.

    With `search="bfs"` the `beam_width` best paths of a level go on to the next. With "dfs" the best step is followed
    down to `max_depth` first, and the next best of at most `beam_width` siblings when that did not solve the task.
    Steps below `min_score` are given up; of equal scores the earlier counts; steps of one parent that say the same are
    scored once. Stops when a step reaches `solved_threshold`, after `max_depth` levels, or when nothing is left, and
    then answers from the deepest path, of equally deep ones the best. If not even a first step is left, the run fails
    with EmptyBeamError, which has all that were scored.

    Calls of models with bfs: at most 1 + b + (D - 1) w (1 + b) + B, for b steps per proposal, w paths per level, D
    levels and B calls of `base`, which writes the answer (1 without tools). With dfs: at most E (1 + b) + B, for E =
    1 + w + ... + w^(D - 1) expansions. Plus one for each answer that had to be repaired. `base` works with the agent's
    tools and instructions if it is an architecture; another graph takes text. Raises DefinitionError.
    """

    branch_factor: int = 3
    beam_width: int = 2
    max_depth: int = 3
    min_score: float = 0.0
    solved_threshold: float = 1.0
    search: Literal["bfs", "dfs"] = "bfs"
    base: Part = "react"
    proposer: str = PROPOSER
    evaluator: str = EVALUATOR
    synthesizer: str = SYNTHESIZER
    proposer_model: Model | str | None = None
    evaluator_model: Model | str | None = None
    name: str = "tree-of-thoughts"

    def __post_init__(self) -> None:
        for name, number in (
            ("branch_factor", self.branch_factor),
            ("beam_width", self.beam_width),
            ("max_depth", self.max_depth),
        ):
            if number < 1:
                raise DefinitionError(f"TreeOfThoughts({name}={number}) would think nothing; use at least 1.")
        for name, score in (("min_score", self.min_score), ("solved_threshold", self.solved_threshold)):
            if not 0 <= score <= 1:
                raise DefinitionError(f"TreeOfThoughts({name}={score:g}) is out of reach; scores go from 0 to 1.")
        if self.search not in ("bfs", "dfs"):
            raise DefinitionError(f"TreeOfThoughts(search={self.search!r}) is unknown; use 'bfs' or 'dfs'.")

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way, from its input to its output."""
        kinds, deep = _Kinds.of(agent), self.search == "dfs"
        wf: Workflow[Any, Any] = Workflow(agent.name, input=told_of(agent), output=agent.output, doc=agent.description)

        async def plant(task: Any) -> Any:
            return kinds.growing(task=task, open=[Path()])

        async def go_on(tree: Any) -> Any:
            return tree

        async def branches(tree: Any) -> Any:
            return [kinds.branch(task=tree.task, path=path) for path in tree.open[: 1 if deep else None]]

        async def choose(tree: Any) -> Any:
            # the one that ended, or where the levels ran out the best of the last one
            chosen = _best(tree.open if tree.best is None else [tree.best], 1)[0]
            return kinds.found(task=tree.task, path=chosen)

        first = wf.node(typed(plant, task=told_of(agent), gives=kinds.growing))
        level = wf.node(typed(go_on, tree=kinds.growing, gives=kinds.growing), name="level")
        beam = wf.node(typed(branches, tree=kinds.growing, gives=list_of(kinds.branch)))
        branch = wf.node(self._branch(agent))
        prune = wf.node(self._prune(agent))
        best = wf.node(typed(choose, tree=kinds.growing | kinds.grown, gives=kinds.found))
        answer = wf.node(self._synthesize(agent), name="synthesize")
        wf.chain(START, first, level, beam)
        wf.map(beam, branch)
        wf.join({"tree": level, "grown": branch}, into=prune)
        wf.edge(prune, level, when=kinds.growing)
        wf.edge(prune, best, when=kinds.grown)
        wf.loop(level, prune, cap=self._expansions() if deep else self.max_depth, on_cap=best)
        wf.chain(best, answer, END)
        return wf

    def _expansions(self) -> int:
        return sum(self.beam_width**level for level in range(self.max_depth))

    def _branch(self, agent: Agent[Any, Any]) -> Graph[Any, Any]:
        """Propose steps after one path, and score them: no other branch is waited for."""
        branch = _Kinds.of(agent).branch
        wf: Workflow[Any, Any] = Workflow("branch", input=branch, output=list[Path])
        propose = wf.node(self._propose(agent))
        evaluate = wf.node(self._evaluate(agent))
        wf.edge(START, propose)
        wf.map(propose, evaluate)
        wf.edge(evaluate, END)
        return wf.compile()

    def _propose(self, agent: Agent[Any, Any]) -> Graph[Any, Any]:
        branch, most = _Kinds.of(agent).branch, self.branch_factor
        thoughts: Any = (list[str], Field(max_length=most, description=f"At most {most}."))
        output: Any = create_model("Proposals", __base__=Proposals, __doc__=Proposals.__doc__, thoughts=thoughts)

        def ask(given: Any) -> UserMessage:
            wanted = f"Propose {most} next steps." if most > 1 else "Propose the next step."
            return sections(task=task_of(agent, given.task), steps_so_far=given.path.steps(), now=wanted)

        async def siblings(given: Any, answer: Proposals) -> Any:
            texts: dict[str, str] = {}
            for text in answer.thoughts:
                texts.setdefault(" ".join(text.casefold().split()), text)
            return [
                branch(task=given.task, path=given.path.plus(Thought(text=text)))
                for same, text in texts.items()
                if same
            ]

        proposer = role(
            agent,
            "proposer",
            judging(agent, self.proposer),
            input=branch,
            output=output,
            prompt=ask,
            model=self.proposer_model,
        )
        return noted("propose", proposer, siblings, takes=branch, answer=output, gives=list_of(branch))

    def _evaluate(self, agent: Agent[Any, Any]) -> Graph[Any, Any]:
        branch = _Kinds.of(agent).branch

        def ask(given: Any) -> UserMessage:
            before = Path(thoughts=given.path.thoughts[:-1]).steps()
            last = given.path.thoughts[-1].text
            return sections(task=task_of(agent, given.task), steps_so_far=before, last_step=last)

        async def score(given: Any, answer: Appraisal) -> Path:
            last = given.path.thoughts[-1]
            scored = Thought(text=last.text, score=answer.score, reason=answer.reason)
            return Path(thoughts=[*given.path.thoughts[:-1], scored])

        evaluator = role(
            agent,
            "evaluator",
            judging(agent, self.evaluator),
            input=branch,
            output=Appraisal,
            prompt=ask,
            model=self.evaluator_model,
        )
        return noted("evaluate", evaluator, score, takes=branch, answer=Appraisal, gives=Path)

    def _prune(self, agent: Agent[Any, Any]) -> Callable[..., Any]:
        kinds, deep, width, depth = _Kinds.of(agent), self.search == "dfs", self.beam_width, self.max_depth
        least, solved, name = self.min_score, self.solved_threshold, agent.name

        async def prune(tree: Any, grown: list[list[Path]]) -> Any:
            scored = list(itertools.chain.from_iterable(grown))
            kept = _best([path for path in scored if path.score >= least], width)
            if kept and kept[0].score >= solved:
                return kinds.grown(task=tree.task, open=kept[:1])
            if deep:
                ended, further = _descended(tree, kept, depth)
            else:  # where nothing is left, the level before is the last one
                ended, further = (None, kept) if kept else (_deepest(tree.open), kept)
            if further:
                return kinds.growing(task=tree.task, open=further, best=ended)
            if ended is None:
                raise EmptyBeamError(name, least, scored)
            return kinds.grown(task=tree.task, open=[], best=ended)

        return typed(
            prune,
            tree=kinds.growing,
            grown=list[list[Path]],
            gives=kinds.growing | kinds.grown,
        )

    def _synthesize(self, agent: Agent[Any, Any]) -> Any:
        found, synthesizer = _Kinds.of(agent).found, self.synthesizer

        def ask(given: Any) -> UserMessage:
            return sections(task=task_of(agent, given.task), best_steps=given.path.steps(), now=synthesizer)

        return told_part(self.base, agent, "synthesizer", takes=found, prompt=ask)


def _best(paths: Sequence[Path], width: int) -> list[Path]:
    """The best paths first; of equal ones the earlier."""
    return sorted(paths, key=lambda path: -path.score)[:width]


def _deepest(paths: Sequence[Path | None]) -> Path | None:
    """The deepest path that has a step, of equally deep ones the best, of those the first."""
    some: Iterator[Path] = (path for path in paths if path is not None and path.thoughts)
    return max(some, key=lambda path: (len(path.thoughts), path.score), default=None)


def _descended(tree: Tree[Any], kept: list[Path], depth: int) -> tuple[Path | None, list[Path]]:
    """Depth first: the best path that ended, and what is still open, the next one first."""
    here, aside = tree.open[0], tree.open[1:]
    if not kept:
        return _deepest([tree.best, here]), aside
    if len(kept[0].thoughts) >= depth:
        return _deepest([tree.best, *kept]), aside
    return tree.best, [*kept, *aside]
