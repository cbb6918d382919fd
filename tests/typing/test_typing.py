"""Claims about types: mypy and pyright, both strict, accept the cases, and refuse just the lines that say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "cases"


def test_mypy_infers_what_the_cases_say() -> None:
    # unused ignores are errors, so an ignored line is a claim that mypy refuses it
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", "pyproject.toml"]
    done = subprocess.run([*command, str(CASES)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_pyright_infers_what_the_cases_say() -> None:
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(CASES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    found = [f"{d['file']}:{d['range']['start']['line'] + 1}: {d['message']}" for d in report["generalDiagnostics"]]
    assert found == []
    assert report["summary"]["filesAnalyzed"] >= len(list(CASES.glob("*.py")))
