"""The scripted model that every library is given: what it waits, what it notes, and when its process dies.

A call is noted in a file when its answer is ready, as a provider would bill it. Nothing here knows a library.
"""

import asyncio
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WAIT = 0.05
TASK = "Compare Rome and Oslo."
NAMES = ("one", "two", "three")
# the name of the first run in a file, which is the one that a killed process leaves
FIRST = "run0"


@dataclass
class Speech:
    """`notes` is the file with a line for each answered call; the process is killed when call `fatal` is asked."""

    notes: Path
    fatal: int = 0
    asked: int = 0

    async def answered(self, answer: Any) -> Any:
        """The answer, once it has been waited for and noted."""
        self.asked += 1
        if self.asked == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(WAIT)
        with self.notes.open("a", encoding="utf-8") as file:
            file.write("answered\n")
        return answer


async def searched(text: str) -> str:
    """What the tool does; as slow as the model."""
    await asyncio.sleep(WAIT)
    return f"facts about {text}"
