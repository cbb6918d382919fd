"""A run carried to its end: read anew when its log has grown meanwhile, or while another process has it. Runs no node.

`Run` is one way through one log as it was read. What comes between two of them is here: somebody answered just before
the run let go, went on with it just before it was owned, or has it and is waited for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from loomgraph.errors import RunBusyError, RunCancelledError, RunError
from loomgraph.runtime.history import replayed
from loomgraph.runtime.keeper import Patience
from loomgraph.runtime.recorded import Recorded, load
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.run import GrownError, Run

__all__ = ["carry"]


async def carry(run: Run, wait: float = 0.0) -> RunResult[Any]:
    """Drive a run until it ends or is suspended. Raises what a RunError describes; never a group of one.

    `wait` is for how many seconds a process that has the run is waited for: RunBusyError after that. If somebody
    cancels the run meanwhile it does not go on here either: RunCancelledError.
    """
    first, result, patience = run, None, Patience(wait)
    try:
        while True:
            try:
                result = await run.once()
                if result.status != "suspended" or not await run.called():
                    return result
            except GrownError:
                pass
            except RunBusyError as busy:
                if result is not None:
                    return result  # now somebody else goes on with it
                if run.cancelled is not None or not await patience.lasts(busy):
                    raise
            run = await _anew(first, run)
    finally:
        run.journal.close()


async def _anew(first: Run, stale: Run) -> Run:
    """The run as its log has it now, to go on in place of `stale`.

    Raises RunCancelledError if it was cancelled since it was read: whoever wanted to go on with it before is too late.
    """
    assert first.keeper is not None
    store, known = first.keeper.store, stale.keeper
    assert known is not None
    on_change = "strict" if first.recorded is None else first.recorded.on_change
    recorded = await load(store, first.run_id, first.compiled, on_change)
    if recorded.header.status == "cancelled" and recorded.ended > known.ended:
        raise _cancelled(recorded)
    options = replace(first.options, run_id=first.run_id, state=None)
    new = Run(first.compiled, None, options, store, recorded, first.refused)
    new.take_over(stale)
    first.follow(new)
    stale.journal.follow(new.journal)
    if stale.cancelled is not None:
        new.cancel(stale.cancelled)
    return new


def _cancelled(recorded: Recorded) -> RunError:
    result = replayed(recorded)
    done = {found.key: found.output for found in result.activations if found.status == "succeeded"}
    reason = "somebody did it elsewhere, before it went on here"
    error = RunCancelledError(run_id=result.run_id, reason=reason, finished=done)
    error.result = result
    return error
