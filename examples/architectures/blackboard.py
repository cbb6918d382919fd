"""Blackboard: why are mornings slow? Three who know different things write on one board until the cause is there.

Run it: python examples/architectures/blackboard.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse
from typing import Any

from loomgraph import Agent, tool
from loomgraph.architectures import Blackboard, board_of
from loomgraph.models import Model, ScriptedModel, ToolCall


@tool(read_only=True, reads=())
def jobs(hour: int) -> list[str]:
    """Which jobs begin in an hour of the day.

    Args:
        hour: The hour, 0 to 23.
    """
    return ["report {all customers}, reads every order"] if hour == 9 else []


def pick(*names: str) -> dict[str, Any]:
    return {"kind": "pick", "contributors": list(names)}


def writes(kind: str, text: str) -> dict[str, Any]:
    return {"entries": [{"kind": kind, "text": text}]}


SCRIPTS: dict[str, list[Any]] = {
    "coordinator": [pick("metrics", "network"), pick("database"), pick("metrics")],
    "decider": [
        {"kind": "go_on", "missing": "what reads so much"},
        {"kind": "go_on", "missing": "whether it fits the times"},
        {"kind": "answer", "answer": "The report on all customers, which reads every order at nine. Run it at night."},
    ],
    "metrics": [
        writes("fact", "From 9:00 to 9:20 the database reads 40 times as much as otherwise."),
        writes("fact", "The reads begin and end with the job of entry 3."),
    ],
    "network": [writes("fact", "Traffic is as usual.")],
    "database": [
        ToolCall(id="1", name="jobs", arguments={"hour": 9}),
        writes("hypothesis", "The job 'report {all customers}' begins at 9:00 and reads every order."),
    ],
}


def diagnosis(models: dict[str, Model | str]) -> Agent[str, str]:
    contributors = [
        Agent("metrics", models["metrics"], description="sees what the machines measure"),
        Agent("network", models["network"], description="sees the traffic"),
        Agent("database", models["database"], tools=[jobs], description="knows the database and its jobs"),
    ]
    way = Blackboard(contributors, max_rounds=5, decider_model=models["decider"])
    return Agent("diagnosis", models["coordinator"], architecture=way)


def main(model: Model | str | None = None) -> None:
    agent = diagnosis({name: model or ScriptedModel(script) for name, script in SCRIPTS.items()})
    result = agent.run_sync("Why is the shop slow every morning at nine?")
    print(result.output)
    print()
    for entry in board_of(result).entries:
        print(f"{entry.number}. {entry.kind} by {entry.author} in round {entry.round}: {entry.text}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
