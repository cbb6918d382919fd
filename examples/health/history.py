"""What happened before: how often git saw each file change, and what the last report said."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

import anyio
from pydantic import ValidationError

from examples.health.models import History, Previous, Request, Totals
from loomgraph import Failure

COMMITS = 1000
"""How far back: the newest commits that are read."""


class NoHistoryError(Exception):
    """Git has nothing to say about this directory."""


async def read_history(request: Request) -> History:
    """How many of the last commits changed each file. Raises NoHistoryError, or OSError where there is no git."""
    command = ["git", "-C", str(request.root), "-c", "core.quotepath=off", "log", f"--max-count={COMMITS}"]
    command += ["--no-merges", "--no-renames", "--name-only", "--relative", "--format=%x01", "--", "."]
    ran = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip().splitlines()
        raise NoHistoryError(said[0] if said else f"git log ended with {ran.returncode}")
    lines = ran.stdout.decode(errors="replace").split("\n")
    commits = lines.count("\x01")
    if not commits:
        raise NoHistoryError("no commit has changed a file here")
    return History(commits=commits, changes=dict(Counter(line for line in lines if line and line != "\x01")))


def without_history(failure: Failure) -> History:
    """No history is no reason to give up: the report says why there is none."""
    return History(unknown=failure.message)


def recall(request: Request) -> Previous | None:
    """The sums of the last report on the same files; None if there is none, or none that can still be read."""
    if request.previous is None:
        return None
    try:
        document = json.loads(request.previous.read_text(encoding="utf-8"))
        if document["root"] != str(request.root) or document["limit"] != request.limit:
            return None
        return Previous(made=document["made"], totals=Totals.model_validate(document["totals"]))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None
