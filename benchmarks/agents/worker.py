"""One task of one library in a process of its own, so that it can be killed: prints what came of it as JSON."""

import argparse
import asyncio
import importlib
import json
import sys
import time
from pathlib import Path


def main() -> None:
    """`--die N` kills the process when call N of the model is asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("library")
    parser.add_argument("way")
    parser.add_argument("place", type=Path)
    parser.add_argument("--die", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()

    from benchmarks.agents.saying import Speech

    library = importlib.import_module(f"benchmarks.agents.{given.library}")
    speech = Speech(given.place / "notes", given.die)

    path = given.place / "runs.db"
    made = library.make(given.way, speech, path)

    async def go() -> tuple[str, list[float]]:
        output, seconds = "", list[float]()
        for number in range(given.rounds):  # the first of them also pays for what is imported late
            before = time.perf_counter()
            output = await library.work(made, path, f"run{number}")
            seconds.append(time.perf_counter() - before)
        return output, seconds

    output, seconds = asyncio.run(go())
    found = {"output": output, "seconds": seconds, "drawn": library.drawn(given.way, speech)}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
