"""SelfRefine: release notes, drafted from a list of commits, reviewed and rewritten until they can be published.

Run it: python examples/architectures/self_refine.py

The model is scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse

from loomgraph import Agent
from loomgraph.architectures import SelfRefine
from loomgraph.models import Model, ScriptedModel

COMMITS = """\
fix: crash when the {config} file is empty
feat: `export --format csv`
chore: bump ruff
feat!: drop Python 3.10"""

SCRIPT = [
    "We fixed a crash, added an export and bumped ruff.",
    {"feedback": "Say what breaks for users first. Leave out what users cannot see.", "score": 0.3, "stop": False},
    "Breaking: Python 3.10 is no longer supported.\nNew: `export --format csv`.\nFixed: an empty {config} file.",
    {"feedback": "Nothing.", "score": 0.95, "stop": True},
]


def notes_writer(model: Model | str) -> Agent[str, str]:
    return Agent(
        "release-notes",
        model,
        instructions="You write release notes for users, one line a change.",
        architecture=SelfRefine(max_rounds=3, threshold=0.9),
    )


def main(model: Model | str | None = None) -> None:
    agent = notes_writer(model or ScriptedModel(SCRIPT))
    result = agent.run_sync(f"Write the notes for these commits:\n{COMMITS}")
    print(result.output)
    print()
    for round in result.node("critic"):
        print(f"score {round.output.score}: {round.output.feedback}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
