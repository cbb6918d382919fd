"""A timeline as a Gantt chart, in SVG and in letters. Decides nothing about the run: `timeline` did.

The critical path is marked by a line under its bars and a star at their lanes, so that no colour is needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from loomgraph.events import node_path
from loomgraph.visualize.overlay import SYMBOLS, Status
from loomgraph.visualize.paper import CHARACTER, Sheet
from loomgraph.visualize.terminal import columns, padded
from loomgraph.visualize.text import clipped, legible, seconds
from loomgraph.visualize.theme import CRITICAL, INK, STATUS, Style
from loomgraph.visualize.timeline import Bar, Lane, Timeline

__all__ = ["to_svg", "to_text"]

_LEFT: Final = 230
_WIDTH: Final = 1000
_TIMES: Final = 90
_ROW: Final = 14
_GAP: Final = 8
_LANES: Final = 150
_RETRY: Final = Style("none", INK, dashed=True)
_STAR: Final = "\u2605"


def to_svg(line: Timeline) -> str:
    """The chart as one SVG element. At most 150 lanes; what is left out is said."""
    sheet = Sheet(_WIDTH, f"timeline of run {line.run_id}")
    scale = (_WIDTH - _LEFT - _TIMES) / (line.seconds or 1)
    sheet.text(8, 18, _headline(line), size=13)
    sheet.text(8, 34, f"{_STAR} critical path: {_path(line)}")
    top = 56.0
    for at in _ticks(line.seconds):
        x = _LEFT + at * scale
        sheet.text(x, top - 6, seconds(at) if at else "0", size=9, anchor="middle")
    y = top
    for lane in line.lanes[:_LANES]:
        _lane(sheet, lane, y, scale)
        y += lane.rows * _ROW + _GAP
    for at, length in line.pauses:
        x = _LEFT + at * scale
        sheet.line(x, top - 2, x, y, CRITICAL, 1)
        sheet.text(x + 2, y + 8, f"paused {seconds(length)}", size=9)
    if len(line.lanes) > _LANES:
        sheet.text(8, y + 12, f"and {len(line.lanes) - _LANES:,} more nodes")
    return sheet.svg()


def _headline(line: Timeline) -> str:
    paused = sum(length for _, length in line.pauses)
    more = f", and {seconds(paused)} in pauses" if paused else ""
    return f"run {legible(line.run_id)}: {line.status}, {seconds(line.seconds)}{more}"


def _path(line: Timeline, limit: int = 150) -> str:
    return clipped(" \u2192 ".join(_stations(line.critical)), limit) or "nothing ended"


def _stations(keys: Sequence[str]) -> Iterator[str]:
    """The keys; of many in a row at one node, the first and the last."""
    for _, group in groupby(keys, node_path):
        row = [legible(key) for key in group]
        yield from row if len(row) < 5 else (row[0], f"{len(row) - 2:,} more", row[-1])


def _ticks(length: float) -> Iterator[float]:
    """Five to ten round numbers from 0 to the length."""
    if length <= 0:
        yield 0
        return
    step = 1e-6
    factors = (2, 2.5, 2)
    number = 0
    while length / step > 10:
        step *= factors[number % 3]
        number += 1
    at = 0
    while at * step <= length:
        yield at * step
        at += 1


def _lane(sheet: Sheet, lane: Lane, y: float, scale: float) -> None:
    star = f" {_STAR}" if any(bar.critical for bar in lane.bars) else ""
    room = int((_LEFT - 24 - 12 * lane.depth) / CHARACTER)
    sheet.text(8 + 12 * lane.depth, y + 11, clipped(legible(lane.name), room) + star, title=lane.name)
    shown = [bar for bar in lane.bars if bar.row >= 0]
    for bar in _joined(shown, scale):
        _bar(sheet, bar, y + bar.row * _ROW, scale)
    last = max((bar.spans[-1][2] if bar.end is None and bar.spans else bar.end or 0) for bar in lane.bars)
    number, total = _work(lane)
    many = f"{number:,}\u00d7, " if number > 1 else ""
    more = f" (+{lane.more:,})" if lane.more else ""
    sheet.text(_LEFT + last * scale + 6, y + 11, f"{many}{seconds(total)}{more}", size=9)


def _work(lane: Lane) -> tuple[int, float]:
    """How many activations, and how long they ran together; of a map its items."""
    items = [bar for bar in lane.bars if bar.key.endswith("]")]
    bars = items or lane.bars
    return len(bars), sum(to - start for bar in bars for what, start, to in bar.spans if what == "runs")


def _joined(bars: Iterable[Bar], scale: float) -> Iterator[Bar]:
    """Bars of less than a pixel beside each other as one, so that a lane has no more of them than it has pixels."""
    held: dict[tuple[int, str, bool], tuple[Bar, int]] = {}
    for bar in bars:
        end = bar.start if bar.end is None else bar.end
        spot = (bar.row, bar.status, bar.critical)
        before = held.get(spot)
        narrow = bar.end is not None and (end - bar.start) * scale < 1
        if before is not None:
            first, number = before
            if narrow and first.end is not None and (bar.start - first.end) * scale < 0.5:
                whole = replace(first, end=end, spans=[("runs", first.start, end)], key=f"{number + 1:,} activations")
                held[spot] = (whole, number + 1)
                continue
            yield first
            del held[spot]
        if narrow:
            held[spot] = (bar, 1)
        else:
            yield bar
    for first, _ in held.values():
        yield first


def _bar(sheet: Sheet, bar: Bar, y: float, scale: float) -> None:
    end = bar.end if bar.end is not None else (bar.spans[-1][2] if bar.spans else bar.start)
    tries = f", {bar.attempts} attempts" if bar.attempts > 1 else ""
    said = f"{bar.key}: {bar.status}{tries}, {seconds(end - bar.start)}, began after {seconds(bar.start)}"
    for what, start, to in bar.spans or [("runs", bar.start, end)]:
        style = STATUS[bar.status] if what == "runs" else _RETRY if what == "retries" else STATUS["waiting"]
        title = said if what == "runs" else f"{said}\n{_WORDS[what]} {seconds(to - start)}"
        sheet.box(_LEFT + start * scale, y, (to - start) * scale, _ROW - 4, style, title)
    if bar.critical:
        x = _LEFT + bar.start * scale
        sheet.line(x, y + _ROW - 2, max(_LEFT + end * scale, x + 2), y + _ROW - 2, CRITICAL, 3)


_WORDS: Final = {"runs": "ran", "retries": "before the next attempt:", "waits": "waited"}


# ---------------------------------------------------------------------- letters

_FILL: Final = {"runs": "\u2588", "retries": "\u2591", "waits": "\u2592"}


def to_text(line: Timeline, width: int = 100) -> str:
    """The chart in letters: \u2588 runs, \u2591 between attempts, \u2592 waits; a star stands at the critical path."""
    names = ["  " * lane.depth + legible(lane.name).replace("\n", " ") for lane in line.lanes]
    left = min(34, max((columns(name) for name in names), default=4))
    room = max(10, width - left - 18)
    lines = [_headline(line), f"critical path ({_STAR}): {_path(line, 3 * width)}", ""]
    for name, lane in zip(names, line.lanes, strict=True):
        cells = [" "] * room
        for bar in lane.bars:
            for what, start, to in bar.spans or [("runs", bar.start, bar.end or bar.start)]:
                first = min(room - 1, int(start / (line.seconds or 1) * room))
                last = min(room, max(first + 1, round(to / (line.seconds or 1) * room)))
                for at in range(first, last):
                    cells[at] = _FILL[what]
        odd: list[Status] = [bar.status for bar in lane.bars if bar.status != "succeeded"]
        worst: Status = odd[0] if odd else "succeeded"
        number, total = _work(lane)
        star = _STAR if any(bar.critical for bar in lane.bars) else " "
        many = f" {number:,}\u00d7" if number > 1 else ""
        shown = padded(clipped(name, left), left)
        lines.append(f"{SYMBOLS[worst]} {shown} {star} {''.join(cells)} {seconds(total)}{many}".rstrip())
    lines.extend(f"paused {seconds(length)} after {seconds(at)}" for at, length in line.pauses if length >= 0.05)
    return "\n".join(lines) + "\n"
