"""TreeOfThoughts: a plan to change a large table while it is in use, found by weighing steps against each other.

Run it: python examples/architectures/tree_of_thoughts.py

The model is scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works.
"""

from __future__ import annotations

import argparse

from loomgraph import Agent
from loomgraph.architectures import TreeOfThoughts
from loomgraph.models import Model, ScriptedModel, Turn

TASK = "Turn the column {price} of our orders table (300 million rows) from float to integer cents, without downtime."

LOCK = "Change the column's type in place."
ADD = "Add a second column for the cents, and write both from now on."
COPY = "Copy all rows into a new table and swap the two."
FILL = "Fill the new column for old rows in batches, oldest first."
CHECK = "Compare both columns for a week, then read the new one and drop the old."


def score(step: str, value: float, reason: str) -> Turn:
    return Turn({"score": value, "reason": reason}, expect=f"<last_step>\n{step}\n</last_step>")


SCRIPT = [
    Turn({"thoughts": [LOCK, ADD, COPY]}, expect="</task>\n\n<now>"),
    score(LOCK, 0.1, "It locks the table for hours."),
    score(ADD, 0.8, "Nothing is locked, and it can be undone."),
    score(COPY, 0.4, "Rows that change meanwhile are lost without more work."),
    Turn({"thoughts": [FILL, "Fill it in one statement."]}, expect=f"1. {ADD}\n</steps_so_far>\n\n<now>"),
    Turn({"thoughts": ["Log the changes, and replay them."]}, expect=f"1. {COPY}\n</steps_so_far>\n\n<now>"),
    score(FILL, 0.9, "Short transactions, and it can be resumed."),
    score("Fill it in one statement.", 0.2, "One transaction over 300 million rows."),
    score("Log the changes, and replay them.", 0.5, "Possible, but a lot of code to get right."),
    Turn({"thoughts": [CHECK]}, expect=f"2. {FILL}\n</steps_so_far>\n\n<now>"),
    Turn({"thoughts": ["Swap at night."]}, expect="2. Log the changes, and replay them.\n</steps_so_far>\n\n<now>"),
    score(CHECK, 1, "The task is solved, and every step can be undone."),
    score("Swap at night.", 0.5, "It is a downtime, if a short one."),
    Turn(f"1. {ADD}\n2. {FILL}\n3. {CHECK}", expect="<best_steps>"),
]


def planner(model: Model | str) -> Agent[str, str]:
    return Agent(
        "planner",
        model,
        instructions="You plan changes of databases in production.",
        architecture=TreeOfThoughts(branch_factor=3, beam_width=2, max_depth=3, min_score=0.3),
    )


def main(model: Model | str | None = None) -> None:
    agent = planner(model or ScriptedModel(SCRIPT, order="any"))
    result = agent.run_sync(TASK)
    print(result.output)
    print()
    for level, tree in enumerate(result.node("prune"), 1):
        for path in tree.output.open:
            last = path.thoughts[-1]
            print(f"level {level}: {last.score:.1f} {last.text} {last.reason}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
