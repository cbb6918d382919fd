"""PlanAndExecute: a briefing on a town, from steps that are planned once and done at the same time where they can.

Run it: python examples/architectures/plan_execute.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse
from typing import Any

from loomgraph import Agent, tool
from loomgraph.architectures import PlanAndExecute
from loomgraph.models import Model, ModelRequest, ScriptedModel, ToolCall, ToolMessage, UserMessage

FACTS = {"rent": "12 EUR a square metre", "trains": "every {20} minutes to the capital", "schools": "closed"}


@tool(read_only=True, reads="about")
def fact(about: str) -> str:
    """Look something up in the town's register.

    Args:
        about: One of rent, trains, schools.
    """
    if FACTS[about] == "closed":
        raise ValueError("the register of schools is closed today")
    return FACTS[about]


def step(id: str, task: str, *needs: str) -> dict[str, Any]:
    return {"id": id, "task": task, "needs": list(needs)}


PLAN = {
    "steps": [
        step("rent", "What is the rent?"),
        step("trains", "How are the trains?"),
        step("verdict", "Is it a place for commuters?", "rent", "trains"),
    ]
}


def worker(request: ModelRequest) -> Any:
    """A worker that looks its step up, once, and reads what it finds."""
    last = request.messages[-1]
    if isinstance(last, ToolMessage):
        return last.results[0].text
    assert isinstance(last, UserMessage)
    about = next((name for name in FACTS if name in last.text.partition("<your_step>")[2]), None)
    return "Yes, cheap and near." if about is None else ToolCall(id="1", name="fact", arguments={"about": about})


def analyst(planner: Model | str, model: Model | str, synthesizer: Model | str) -> Agent[str, str]:
    way = PlanAndExecute(max_steps=6, planner_model=planner, synthesizer_model=synthesizer)
    return Agent("analyst", model, instructions="You write briefings of one sentence.", tools=[fact], architecture=way)


def main(model: Model | str | None = None) -> None:
    answer = "Commuters will like it: 12 EUR a square metre, and a train every {20} minutes."
    agent = analyst(
        model or ScriptedModel([PLAN]), model or ScriptedModel([worker] * 10), model or ScriptedModel([answer])
    )
    result = agent.run_sync("Should commuters move there?")
    print(result.output)
    print()
    done = result.node("execute")[-1].output.steps
    for planned, came in zip(done.plans[-1].steps, done.results, strict=True):
        print(f"{planned.id}{' after ' if planned.needs else ''}{' and '.join(planned.needs)}: {came.text}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
