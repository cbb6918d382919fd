"""Where a run's time, tokens or money went: its nodes as nested frames, each as wide as what was used in it.

A fold of the run's events. Time is that of attempts, waits and retries left out, and is added up over what ran at the
same time: it is work, not what the clock shows (the timeline has that). A node that is a graph is as wide as what is
in it, and what its own code took besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from loomgraph.errors import DefinitionError
from loomgraph.events import Metered, node_path
from loomgraph.visualize.paper import CHARACTER, Picture, Sheet
from loomgraph.visualize.terminal import columns, padded
from loomgraph.visualize.text import clipped, counted, legible, seconds
from loomgraph.visualize.theme import FRAMES
from loomgraph.visualize.timeline import Logged, timeline

__all__ = ["By", "Flame", "Frame", "flame"]

By: TypeAlias = Literal["time", "tokens", "cost", "calls"]

_AMOUNTS: Final[dict[str, tuple[str, ...]]] = {
    "tokens": ("input_tokens", "output_tokens"),
    "cost": ("cost",),
    "calls": ("model_calls",),
}
_WIDTH: Final = 1000
_ROW: Final = 20
_NARROW: Final = 0.5


@dataclass(slots=True)
class Frame:
    """A node: `own` is what it used itself, `total` that and all inside it, `visits` how many activations it had."""

    name: str
    path: tuple[str, ...]
    own: float = 0.0
    total: float = 0.0
    visits: int = 0
    inside: dict[str, Frame] = field(default_factory=dict[str, "Frame"])

    def walk(self) -> Iterator[tuple[Frame, int]]:
        """This frame and those inside it with their depths, larger ones first."""
        work: list[tuple[Frame, int]] = [(self, 0)]
        while work:
            frame, depth = work.pop()
            yield frame, depth
            work.extend((inner, depth + 1) for inner in sorted(frame.inside.values(), key=lambda inner: inner.total))


@dataclass(frozen=True)
class Flame(Picture):
    """Frames within frames; `root` is the whole run."""

    run_id: str
    by: By
    root: Frame

    def amount(self, value: float) -> str:
        """A value as people read it."""
        if self.by == "time":
            return seconds(value)
        return f"{value:.3g}" if self.by == "cost" else counted(value)

    def to_svg(self) -> str:
        """The frames as one SVG element, the run at the top; each frame's title has its figures."""
        sheet = Sheet(_WIDTH, f"{self.by} of run {self.run_id}")
        sheet.text(4, 16, self._headline(), size=13)
        scale = _WIDTH / (self.root.total or 1)
        starts: dict[tuple[str, ...], float] = {}
        narrow = 0
        for frame, depth in self.root.walk():
            x = starts.get(frame.path, 0.0)
            at = x
            for inner in sorted(frame.inside.values(), key=lambda inner: -inner.total):
                starts[inner.path] = at
                at += inner.total * scale
            width = frame.total * scale
            if width < _NARROW:
                narrow += 1
                continue
            y = 26 + depth * _ROW
            style = FRAMES[depth % len(FRAMES)]
            sheet.box(x, y, width - 1, _ROW - 2, style, self._said(frame))
            room = int((width - 8) / CHARACTER)
            if room >= 3:
                name = clipped(f"{frame.name}  {self.amount(frame.total)}", room)
                sheet.text(x + 4, y + 13, name, colour=style.text, title=self._said(frame))
        if narrow:
            sheet.text(4, sheet.height + 16, f"and {narrow:,} too narrow to be seen")
        return sheet.svg()

    def to_text(self, *, width: int = 100) -> str:
        """The frames as an indented list with bars."""
        rows = list(self.root.walk())
        names = ["  " * depth + legible(frame.name).replace("\n", " ") for frame, depth in rows]
        left = min(40, max(columns(name) for name in names))
        room = max(10, width - left - 24)
        lines = [self._headline(), ""]
        for name, (frame, _) in zip(names, rows, strict=True):
            share = frame.total / self.root.total if self.root.total else 0.0
            bar = "\u2588" * max(1 if frame.total else 0, round(share * room))
            figure = f"{self.amount(frame.total):>12} {share:>4.0%}"
            lines.append(f"{padded(clipped(name, left), left)} {figure}  {bar}".rstrip())
        return "\n".join(lines) + "\n"

    def _headline(self) -> str:
        what = {"time": "time at work", "tokens": "tokens", "cost": "cost", "calls": "model calls"}[self.by]
        return f"run {legible(self.run_id)}: {what}, {self.amount(self.root.total)} in all"

    def _said(self, frame: Frame) -> str:
        share = frame.total / self.root.total if self.root.total else 0.0
        own = f", {self.amount(frame.own)} of it its own" if frame.inside and frame.own else ""
        visits = f", {frame.visits:,} visits" if frame.visits > 1 else ""
        name = "/".join(frame.path) or frame.name
        return f"{name}: {self.amount(frame.total)}, {share:.1%}{own}{visits}"


def flame(run: Logged, by: By = "time") -> Flame:
    """The frames of a run. Raises DefinitionError for anything but "time", "tokens", "cost" and "calls"."""
    if by != "time" and by not in _AMOUNTS:
        raise DefinitionError(f"by={by!r} is unknown; use 'time', 'tokens', 'cost' or 'calls'.")
    root = Frame("run", ())
    for path, amount, visits in _worked(run) if by == "time" else _counted(run, _AMOUNTS[by]):
        frame = root
        for depth, name in enumerate(path, 1):
            frame = frame.inside.setdefault(name, Frame(name, path[:depth]))
        frame.own += amount
        frame.visits += visits
    _added(root, by)
    return Flame(run.run_id, by, root)


def _counted(run: Logged, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float, int]]:
    for event in run.events:
        if isinstance(event, Metered):
            amount = sum(event.amounts.get(name, 0) for name in names)
            if amount:
                yield node_path(event.key), float(amount), 1


def _worked(run: Logged) -> Iterator[tuple[tuple[str, ...], float, int]]:
    for lane in timeline(None, run).lanes:
        items = [bar for bar in lane.bars if bar.key.endswith("]")]
        for bar in items or lane.bars:
            yield bar.path, sum(to - start for what, start, to in bar.spans if what == "runs"), 1


def _added(root: Frame, by: By) -> None:
    """Totals from the inside out. Of a graph's time, what is in it is not its own."""
    for frame, _ in reversed(list(root.walk())):
        within = sum(inner.total for inner in frame.inside.values())
        if by == "time" and frame.inside:
            frame.own = max(0.0, frame.own - within)
        frame.total = frame.own + within
