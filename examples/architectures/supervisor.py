"""Supervisor: why was the shop down? A coordinator asks two who know different systems at once, then one more.

Run it: python examples/architectures/supervisor.py

The models are scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse
from typing import Any

from loomgraph import Agent, tool
from loomgraph.architectures import Supervisor
from loomgraph.models import Model, ScriptedModel, ToolCall

LOGS = {"checkout": "14:02 TimeoutError: pool {size=5} exhausted (x 1312)", "search": "14:02 nothing unusual"}
DEPLOYS = ["13:58 checkout 4.2: pool size from 50 to 5, by mistake in a default", "09:10 search 2.0"]


@tool(read_only=True, reads="service")
def errors_of(service: str) -> str:
    """The errors that a service logged.

    Args:
        service: The service's name.
    """
    return LOGS[service]


@tool(read_only=True, reads=())
def deploys() -> list[str]:
    """What was deployed today."""
    return DEPLOYS


def delegate(*parts: tuple[str, str]) -> dict[str, Any]:
    return {"kind": "delegate", "assignments": [{"worker": worker, "task": task} for worker, task in parts]}


COORDINATOR = [
    delegate(("logs", "Which service failed at 14:02, and how?"), ("releases", "What was deployed before 14:02?")),
    delegate(("writer", "Write it up: checkout 4.2 set the pool size from 50 to 5, so checkout timed out at 14:02.")),
    {"kind": "forward", "worker": "writer"},
]
LOG_READER = [
    [ToolCall(id=name, name="errors_of", arguments={"service": name}) for name in LOGS],
    "checkout: its connection pool of 5 was exhausted, 1312 times. search was fine.",
]
RELEASES = [
    ToolCall(id="1", name="deploys", arguments={}),
    "At 13:58 checkout 4.2, which set the pool size from 50 to 5.",
]
WRITER = ["At 13:58 checkout 4.2 cut its connection pool from 50 to 5. From 14:02 payments timed out."]


def on_call(coordinator: Model | str, logs: Model | str, releases: Model | str, writer: Model | str) -> Agent[str, str]:
    workers = [
        Agent("logs", logs, instructions="You read logs.", tools=[errors_of], description="reads the logs"),
        Agent("releases", releases, tools=[deploys], description="knows what was deployed when"),
        Agent("writer", writer, instructions="Two sentences, no blame.", description="writes the report"),
    ]
    return Agent("on-call", coordinator, architecture=Supervisor(workers, max_rounds=5))


def main(model: Model | str | None = None) -> None:
    scripts = (COORDINATOR, LOG_READER, RELEASES, WRITER)
    agent = on_call(*(model or ScriptedModel(script) for script in scripts))
    result = agent.run_sync("Why was the shop down at 14:02?")
    print(result.output)
    print()
    ledgers = [record.output for record in result.node("collect") if record.status == "succeeded"]
    for report in ledgers[-1].reports:
        print(f"{report.worker} was told: {report.task}\n  {report.text}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
