"""Claims about an agent whose process is killed with SIGKILL in the middle of a tool call, on SQLite."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = str(Path(__file__).parent / "killed_agent.py")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")


def program(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def paid(folder: Path) -> list[str]:
    return (folder / "paid").read_text().split("\n")[:-1]


def killed(folder: Path, effect: str) -> None:
    ran = program(folder, effect)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert paid(folder) == ["model 1", "tool a", "tool b"]


def test_the_answer_that_was_paid_and_the_tool_that_finished_are_not_paid_again(tmp_path: Path) -> None:
    killed(tmp_path, "repeat")
    again = program(tmp_path, "repeat", "fail")
    assert again.stdout == "A B C\n", again.stderr
    assert paid(tmp_path)[3:] == ["tool b", "tool c", "model 2"]


def test_a_tool_that_must_not_run_twice_is_in_doubt_until_somebody_decides(tmp_path: Path) -> None:
    killed(tmp_path, "once")
    doubtful = program(tmp_path, "once", "fail")
    assert "tools#0/@tools/work 2" in doubtful.stdout, doubtful.stderr
    assert len(paid(tmp_path)) == 3
    again = program(tmp_path, "once", "rerun")
    assert again.stdout == "A B C\n", again.stderr
    assert paid(tmp_path)[3:] == ["tool b", "tool c", "model 2"]
