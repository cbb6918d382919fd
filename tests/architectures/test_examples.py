"""Claims about the examples of architectures: each runs without a key, and its page shows what it prints."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path for path in (ROOT / "examples" / "architectures").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_an_example_runs_without_a_key_and_its_page_shows_what_it_prints(
    program: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [program.name])
    runpy.run_path(str(program), run_name="__main__")
    printed = capsys.readouterr().out
    page = ROOT / "docs" / "architectures" / f"{program.stem.replace('_', '-')}.md"
    assert f"```text\n{printed}```" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_an_example_says_how_to_run_it_and_takes_a_model(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    assert f"Run it: python examples/architectures/{program.name}" in text
    assert '"--model"' in text
