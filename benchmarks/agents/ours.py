"""The tasks as loomgraph says them. An answer is a function of the request's instructions and of what it shows."""

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from benchmarks.agents.saying import FIRST, NAMES, TASK, Speech, searched
from loomgraph import Agent, Graph, tool
from loomgraph.architectures import (
    ActorCritic,
    Blackboard,
    MultiAgentDebate,
    PlanAndExecute,
    ReAct,
    Reflexion,
    ReWOO,
    Router,
    SelfRefine,
    Supervisor,
    Swarm,
    TreeOfThoughts,
)
from loomgraph.errors import RunBusyError
from loomgraph.models import ModelRequest, ModelResponse, ScriptedModel, SystemMessage, ToolCall, UserMessage, assistant
from loomgraph.models.responses import StreamEvent
from loomgraph.store.sqlite import SQLiteStore

Answer = Callable[[str, str, ModelRequest], Any]

BOTH = assistant(
    ToolCall(id="1", name="search", arguments={"text": "Rome"}),
    ToolCall(id="2", name="search", arguments={"text": "Oslo"}),
)


@tool(reads=())
async def search(text: str) -> str:
    """Search for something."""
    return await searched(text)


class Speaker:
    """A model that answers by what it is told and shown."""

    provider, name = "scripted", "scripted"

    def __init__(self, speech: Speech, answer: Answer) -> None:
        self._speech, self._answer = speech, answer

    async def generate(self, request: ModelRequest) -> ModelResponse:
        return await self._speech.answered(await ScriptedModel([self._say]).generate(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        await self._speech.answered(None)
        async for event in ScriptedModel([self._say]).stream(request):
            yield event

    def _say(self, request: ModelRequest) -> Any:
        told = "\n".join(m.text for m in request.messages if isinstance(m, SystemMessage))
        shown = "\n".join(m.text for m in request.messages if isinstance(m, UserMessage))
        return self._answer(told, shown, request)


def call(id: str, text: str) -> dict[str, Any]:
    return {"id": id, "why": "to know", "tool": "search", "arguments": {"text": text}}


def step(id: str, *needs: str) -> dict[str, Any]:
    return {"id": id, "task": f"do {id}", "needs": list(needs)}


def entry(text: str) -> dict[str, Any]:
    return {"entries": [{"kind": "fact", "text": text}]}


def _react(told: str, shown: str, request: ModelRequest) -> Any:
    return BOTH if len(request.messages) == 1 else "done"


def _self_refine(told: str, shown: str, request: ModelRequest) -> Any:
    if "You review a draft" in told:
        return {"feedback": "it is long", "score": 0.5, "stop": False}
    return "draft"


def _actor_critic(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is not None:
        return {"score": 0.5, "issues": ["it is long"], "summary": "long"}
    return "answer"


def _reflexion(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is not None:
        return {"score": 0.2, "reason": "it is long"}
    return "be brief" if "You attempted a task" in told else "attempt"


def _tree_of_thoughts(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is None:
        return "done"
    if "thoughts" in str(request.output):
        return {"thoughts": ["left", "right", "on"]}
    return {"score": 0.5, "reason": "so so"}


def _plan(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is not None:
        return {"steps": [step("a"), step("b"), step("c"), step("d", "a", "b", "c")]}
    return "done"


def _rewoo(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is not None:
        return {"steps": [call("E1", "Rome"), call("E2", "Oslo"), call("E3", "#E1 and #E2")]}
    return "done"


def _router(told: str, shown: str, request: ModelRequest) -> Any:
    return {"route": "one", "confidence": 0.9, "reason": "so"} if request.output is not None else "done"


def _supervisor(told: str, shown: str, request: ModelRequest) -> Any:
    if request.output is None:
        return "report"
    if "was told: " in shown:
        return {"kind": "answer", "answer": "done"}
    return {"kind": "delegate", "assignments": [{"worker": name, "task": "look"} for name in NAMES]}


def _debate(told: str, shown: str, request: ModelRequest) -> Any:
    return next((f"{name} it is" for name in NAMES if f"You are {name}." in told), "done")


def _swarm(told: str, shown: str, request: ModelRequest) -> Any:
    for name, other in itertools.pairwise(NAMES):
        if f"You are {name}." in told:
            return {"kind": "handoff", "to": other, "message": "go on"}
    return {"kind": "answer", "answer": "done"}


def _blackboard(told: str, shown: str, request: ModelRequest) -> Any:
    if "you do not write yourself" in told:
        return {"kind": "pick", "contributors": ["three"] if "<board>" in shown else ["one", "two"]}
    if "Say whether the board" in told:
        return {"kind": "answer", "answer": "done"} if "of three" in shown else {"kind": "go_on", "missing": "three"}
    return entry("of three" if "You are three." in told else "of another")


def _some(model: Speaker) -> list[Agent[Any, Any]]:
    return [Agent(name, model, instructions=f"You are {name}.") for name in NAMES]


TASKS: dict[str, tuple[Answer, Callable[[Speaker], Any], list[Any]]] = {
    "react": (_react, lambda _: ReAct(), [search]),
    "self-refine": (_self_refine, lambda _: SelfRefine(max_rounds=3), []),
    "reflexion": (_reflexion, lambda _: Reflexion(max_attempts=3), []),
    "tree-of-thoughts": (_tree_of_thoughts, lambda _: TreeOfThoughts(max_depth=2), []),
    "plan-and-execute": (_plan, lambda _: PlanAndExecute(), []),
    "rewoo": (_rewoo, lambda _: ReWOO(), [search]),
    "router": (_router, lambda model: Router(_some(model)), []),
    "supervisor": (_supervisor, lambda model: Supervisor(_some(model)), []),
    "actor-critic": (_actor_critic, lambda _: ActorCritic(max_rounds=3), []),
    "multi-agent-debate": (_debate, lambda model: MultiAgentDebate(_some(model), rounds=2, judge=model), []),
    "swarm": (_swarm, lambda model: Swarm(_some(model)), []),
    "blackboard": (_blackboard, lambda model: Blackboard(_some(model)), []),
}


def agent_of(way: str, speech: Speech) -> Agent[Any, Any]:
    """The agent that works this way, on the scripted model."""
    answer, architecture, tools = TASKS[way]
    model = Speaker(speech, answer)
    return Agent("agent", model, tools=tools, architecture=architecture(model))


def make(way: str, speech: Speech, path: Path) -> Graph[Any, Any]:
    """What is made once, when a program begins."""
    return agent_of(way, speech).graph


async def work(graph: Graph[Any, Any], path: Path, name: str) -> str:
    """Run the task, or go on with it where a killed process left it; everything is kept in the file."""
    async with SQLiteStore(path) as store:
        if (await store.runs(limit=1)).runs and name == FIRST:
            result = await _resumed(graph, store)
        else:
            result = await graph.run(TASK, store=store, run_id=name, lease=1)
    return str(result.output)


async def _resumed(graph: Any, store: SQLiteStore) -> Any:
    """The run is the killed process's until its lease of a second is over."""
    while True:
        try:
            return await graph.resume(FIRST, store=store)
        except RunBusyError:
            await asyncio.sleep(0.05)


def drawn(way: str, speech: Speech) -> int:
    """How many steps its drawing shows: every node but START and END."""
    picture = agent_of(way, speech).to_mermaid()
    return sum(1 for line in picture.splitlines() if re.match(r"\s+n\w*[\[({>]", line) and "([" not in line)
