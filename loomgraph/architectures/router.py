"""Router: a model says once which of several ways a task goes, and it goes there.

Routing is one of the workflows in Anthropic's "Building effective agents" (2024). What is chosen is a value with a
route, how sure the model is and why; nothing else of the task is changed on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from pydantic import BaseModel, Field, create_model

from loomgraph.architectures.roles import Part, Travelling, arms, both, noted, role, task_of, told_of, typed
from loomgraph.architectures.workers import Called, Member, Worker, Workers, listed, one_of, refuse_tools, workers_of
from loomgraph.errors import DefinitionError, UnresolvableRouteError, names
from loomgraph.graph.refs import END, START
from loomgraph.models.protocol import Model
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.conversation import Conversation
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.workflow import Workflow

__all__ = ["CLASSIFY", "Choice", "Routed", "Router"]

T = TypeVar("T")

CLASSIFY = (
    "You do not do the task yourself. Choose the one route that it should take, say how sure you are from 0 to 1, and "
    "why, in one sentence."
)


class Choice(BaseModel):
    """What the classifier says."""

    route: str
    confidence: float = Field(ge=0, le=1)
    reason: str


class Routed(Travelling, Generic[T]):
    """A task on its way: `route` is where it goes, `choice` what the classifier said."""

    value: T
    route: str
    choice: Choice


@dataclass(frozen=True)
class Router:
    """classify -> exactly one route.

    `routes` are agents, graphs or architectures by name, each taking the agent's input and giving its output. What the
    classifier names but is not there, or is less sure of than `min_confidence`, goes to `fallback`: the name of a
    route, or one more that the classifier is not told of. Without a fallback that is an UnresolvableRouteError.
    `instructions` are told to the classifier, and the routes with their descriptions after them; `model` is the
    classifier's.

    Model calls: 1 + those of the route. Stops when the route ends.
    """

    routes: Workers
    fallback: str | Part | Worker | None = None
    min_confidence: float = 0.0
    model: Model | str | None = None
    instructions: str = CLASSIFY
    name: str = "router"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph. Raises DefinitionError for routes that cannot be meant."""
        if not 0 <= self.min_confidence <= 1:
            raise DefinitionError(f"agent '{agent.name}': min_confidence={self.min_confidence} is not from 0 to 1.")
        routes = workers_of(self.routes, agent, "route", taken=("classify",))
        others, fallback = self._fallback(agent, routes)
        refuse_tools(agent, self.name, routes | others)
        takes = told_of(agent)
        routed = cast(Any, Routed)[takes]
        choice = _choice_of(list(routes))
        classifier = role(
            agent,
            "classifier",
            both(agent.instructions, f"{self.instructions}\n\nThe routes:\n{listed(routes)}"),
            input=takes,
            output=choice,
            prompt=lambda value: task_of(agent, value),
            model=self.model,
        )
        choose = _chooser(tuple(routes), fallback, self.min_confidence, routed)
        wf: Workflow[Any, Any] = Workflow(agent.name, input=takes, output=agent.output, doc=agent.description)
        classify = wf.node(noted("classify", classifier, choose, takes=takes, gives=routed, answer=choice))
        wf.edge(START, classify)
        for name, member in (routes | others).items():
            hand = wf.node(_hander(agent, member, routed), name=f"to {name}")
            worker = wf.node(member.does, name=name)
            wf.edge(classify, hand, when=Called("route", name), label=name)
            wf.chain(hand, worker, END)
        return wf

    def _fallback(self, agent: Agent[Any, Any], routes: Mapping[str, Member]) -> tuple[dict[str, Member], str | None]:
        if self.fallback is None:
            return {}, None
        if isinstance(self.fallback, str):
            if self.fallback not in routes:
                raise DefinitionError(
                    f"agent '{agent.name}': fallback={self.fallback!r} names no route; there are {names(list(routes))}."
                )
            return {}, self.fallback
        others = workers_of({"fallback": self.fallback}, agent, "fallback")
        if "fallback" in routes:
            raise DefinitionError(f"agent '{agent.name}' has a route called 'fallback'; write fallback='fallback'.")
        return others, "fallback"


def _choice_of(routes: list[str]) -> Any:
    """The type that the classifier answers with: a Choice whose schema names the routes."""
    return create_model("Choice", __base__=Choice, __doc__=Choice.__doc__, route=(one_of(routes), ...))


def _chooser(routes: tuple[str, ...], fallback: str | None, least: float, routed: Any) -> Callable[..., Any]:
    async def choose(given: Any, answer: Choice) -> Any:
        said = Choice(route=answer.route, confidence=answer.confidence, reason=answer.reason)
        if said.route in routes and said.confidence >= least:
            return routed(value=given, route=said.route, choice=said)
        if fallback is None:
            raise UnresolvableRouteError(said.route, said.confidence, said.reason, given, routes, least)
        return routed(value=given, route=fallback, choice=said)

    return choose


def _hander(agent: Agent[Any, Any], member: Member, routed: Any) -> Callable[..., Any]:
    """What hands the task over; to a graph that takes no conversation, as the text of it."""
    does: Any = member.does
    graph: Graph[Any, Any] = does.graph if isinstance(member.does, Agent) else does
    goes_on = Conversation in arms(graph.input_type)

    async def hand(routed: Any) -> Any:
        if goes_on or not isinstance(routed.value, Conversation):
            return routed.value
        if agent.input is str:
            return task_of(agent, routed.value).text
        raise DefinitionError(f"the route '{member.name}' takes no conversation to go on with. Leave session_id= out.")

    return typed(hand, routed=routed, gives=told_of(agent) if goes_on else agent.input)
