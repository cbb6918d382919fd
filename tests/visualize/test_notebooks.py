"""Claims about the notebooks in examples/notebooks: they run in a real kernel, draw themselves, and are kept clean."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loomgraph import END, START, Workflow
from loomgraph.errors import DefinitionError
from loomgraph.integrations import jupyter

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.ipynb"))
RUN = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_kernel_and_draws_itself_as_svg(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("nbclient", reason="nbclient is not installed")
    out = tmp_path / path.name
    where = {**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path), "JUPYTER_CONFIG_DIR": str(tmp_path)}
    where["JUPYTER_DATA_DIR"] = str(tmp_path)  # the kernel of this environment, whatever else the machine has
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path), str(out)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=where,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = [output for cell in cells(out) for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    drawn = ["".join(data["image/svg+xml"]) for o in outputs if "image/svg+xml" in (data := o.get("data", {}))]
    assert len(drawn) >= 3
    assert all(svg.startswith("<svg ") for svg in drawn)
    tables = [data for o in outputs if "<table>" in "".join((data := o.get("data", {})).get("text/html", ""))]
    assert tables
    if path.stem == "building":
        watched = next(cell for cell in cells(out) if "watch(run" in "".join(cell["source"]))
        (shown,) = watched["outputs"]
        assert "12 items" in "".join(shown["data"]["text/plain"])
        assert "<b>succeeded</b>" in "".join(shown["data"]["text/html"])


@pytest.mark.anyio
async def test_watching_without_ipython_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.display", None)
    wf = Workflow("w", input=int, output=int)

    @wf.node
    async def same(value: int) -> int:
        return value

    wf.chain(START, same, END)
    async with wf.compile().start(1) as run:
        with pytest.raises(DefinitionError, match=r"loomgraph-engine\[jupyter\]"):
            await jupyter.watch(run)
        with pytest.raises(DefinitionError, match="'tree' is unknown"):
            tree: Any = "tree"
            await jupyter.watch(run, view=tree)
        await run.result()


@pytest.mark.anyio
async def test_tables_of_events_and_activations_show_values_as_text_and_stay_short(capsys: Any) -> None:
    wf = Workflow("w", input=str, output=str)

    @wf.node
    async def again(text: str) -> str:
        return text

    wf.chain(START, again, END)
    result = await wf.compile().run("<script>alert(1)</script>")
    for table in (result.events, result.activations):
        bundle = table._repr_mimebundle_()  # pyright: ignore[reportAttributeAccessIssue]
        assert "&lt;script&gt;" in bundle["text/html"]
        assert "<script" not in bundle["text/html"]
        assert "again" in bundle["text/plain"]
        assert "&#x27;&#x27;" not in bundle["text/html"]  # a cell with nothing in it is empty
    assert result.events == tuple(result.events)
    assert "NodeStarted" not in result.events[:1]._repr_mimebundle_()["text/plain"]  # pyright: ignore[reportAttributeAccessIssue]
    long = type(result.events)(result.events * 200)
    shown = long._repr_mimebundle_()  # pyright: ignore[reportAttributeAccessIssue]
    assert shown["text/html"].count("<tr>") == 202
    assert f"{len(long) - 200:,} more" in shown["text/plain"]


@pytest.mark.anyio
async def test_a_picture_in_a_notebook_is_as_narrow_as_its_cell_and_never_too_small_or_larger_than_it_is() -> None:
    wf = Workflow("w", input=str, output=str)

    @wf.node
    async def only(text: str) -> str:
        return text

    wf.chain(START, only, END)
    result = await wf.compile().run("a")
    for picture, least in ((result.timeline(), 1000), (result.flame(), 1000), (result.messages(), 470)):
        html = picture._repr_mimebundle_()["text/html"]  # pyright: ignore[reportAttributeAccessIssue]
        assert f"max-width:100%;min-width:min(640px,{least}px);height:auto" in html
        assert f'width="{least}"' in html
