"""What a person sees: the page in a real Chromium, over real runs, looked at by screenshots. Skipped where none is.

The screenshots are kept beside the test's other files, or, in light and in dark, in the folder that
LOOMGRAPH_SCREENSHOTS names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph import END, START, Workflow
from loomgraph.store.sqlite import SQLiteStore

pytest.importorskip("starlette", reason="the extra ui is not installed")
driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.timeout(240),
    # of the driver's own event loop and pipes, when it has ended
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).parents[2]
EVENTS = 100_000
# what is asked of a page that everybody can use is asked of these; they have everything that there is
READ = frozenset({"runs", "asks", "scope", "fork", "compare", "cancel", "long-events"})

SHOP = """
from pathlib import Path
from typing import Literal

import anyio
from pydantic import BaseModel, Field

from loomgraph import END, START, Context, Workflow
from loomgraph.nodes import Human


class Approval(BaseModel):
    yes: bool = Field(title="Pay it?")
    level: Literal["low", "high"] = "low"
    note: str = Field("", description="Kept in the log.")


wf = Workflow("shop", input=str, output=str)


@wf.node
async def check(text: str) -> str:
    return text


@wf.node
async def price(text: str) -> int:
    while not Path("go").exists():
        await anyio.sleep(0.02)
    return len(text)


notes = Workflow("notes", input=str, output=str)


@notes.node
async def short(text: str) -> str:
    return text


@notes.node
async def long(text: str) -> str:
    return text


notes.edge(START, short, when=lambda text: len(text) < 9, label="short")
notes.edge(START, long, when=lambda text: len(text) >= 9, label="long")
notes.edge(short, END)
notes.edge(long, END)
noted = notes.compile()


@wf.node
async def audit(text: str, ctx: Context) -> None:
    await ctx.run(noted, text, key="note <b>")


approve = wf.node(Human("Pay {input} EUR?", answer=Approval, input=int), name="approve")


@wf.node
async def pay(approval: Approval) -> str:
    return f"<script>window.evil = 1</script><img src=x onerror='window.evil = 1'> {approval.level}"


wf.edge(START, check)
wf.edge(check, price)
wf.edge(check, audit)
wf.chain(price, approve, pay, END)
"""


def command(place: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{place}", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "loomgraph.cli", *words], cwd=place, env=environment, text=True, **options
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a workflow and a store with a long run."""
    (tmp_path / "shop.py").write_text(SHOP, encoding="utf-8")
    wf = Workflow("many", input=int, output=int)

    @wf.node
    async def items(n: int) -> list[int]:
        return list(range(n))

    @wf.node
    async def square(n: int) -> int:
        return n * n

    @wf.node
    async def last(squares: list[int]) -> int:
        return squares[-1]

    wf.chain(START, items)
    wf.map(items, square)
    wf.chain(square, last, END)

    async def fill() -> None:
        async with SQLiteStore(str(tmp_path / "runs.db")) as store:
            await wf.compile().run(EVENTS // 2, store=store, run_id="long", durability="exit")

    anyio.run(fill)
    return tmp_path


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    """Where the page is, with its token."""
    server = command(place, "ui", "sqlite:runs.db", "-g", "shop:wf", "--port", "0", stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.fixture
def page(address: str, place: Path) -> Iterator[Any]:
    """The page in a browser; nothing on it may fail or reach for the network."""
    troubles: list[str] = []
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1360, "height": 860})
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
        refused = "the server responded with a status of 422"  # the wrong value of the fork
        own = address.partition("?")[0]
        page.on("request", lambda request: None if request.url.startswith(own) else troubles.append(request.url))
        page.goto(address)
        yield page
        browser.close()
    assert [trouble for trouble in troubles if refused not in trouble] == []


@pytest.fixture
def look(page: Any, place: Path) -> Any:
    """Keep a screenshot; where somebody asked for them, in dark too."""
    asked = os.environ.get("LOOMGRAPH_SCREENSHOTS")
    folder = Path(asked or place / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name: str) -> None:
        for scheme in ("dark", "light") if asked else ("light",):
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=folder / f"{name}-{scheme}.png")
        if name in READ:
            found = axe.Axe().run(page).response["violations"]
            assert [(one["id"], one["nodes"][0]["target"]) for one in found] == []

    return keep


def test_a_person_follows_a_run_answers_it_forks_it_and_reads_a_long_log(
    page: Any, look: Any, address: str, place: Path
) -> None:
    assert "token" not in page.url
    page.wait_for_selector("text=long")
    look("runs")
    run = command(place, "run", "shop:wf", "-s", "sqlite:runs.db", "--run-id", "t-1", "-i", '"abc"', "-q")
    follows_it_live(page, look, place)
    assert run.wait(30) == 3, "it waits for a person"
    answers_it(page, look)
    reads_the_payload_as_text(page, look)
    sees_the_graph_that_a_node_ran(page, look)
    forks_it(page, look)
    scrolls_a_long_log(page, look)
    refuses_a_stranger(address)


def status(page: Any, node: str, wanted: str) -> None:
    page.wait_for_selector(f'.node[data-path="{node}"][data-status="{wanted}"]', timeout=20_000)


