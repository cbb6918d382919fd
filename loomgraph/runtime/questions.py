"""Answers and signals from outside a run: what it asks, whether an answer fits, and the message that carries it.

Works from any process and without the graph: a question's JSON schema is in the log. Runs nothing; the run picks its
messages up when it next looks into its inbox. What is refused here was not sent, and the run stays as it was.
"""

from __future__ import annotations

import difflib
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, from_json, to_json, to_jsonable_python

from loomgraph.errors import (
    AppendConflictError,
    CodecError,
    InvalidAnswerError,
    InvalidSignalError,
    LogMismatchError,
    QuestionClosedError,
    UnknownQuestionError,
)
from loomgraph.events import QuestionAsked, SignalAwaited
from loomgraph.graph.signature import EMPTY
from loomgraph.runtime.format import check_version, read_event
from loomgraph.runtime.notes import Note
from loomgraph.runtime.waiting import Question, WaitingFold, plain_fields
from loomgraph.store.codec import Codec
from loomgraph.store.protocol import FINISHED, UNSEALED, Message, RunHeader, Store

__all__ = [
    "Answer",
    "Question",
    "Signal",
    "answer",
    "checked",
    "closed",
    "doubt_of",
    "message_id",
    "open_questions",
    "outcome_schema",
    "plain_of",
    "post_answer",
    "post_signal",
    "problem_in",
    "problem_of",
    "read_answer",
    "read_signal",
    "read_waiting",
    "refusal_of",
    "refuse_invalid",
    "refuse_unknown",
    "schema_of",
    "signal",
    "signalled",
    "type_problem",
]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer on its way: to which question, asked by which event, what, and by whom."""

    id: str
    asked: int
    answer: Any
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal on its way: the id it was sent under, its name, its value as plain JSON data."""

    message: str
    signal: str
    value: Any


async def open_questions(store: Store, run_id: str) -> tuple[Question, ...]:
    """What a run waits to be answered, in the order it was asked; not what has an answer that is on its way.

    Raises UnknownRunError, and StoreVersionError for a log of a newer loomgraph.
    """
    _, found = await read_waiting(store, run_id)
    sent = {(message.id, message.asked) for message in map(read_answer, await store.inbox(run_id)) if message}
    return tuple(question for question in found.questions.values() if (question.id, question.seq) not in sent)


async def answer(
    store: Store,
    run_id: str,
    answers: Mapping[str, Any],
    *,
    by: str | None = None,
    typed: Callable[[Question], Any] | None = None,
) -> None:
    """Post answers by question id, as plain JSON data or as objects that have a JSON form; runs nothing.

    All of them or, if one is refused, none. The same answer again is fine, so that a caller that was killed can repeat
    itself. `by` says who answered; `typed` gives the type that a question is answered in, where one is known. Raises
    UnknownRunError, UnknownQuestionError, InvalidAnswerError, QuestionClosedError.
    """
    if not answers:
        return
    header, found = await read_waiting(store, run_id)
    messages = [read_answer(message) for message in await store.inbox(run_id)]
    sent = {(message.id, message.asked): message.answer for message in messages if message is not None}
    posts: list[Answer] = []
    for id, given in answers.items():
        question = found.answerable(id)
        if header.status in FINISHED:
            refuse_unknown(run_id, id, found)
            raise QuestionClosedError(run_id, id, found.closed.get(id, f"the run has {header.status}"))
        if question is None:
            raise closed(run_id, id, found)
        tp = None if typed is None else typed(question)
        plain = checked(run_id, question, given, tp)
        if (id, question.seq) not in sent:
            posts.append(Answer(id, question.seq, plain, by))
        elif sent[id, question.seq] != plain:
            raise QuestionClosedError(run_id, id, "another answer to it is on its way")
    for post in posts:
        await post_answer(store, run_id, post)


async def post_answer(store: Store, run_id: str, post: Answer) -> None:
    """Put an answer into the run's inbox. Raises QuestionClosedError if another one came first."""
    data = to_json({"id": post.id, "asked": post.asked, "answer": post.answer, "by": post.by})
    name = f"answer:{post.asked}:{post.id}"
    while True:
        try:
            await store.post(run_id, name, "answer", data)
            return
        except AppendConflictError as error:
            first = next((read_answer(m) for m in await store.inbox(run_id) if m.id == name), None)
            if first is not None and first.answer == post.answer:
                return
            if first is not None:
                raise QuestionClosedError(run_id, post.id, "another answer to it came first") from error
            name += "'"  # what is there under its name is no answer: see MessageRefused


