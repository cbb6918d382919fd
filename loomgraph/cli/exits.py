"""How the command ends: one place that turns exceptions into a sentence on stderr and an exit code.

0: done. 1: the run failed. 2: it never started (usage, loading, compiling, input).
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Generator
from typing import Final

import typer

from loomgraph.cli.load import LoadError
from loomgraph.errors import CompileError, DefinitionError, InputRefusedError, LoomgraphError

__all__ = ["FAILED", "INTERRUPTED", "NOT_STARTED", "UsageError", "exits", "say"]

FAILED: Final = 1
NOT_STARTED: Final = 2
INTERRUPTED: Final = 130


class UsageError(Exception):
    """The command was called with something it cannot use. The message says what to do instead."""


@contextlib.contextmanager
def exits(*, show_traceback: bool) -> Generator[None, None, None]:
    """Run the body; end the command with the exit code that its exception deserves."""
    try:
        yield
    except (LoadError, UsageError, CompileError, DefinitionError, InputRefusedError) as error:
        _report(error, show_traceback=show_traceback)
        raise typer.Exit(NOT_STARTED) from error
    except LoomgraphError as error:
        _report(error, show_traceback=show_traceback)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt as error:
        say("interrupted")
        raise typer.Exit(INTERRUPTED) from error


def say(text: str) -> None:
    """One message on stderr, as it is: no markup is read in it and no line is folded."""
    typer.echo(text, err=True)


def _report(error: Exception, *, show_traceback: bool) -> None:
    if show_traceback:
        say("".join(traceback.format_exception(error)).rstrip())
    say(f"error: {error}")