def follows_it_live(page: Any, look: Any, place: Path) -> None:
    page.wait_for_selector('tr[data-run="t-1"] a', timeout=20_000)
    look("runs")
    page.click('tr[data-run="t-1"] a')
    status(page, "check", "succeeded")
    status(page, "price", "running")
    status(page, "pay", "idle")
    look("live")
    (place / "go").touch()
    status(page, "price", "succeeded")
    status(page, "approve", "waiting")
    page.wait_for_selector("text=Pay 3 EUR?")
    look("asks")


def answers_it(page: Any, look: Any) -> None:
    page.wait_for_selector("h1 [data-status=suspended]")
    page.get_by_role("button", name="Answer").first.click()
    page.wait_for_selector("text=say yes or no")
    page.get_by_label("yes", exact=True).check()
    page.get_by_label("Level").select_option("high")
    page.get_by_label("Note").fill("for the log")
    page.get_by_role("button", name="Answer").first.click()
    page.wait_for_selector("[data-sent]:has-text('Answered'), h1 [data-status=succeeded]")
    if page.locator("h1 [data-status=suspended]").count():
        page.get_by_role("button", name="Resume", exact=True).click()
    page.wait_for_selector("h1 [data-status=succeeded]", timeout=20_000)
    status(page, "pay", "succeeded")


def reads_the_payload_as_text(page: Any, look: Any) -> None:
    # by keyboard: from the tab of the graph to its first node, along the arrows, and open one
    page.locator("#tab-graph").focus()
    page.keyboard.press("Tab")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("pre:has-text('<script>window.evil = 1</script>')")
    assert page.evaluate("window.evil") is None
    assert page.locator("aside img, main script, .side img").count() == 0
    look("payload")


def sees_the_graph_that_a_node_ran(page: Any, look: Any) -> None:
    page.locator('.node[data-path="audit"]').click()
    page.get_by_role("button", name="Draw note <b>").click()
    page.wait_for_selector('.node[data-path="audit/@note <b>/short"][data-status="succeeded"]')
    page.wait_for_selector('.node[data-path="audit/@note <b>/long"][data-status="skipped"]')
    assert page.locator('.edge[data-taken="yes"]').count() == page.locator('.edge[data-taken="no"]').count() == 2
    assert page.get_by_text("dotted: not taken").is_visible()
    look("scope")
    page.get_by_role("navigation").get_by_role("button", name="shop").click()
    status(page, "pay", "succeeded")


def cancels_it_by_keyboard(page: Any, look: Any) -> None:
    page.get_by_role("button", name="Cancel", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open]")
    look("cancel")
    page.keyboard.type("nobody <b>needs</b> it")
    page.keyboard.press("Enter")
    page.wait_for_selector("h1 [data-status=cancelled]")
    page.wait_for_selector("text=nobody <b>needs</b> it")
    page.wait_for_selector(".ask", state="detached")


def forks_it(page: Any, look: Any) -> None:
    page.locator('.node[data-path="price"]').click()
    page.get_by_role("button", name="Fork from here").click()
    page.wait_for_selector("dialog[open]")
    driver.expect(page.locator("dialog textarea").first).to_have_value("3")
    page.locator("dialog textarea").first.fill('"many"')
    page.get_by_role("button", name="Fork", exact=True).last.click()
    page.wait_for_selector("dialog .wrong:not(:empty)")
    look("fork")
    page.locator("dialog textarea").first.fill("250")
    page.get_by_label("Id of the new run").fill("t-2")
    page.get_by_role("button", name="Fork", exact=True).last.click()
    page.wait_for_selector("text=Pay 250 EUR?", timeout=20_000)
    assert page.url.endswith("#/run/t-2")
    look("forked")
    cancels_it_by_keyboard(page, look)
    page.get_by_role("link", name="Compare with its parent").click()
    page.wait_for_selector("tr:has-text('began here')")
    look("compare")


def scrolls_a_long_log(page: Any, look: Any) -> None:
    page.get_by_label("Run id").fill("long")
    page.keyboard.press("Enter")
    page.wait_for_selector('.node[data-path="square"][data-status="succeeded"]', timeout=30_000)
    page.get_by_role("tab", name="Timeline").click()
    page.wait_for_selector(".bar-of")
    look("long-timeline")
    page.get_by_role("tab", name="Events").click()
    grid = page.get_by_role("grid", name="Events")
    page.wait_for_selector("#panel-events .row:has-text('RunStarted')")
    total = int(grid.get_attribute("aria-rowcount"))
    assert total > EVENTS
    for share in (0.25, 0.5, 0.75):
        grid.evaluate(f"grid => {{ grid.scrollTop = grid.scrollHeight * {share} }}")
        wanted = int(total * share)
        page.wait_for_selector(f'#panel-events .row[data-index="{wanted}"]:has-text("square[")')
        assert page.locator("#panel-events .row").count() < 100, "only what is in sight is in the page"
    grid.focus()
    page.keyboard.press("End")
    page.wait_for_selector("#panel-events .row[aria-selected=true]:has-text('RunSucceeded')")
    look("long-events")
    page.keyboard.press("Enter")
    page.wait_for_selector("pre:has-text('RunSucceeded')")


def refuses_a_stranger(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address.partition('?')[0]}api/run?run=t-1")
    assert refused.value.code == 401
    assert json.loads(refused.value.read())["error"] == "token"
