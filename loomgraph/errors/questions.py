"""A question that cannot be asked or answered like this. The run stays as it was."""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.errors.base import LoomgraphError, brief, brief_text, names

__all__ = [
    "InvalidAnswerError",
    "InvalidSignalError",
    "QuestionChangedError",
    "QuestionClosedError",
    "QuestionError",
    "StorelessPauseError",
    "UnknownQuestionError",
]


class QuestionError(LoomgraphError):
    """Something is wrong with a question or its answer. `.run_id` names the run, which stays as it was."""

    def __init__(self, message: str, *, run_id: str) -> None:
        self.run_id = run_id
        super().__init__(message)


class UnknownQuestionError(QuestionError):
    """The run never asked a question of that id; `.open` are the ids of those that it waits for."""

    def __init__(self, run_id: str, id: str, close: Sequence[str], open: Sequence[str]) -> None:
        self.id, self.close, self.open = id, tuple(close), tuple(open)
        meant = f" Did you mean {names(self.close, 'or')}?" if self.close else ""
        known = f"waits for an answer to {names(self.open)}" if self.open else "waits for no answer"
        super().__init__(f"run '{run_id}' never asked '{id}'; it {known}.{meant}", run_id=run_id)


class QuestionClosedError(QuestionError):
    """The question has an answer already, or was withdrawn; `.reason` says which."""

    def __init__(
        self,
        run_id: str,
        id: str,
        reason: str,
        remedy: str = "To see what would have come of another answer, fork the run before that event.",
    ) -> None:
        self.id, self.reason = id, reason
        takes = f"question '{id}' of run '{run_id}' takes no answer any more: {reason}."
        super().__init__(f"{takes} {remedy}", run_id=run_id)


class InvalidAnswerError(QuestionError):
    """The answer is not what the question asks for; `.problem` says where and why."""

    def __init__(self, run_id: str, id: str, answer: object, problem: str) -> None:
        self.id, self.problem = id, problem
        super().__init__(
            f"{brief(answer, 80)} is no answer to question '{id}' of run '{run_id}': "
            f"{brief_text(problem).rstrip('.')}. Nothing was answered; give what the question's schema asks for.",
            run_id=run_id,
        )


class InvalidSignalError(QuestionError):
    """The value is not what the run waits for under that signal; `.problem` says where and why."""

    def __init__(self, run_id: str, signal: str, value: object, problem: str) -> None:
        self.signal, self.problem = signal, problem
        super().__init__(
            f"{brief(value, 80)} is not what run '{run_id}' waits for as signal '{signal}': "
            f"{brief_text(problem).rstrip('.')}. Nothing was sent.",
            run_id=run_id,
        )


class QuestionChangedError(QuestionError):
    """A node asks something else than it did under the same id, so what was or will be answered does not belong."""

    def __init__(self, run_id: str, id: str, was: object, now: object) -> None:
        self.id = id
        super().__init__(
            f"question '{id}' of run '{run_id}' was {brief(was, 100)} and is now {brief(now, 100)}, so an answer to "
            f"one would be taken for the other. A node's code starts again after a question: build questions from its "
            f"input and from ctx.step, and give several of them a key each. A new key= asks anew.",
            run_id=run_id,
        )


class StorelessPauseError(QuestionError):
    """The run would have to wait for somebody, and has no store to wait in; `.what` says what it would wait for."""

    def __init__(self, run_id: str, what: str) -> None:
        self.what = what
        super().__init__(
            f"run '{run_id}' cannot wait without a store: {what}. Give it one, such as "
            f'graph.run(..., store="sqlite:runs.db").',
            run_id=run_id,
        )