async def signal(store: Store, run_id: str, name: str, value: Any = None, *, id: str | None = None) -> None:
    """Send a signal to a run: kept until a node waits for that name, and delivered once; runs nothing.

    `id` names this sending, so that a caller that was killed can repeat itself; made if left out. Raises
    UnknownRunError, InvalidSignalError if nodes wait for it and none of them would take the value, and
    AppendConflictError if the id was used for something else.
    """
    _, found = await read_waiting(store, run_id)
    plain = signalled(run_id, name, value, found)
    await post_signal(store, run_id, Signal(message_id(id), name, plain))


async def post_signal(store: Store, run_id: str, post: Signal) -> None:
    """Put a signal into the run's inbox."""
    await store.post(run_id, post.message, "signal", to_json({"signal": post.signal, "value": post.value}))


def message_id(id: str | None) -> str:
    """The id a signal is sent under: the sender's, or a new one."""
    return f"signal:{uuid.uuid4().hex if id is None else id}"


async def read_waiting(store: Store, run_id: str) -> tuple[RunHeader, WaitingFold]:
    """A run's header, and what its log says it waits for. Linear in the length of the log."""
    header = await store.load(run_id)
    check_version(header)
    events = await store.events(run_id)
    if not events:
        raise LogMismatchError(run_id, "RunStarted")
    found = WaitingFold()
    told = [(stored, read_event(stored)) for stored in events]
    named = any(past[0] in {QuestionAsked, SignalAwaited} for _, past in told)
    values = await store.values(await store.digests(run_id)) if named else {}
    codec = Codec()
    for stored, (kind, key, fields) in told:
        found.tell(stored.seq, stored.time, kind, key, plain_fields(codec, kind, fields, values))
    return header, found


# ---------------------------------------------------------------------- messages


def read_answer(message: Message) -> Answer | None:
    """The answer that a message carries, if it is one."""
    found = _read(message)
    return found if isinstance(found, Answer) else None


def read_signal(message: Message) -> Signal | None:
    """The signal that a message carries, if it is one."""
    found = _read(message)
    return found if isinstance(found, Signal) else None


def refusal_of(message: Message) -> str | None:
    """Why a message that says it carries an answer or a signal carries none, or nobody can say what it carries; None
    for any other message."""
    found = _read(message)
    return found if isinstance(found, str) else None


def _read(message: Message) -> Answer | Signal | str | None:
    """What a message carries, or why it is not what it says. Whoever has the store may have put anything there."""
    if message.kind == UNSEALED:
        said = message.data.decode(errors="replace")
        return (
            f"it says it is of kind '{said}', but was not sealed with the key of this run, or was changed since. "
            f"Post it again through the store with its key"
        )
    if message.kind not in ("answer", "signal"):
        return _unread_note(message)
    try:
        fields = from_json(message.data)
        if message.kind == "answer":
            id, asked, by = fields["id"], fields["asked"], fields["by"]
            if isinstance(id, str) and type(asked) is int and isinstance(by, str | None):
                return Answer(id, asked, fields["answer"], by)
        elif isinstance(fields["signal"], str):
            return Signal(message.id, fields["signal"], fields["value"])
    except ValueError as error:
        return f"it is no JSON: {error}"
    except (TypeError, LookupError):
        pass
    parts = "id, asked, answer and by" if message.kind == "answer" else "signal and value"
    return f"it is no JSON object with {parts}, as loomgraph.runtime.questions.{message.kind} sends it"


def _unread_note(message: Message) -> str | None:
    try:
        Note.of(message)
    except ValueError as error:
        return str(error)
    return None


# ---------------------------------------------------------------------- checks


def refuse_unknown(run_id: str, id: str, found: WaitingFold) -> None:
    """Raise UnknownQuestionError unless the run has asked this, whatever became of it."""
    known = [*found.questions, *found.closed]
    if id not in known:
        close = difflib.get_close_matches(id, known, n=3)
        raise UnknownQuestionError(run_id, id, close, list(found.questions))


def closed(run_id: str, id: str, found: WaitingFold) -> QuestionClosedError:
    """Why a question takes no answer. Raises UnknownQuestionError if the run has asked no such thing."""
    refuse_unknown(run_id, id, found)
    if not found.unasked(id):
        return QuestionClosedError(run_id, id, found.closed[id])
    return QuestionClosedError(
        run_id,
        id,
        f"{found.closed[id]}, and the run, which is driven once more since, has not come to it again",
        "Resume the run without this answer: if it still asks, it waits, and is answered then.",
    )


