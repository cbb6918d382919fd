"""The tasks as LoomFlow 0.20 says them, on its journal in SQLite, which is what it has against a crash."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from loomflow import Agent, ReAct, ToolCall, Usage, tool
from loomflow.architecture.actor_critic import ActorCritic
from loomflow.architecture.blackboard import BlackboardArchitecture
from loomflow.architecture.debate import MultiAgentDebate
from loomflow.architecture.plan_and_execute import PlanAndExecute
from loomflow.architecture.reflexion import Reflexion
from loomflow.architecture.rewoo import ReWOO
from loomflow.architecture.router import Router, RouterRoute
from loomflow.architecture.self_refine import SelfRefine
from loomflow.architecture.supervisor import Supervisor
from loomflow.architecture.swarm import Swarm
from loomflow.architecture.tree_of_thoughts import TreeOfThoughts
from loomflow.core.types import ModelChunk
from loomflow.graph import build_graph
from loomflow.runtime import SqliteRuntime

from benchmarks.agents.saying import NAMES, TASK, Speech, searched

Calls = list[tuple[str, dict[str, Any]]]


@tool
async def search(text: str) -> str:
    """Search for something."""
    return await searched(text)


class Speaker:
    """A model that answers by what it is told and shown: a text, or calls of tools.

    LoomFlow tells an agent what it remembers behind its own instructions, so these are what the text begins with.
    """

    name = "scripted"

    def __init__(self, speech: Speech, answer: Callable[[str, str], str | Calls], runtime: Any) -> None:
        self._speech, self._answer, self.runtime = speech, answer, runtime

    async def complete(self, messages: list[Any], **_: Any) -> tuple[str, list[ToolCall], Usage, str]:
        told = "\n".join(str(m.content) for m in messages if m.role.value == "system")
        shown = "\n".join(str(m.content) for m in messages if m.role.value != "system")
        found = await self._speech.answered(self._answer(told, shown))
        if isinstance(found, str):
            return found, [], Usage(), "stop"
        calls = [ToolCall(id=f"c{i}", tool=name, args=args) for i, (name, args) in enumerate(found)]
        return "", calls, Usage(), "tool_use"

    async def stream(self, messages: list[Any], **_: Any) -> AsyncGenerator[ModelChunk]:
        text, calls, usage, reason = await self.complete(messages)
        if text:
            yield ModelChunk(kind="text", text=text)
        for call in calls:
            yield ModelChunk(kind="tool_call", tool_call=call)
        yield ModelChunk(kind="finish", finish_reason=reason, usage=usage)


def _react(told: str, shown: str) -> str | Calls:
    return "done" if "facts about" in shown else [("search", {"text": "Rome"}), ("search", {"text": "Oslo"})]


def _self_refine(told: str, shown: str) -> str | Calls:
    return "it is long" if "careful reviewer" in told else "draft"


def _actor_critic(told: str, shown: str) -> str | Calls:
    return '{"issues": ["it is long"], "score": 0.5, "summary": "long"}' if "You are reviewing" in shown else "answer"


def _reflexion(told: str, shown: str) -> str | Calls:
    if "You are an evaluator" in told:
        return "score: 0.2"
    return "be brief" if "You are a reflector" in told else "attempt"


def _tree_of_thoughts(told: str, shown: str) -> str | Calls:
    if "exploring possible reasoning paths" in told:
        return "1. left\n2. right\n3. on"
    return "score: 0.5" if "evaluate a candidate" in told else "done"


def _plan(told: str, shown: str) -> str | Calls:
    return '["do a", "do b", "do c", "do d with a, b and c"]' if "JSON" in told else "done"


def _rewoo(told: str, shown: str) -> str | Calls:
    if "step-by-step plan" not in told:
        return "done"
    return (
        '[{"id": "E1", "tool": "search", "args": {"text": "Rome"}}, {"id": "E2", "tool": "search", "args": {"text": '
        '"Oslo"}}, {"id": "E3", "tool": "search", "args": {"text": "{{E1}} and {{E2}}"}}]'
    )


def _router(told: str, shown: str) -> str | Calls:
    return "route: one\nconfidence: 0.9" if "routing classifier" in told else "done"


def _supervisor(told: str, shown: str) -> str | Calls:
    if not told.startswith("You are the agent."):
        return "report"
    if "report" in shown:
        return "done"
    return [("delegate", {"worker": name, "instructions": "look"}) for name in NAMES]


def _debate(told: str, shown: str) -> str | Calls:
    return next((f"Final answer: {name} it is" for name in NAMES if told.startswith(f"You are {name}.")), "done")


def _swarm(told: str, shown: str) -> str | Calls:
    for name, other in itertools.pairwise(NAMES):
        if told.startswith(f"You are {name}."):
            return [("handoff", {"target": other, "message": "go on"})]
    return "done"


def _blackboard(told: str, shown: str) -> str | Calls:
    if told.startswith("You coordinate."):
        wanted = next((name for name in NAMES if f"fact of {name}" not in shown), None)
        if wanted is None:
            return '{"terminate": true, "next_agent": null, "instruction": null}'
        return f'{{"terminate": false, "next_agent": "{wanted}", "instruction": "go on"}}'
    return next((f"fact of {name}" for name in NAMES if told.startswith(f"You are {name}.")), "done")


def _some(model: Any) -> dict[str, Agent]:
    return {name: _one(f"You are {name}.", model, name=name) for name in NAMES}


def _one(instructions: str, model: Any, **options: Any) -> Agent:
    """Every agent needs the journal, or a crash loses what it did."""
    return Agent(instructions, model=model, runtime=model.runtime, **options)


def _coordinated(model: Any) -> Any:
    coordinator, decider = _one("You coordinate.", model), _one("You decide.", model)
    return BlackboardArchitecture(agents=_some(model), coordinator=coordinator, decider=decider)


TASKS: dict[str, tuple[Callable[[str, str], str | Calls], Callable[[Any], Any], list[Any]]] = {
    "react": (_react, lambda _: ReAct(), [search]),
    "self-refine": (_self_refine, lambda _: SelfRefine(max_rounds=3), []),
    "reflexion": (_reflexion, lambda _: Reflexion(max_attempts=3), []),
    "tree-of-thoughts": (_tree_of_thoughts, lambda _: TreeOfThoughts(max_depth=2), []),
    "plan-and-execute": (_plan, lambda _: PlanAndExecute(), []),
    "rewoo": (_rewoo, lambda _: ReWOO(), [search]),
    "router": (_router, lambda m: Router(routes=[RouterRoute(n, a) for n, a in _some(m).items()]), []),
    "supervisor": (_supervisor, lambda m: Supervisor(workers=_some(m)), []),
    "actor-critic": (
        _actor_critic,
        lambda m: ActorCritic(actor=_one("You act.", m), critic=_one("You review.", m), max_rounds=3),
        [],
    ),
    "multi-agent-debate": (
        _debate,
        lambda m: MultiAgentDebate(
            debaters=list(_some(m).values()), judge=_one("You judge.", m), rounds=2, convergence_check=True
        ),
        [],
    ),
    "swarm": (_swarm, lambda m: Swarm(agents=dict(_some(m)), entry_agent="one"), []),
    "blackboard": (_blackboard, _coordinated, []),
}


def _agent(way: str, speech: Speech, path: Path | None) -> Agent:
    answer, architecture, tools = TASKS[way]
    runtime = None if path is None else SqliteRuntime(path)
    model: Any = Speaker(speech, answer, runtime)
    return Agent("You are the agent.", model=model, tools=tools, architecture=architecture(model), runtime=runtime)


def make(way: str, speech: Speech, path: Path) -> Agent:
    """What is made once, when a program begins."""
    return _agent(way, speech, path)


async def work(agent: Agent, path: Path, name: str) -> str:
    """Run the task in a session, or the same again: its journal knows which steps it has."""
    result = await agent.run(TASK, session_id=name)
    return str(result.output)


def drawn(way: str, speech: Speech) -> int:
    """How many boxes its drawing shows."""
    return len(asyncio.run(build_graph(_agent(way, speech, None))).nodes)
