"""Claims about the documents: their code runs, and what they show is what it does."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.api.documents import PAGES, ROOT, Page, blocks, pictures, shown

_DEFINED = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_code_of_a_page_runs_and_prints_and_draws_what_the_page_shows(
    path: Path, request: pytest.FixtureRequest
) -> None:
    page = Page(path)
    request.addfinalizer(page.close)
    for block in blocks(path):
        if block.mark == "not run":
            assert block.detail, f"{block} is left out without a reason"
        elif block.mark == "file":
            page.keep(block)
        elif block.language == "python":
            page.run(block)
        else:
            expected = shown(page, block)
            update = f"python -m tests.api.documents {path.relative_to(ROOT).as_posix()}"
            assert expected is None or block.text == expected, f"{block} is not what the code gives; run: {update}"
    for expression, file in pictures(path):
        # times differ from run to run and layouts between versions of Graphviz; what is drawn does not
        assert words(page.value(expression)) == words(file.read_text(encoding="utf-8")), f"{file.name} is out of date"


def words(svg: str) -> tuple[str, set[str]]:
    """What an SVG is called, and the names on it."""
    root = ET.fromstring(svg)
    texts = (re.sub(r"[^a-z ]", "", text.text or "").strip() for text in root.iter("{http://www.w3.org/2000/svg}title"))
    return root.get("aria-label", ""), {text for text in texts if re.fullmatch("[a-z]{4,}", text)}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_to_files_that_exist(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [target for target in targets if target and not (path.parent / target).exists()]
    assert missing == []


def test_the_tests_that_the_documents_name_exist() -> None:
    there = {name for file in (ROOT / "tests").rglob("test_*.py") for name in _DEFINED.findall(file.read_text("utf-8"))}
    named = {name for path in PAGES for name in re.findall(r"`(test_\w+)`", path.read_text("utf-8"))}
    assert named
    assert named - there == set()


def test_the_readme_shows_a_workflow_that_runs_and_its_drawing() -> None:
    found = list(blocks(ROOT / "README.md"))
    assert any(block.language == "python" and block.mark is None for block in found)
    assert any(block.language == "mermaid" and block.mark == "draws" for block in found)
