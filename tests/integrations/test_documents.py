"""Claims about diagrams in documents: what a block means, and real builds with MkDocs and with Sphinx."""

from __future__ import annotations

import io
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loomgraph import Workflow
from loomgraph.integrations.blocks import Block, BlockError, Drawer, parsed
from loomgraph.integrations.load import load

ROOT = Path(__file__).parents[2]

FLOW = """
from loomgraph import END, START, Workflow

inner = Workflow("inner", input=int, output=int)


@inner.node
def double(value: int) -> int:
    return 2 * value


inner.chain(START, double, END)

wf = Workflow("outer", input=int, output=int)


@wf.node
def first(value: int) -> int:
    return value


wf.chain(START, first, wf.node(inner.compile(), name="inside"), END)
"""

UNSOUND = """
from loomgraph import END, START, Workflow

wf = Workflow("unsound", input=int, output=int)


@wf.node
def lonely(value: int) -> int:
    return value


wf.edge(START, lonely)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with two modules, one of them unsound; what is loaded from it is taken away again."""
    (tmp_path / "flow.py").write_text(FLOW, encoding="utf-8")
    (tmp_path / "unsound.py").write_text(UNSOUND, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.delenv("LOOMGRAPH_STORE", raising=False)
    monkeypatch.delenv("LOOMGRAPH_KEY", raising=False)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_block_is_a_target_and_its_options() -> None:
    assert parsed("flow:wf\n") == Block("flow:wf")
    assert parsed("flow.py:wf\n:depth: 1\n:collapse: no\n:format: svg") == Block("flow.py:wf", "svg", 1, False)
    assert parsed(":run: t-42\n:store: sqlite:runs.db\n:view: flame\n:by: cost") == Block(
        None, run="t-42", store="sqlite:runs.db", view="flame", by="cost"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"a diagram of what\? Name a workflow as module:workflow, or a run"),
        ("flow:wf\ndepth 1", r"'depth 1' is no option of a diagram\. Write .* lines like `:depth: 1`"),
        ("flow:wf\n:deep: 1", r"no option `:deep:`\. Did you mean `:depth:`\?"),
        ("flow:wf\n:depth: -1", r"`:depth:` is how many levels .* not '-1'"),
        ("flow:wf\n:depth: 1\n:depth: 2", r"says `:depth:` twice"),
        ("flow:wf\n:format: png", r"`:format:` is .*mermaid.* not 'png'"),
        ("flow:wf\n:view: flame", r"are about a run\. Name it with `:run:`"),
        (":run: a\n:by: cost", r"`:by:` is about a flame"),
        (":run: a\n:view: flame\n:depth: 1", r"about a graph, not about a flame"),
    ],
)
def test_a_block_that_means_nothing_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(BlockError, match=said):
        parsed(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nowhere:wf", r"the diagram of 'nowhere:wf' cannot be drawn: there is no module 'nowhere'"),
        ("flow:wff", r"'flow' has no 'wff'\. Did you mean 'wf'\?"),
        ("unsound:wf", r"(?s)cannot be drawn: workflow 'unsound' does not compile.*no-end"),
        ("flow:wf\n:run: t-1", r"run 't-1' of which store\? Say `:store: sqlite:FILE`"),
        ("flow:wf\n:run: t-1\n:store: sqlite:runs.db", r"there is no store '.*runs\.db'.* Check `:store:`"),
        ("flow:wf\n:run: t-1\n:store: oops", r"the diagram of run 't-1' cannot be drawn: .*oops"),
    ],
)
def test_what_cannot_be_drawn_says_why(folder: Path, text: str, said: str) -> None:
    with pytest.raises(BlockError, match=said):
        Drawer(folder).draw(parsed(text), "mermaid")
    assert not (folder / "runs.db").exists()


