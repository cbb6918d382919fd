"""The check that any Store can be run through: what `loomgraph.store.protocol.Store` promises, claim by claim.

    from loomgraph.testing.stores import CHECKS, check_store, run_check

    def make(storage, clock):                 # the same `storage`: the same data, through a connection of its own
        return MyStore(f"my://{storage}", clock=clock)

    await check_store(make)                   # every claim; raises AssertionError naming the first that fails

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    @pytest.mark.anyio
    async def test_my_store(check):           # or one test a claim
        await run_check(check, make)

No check sleeps; time is a clock that is handed to the store. Durability needs a process to be killed and is not
checked here.
"""

from __future__ import annotations

import uuid

from loomgraph.testing.stores import inboxes, leases, listing, logs, sharing, upkeep
from loomgraph.testing.stores.bench import Bench, Check, Clock, StoreMaker

__all__ = ["CHECKS", "Bench", "Check", "Clock", "StoreMaker", "check_store", "run_check"]

CHECKS: tuple[Check, ...] = (
    *logs.CHECKS,
    *leases.CHECKS,
    *inboxes.CHECKS,
    *listing.CHECKS,
    *upkeep.CHECKS,
    *sharing.CHECKS,
)
"""Every claim, as an async function of a Bench; its name is the claim."""


async def run_check(check: Check, make: StoreMaker) -> None:
    """Run one claim on a storage of its own. Raises AssertionError, which names the claim.

    What holds of `append` holds of `append_now`, so with a PromptStore each claim is run for both.
    """
    if await _run(check, Bench(make, f"check_{uuid.uuid4().hex}")):
        await _run(check, Bench(make, f"check_{uuid.uuid4().hex}", promptly=True))


async def _run(check: Check, bench: Bench) -> bool:
    """Run a claim; says whether the store is a PromptStore."""
    try:
        await check(bench)
    except AssertionError as error:
        raise AssertionError(f"{check.__name__}: {error}") from error
    finally:
        await bench.close()
    return bench.prompt


async def check_store(make: StoreMaker) -> None:
    """Run every claim. Raises AssertionError for the first that does not hold."""
    for check in CHECKS:
        await run_check(check, make)
