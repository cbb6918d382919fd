"""Write the logs of this version: python -m tests.runtime.logs [program ...]

Logs of earlier versions are never written again: they are what an earlier loomgraph left behind. A log that is there
already is kept, unless its program is named.
"""

from __future__ import annotations

import sys

import anyio

from loomgraph.events import VERSION
from tests.runtime.logs.keeping import FOLDER, written
from tests.runtime.logs.programs import PROGRAMS


def main() -> None:
    for name in PROGRAMS:
        path = FOLDER / f"v{VERSION}-{name}.jsonl"
        if name in sys.argv[1:] or not path.exists():
            path.write_bytes(anyio.run(written, name))
            sys.stdout.write(f"wrote {path.name}\n")


if __name__ == "__main__":
    main()
