"""Rows on stdout: a table on a terminal, aligned columns elsewhere. Nothing in a cell can steer the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loomgraph.cli.clean import clean

__all__ = ["STYLES", "table"]

STYLES: Final = {
    "running": "cyan",
    "suspended": "magenta",
    "waiting": "magenta",
    "succeeded": "green",
    "handled": "yellow",
    "failed": "bold red",
    "cancelled": "dim",
    "skipped": "dim",
}


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads; a status has its colour on a terminal."""
    cells = [[clean(cell) for cell in row] for row in rows]
    console = Console()
    if not console.is_terminal:
        _aligned([list(heads), *cells])
        return
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        shown.add_column(
            head, overflow="fold" if head in {"RUN", "KEY"} else "ellipsis", no_wrap=head not in {"RUN", "KEY"}
        )
    for row in cells:
        shown.add_row(*(Text(cell, STYLES.get(cell, "")) for cell in row))
    console.print(shown)


def _aligned(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip().encode())
