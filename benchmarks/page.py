"""How long the page takes to show a run of 1,000 nodes: `python -m benchmarks.page`. Needs an installed Chromium.

Prints, for each of five visits in a new browser context, the milliseconds from the start of the navigation until the
browser painted anything, until the run's head and views were there, and until its picture was. The first visit has
Graphviz place the graph; the others find it placed.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import threading
from pathlib import Path

from loomgraph import END, START, Graph, Workflow
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.ui import Server

NODES = 1_000
_WIDE = 10
_VISITS = 5
_SHOWN = """
() => {
    const paint = performance.getEntriesByName("first-contentful-paint")[0];
    return [paint ? paint.startTime : 0, ...["loomgraph-run", "loomgraph-picture"].map((name) => {
        const marks = performance.getEntriesByName(name);
        return marks.length ? marks[0].startTime : null;
    })];
}
"""


def wide() -> Graph[int, list[int]]:
    """Layers of ten nodes, each node fed by one of the layer before, joined at the end."""
    wf = Workflow("wide", input=int, output=list[int])
    before: list[object] = [START] * _WIDE
    for layer in range(NODES // _WIDE):
        nodes = [wf.node(_more, name=f"step {layer}.{at}") for at in range(_WIDE)]
        for source, node in zip(before, nodes, strict=True):
            wf.edge(source, node)  # type: ignore[arg-type]
        before = [*nodes[1:], nodes[0]]
    wf.join(before, into=END)  # type: ignore[arg-type]
    return wf.compile()


def _more(value: int) -> int:
    return value + 1


def main() -> None:
    """Make the run, serve it, visit it, print."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("no Chromium is installed")
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "runs.db")

        async def fill() -> None:
            async with SQLiteStore(path) as store:
                await wide().run(1, store=store, run_id="wide", durability="exit")

        asyncio.run(fill())
        server = Server(SQLiteStore(path), port=0)
        ready = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(server.run(ready.set)))
        thread.start()
        ready.wait()
        try:
            _visit(server, chromium)
        finally:
            server.stop()
            thread.join()


def _visit(server: Server, chromium: str) -> None:
    from playwright.sync_api import sync_playwright

    print(f"{NODES} nodes        paint     run   picture   (ms)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for visit in range(1, _VISITS + 1):
            context = browser.new_context()
            page = context.new_page()
            page.goto(server.opening)
            page.wait_for_selector("tbody tr")
            page.goto("about:blank")
            page.goto(f"{server.address}#/run/wide")
            page.wait_for_selector(".picture .node[data-status=succeeded]", timeout=60_000)
            paint, run, picture = page.evaluate(_SHOWN)
            print(f"visit {visit}      {paint:9.0f} {run:7.0f} {picture:9.0f}")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
