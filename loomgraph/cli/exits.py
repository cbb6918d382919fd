"""How the command ends: one place that turns exceptions into a sentence on stderr and an exit code.

0: done. 1: the run failed, or the store did. 2: nothing was done (usage, loading, compiling, input, an unknown run).
3: the run waits for an answer or a signal. 130: interrupted. 143: told to end (SIGTERM).
"""

from __future__ import annotations

import contextlib
import signal
import threading
import traceback
from collections.abc import Callable, Generator
from typing import Final

import typer

from loomgraph.cli.clean import clean_lines
from loomgraph.errors import (
    CompileError,
    DefinitionError,
    DrawingError,
    EditRefusedError,
    GraphChangedError,
    InDoubtError,
    InputRefusedError,
    InvalidAnswerError,
    InvalidSignalError,
    LoomgraphError,
    QuestionClosedError,
    RunBusyError,
    RunEndedError,
    RunExistsError,
    StoreAddressError,
    StoreKeyError,
    StorelessPauseError,
    UnknownEventError,
    UnknownQuestionError,
    UnknownRunError,
)
from loomgraph.integrations.load import LoadError

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "NOT_STARTED",
    "SUSPENDED",
    "TERMINATED",
    "UsageError",
    "ending_gently",
    "exits",
    "say",
]

FAILED: Final = 1
NOT_STARTED: Final = 2
SUSPENDED: Final = 3
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class UsageError(Exception):
    """The command was called with something it cannot use. The message says what to do instead."""


_REFUSED: Final = (
    DrawingError,
    *(LoadError, UsageError, CompileError, DefinitionError, InputRefusedError, StoreAddressError, StoreKeyError),
    *(UnknownRunError, RunExistsError, RunBusyError, RunEndedError),
    *(GraphChangedError, InDoubtError, StorelessPauseError),
    *(UnknownQuestionError, QuestionClosedError, InvalidAnswerError, InvalidSignalError),
    *(UnknownEventError, EditRefusedError),
)

# what an option of the same command is the answer to
_MENDABLE: Final = (RunBusyError, GraphChangedError, InDoubtError)


@contextlib.contextmanager
def exits(
    *, show_traceback: bool, advice: Callable[[BaseException], str | None] = lambda error: None
) -> Generator[None, None, None]:
    """Run the body; end the command with the exit code that its exception deserves.

    `advice` is asked what to do about what ended it.
    """
    try:
        yield
    except _REFUSED as error:
        _report(error, show_traceback=show_traceback)
        if isinstance(error, _MENDABLE):
            _advise(advice(error))
        raise typer.Exit(NOT_STARTED) from error
    except LoomgraphError as error:
        _report(error, show_traceback=show_traceback)
        _advise(advice(error))
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        terminated = isinstance(error, _Terminated)
        say("terminated" if terminated else "interrupted")
        _advise(advice(error))
        raise typer.Exit(TERMINATED if terminated else INTERRUPTED) from error


class _Terminated(KeyboardInterrupt):
    """Somebody asked the process to end, as a service manager or a container does."""


@contextlib.contextmanager
def ending_gently() -> Generator[None, None, None]:
    """Let SIGTERM end the body as Ctrl-C does, so that a run is let go of and not only left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        asked.append(number)
        if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):  # as in a script's background job
            raise _Terminated
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield
    except KeyboardInterrupt as error:
        if asked:
            raise _Terminated from error
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def say(text: str) -> None:
    """One message on stderr, as it is: no markup is read in it, no line is folded, and it steers no terminal."""
    typer.echo(clean_lines(text), err=True)


def _advise(text: str | None) -> None:
    if text is not None:
        say(text)


def _report(error: Exception, *, show_traceback: bool) -> None:
    if show_traceback:
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"error: {error}")
