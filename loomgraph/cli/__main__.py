"""`python -m loomgraph.cli`: the command where its script is not on the PATH."""

from __future__ import annotations

from loomgraph.cli import main

main()
