"""What the durable workloads need of the disk: a folder a round, and how much was written to it. Knows no library."""

import shutil
import tempfile
from pathlib import Path

from benchmarks.engines.base import UnsupportedError

# hand-written SQL and every peer get the same: a write-ahead log, and these levels
NORMAL, FULL = "NORMAL", "FULL"


def fresh() -> Path:
    """A path for a new database, in a folder of its own."""
    return Path(tempfile.mkdtemp(prefix="loomgraph-bench-")) / "runs.db"


def drop(path: Path) -> None:
    """Remove the folder of a database."""
    shutil.rmtree(path.parent)


def kept(path: Path) -> int:
    """How many bytes the database takes, with whatever lies beside it."""
    return sum(file.stat().st_size for file in path.parent.iterdir())


def written() -> int:
    """How many bytes this process has handed to write calls so far. Raises UnsupportedError where nobody counts."""
    counters = Path("/proc/self/io")
    if not counters.exists():
        raise UnsupportedError("bytes written are counted as Linux does, in /proc/self/io")
    fields = dict(line.split(": ") for line in counters.read_text().splitlines())
    return int(fields["wchar"])
