"""Claims about the turnstile that the interleaving tests, and users' own, stand on."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Graph, Workflow
from loomgraph.testing.interleave import Turnstile

pytestmark = pytest.mark.anyio


def pair(turnstile: Turnstile, finished: list[str]) -> Graph[Any, Any]:
    """Two nodes side by side, each held before it starts and before it ends."""
    wf = Workflow("pair", input=int, output=list[int])

    def noting(name: str) -> Any:
        async def code(value: int) -> int:
            finished.append(name)
            return value

        code.__name__ = name
        return turnstile.held(code)

    for name in ("a", "b"):
        wf.edge(START, wf.node(noting(name), name=name))
    wf.join(["a", "b"], into=END)
    return wf.compile()


async def test_those_that_wait_go_in_the_order_that_is_chosen() -> None:
    for chosen, expected in ((0, ["a", "b"]), (-1, ["b", "a"])):
        finished: list[str] = []
        turnstile = Turnstile(lambda n, chosen=chosen: chosen % n)
        graph = pair(turnstile, finished)
        result = await turnstile.drive(lambda graph=graph: graph.run(1))
        assert (result.output, finished) == ([1, 1], expected)


async def test_nobody_is_let_go_while_somebody_can_still_move() -> None:
    widths: list[int] = []

    def pick(n: int) -> int:
        widths.append(n)
        return 0

    turnstile = Turnstile(pick)
    await turnstile.drive(lambda: pair(turnstile, []).run(1))
    assert widths == [2, 2, 2, 1]


async def test_the_same_seed_is_the_same_interleaving_again() -> None:
    async def order(seed: int) -> list[str]:
        turnstile = Turnstile(random.Random(seed).randrange)
        await turnstile.drive(lambda: pair(turnstile, []).run(1))
        return turnstile.order

    orders = [await order(seed) for seed in range(12)]
    assert orders == [await order(seed) for seed in range(12)]
    assert len({tuple(one) for one in orders}) > 3


async def test_what_the_work_raises_is_raised_as_it_is() -> None:
    async def work() -> int:
        raise LookupError("plain")

    with pytest.raises(LookupError, match="plain"):
        await Turnstile(lambda n: 0).drive(work)


async def test_work_in_threads_is_waited_for() -> None:
    async def work() -> int:
        return await anyio.to_thread.run_sync(lambda: 3)

    assert await Turnstile(lambda n: 0).drive(work) == 3


async def test_somebody_who_is_cancelled_at_the_turnstile_waits_no_longer() -> None:
    widths: list[int] = []

    def pick(n: int) -> int:
        widths.append(n)
        return n - 1

    turnstile = Turnstile(pick)

    async def work() -> str:
        async with anyio.create_task_group() as group:
            group.start_soon(turnstile.turn, "leaves")
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            await turnstile.turn("stays")
            group.cancel_scope.cancel()
        await turnstile.turn("again")
        return "done"

    assert await turnstile.drive(work) == "done"
    assert (turnstile.order, widths) == (["stays", "again"], [2, 1])
