"""Where the kept logs are, and how one is written anew. `python -m tests.runtime.logs` writes those of this version."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

from loomgraph.store.memory import MemoryStore
from tests.runtime.logs.programs import PROGRAMS

__all__ = ["FOLDER", "kept", "normal", "written"]

FOLDER = Path(__file__).parent
_HEX = re.compile(r"\b[0-9a-f]{16,64}\b")


def kept() -> list[Path]:
    """Every kept log, oldest version first."""
    return sorted(FOLDER.glob("v*.jsonl"), key=lambda path: (int(path.stem.partition("-")[0][1:]), path.stem))


async def written(name: str) -> bytes:
    """The log of a program, run just now, as one file."""
    make, drive = PROGRAMS[name]
    store = MemoryStore()
    await drive(make(), store)
    return b"".join([piece async for piece in store.export(name)])


def normal(data: bytes) -> list[str]:
    """A log without what differs between two runs of one program: times, hashes, and the order of what is unordered."""
    lines = [json.loads(line) for line in data.splitlines()]
    head, body = lines[0], lines[1:-1]
    for name in ("created", "updated"):
        head["header"][name] = 0
    written: list[Any] = []
    for line in body:
        if line[0] == "event":
            kind, text = line[3], line[5]
            fields = json.loads(text) if text else []
            if kind == "p" and str(fields[0]).startswith("sleep:"):
                fields[1] = 0.0
            line = ["event", kind, line[4], fields]
        elif line[0] == "value":
            # a list's row begins with the digest of the list that it goes on from
            text = line[2] if isinstance(line[2], str) else b64decode(line[2]["b64"])[17:].decode()
            line = ["value", text]
        elif line[0] == "message":
            line = line[:4]
        written.append(line)
    return sorted(_HEX.sub(lambda found: f"hex{len(found[0])}", json.dumps(line)) for line in [head, *written])
