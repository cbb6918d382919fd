"""The `loomgraph` command: draw, run and check a workflow that lives in your own code.

It only loads, calls and prints; what a workflow means is decided below. Importing this package imports neither typer
nor rich: they are loaded when the command runs.
"""

from __future__ import annotations

__all__ = ["main"]


def main() -> None:
    """The console script. Exits with 0 (done), 1 (the run failed, or the check found errors) or 2 (never started)."""
    from loomgraph.cli.app import app

    app()
