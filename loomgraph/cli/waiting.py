"""What a run waits for, as commands show it: open questions, signals, and where it was told to stop."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loomgraph import RunResult
from loomgraph.cli.clean import clean
from loomgraph.cli.exits import say
from loomgraph.cli.stores import command
from loomgraph.cli.when import iso
from loomgraph.runtime.questions import Question, open_questions, read_waiting
from loomgraph.store.protocol import Store

__all__ = ["Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """What one run waits for."""

    run_id: str
    questions: tuple[Question, ...] = ()
    signals: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()

    @classmethod
    def of(cls, result: RunResult[Any]) -> Waits:
        """What a run waited for when it was suspended."""
        return cls(result.run_id, result.questions, result.signals, result.interrupts)

    @classmethod
    async def read(cls, store: Store, run_id: str) -> Waits:
        """What a run waits for now; not what has an answer that is on its way. Raises UnknownRunError."""
        _, found = await read_waiting(store, run_id)
        open_now = await open_questions(store, run_id)
        return cls(run_id, open_now, found.signals, tuple(key for _, key in found.interrupts))

    def tell(self) -> None:
        """Say it on stderr, and what to do about it."""
        for question in self.questions:
            asked = question.question if isinstance(question.question, str) else json.dumps(question.question)
            refused = "" if question.refused is None else f" (the last answer was refused: {question.refused})"
            say(f"{question.key} asks: {clean(asked)}{clean(refused)}")
            say(f"  answer it: {command('answer', self.run_id, question.id, 'JSON')}")
        for name in self.signals:
            say(f"the signal '{clean(name)}' is waited for")
            say(f"  send it: {command('signal', self.run_id, name, 'JSON')}")
        for key in self.interrupts:
            say(f"stopped at '{clean(key)}', as it was told")

    def document(self) -> dict[str, Any]:
        """The same, for a JSON document."""
        return {
            "questions": [_question(question) for question in self.questions],
            "signals": list(self.signals),
            "interrupts": list(self.interrupts),
        }


def _question(question: Question) -> dict[str, Any]:
    return {
        "id": question.id,
        "key": question.key,
        "node": question.node,
        "question": question.question,
        "schema": question.schema,
        "asked": iso(question.asked),
        "refused": question.refused,
    }
