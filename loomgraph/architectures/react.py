"""ReAct: a model calls tools and sees their results until it answers (Yao et al. 2022, arXiv:2210.03629).

Differs from the paper: calls are the provider's tool calls instead of text, several at once where the model asks for
several, and what the model thinks in between stays in the conversation as the provider gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loomgraph.errors import DefinitionError
from loomgraph.graph.refs import END, OTHERWISE, START
from loomgraph.nodes.agent import Agent
from loomgraph.nodes.answer import ended_node, prompt_node, repairable
from loomgraph.nodes.conversation import Answered, Calls, Conversation, Ended
from loomgraph.runtime.workflow import Workflow

__all__ = ["ReAct"]


@dataclass(frozen=True)
class ReAct:
    """model -> tools -> model, until the model wants no tool or a tool that ends the turn succeeded.

    At most `max_turns` model calls, repairs of the answer included; then LoopCapError, which carries the last
    conversation.
    """

    max_turns: int = 50
    name: str = "react"

    def workflow(self, agent: Agent[Any, Any]) -> Workflow[Any, Any]:
        """The graph of an agent that works this way: from its input, or a Conversation to go on with, to its output.

        Raises DefinitionError for no turns.
        """
        if self.max_turns < 1:
            raise DefinitionError(f"agent '{agent.name}': max_turns={self.max_turns} leaves no turn; use at least 1.")
        wf: Workflow[Any, Any] = Workflow(
            agent.name, input=agent.input | Conversation, output=agent.output, doc=agent.description
        )
        prompt = wf.node(prompt_node(agent.input, agent.opening), name="prompt")
        model = wf.node(agent.model_call(), name="model")
        answer = wf.node(agent.answer(), name="answer")
        wf.edge(START, prompt, when=OTHERWISE)
        wf.edge(START, model, when=Conversation)
        wf.edge(prompt, model)
        if agent.tools:
            tools = wf.node(agent.tool_batch(), name="tools")
            wf.edge(model, tools, when=Calls)
            wf.edge(model, answer, when=Answered)
            self._after_tools(wf, agent, model, tools)
        else:
            wf.edge(model, answer)
        if repairable(agent.output, agent.repairs):
            wf.edge(answer, model, when=Conversation, cap=self.max_turns)
            wf.edge(answer, END, when=OTHERWISE)
        else:
            wf.edge(answer, END)
        return wf

    def _after_tools(self, wf: Workflow[Any, Any], agent: Agent[Any, Any], model: Any, tools: Any) -> None:
        if any(tool.ends_turn for tool in agent.tools):
            wf.edge(tools, model, when=Conversation, cap=self.max_turns)
            ended = wf.node(ended_node(agent.output), name="ended")
            wf.edge(tools, ended, when=Ended)
            wf.edge(ended, END)
        else:
            wf.edge(tools, model, cap=self.max_turns)
