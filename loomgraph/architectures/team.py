"""Team: agents that work together, in one line. Each is an Agent with an architecture, and nothing that one is not."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from loomgraph.architectures.actor_critic import ActorCritic
from loomgraph.architectures.blackboard import Blackboard
from loomgraph.architectures.multi_agent_debate import MultiAgentDebate
from loomgraph.architectures.roles import Part
from loomgraph.architectures.router import Router
from loomgraph.architectures.supervisor import Supervisor
from loomgraph.architectures.swarm import Swarm
from loomgraph.architectures.workers import Worker, Workers
from loomgraph.errors import DefinitionError
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent, Architecture

__all__ = ["Team"]

# what an architecture calls so too is here the agent's: its own are for Agent(architecture=...)
_AGENTS = {field.name for field in dataclasses.fields(Agent)} - {"architecture"}


class Team:
    """Makes agents of agents: `Team.supervisor([finder, writer], model="openai:gpt-5.2", max_rounds=5)`.

    Every other setting is one of the architecture (`max_rounds=`, `allow_spawn=`) or one of `Agent` (`instructions=`,
    `output=`, `permissions=`, ...). `model` is that of those who coordinate; where nobody does, it is the first agent's
    by default. The result is an Agent: it runs, is drawn, is resumed, and is a worker of other teams. Raises
    DefinitionError for a setting that neither has.
    """

    @staticmethod
    def supervisor(
        workers: Workers, *, model: Model | str, name: str = "supervisor", **settings: Any
    ) -> Agent[Any, Any]:
        """A coordinator that hands parts of a task to workers: `Supervisor`."""
        return _team(Supervisor, name, model, settings, workers=workers)

    @staticmethod
    def router(routes: Workers, *, model: Model | str, name: str = "router", **settings: Any) -> Agent[Any, Any]:
        """A classifier that chooses the one way a task goes: `Router`."""
        return _team(Router, name, model, settings, routes=routes)

    @staticmethod
    def swarm(
        agents: Workers, *, model: Model | str | None = None, name: str = "swarm", **settings: Any
    ) -> Agent[Any, Any]:
        """Agents that hand a task to each other until one answers: `Swarm`."""
        return _team(Swarm, name, _model_of(agents, model, name), settings, agents=agents)

    @staticmethod
    def blackboard(
        contributors: Workers, *, model: Model | str, name: str = "blackboard", **settings: Any
    ) -> Agent[Any, Any]:
        """Contributors who write on one board until the answer is there: `Blackboard`."""
        return _team(Blackboard, name, model, settings, contributors=contributors)

    @staticmethod
    def debate(
        debaters: int | Sequence[Part] | Mapping[str, Part] = 3,
        *,
        model: Model | str | None = None,
        name: str = "debate",
        **settings: Any,
    ) -> Agent[Any, Any]:
        """Debaters who answer, read each other and answer again until they agree: `MultiAgentDebate`."""
        some = () if isinstance(debaters, int) else debaters
        return _team(MultiAgentDebate, name, _model_of(some, model, name), settings, debaters=debaters)

    @staticmethod
    def actor_critic(
        actor: Part = "react",
        critic_model: Model | str | None = None,
        *,
        model: Model | str | None = None,
        name: str = "actor-critic",
        **settings: Any,
    ) -> Agent[Any, Any]:
        """One who does a task and one who judges it until it is good enough: `ActorCritic`."""
        made = {"base": actor, "critic_model": critic_model}
        return _team(ActorCritic, name, _model_of([actor], model, name), settings, **made)


def _team(way: type[Any], name: str, model: Model | str, settings: Mapping[str, Any], **given: Any) -> Agent[Any, Any]:
    own = {field.name for field in dataclasses.fields(way)} - _AGENTS - {"name"}
    for key in settings:
        if key not in own | _AGENTS:
            close = difflib.get_close_matches(key, sorted(own | _AGENTS), 1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise DefinitionError(f"neither {way.__name__} nor Agent has a setting '{key}'.{meant}")
    architecture: Architecture = way(**given, **{key: value for key, value in settings.items() if key in own})
    agents = {key: value for key, value in settings.items() if key not in own}
    return Agent(name, model, architecture=architecture, **agents)


def _model_of(agents: Workers | Mapping[str, Any] | Sequence[Any], model: Model | str | None, name: str) -> Model | str:
    """The model that is given, else the first agent's."""
    if model is not None:
        return model
    for worker in agents.values() if isinstance(agents, Mapping) else agents:
        does = worker.does if isinstance(worker, Worker) else worker
        if isinstance(does, Agent):
            return does.model
    raise DefinitionError(f"team '{name}' has no agent whose model it could use; give it model=.")
