"""The run as a Markdown table or as JSON: a figure for each engine, and how many times loomgraph's time it took."""

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import UNSUPPORTED, Cell
from benchmarks.targets import OURS, Verdict

MARKS = ("<!-- results -->", "<!-- end of results -->")


def markdown(cells: Sequence[Cell], engines: Sequence[str], versions: dict[str, str]) -> str:
    """One row for each workload and size, one column for each engine that was asked for, notes below."""
    head = ["workload", "n", "unit", *(f"{engine} {versions.get(engine, '(absent)')}" for engine in engines)]
    lines = ["| " + " | ".join(head) + " |", "|---|---:|---|" + "---:|" * len(engines)]
    notes: dict[str, str] = {}
    for row in _rows(cells):
        ours = next((cell for cell in row if cell.engine == OURS and cell.rounds and not cell.note), None)
        first = row[0]
        texts = [_text(cell, ours, notes) for cell in row]
        lines.append(f"| {first.workload.name} | {first.size:_} | {first.workload.unit} | " + " | ".join(texts) + " |")
    lines += ["", *(f"[{mark}] {note}" for note, mark in notes.items())]
    return "\n".join(lines).rstrip() + "\n"


def _rows(cells: Sequence[Cell]) -> list[list[Cell]]:
    rows: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        rows.setdefault((cell.workload.name, cell.size), []).append(cell)
    return list(rows.values())


def _text(cell: Cell, ours: Cell | None, notes: dict[str, str]) -> str:
    if cell.note == "absent":
        return ""
    if cell.note:
        if cell.note.startswith("over "):
            return cell.note
        if cell.note == UNSUPPORTED:
            return "-"
        return f"[{notes.setdefault(f'{cell.engine}: {cell.note}', chr(ord('a') + len(notes)))}]"
    figure = f"{cell.figure:_.0f}" if cell.figure >= 100 else f"{cell.figure:.2f}"
    if ours is None or cell is ours:
        return figure
    times = cell.seconds / ours.seconds
    return f"{figure} ({times:.0f}x)" if times >= 10 else f"{figure} ({times:.2g}x)"


def machine() -> str:
    """The machine in general terms, and how busy it was: with a load near the number of cores, figures are too high."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} cores, {python}, {load} before the run"


def save(text: str) -> None:
    """Put the table into the README, between its two marks."""
    page = Path(__file__).with_name("README.md")
    before, _, rest = page.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    page.write_text(f"{before}{MARKS[0]}\n{text}{MARKS[1]}{after}")


def checks(verdicts: Sequence[Verdict]) -> str:
    """One line for each target."""
    return "".join(f"{'met   ' if v.met else 'MISSED'} {v.promise}: {v.measured}\n" for v in verdicts)


def as_json(where: str, cells: Sequence[Cell], versions: dict[str, str], verdicts: Sequence[Verdict]) -> str:
    """Everything that was measured, round by round."""
    out: dict[str, Any] = {
        "machine": where,
        "versions": versions,
        "cells": [
            {
                "workload": cell.workload.name,
                "n": cell.size,
                "engine": cell.engine,
                "rounds": cell.rounds,
                "unit": cell.workload.unit,
                "figure": cell.figure if cell.rounds else None,
                "note": cell.note or None,
            }
            for cell in cells
        ],
        "targets": [{"promise": v.promise, "measured": v.measured, "met": v.met} for v in verdicts],
    }
    return json.dumps(out, indent=1)
