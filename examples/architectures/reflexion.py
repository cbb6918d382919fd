"""Reflexion: a function is written until its tests pass; what went wrong is put into words, and remembered for later.

Run it: python examples/architectures/reflexion.py

The model is scripted, so no key is needed; with --model openai:gpt-5.2 (or another) a real one works. What it writes is
run in this process, so give it a task that you would run.
"""

from __future__ import annotations

import argparse

from loomgraph import Agent
from loomgraph.architectures import Reflexion
from loomgraph.architectures.lessons import LessonStore, MemoryLessons
from loomgraph.architectures.reflexion import Evaluation
from loomgraph.models import Model, ScriptedModel

CASES = {"listen silent": True, "apple {papel}": False, "Dormitory Dirtyroom": True}

TASK = "Write a Python function is_anagram(text) that says whether the two words in text are anagrams of each other."

SCRIPT = [
    "def is_anagram(text):\n    a, b = text.split()\n    return set(a) == set(b)",
    "I compared sets, which forget how often a letter occurs and care about case. Sort the letters, in lower case.",
    "def is_anagram(text):\n    a, b = text.lower().split()\n    return sorted(a) == sorted(b)",
]


def passes(task: str, code: str) -> Evaluation:
    """Run the code against the cases; nothing needs a model to judge that."""
    try:
        space: dict[str, object] = {}
        exec(code, space)  # noqa: S102 - the point of the example
        function = space["is_anagram"]
        assert callable(function)
        wrong = [text for text, expected in CASES.items() if function(text) != expected]
    except Exception as error:
        return Evaluation(score=0, reason=f"{type(error).__name__}: {error}")
    return Evaluation(score=1 - len(wrong) / len(CASES), reason=f"wrong for {wrong}" if wrong else "all cases pass")


def programmer(model: Model | str, lessons: LessonStore | None = None) -> Agent[str, str]:
    return Agent(
        "programmer",
        model,
        instructions="You write Python. Answer with the code alone, without a fence.",
        architecture=Reflexion(evaluate=passes, threshold=1, lessons=lessons),
    )


def main(model: Model | str | None = None) -> None:
    lessons = MemoryLessons()
    agent = programmer(model or ScriptedModel(SCRIPT), lessons)
    result = agent.run_sync(TASK)
    print(result.output)
    print()
    for test in result.node("test"):
        print(f"{test.key}: {test.output.score:.2f}, {test.output.reason}")
    for lesson in lessons.lessons:
        print(f"learned: {lesson.text}")
    print(f"{result.usage.model_calls} calls of models")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", help="such as openai:gpt-5.2; scripted without it")
    main(parser.parse_args().model)
