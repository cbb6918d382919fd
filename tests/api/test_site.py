"""Claims about the site: each public package has its page of reference, and links are followed."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import loomgraph
from benchmarks.figures import FigureError, expanded
from tests.api.documents import PAGES, ROOT
from tests.api.site import dead_links

# what others are made of: nobody is asked to import from these
INNER = {"cli", "compile", "engine", "graph", "runtime", "ui"}


def test_each_public_package_has_a_page_of_reference() -> None:
    package = Path(loomgraph.__file__).parent
    public = {path.parent.name for path in package.glob("*/__init__.py")} - INNER | {"loomgraph", "events"}
    pages = {path.stem for path in (ROOT / "docs" / "reference").glob("*.md")} - {"index"}
    assert pages == public
    index = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\((\w+)\.md\)", index)) == public


def test_what_a_page_of_reference_names_is_a_module_with_public_names() -> None:
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if not name.startswith("loomgraph.integrations"):  # these need what they integrate
                assert import_module(name).__all__, f"{page.name}: {name}"


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="a/">1</a><a href="a/#here">2</a><a href="#gone">3</a><a href="b.html">4</a>'
        '<a href="https://example.org/x">5</a><img src="a/no.svg"><a href="../out.html">6</a>',
        encoding="utf-8",
    )
    (tmp_path / "a" / "index.html").write_text('<p id="here"></p><a href="../index.html">up</a>', encoding="utf-8")
    dead = ["index.html: #gone", "index.html: b.html", "index.html: a/no.svg", "index.html: ../out.html"]
    assert list(dead_links(tmp_path)) == dead


def test_what_a_page_loads_from_another_host_is_found_and_a_link_that_is_no_address(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        '<script src="https://cdn.example.org/a.js"></script><link rel="stylesheet" href="//cdn.example.org/a.css">'
        '<a href="https://example.org/a">1</a><a href="https:/example.org">2</a><a href="mailto:a@example.org">3</a>',
        encoding="utf-8",
    )
    dead = ["https://cdn.example.org/a.js", "//cdn.example.org/a.css", "https:/example.org"]
    assert list(dead_links(tmp_path)) == [f"index.html: {link}" for link in dead]


def test_figures_that_a_page_asks_for_have_been_measured() -> None:
    asking = [page for page in PAGES if "\n<!-- figures:" in page.read_text(encoding="utf-8")]
    assert asking
    for page in asking:
        assert "\n<!-- figures:" not in expanded(page.read_text(encoding="utf-8")), page.name


def test_asking_for_figures_that_nobody_measured_is_an_error() -> None:
    assert expanded("<!-- figures: chain, map | loomgraph -->").count("\n| map ") == 3
    with pytest.raises(FigureError, match="no figures of 'chains'"):
        expanded("<!-- figures: chains -->")
    with pytest.raises(FigureError, match="no column 'loom'"):
        expanded("<!-- figures: chain | loom -->")
