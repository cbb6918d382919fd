"""Claims about notes: what a run writes down about itself and about its user, over runs and lives."""

from __future__ import annotations

from typing import Any

import pytest

from loomgraph import END, START, Context, NodeFailedError, Workflow
from loomgraph.errors import StorelessPauseError
from loomgraph.runtime.notes import note_about_user
from loomgraph.store.memory import MemoryStore
from tests.places import Place

pytestmark = pytest.mark.anyio


def noting(about: Any) -> Any:
    wf = Workflow("noting", input=str, output=list[Any])

    @wf.node
    async def note(text: str, ctx: Context) -> list[Any]:
        await ctx.note("seen", {"text": text}, whose=about)
        await ctx.note("seen", {"text": text}, whose=about)
        await ctx.note("else", 1, whose=about)
        return await ctx.noted("seen", whose=about)

    wf.chain(START, note, END)
    return wf.compile()


async def test_notes_about_a_user_are_there_in_later_runs_of_the_store_in_order(place: Place) -> None:
    async with place.store() as store:
        graph = noting("user")
        assert (await graph.run("a", store=store, user_id="ada")).output == [{"text": "a"}]
        assert (await graph.run("x", store=store, user_id="bob")).output == [{"text": "x"}]
        await note_about_user(store, "ada", "seen", {"text": "from outside"})
        found = await graph.run("b", store=store, user_id="ada")
        assert found.output == [{"text": "a"}, {"text": "from outside"}, {"text": "b"}]


async def test_notes_about_a_run_are_its_own() -> None:
    store = MemoryStore()
    graph = noting("run")
    assert (await graph.run("a", store=store, user_id="ada")).output == [{"text": "a"}]
    assert (await graph.run("b", store=store, user_id="ada")).output == [{"text": "b"}]
    assert len((await store.runs()).runs) == 2


async def test_a_note_needs_somewhere_to_be_kept() -> None:
    for about, options in (("run", {}), ("user", {"user_id": "ada"}), ("user", {"store": MemoryStore()})):
        with pytest.raises(NodeFailedError) as caught:
            await noting(about).run("a", **options)
        assert isinstance(caught.value.__cause__, StorelessPauseError)


async def test_a_run_that_goes_on_is_still_for_the_user_it_was_started_for() -> None:
    wf = Workflow("whose", input=str, output=list[Any])
    broken = [True]

    @wf.node(version="1")
    async def who(text: str, ctx: Context) -> list[Any]:
        if broken[0]:
            raise OSError("gone")
        return [ctx.user_id, ctx.session_id, dict(ctx.metadata)]

    wf.chain(START, who, END)
    graph, store = wf.compile(), MemoryStore()
    given: Any = {"user_id": "ada", "session_id": "s", "metadata": {"why": "test"}}
    with pytest.raises(NodeFailedError):
        await graph.run("a", store=store, run_id="r", **given)
    broken[0] = False
    other = await graph.fork("r", store=store)
    assert (await graph.resume("r", store=store)).output == ["ada", "s", {"why": "test"}]
    assert (await graph.resume(other, store=store, user_id="bob")).output == ["bob", "s", {"why": "test"}]
