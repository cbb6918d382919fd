"""Runs that are killed with SIGKILL and go on in other processes, and stores that fail: to test your own graphs with.

    from loomgraph.testing.crash import Subject, crash_test

    def orders(count: int) -> Subject:            # made anew in each process, so a module must define it
        return Subject(graph=order_graph(), value=list(range(count)))

    def test_orders_survive_being_killed(tmp_path):
        crash_test(orders, 3, folder=tmp_path)    # AssertionError says what was not kept, and in which life

Of every life is checked that the file it found is whole; that the log it found says what a log may say; that nothing
that was settled there ran again, and no durable step that was done; that nothing ran twice in it; and that all that
ever ran had been recorded before it began. Of the last one, that the outcome is that of a run which nobody disturbed,
and that its replay says the same.
"""

from __future__ import annotations

from loomgraph.testing.crash.driver import AtCall, AtWrite, CrashDriver, Ended, InTime, Kill, Life, Trial
from loomgraph.testing.crash.everywhere import CrashReport, crash_test, further_kills
from loomgraph.testing.crash.evidence import Found, Line, note
from loomgraph.testing.crash.stores import FailingStore, KillingStore, WatchedStore
from loomgraph.testing.crash.subject import Subject, outcome_of

__all__ = [
    "AtCall",
    "AtWrite",
    "CrashDriver",
    "CrashReport",
    "Ended",
    "FailingStore",
    "Found",
    "InTime",
    "Kill",
    "KillingStore",
    "Life",
    "Line",
    "Subject",
    "Trial",
    "WatchedStore",
    "crash_test",
    "further_kills",
    "note",
    "outcome_of",
]