def refuse_invalid(run_id: str, given: Mapping[str, Any], refused: Mapping[str, tuple[Any, str]]) -> None:
    """Raise InvalidAnswerError for an answer that fits its question's schema, and turned out not to fit its type."""
    for id in given:
        if id in refused:
            raise InvalidAnswerError(run_id, id, *refused[id])


def checked(run_id: str, question: Question, given: Any, tp: Any = None) -> Any:
    """An answer as plain JSON data. Raises InvalidAnswerError."""
    try:
        plain = plain_of(given)
        problem = problem_of(question.schema, plain) or (None if tp is None else type_problem(tp, plain))
    except ValueError as error:
        raise InvalidAnswerError(run_id, question.id, given, str(error)) from error
    if problem is not None:
        raise InvalidAnswerError(run_id, question.id, given, problem)
    return plain


def signalled(run_id: str, name: str, value: Any, found: WaitingFold) -> Any:
    """A signal's value as plain JSON data. Raises InvalidSignalError."""
    try:
        plain = plain_of(value)
    except ValueError as error:
        raise InvalidSignalError(run_id, name, value, str(error)) from error
    problems = [problem_of(waiting.schema, plain) for waiting in found.awaited.get(name, {}).values()]
    if problems and problems[0] is not None and None not in problems:
        raise InvalidSignalError(run_id, name, value, problems[0])
    return plain


def plain_of(value: Any) -> Any:
    """A value as JSON data: what a model or dataclass is written as, registered classes too. Raises ValueError."""
    try:
        return to_jsonable_python(
            value, by_alias=True, bytes_mode="base64", inf_nan_mode="strings", fallback=_as_its_class
        )
    except (PydanticSerializationError, RecursionError, CodecError) as error:
        raise ValueError(str(error)) from error


def _as_its_class(value: Any) -> Any:
    codec = Codec()
    ref, rows = codec.dump(type(value), value, f"a {type(value).__name__}")
    return codec.load(Any, ref, rows, f"a {type(value).__name__}")


def problem_of(schema: Mapping[str, Any], plain: Any) -> str | None:
    """Why plain JSON data does not fit a JSON schema, and where; None if it does."""
    if not schema:
        return None
    # called through Any: its types come from a package that is not here when types are checked
    jsonschema: Any = import_module("jsonschema")
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(plain))
    if error is None:
        return None
    place = _place(error.absolute_path)
    return f"at {place}: {error.message}" if place else error.message


def type_problem(tp: Any, plain: Any) -> str | None:
    """The same for a type, which may know more than its schema says."""
    try:
        Codec().accept(tp, plain, "the answer")
    except CodecError as error:
        return problem_in(error)
    return None


def problem_in(error: CodecError) -> str:
    """What a codec's refusal says about the value, and where in it."""
    cause = error.__cause__
    if not isinstance(cause, ValidationError):
        return str(error if cause is None else cause)
    first = cause.errors(include_url=False)[0]
    place = _place(first["loc"])
    return f"at {place}: {first['msg']}" if place else first["msg"]


def _place(path: Iterable[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class _Lenient(GenerateJsonSchema):
    """What JSON Schema cannot say is left open; the type itself is asked later anyway."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> dict[str, Any]:
        return {}


def schema_of(tp: Any) -> dict[str, Any]:
    """The JSON schema of a type's values; {} where pydantic has none. Made once for a type."""
    try:
        return dict(_schema_of(tp))
    except TypeError:  # a type that has no hash
        return _made(tp)


def outcome_schema(tp: Any) -> dict[str, Any]:
    """The schema of what is said about an effect in doubt: "rerun", or {"output": a value of this type}."""
    inner = {} if tp is EMPTY else schema_of(tp)
    defs = inner.pop("$defs", None)
    output = {"type": "object", "properties": {"output": inner}, "required": ["output"], "additionalProperties": False}
    schema: dict[str, Any] = {"anyOf": [{"const": "rerun"}, output]}
    return schema if defs is None else {**schema, "$defs": defs}


def doubt_of(path: str, key: str) -> str:
    """The question about an effect in doubt; its answers are those of `outcome_schema`."""
    return (
        f"Node '{path}' (activation {key}) had begun when its process died, and must not have its "
        f'effect twice. Answer "rerun" to run it again, or {{"output": ...}} to take that as its output.'
    )


@lru_cache(maxsize=1024)
def _schema_of(tp: Any) -> dict[str, Any]:
    return _made(tp)


def _made(tp: Any) -> dict[str, Any]:
    try:
        return TypeAdapter(tp).json_schema(by_alias=True, schema_generator=_Lenient, mode="validation")
    except PydanticUserError:  # a class that is registered, or one that the codec refuses by name when it is used
        return {}