def test_a_run_of_a_store_is_laid_over_its_graph_or_shown_as_what_happened(folder: Path) -> None:
    drawer = Drawer(folder)
    plain = drawer.draw(Block("flow:wf"), "mermaid")
    store = f"sqlite:{folder / 'runs.db'}"
    loaded = load(f"{folder / 'flow.py'}:wf")
    assert isinstance(loaded, Workflow)
    loaded.compile().run_sync(4, store=store, run_id="t-42")
    over = drawer.draw(parsed("flow:wf\n:run: t-42\n:store: sqlite:runs.db"), "mermaid")
    assert "succeeded" in over
    assert "succeeded" not in plain
    assert "first" in drawer.draw(parsed(":run: t-42\n:store: sqlite:runs.db"), "text")
    assert drawer.draw(parsed(":run: t-42\n:store: sqlite:runs.db\n:view: timeline"), "mermaid").startswith("<svg")
    with pytest.raises(BlockError, match=r"Mermaid cannot draw a timeline\. Write `:format: svg`"):
        drawer.draw(parsed(":run: t-42\n:store: sqlite:runs.db\n:view: timeline\n:format: mermaid"), "mermaid")


def test_a_changed_source_is_drawn_anew_and_the_path_is_left_as_it_was(folder: Path) -> None:
    path = list(sys.path)
    drawer = Drawer(folder)
    assert "first" in drawer.draw(Block("flow:wf"), "mermaid")
    assert drawer.files == {folder / "flow.py"}
    (folder / "flow.py").write_text(FLOW.replace("first", "renamed"), encoding="utf-8")
    assert "first" in drawer.draw(Block("flow:wf"), "mermaid")  # one build sees one version
    drawer.forget()
    assert "renamed" in drawer.draw(Block("flow:wf"), "mermaid")
    assert sys.path == path


