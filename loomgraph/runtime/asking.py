"""What one run in this process waits for: questions as node code asks them, answers and signals as they come in.

The inbox of the run in its store is the one way in; it is read when the run starts, while somebody waits, and before
the run is suspended. An answer counts from when node code has taken it, in its type, and the log says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import anyio

from loomgraph.engine.activation import Activation, signal_step
from loomgraph.engine.facts import Shadow, key_of
from loomgraph.engine.fold import Fold
from loomgraph.engine.scheduler import Scheduler
from loomgraph.engine.waits import Waits
from loomgraph.errors import (
    CodecError,
    DefinitionError,
    InvalidAnswerError,
    QuestionChangedError,
    QuestionClosedError,
    StoreError,
    brief,
)
from loomgraph.events import (
    MessageRefused,
    QuestionAnswered,
    QuestionAsked,
    QuestionWithdrawn,
    RunSuspended,
    SignalAwaited,
    SignalReceived,
)
from loomgraph.graph.signature import EMPTY
from loomgraph.runtime.durable import DurableJournal
from loomgraph.runtime.questions import (
    Answer,
    Signal,
    checked,
    closed,
    doubt_of,
    message_id,
    outcome_schema,
    plain_of,
    post_answer,
    post_signal,
    problem_in,
    problem_of,
    read_answer,
    read_signal,
    refusal_of,
    schema_of,
    signalled,
)
from loomgraph.runtime.waiting import WaitingFold
from loomgraph.store.protocol import Message

__all__ = ["DOUBT", "POLL", "RERUN", "Asking"]

# in the id of a question about an effect in doubt; no key that a node gives contains it
DOUBT = "@doubt#"
RERUN = "rerun"

# seconds between two looks into the inbox while somebody waits, unless the lease is renewed more often
POLL = 1.0


class Asking(Waits):
    """The waits of a run with a store. `wait` keeps it in this process until somebody answers.

    `answers` came in and were not taken by node code yet; `mail` is what was dealt out to waiting activations, by key.
    `refused` are the answers that turned out in this process not to be of their question's type.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        journal: DurableJournal,
        *,
        wait: bool,
        interval: float,
        before: Iterable[str],
        after: Iterable[str],
    ) -> None:
        super().__init__(scheduler, before, after)
        self.journal = journal
        self.found = WaitingFold()
        self.types: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.refused: dict[str, tuple[Any, str]] = {}
        # answers to questions that were open before the run was driven once more, and that are not asked again yet
        self._early: dict[str, Answer] = {}
        self.signals: dict[str, deque[Signal]] = {}
        self.mail: dict[tuple[str, str], deque[Signal]] = {}
        # keys of nodes with effect="once" of which nobody knows whether they had it, to be asked; and those asked
        self.doubts: frozenset[str] = frozenset()
        self._doubting: dict[Activation, str] = {}
        self._keys: dict[str, Activation] = {}
        self._position = 0
        self._wait = wait
        self._interval = interval
        self._polling = False
        # what was given in this process: answers so far, what waits for the run to begin, how many are on their way
        self._sent: dict[tuple[str, int], Answer] = {}
        self.unsent: list[Answer | Signal] = []
        self._sending = 0

    # ------------------------------------------------------------------ for node code

    async def asked(self, activation: Activation, id: str, question: Any, tp: Any) -> bool:
        """Whether a question has its answer, which is then kept as a step; asks it if it was not asked before."""
        plain = self._question(activation, question)
        known = id in self.found.questions or f"ask:{id}" in activation.steps
        if known and self.found.asked[id] != plain:
            raise QuestionChangedError(self.journal.run_id, id, self.found.asked[id], plain)
        self.types[id] = tp
        if f"ask:{id}" in activation.steps:
            return True
        if not known:
            self._ask(activation, id, plain, self._schema(tp))
        answer = self.answers.pop(id, None)
        return answer is not None and await self._answered(activation, answer, tp)

    def _ask(self, activation: Activation, id: str, question: Any, schema: dict[str, Any]) -> None:
        """Ask what was not asked before; it may have its answer, if it was open before the run was driven once more."""
        self.record(QuestionAsked, activation, (id, question, schema, None))
        self._watch()
        early = self._early.pop(id, None)
        if early is not None and self.found.same(id):
            self.answers.setdefault(id, early)
        elif early is not None:
            self._refuse(activation, early)

    def _refuse(self, subject: Any, answer: Answer) -> None:
        """Say of an answer that it was given to another question, from before the run was driven once more."""
        question, was = self.found.questions[answer.id], self.found.former[answer.id]
        problem = f"it was given to {brief(was.question, 80)}, and the run asks something else now"
        self.refused[answer.id] = (answer.answer, problem)
        self.record(QuestionAsked, subject, (answer.id, question.question, dict(question.schema), problem))

    async def _answered(self, activation: Activation, answer: Answer, tp: Any) -> bool:
        id = answer.id
        question = self.found.questions[id]
        value, problem = self._typed(tp, answer.answer, question.schema, f"the answer to '{id}'")
        if problem is not None:
            self.refused[id] = (answer.answer, problem)
            self.record(QuestionAsked, activation, (id, question.question, dict(question.schema), problem))
            return False
        self.journal.prepare_step(activation, f"ask:{id}", tp, value)
        activation.stepped(f"ask:{id}", value)
        self.record(QuestionAnswered, activation, (id, value, answer.by))
        await self.scheduler.recorded()
        return True

    async def signalled(self, activation: Activation, signal: str, number: int, tp: Any) -> bool:
        """Whether the n-th wait for a signal has it, which is then kept as a step."""
        while signal_step(signal, number) not in activation.steps:
            found = self._next(activation, signal)
            if found is None:
                await self.fetch()
                found = self._next(activation, signal)
            if found is None:
                self._await(activation, signal, number, tp)
                return False
            value, problem = self._typed(tp, found.value, self._schema(tp), f"the signal '{signal}'")
            if problem is not None:
                self.record(SignalReceived, activation, (signal, found.message, found.value, problem))
                continue
            self.journal.prepare_step(activation, f"message:{found.message}", tp, value)
            activation.stepped(activation.next_signal(signal), value)
            self.record(SignalReceived, activation, (signal, found.message, value, None))
            await self.scheduler.recorded()
        return True

    def _await(self, activation: Activation, signal: str, number: int, tp: Any) -> None:
        waiting = self.found.signals_of(activation.key).count(signal)
        had = sum(1 for step in activation.steps if step.startswith(f"signal:{signal}@"))
        if number > had + waiting:
            self.record(SignalAwaited, activation, (signal, self._schema(tp)))
        self._watch()

    def _next(self, activation: Activation, signal: str) -> Signal | None:
        mail = self.mail.get((activation.key, signal)) or self.signals.get(signal)
        return mail.popleft() if mail else None

    def _question(self, activation: Activation, question: Any) -> Any:
        try:
            return plain_of(question)
        except ValueError as error:
            raise DefinitionError(
                f"node '{activation.path}' asks {brief(question, 80)}, which has no JSON form: {error}. "
                f"Ask a text, plain data, or a model."
            ) from error

    def _schema(self, tp: Any) -> dict[str, Any]:
        schema = schema_of(tp)
        if not schema:
            with suppress(CodecError):  # no value of it is at hand; a type that cannot be one is told by name
                self.journal.log.codec.accept(tp, None, "the answer")
        return schema

    def _typed(self, tp: Any, plain: Any, schema: Any, where: str) -> tuple[Any, str | None]:
        """A value in its type, or why it is none of it."""
        problem = problem_of(schema, plain)
        if problem is not None:
            return None, problem
        try:
            return self.journal.log.codec.accept(tp, plain, where), None
        except CodecError as error:
            return None, problem_in(error)

    def record(self, kind: Any, subject: Any, values: tuple[Any, ...]) -> None:
        """Put an event about a question or a signal into the log, and heed it."""
        journal = self.journal
        journal.add(kind, subject, values)
        time, _, _, _ = journal.entries[-1]
        self.found.tell(len(journal.entries) - 1, time, kind, key_of(subject), values)

    # ------------------------------------------------------------------ what comes in

    def take_in(self, messages: Sequence[Message]) -> None:
        """Deal out what is new in the inbox."""
        for message in messages:
            if message.position <= self._position:
                continue
            self._position = message.position
            answer, signal = read_answer(message), read_signal(message)
            refused = refusal_of(message)
            if refused is not None and message.id not in self.found.received:
                self.record(MessageRefused, None, (message.id, refused))
            elif answer is not None:
                self._take_answer(answer)
            elif signal is not None and signal.message not in self.found.received:
                self.signals.setdefault(signal.signal, deque()).append(signal)
                self._deal(signal.signal)

    def _take_answer(self, answer: Answer) -> None:
        question = self.found.questions.get(answer.id)
        former = self.found.former.get(answer.id)
        if former is not None and former.seq == answer.asked:
            if question is None:
                self._early[answer.id] = answer
                return
            if not self.found.same(answer.id):
                if question.refused is None:
                    self._refuse(Shadow(question.key), answer)
                return
        elif question is None or question.seq != answer.asked:
            return  # it came before this one did
        self.answers.setdefault(answer.id, answer)
        self._wake(question.key)

    def _deal(self, signal: str) -> None:
        """Signals go to those who wait for them, first come, first served."""
        waiting = self.signals[signal]
        for awaited in list(self.found.awaited.get(signal, {}).values()):
            activation = self._keys.get(awaited.key)
            if not waiting:
                return
            if activation in self.parked:
                self.mail.setdefault((awaited.key, signal), deque()).append(waiting.popleft())
                self._wake(awaited.key)

    def _wake(self, key: str) -> None:
        activation = self._keys.get(key)
        if activation is None or activation not in self.parked:
            return
        if activation in self._doubting:
            self._settle(activation)
        else:
            self.unpark(activation)

    def news(self, messages: Sequence[Message]) -> bool:
        """Whether messages that were not taken in have something for whoever waits, or are to be refused."""
        fresh = [message for message in messages if message.position > self._position]
        return any(self._concerns(message) for message in fresh if message.id not in self.found.received)

    def _concerns(self, message: Message) -> bool:
        answer, signal = read_answer(message), read_signal(message)
        if answer is not None:
            question = self.found.questions.get(answer.id)
            return question is not None and question.seq == answer.asked
        if signal is not None:
            return bool(self.found.awaited.get(signal.signal))
        return refusal_of(message) is not None

    async def fetch(self) -> None:
        """Look into the inbox."""
        self.take_in(await self.journal.store.inbox(self.journal.run_id, self._position))

    def begin(self) -> None:
        """The run starts here, with what its log had."""
        early, self.unsent = self.unsent, []
        for message in early:
            self.send(message)
        if self.found.questions or self.found.signals:
            self._watch()

    def _watch(self) -> None:
        """From the first wait on, the inbox is looked into every now and then."""
        if not self._polling and self.scheduler.group is not None:
            self._polling = True
            self.scheduler.variables.copy().run(self.scheduler.group.start_soon, self._poll)

    async def _poll(self) -> None:
        while True:
            await anyio.sleep(self._interval)
            if self.found.questions or self.found.signals:
                # a store that cannot be read for a moment: what was sent is there the next time
                with suppress(StoreError):
                    await self.fetch()

    def send(self, message: Answer | Signal) -> None:
        """Post what was given in this process, and take it in as anything else that comes."""
        group = self.scheduler.group
        if group is None:
            self.unsent.append(message)
            return
        self._sending += 1
        self.scheduler.variables.copy().run(group.start_soon, self._send, message)

    async def _send(self, message: Answer | Signal) -> None:
        store, run_id = self.journal.store, self.journal.run_id
        # whatever becomes of the run meanwhile: who sent it was told that it is sent
        with anyio.CancelScope(shield=True):
            if isinstance(message, Answer):
                with suppress(QuestionClosedError):  # somebody else was faster, elsewhere
                    await post_answer(store, run_id, message)
            else:
                await post_signal(store, run_id, message)
        await self.fetch()
        self._sending -= 1
        self.wake()

    def check_signal(self, name: str, value: Any, id: str | None) -> Signal:
        """The same for a signal."""
        plain = signalled(self.journal.run_id, name, value, self.found)
        return Signal(message_id(id), name, plain)

    def check(self, id: str, given: Any) -> Answer:
        """An answer that is given in this process, ready to be posted. Raises what `questions.answer` raises."""
        run_id = self.journal.run_id
        question = self.found.answerable(id)
        if question is None:
            raise closed(run_id, id, self.found)
        answer = Answer(id, question.seq, checked(run_id, question, given, self.types.get(id)))
        sent = self._sent.setdefault((id, question.seq), self.answers.get(id, answer))
        if sent.answer != answer.answer:
            raise QuestionClosedError(run_id, id, "another answer to it is on its way")
        return answer

    # ------------------------------------------------------------------ effects in doubt

    def _doubt(self, activation: Activation) -> None:
        """Ask whether a node that must not run twice is to run again."""
        key = activation.key
        number = 1 + sum(1 for id in self.found.asked if id.startswith(f"{key}{DOUBT}"))
        schema = outcome_schema(activation.scope.plan.definition.nodes[activation.node].signature.output)
        self.record(QuestionAsked, activation, (f"{key}{DOUBT}{number}", doubt_of(activation.path, key), schema, None))

    def _settle(self, activation: Activation) -> None:
        """Do as the answer to a doubt says, unless it is none."""
        id = self._doubting[activation]
        answer = self.answers.pop(id)
        question = self.found.questions[id]
        problem = problem_of(question.schema, answer.answer)
        if problem is None and answer.answer != RERUN:
            _, problem = self._outcome(activation, answer.answer)
        if problem is not None:
            self.refused[id] = (answer.answer, problem)
            self.record(QuestionAsked, activation, (id, question.question, dict(question.schema), problem))
            return
        self.journal.prepare_step(activation, f"ask:{id}", Any, answer.answer)
        activation.stepped(f"ask:{id}", answer.answer)
        self.record(QuestionAnswered, activation, (id, answer.answer, answer.by))
        del self._doubting[activation]
        if answer.answer == RERUN:
            self.unpark(activation)
            return
        del self.parked[activation]
        self._give(activation, answer.answer)

    def _give(self, activation: Activation, answer: Any) -> None:
        value, problem = self._outcome(activation, answer)
        if problem is not None:
            raise InvalidAnswerError(self.journal.run_id, activation.key, answer, problem)
        self.scheduler.attempts.give(activation, value)
        self.scheduler.kick()
        self.wake()

    def _outcome(self, activation: Activation, answer: Any) -> tuple[Any, str | None]:
        tp = activation.scope.plan.definition.nodes[activation.node].signature.output
        return self._typed(Any if tp is EMPTY else tp, answer["output"], {}, f"node '{activation.path}'")

    # ------------------------------------------------------------------ for the engine

    def resume(self, fold: Fold) -> None:
        commands = self.scheduler.machine.commands
        left = list(commands)
        commands.clear()
        given: dict[Activation, Any] = {}
        for command in left:
            if type(command) is not Activation:
                commands.append(command)
                continue
            answer = self._answer_to_doubt(command, fold)
            if answer is not None and answer != RERUN:
                given[command] = answer
            elif command in fold.held:
                self.held[command] = fold.held[command]
            elif answer is None and self._keeps(command):
                self.parked[command] = None
            else:
                commands.append(command)
        for activation in list(self.held):
            if activation in fold.held and not self.stops_after(activation):
                self.release(activation)
        for activation, answer in given.items():
            self._give(activation, answer)
        # answers are there before the graphs of ctx.run that asked
        for activation in [doubted for doubted, id in self._doubting.items() if id in self.answers]:
            self._settle(activation)

    def _answer_to_doubt(self, activation: Activation, fold: Fold) -> Any:
        """What was said about a doubt, and not done yet when the log ended."""
        id = fold.answered.get(activation, "")
        if DOUBT not in id:
            return None
        kept = activation.steps[f"ask:{id}"]
        return self.journal.recall(Any, kept.ref, f"question '{id}'")

    def _keeps(self, activation: Activation) -> bool:
        """Whether an activation that was in flight waits for somebody."""
        key = activation.key
        if key in self.doubts:
            self._doubt(activation)
        asked = self.found.questions_of(key)
        if not asked and not self.found.signals_of(key):
            return False
        self._keys[key] = activation
        for id in asked:
            if DOUBT in id:
                self._doubting[activation] = id
        return activation in self._doubting or not self.arrived(activation)

    def arrived(self, activation: Activation) -> bool:
        if activation in self._doubting:
            return False
        key = activation.key
        self._keys[key] = activation
        for signal in self.found.signals_of(key):
            if self.mail.get((key, signal)) or self.signals.get(signal):
                return True
        return any(id in self.answers for id in self.found.questions_of(key))

    def ended(self, activation: Activation, reason: str) -> None:
        key = activation.key
        self._keys.pop(key, None)
        self._doubting.pop(activation, None)
        facts = self.scheduler.machine.facts
        for id in self.found.questions_of(key):
            facts.append((QuestionWithdrawn, activation, (id, reason)))
            self._close(id, reason)
        if any(path.startswith(f"{key}/@") for path in self.scheduler.dormant):
            # graphs that it had begun before the log was read, and did not ask for again
            for question in [q for q in self.found.questions.values() if q.key.startswith(f"{key}/@")]:
                facts.append((QuestionWithdrawn, Shadow(question.key), (question.id, reason)))
                self._close(question.id, reason)
        for signal in self.found.signals_of(key):
            mail = self.mail.pop((key, signal), deque())
            self.signals.setdefault(signal, deque()).extendleft(reversed(mail))
        self.found.leave(key)

    def _close(self, id: str, reason: str) -> None:
        self.found.close(id, f"it was withdrawn, because {reason}")
        self.answers.pop(id, None)

    async def rest(self) -> bool:
        if self._sending or (self._wait and (self.found.questions or self.found.signals)):
            return False
        await self.fetch()
        return not self._sending

    def withdraw(self, reason: str) -> None:
        """The run is over: nobody answers what is still open."""
        for question in list(self.found.questions.values()):
            self.journal.add(QuestionWithdrawn, Shadow(question.key), (question.id, reason))
            self._close(question.id, reason)

    def suspend(self) -> None:
        """Record that the run is suspended, and what it waits for."""
        signals = sum(len(waiting) for waiting in self.found.awaited.values())
        self.record(RunSuspended, None, (len(self.found.questions), signals, self.stops()))
