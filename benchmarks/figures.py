"""Measured figures for a document, read from the table in README.md, so that no document has a copy that goes stale.

    <!-- figures: chain, map | loomgraph, asyncio -->

stands for the rows of these workloads and the columns of these engines; without `| ...` all engines are there that have
any of it. `ways` and `sizes` stand for the tables of `benchmarks.costs`. It measures nothing: `python -m benchmarks
--save` and `python -m benchmarks.costs --save` write the tables.
"""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).with_name("README.md")

_ASKED = re.compile(r"^<!-- figures: (?P<rows>[^|>]+?)(?: \| (?P<columns>[^>]+?))? -->$", re.MULTILINE)


class FigureError(Exception):
    """A document asks for figures that nobody has measured."""


def expanded(markdown: str) -> str:
    """The document with tables in the place of what asks for them. Raises FigureError."""
    return _ASKED.sub(_asked, markdown)


def _asked(found: re.Match[str]) -> str:
    match found["rows"]:
        case "ways":
            return _costs(0)
        case "sizes":
            return _costs(1)
        case rows:
            return table(_words(rows), _words(found["columns"] or ""))


def _costs(number: int) -> str:
    """One of the tables of what it costs, and where it was measured. Raises FigureError."""
    machine, *tables = [part.strip() for part in _between("<!-- costs -->", "<!-- end of costs -->").split("\n\n")]
    if len(tables) != 2:
        raise FigureError(f"{README.name} has no costs. Run: python -m benchmarks.costs --save")
    return f"{tables[number]}\n\n*{machine}.*"


def table(workloads: list[str], engines: list[str]) -> str:
    """Rows of the results as a table of their own, with the notes they refer to. Raises FigureError."""
    machine, head, rows, notes = _results()
    for workload in workloads:
        if not any(row[0] == workload for row in rows):
            raise FigureError(f"there are no figures of '{workload}' in {README.name}.")
    chosen = [row for workload in workloads for row in rows if row[0] == workload]
    if engines:
        columns = [0, 1, 2, *(_column(head, engine) for engine in engines)]
    else:  # but those that have none of it
        columns = [at for at in range(len(head)) if any(row[at] not in ("", "-") for row in chosen)]
    lines = [_line(head, columns), _line(["---", "---:", "---", *["---:"] * (len(head) - 3)], columns)]
    lines += [_line(row, columns) for row in chosen]
    said = "\n".join(lines)
    used = [note for note in notes if note[:3] in said]
    return "\n\n".join([said, *used, f"*{machine}.*"])


def _results() -> tuple[str, list[str], list[list[str]], list[str]]:
    lines = [line for line in _between("<!-- results -->", "<!-- end of results -->").splitlines() if line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return lines[0], cells[0], cells[2:], [line for line in lines if line.startswith("[")]


def _between(begin: str, end: str) -> str:
    return README.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0].strip()


def _column(head: list[str], engine: str) -> int:
    for index, name in enumerate(head[3:], 3):
        if name.partition(" ")[0] == engine:
            return index
    raise FigureError(f"there is no column '{engine}' in the results of {README.name}.")


def _line(cells: list[str], columns: list[int]) -> str:
    return "| " + " | ".join(cells[column] for column in columns) + " |"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