@pytest.fixture
def mkdocs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Build a site of one page with MkDocs, and give that page."""
    pytest.importorskip("mkdocs", reason="needs mkdocs")
    pytest.importorskip("pymdownx", reason="needs pymdown-extensions")
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    # as an installed distribution would offer it, whatever version of it is installed here
    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    offered = folder / "offered" / "offered-0.dist-info"
    offered.mkdir(parents=True)
    (offered / "METADATA").write_text("Metadata-Version: 2.1\nName: offered\nVersion: 0\n", encoding="utf-8")
    lines = [f"{name} = {value}" for name, value in points["mkdocs.plugins"].items()]
    (offered / "entry_points.txt").write_text("\n".join(["[mkdocs.plugins]", *lines, ""]), encoding="utf-8")
    monkeypatch.syspath_prepend(str(offered.parent))

    def built(page: str, settings: str = "[loomgraph]") -> str:
        (folder / "docs").mkdir(exist_ok=True)
        (folder / "docs" / "index.md").write_text(page, encoding="utf-8")
        (folder / "mkdocs.yml").write_text(
            f"site_name: here\ntheme: {{name: null, custom_dir: theme}}\nplugins: {settings}\n", encoding="utf-8"
        )
        (folder / "theme").mkdir(exist_ok=True)
        (folder / "theme" / "main.html").write_text("{{ page.content }}", encoding="utf-8")
        build(load_config(str(folder / "mkdocs.yml"), strict=True))
        return (folder / "site" / "index.html").read_text(encoding="utf-8")

    return built


def test_mkdocs_draws_a_fence(folder: Path, mkdocs: Callable[..., str]) -> None:
    page = mkdocs("1. An item\n\n    ```loomgraph\n    flow:wf\n    :depth: 0\n    ```\n\n```loomgraph\nflow:wf\n```\n")
    assert page.count('<pre class="mermaid"><code>flowchart TD') == 2
    closed, opened = page.split("flowchart TD")[1:]
    assert "double" in opened
    assert "double" not in closed
    assert "--&gt;" in opened
    (folder / "flow.py").write_text(FLOW.replace("first", "renamed"), encoding="utf-8")
    assert "renamed" in mkdocs("```loomgraph\nflow:wf\n```\n")
    svg = mkdocs("```diagram\nflow:wf\n```\n", "[{loomgraph: {format: svg, fence: diagram}}]")
    assert '<div class="loomgraph"><svg' in svg


def test_mkdocs_watches_the_sources_of_what_is_drawn_now(folder: Path) -> None:
    pytest.importorskip("mkdocs", reason="needs mkdocs")
    pytest.importorskip("pymdownx", reason="needs pymdown-extensions")

    class Server:
        def __init__(self) -> None:
            self.paths: list[Path] = []

        def watch(self, path: str) -> None:
            self.paths.append(Path(path))

    from loomgraph.integrations.mkdocs import LoomgraphPlugin

    plugin = LoomgraphPlugin()
    plugin.load_config({"fence": "served"})
    config: Any = SimpleNamespace(config_file_path=str(folder / "mkdocs.yml"), markdown_extensions=[], mdx_configs={})
    plugin.on_config(config)
    draw = config.mdx_configs["pymdownx.superfences"]["custom_fences"][0]["format"]
    draw("flow:wf", "served", "loomgraph", {}, None)
    server: Any = Server()
    plugin.on_serve(server, config=config, builder=lambda: None)
    assert server.paths == [folder / "flow.py"]
    (folder / "other.py").write_text(FLOW, encoding="utf-8")
    draw("other:wf", "served", "loomgraph", {}, None)
    plugin.on_post_build(config=config)
    plugin.on_post_build(config=config)
    assert server.paths == [folder / "flow.py", folder / "other.py"]


def test_mkdocs_stops_at_a_fence_that_cannot_be_drawn(
    mkdocs: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    from mkdocs.exceptions import Abort, BuildError

    with pytest.raises((BuildError, Abort)) as raised:
        mkdocs("---\ntitle: here\n---\n\n- item\n\n    ```loomgraph\n    flow:wff\n    ```\n")
    said = f"{raised.value} {caplog.text}"
    assert "'flow' has no 'wff'. Did you mean 'wf'?" in said
    assert "index.md:8: " in said


@pytest.fixture
def sphinx(folder: Path) -> Callable[..., Path]:
    """Build a document with Sphinx, warnings being errors, and give the folder of what came out."""
    pytest.importorskip("sphinx", reason="needs sphinx")
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    def built(page: str, builder: str = "html") -> Path:
        source, out = folder / "docs", folder / "out" / builder
        source.mkdir(exist_ok=True)
        (source / "index.rst").write_text(page, encoding="utf-8")
        (source / "conf.py").write_text(
            "extensions = ['loomgraph.integrations.sphinx']\nloomgraph_folder = '..'\nhtml_theme = 'basic'\n",
            encoding="utf-8",
        )
        with patch_docutils(source), docutils_namespace():
            app: Any = Sphinx(
                *(source, source, out, folder / "trees", builder),
                status=None,
                warning=io.StringIO(),
                warningiserror=True,
            )
            app.build()
        assert app.statuscode == 0, app.warning.getvalue()
        return out

    return built


def test_sphinx_draws_a_directive_whatever_it_builds(folder: Path, sphinx: Callable[..., Path]) -> None:
    page = "Here\n====\n\n.. loomgraph:: flow:wf\n   :depth: 0\n   :name: the-flow\n"
    html = (sphinx(page) / "index.html").read_text(encoding="utf-8")
    assert "<svg" in html
    assert "inside" in html
    assert "double" not in html
    assert "└─▶ first" in (sphinx(page, "text") / "index.txt").read_text(encoding="utf-8")
    (folder / "flow.py").write_text(FLOW.replace("first", "renamed"), encoding="utf-8")
    assert "renamed" in (sphinx(page) / "index.html").read_text(encoding="utf-8")  # the page itself did not change


def test_sphinx_stops_at_a_directive_that_cannot_be_drawn(sphinx: Callable[..., Path]) -> None:
    from sphinx.errors import ExtensionError

    with pytest.raises(ExtensionError, match=r"(?s)index\.rst:4: .*workflow 'unsound' does not compile.*no-end"):
        sphinx("Here\n====\n\n.. loomgraph:: unsound:wf\n")
    with pytest.raises(ExtensionError, match=r"Sphinx itself draws no Mermaid\. Write `:format: svg`"):
        sphinx("Here\n====\n\n.. loomgraph:: flow:wf\n   :format: mermaid\n")
    # docutils itself would say so, leave the diagram out, and go on
    with pytest.raises(ExtensionError, match=r"index\.rst:4: a diagram has no option `:dept:`. Did you mean `:depth:`"):
        sphinx("Here\n====\n\n.. loomgraph:: flow:wf\n   :dept: 1\n")
