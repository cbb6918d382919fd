"""Claims about an agent whose process is killed with SIGKILL in the middle of a tool call, on SQLite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.nodes.killed_agent import works
from tests.processes import Child, skip_where_none

pytestmark = pytest.mark.skipif(skip_where_none, reason="SIGKILL is POSIX's")


def said(folder: Path, effect: str, in_doubt: str | None) -> Any:
    with Child(works, folder, effect, in_doubt) as child:
        return child.hear()


def paid(folder: Path) -> list[str]:
    return (folder / "paid").read_text().split("\n")[:-1]


def killed(folder: Path, effect: str) -> None:
    with pytest.raises(EOFError):
        said(folder, effect, None)
    assert paid(folder) == ["model 1", "tool a", "tool b"]


def test_the_answer_that_was_paid_and_the_tool_that_finished_are_not_paid_again(tmp_path: Path) -> None:
    killed(tmp_path, "repeat")
    assert said(tmp_path, "repeat", "fail") == "A B C"
    assert paid(tmp_path)[3:] == ["tool b", "tool c", "model 2"]


def test_a_tool_that_must_not_run_twice_is_in_doubt_until_somebody_decides(tmp_path: Path) -> None:
    killed(tmp_path, "once")
    assert "tools#0/@tools/work 2" in said(tmp_path, "once", "fail")
    assert len(paid(tmp_path)) == 3
    assert said(tmp_path, "once", "rerun") == "A B C"
    assert paid(tmp_path)[3:] == ["tool b", "tool c", "model 2"]
