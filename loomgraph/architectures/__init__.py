"""How agents work: one architecture a file, each giving a Workflow that the engine runs like any other.

None of them runs anything by other means than a graph, so every promise of a run holds for them too. A package may
offer more in the entry point group `loomgraph.architectures`: a callable that returns an architecture.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from importlib.metadata import entry_points

from loomgraph.architectures.actor_critic import ActorCritic
from loomgraph.architectures.blackboard import Blackboard, Board, board_of
from loomgraph.architectures.multi_agent_debate import MultiAgentDebate
from loomgraph.architectures.plan_execute import PlanAndExecute
from loomgraph.architectures.react import ReAct
from loomgraph.architectures.reflexion import Reflexion
from loomgraph.architectures.rewoo import ReWOO
from loomgraph.architectures.router import Router
from loomgraph.architectures.self_refine import SelfRefine
from loomgraph.architectures.supervisor import Supervisor
from loomgraph.architectures.swarm import Swarm
from loomgraph.architectures.team import Team
from loomgraph.architectures.tree_of_thoughts import TreeOfThoughts
from loomgraph.architectures.workers import Worker
from loomgraph.errors import DefinitionError
from loomgraph.nodes.agent import Architecture

__all__ = [
    "ENTRY_POINTS",
    "ActorCritic",
    "Blackboard",
    "Board",
    "MultiAgentDebate",
    "PlanAndExecute",
    "ReAct",
    "ReWOO",
    "Reflexion",
    "Router",
    "SelfRefine",
    "Supervisor",
    "Swarm",
    "Team",
    "TreeOfThoughts",
    "Worker",
    "architecture_names",
    "board_of",
    "resolve_architecture",
]

ENTRY_POINTS = "loomgraph.architectures"

_KNOWN: dict[str, Callable[[], Architecture]] = {
    "actor-critic": ActorCritic,
    "multi-agent-debate": MultiAgentDebate,
    "plan-and-execute": PlanAndExecute,
    "react": ReAct,
    "reflexion": Reflexion,
    "rewoo": ReWOO,
    "self-refine": SelfRefine,
    "tree-of-thoughts": TreeOfThoughts,
}


_OF_OTHERS = (Blackboard, Router, Supervisor, Swarm)


def architecture_names() -> tuple[str, ...]:
    """The names of the architectures that need nothing said, with those of installed packages."""
    return tuple(sorted({*_KNOWN, *(point.name for point in entry_points(group=ENTRY_POINTS))}))


def resolve_architecture(name: str) -> Architecture:
    """The architecture of that name with its default settings. Raises DefinitionError, with names like it."""
    known = _KNOWN.get(name)
    if known is not None:
        return known()
    for point in entry_points(group=ENTRY_POINTS, name=name):
        made: Architecture = point.load()()
        return made
    needy = next((way for way in _OF_OTHERS if way.name == name), None)
    if needy is not None:
        raise DefinitionError(
            f"the architecture '{name}' needs to know of other agents: write architecture={needy.__name__}(...), or "
            f"Team.{name}(...)."
        )
    close = difflib.get_close_matches(name, architecture_names(), 1)
    hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(architecture_names())}."
    raise DefinitionError(f"there is no architecture '{name}'. {hint}")
