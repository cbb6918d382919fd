"""`python -m benchmarks.agents`: the twelve architectures on one scripted task each, beside LoomFlow and LangGraph.

Every model call and tool call takes 50 ms and everything is kept in a SQLite file. A cell has: milliseconds (the
quickest of the rounds but the first), model calls, boxes in the library's own drawing, and model calls paid again when
the process is killed as the last one is asked and the same is run once more.
"""

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.agents.saying import WAIT

ROOT = Path(__file__).parents[2]
LIBRARIES = {"loomgraph": "ours", "loomflow": "loomflow_peer", "langgraph": "langgraph_peer"}
WAYS = (
    "react",
    "self-refine",
    "reflexion",
    "tree-of-thoughts",
    "plan-and-execute",
    "rewoo",
    "router",
    "supervisor",
    "actor-critic",
    "multi-agent-debate",
    "swarm",
    "blackboard",
)
ONLY = {"langgraph": ("react",)}
BEGIN, END = "<!-- agents: begin -->", "<!-- agents: end -->"


@dataclass(frozen=True)
class Cell:
    """What one library needed for one task; `again` are the calls that a crash made it pay twice."""

    milliseconds: float
    calls: int
    boxes: int
    again: int
    same: bool

    def __str__(self) -> str:
        again = f"{self.again} paid again" if self.same else "another answer after the crash"
        return f"{self.milliseconds:.0f} ms, {self.calls} calls, {self.boxes} boxes, {again}"


def _run(library: str, way: str, place: Path, *options: str) -> dict[str, object] | None:
    command = [sys.executable, "-m", "benchmarks.agents.worker", LIBRARIES[library], way, str(place), *options]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)
    if done.returncode > 0:
        raise SystemExit(f"{library} {way}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def measure(library: str, way: str, rounds: int) -> Cell:
    """The figures of one library and one task."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        found = _run(library, way, place, "--rounds", str(rounds + 1))
        assert found is not None
        seconds: list[float] = found["seconds"]  # type: ignore[assignment]
        calls = _calls(place) // (rounds + 1)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        assert _run(library, way, place, "--die", str(calls)) is None, "it was to be killed"
        after = _run(library, way, place)
        assert after is not None
        same = after["output"] == found["output"] and _calls(place) >= calls
        return Cell(min(seconds[1:]) * 1e3, calls, int(str(found["drawn"])), _calls(place) - calls, same)


def _calls(place: Path) -> int:
    return len((place / "notes").read_text(encoding="utf-8").splitlines())


def table(rounds: int, libraries: list[str]) -> str:
    """The table as Markdown."""
    lines = [f"| | {' | '.join(libraries)} |", f"|---|{'---|' * len(libraries)}"]
    for way in WAYS:
        cells = [str(measure(library, way, rounds)) if way in ONLY.get(library, WAYS) else "-" for library in libraries]
        lines.append(f"| {way} | {' | '.join(cells)} |")
        sys.stderr.write(lines[-1] + "\n")
    return "\n".join(lines)


def main() -> None:
    """Print the table; `--save` writes it into benchmarks/README.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agents", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true")
    given = parser.parse_args()
    there = [name for name in LIBRARIES if name == "loomgraph" or importlib.util.find_spec(name) is not None]
    found = table(given.rounds, there)
    sys.stdout.write(f"model and tool calls take {WAIT * 1e3:.0f} ms\n\n{found}\n")
    if given.save:
        path = ROOT / "benchmarks" / "README.md"
        text = path.read_text(encoding="utf-8")
        path.write_text(
            re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{found}\n{END}", text, flags=re.DOTALL), encoding="utf-8"
        )


if __name__ == "__main__":
    main()
