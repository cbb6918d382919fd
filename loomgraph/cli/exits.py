"""How the command ends: one place that turns exceptions into a sentence on stderr and an exit code.

0: done. 1: the run failed, or the store did. 2: nothing was done (usage, loading, compiling, input, an unknown run).
3: the run waits for an answer or a signal. 130: interrupted.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Generator
from typing import Final

import typer

from loomgraph.cli.clean import clean_lines
from loomgraph.cli.load import LoadError
from loomgraph.errors import (
    CompileError,
    DefinitionError,
    EditRefusedError,
    GraphChangedError,
    InDoubtError,
    InputRefusedError,
    InvalidAnswerError,
    InvalidSignalError,
    LoomgraphError,
    QuestionClosedError,
    RunBusyError,
    RunExistsError,
    StoreAddressError,
    StoreKeyError,
    StorelessPauseError,
    UnknownEventError,
    UnknownQuestionError,
    UnknownRunError,
)

__all__ = ["FAILED", "INTERRUPTED", "NOT_STARTED", "SUSPENDED", "UsageError", "exits", "say"]

FAILED: Final = 1
NOT_STARTED: Final = 2
SUSPENDED: Final = 3
INTERRUPTED: Final = 130


class UsageError(Exception):
    """The command was called with something it cannot use. The message says what to do instead."""


_REFUSED: Final = (
    *(LoadError, UsageError, CompileError, DefinitionError, InputRefusedError, StoreAddressError, StoreKeyError),
    *(UnknownRunError, RunExistsError, RunBusyError, GraphChangedError, InDoubtError, StorelessPauseError),
    *(UnknownQuestionError, QuestionClosedError, InvalidAnswerError, InvalidSignalError),
    *(UnknownEventError, EditRefusedError),
)


@contextlib.contextmanager
def exits(*, show_traceback: bool, advice: Callable[[], str | None] = lambda: None) -> Generator[None, None, None]:
    """Run the body; end the command with the exit code that its exception deserves.

    `advice` is asked what to say after a failure or an interruption.
    """
    try:
        yield
    except _REFUSED as error:
        _report(error, show_traceback=show_traceback)
        raise typer.Exit(NOT_STARTED) from error
    except LoomgraphError as error:
        _report(error, show_traceback=show_traceback)
        _advise(advice)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        say("interrupted")
        _advise(advice)
        raise typer.Exit(INTERRUPTED) from error


def say(text: str) -> None:
    """One message on stderr, as it is: no markup is read in it, no line is folded, and it steers no terminal."""
    typer.echo(clean_lines(text), err=True)


def _advise(advice: Callable[[], str | None]) -> None:
    text = advice()
    if text is not None:
        say(text)


def _report(error: Exception, *, show_traceback: bool) -> None:
    if show_traceback:
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"error: {error}")
