"""`python -m examples.health [--path DIR] [--out DIR] [--limit N]`: run the health graph over a directory.

Ends with 0 when there is a report, 1 if the run failed, 2 if there is nothing to report on or nowhere to write.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime
from pathlib import Path

import anyio
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from examples.health.inspection import Settings
from examples.health.models import Health, Request
from examples.health.progress import View
from examples.health.report import FILES, change, retries, write
from examples.health.workflow import graph
from loomgraph import RunError, RunResult

WORST = 5


class UsageError(Exception):
    """What was asked for cannot be done; the message says what to do instead."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    console = Console(stderr=False)
    try:
        request = _request(options.path, options.out, options.limit)
        result = anyio.run(_run, request, Settings(flake=options.flake), console)
        if not result.output.found:
            raise UsageError(f"there are no files below {request.root}. Name another directory with --path.")
        made = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        written = _write(Path(options.out), request, result, made)
    except UsageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RunError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    _summary(console, result)
    for path in written:
        console.print(Text(str(path)), soft_wrap=True)
    return 0


async def _run(request: Request, settings: Settings, console: Console) -> RunResult[Health]:
    """One run, shown while it goes on."""
    async with graph.start(request, deps=settings) as run:
        with View(console) as view:
            async for event in run.events():
                view.feed(event)
        return await run.result()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.health", description="A report on the health of a directory of code and documents."
    )
    parser.add_argument("--path", default=".", metavar="DIR", help="the directory to look at (default: this one)")
    parser.add_argument("--out", default="out/health", metavar="DIR", help="where to write (default: out/health)")
    parser.add_argument("--limit", type=_count, metavar="N", help="look at the first N files only")
    parser.add_argument(
        "--flake",
        type=_share,
        default=0.03,
        metavar="SHARE",
        help="simulate: the first read of this share of the files fails and is tried again (default: 0.03; 0: none)",
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} files are none; use at least 1")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a share; use 0 to 1")
    return number


def _request(path: str, out: str, limit: int | None) -> Request:
    """Check what can be checked before anything runs. Raises UsageError."""
    root = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100  # resolve() would follow links, and may loop
    try:
        with os.scandir(root):
            pass
    except OSError as error:
        what = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise UsageError(f"{root} {what}. Name a directory with --path.") from error
    folder = Path(os.path.abspath(out))  # noqa: PTH100
    written = tuple(folder / name for name in FILES)
    return Request(root=root, limit=limit, exclude=written, previous=folder / "report.json")


def _write(folder: Path, request: Request, result: RunResult[Health], made: str) -> list[Path]:
    try:
        return write(folder, request, result, made)
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}. Name another with --out.") from error


def _summary(console: Console, result: RunResult[Health]) -> None:
    health = result.output
    now, last = health.totals, health.previous.totals if health.previous else None
    table = Table(box=box.SIMPLE, title=f"{now.files} files, {now.lines} lines in {result.seconds:.1f} s")
    table.add_column("check")
    table.add_column("found", justify="right")
    table.add_column("change", justify="right")
    for name in ("errors", "warnings", "notes"):
        count = getattr(now, name)
        table.add_row(name, str(count), change(count, getattr(last, name) if last else None), style="bold")
    for check, count in now.by_check.items():
        table.add_row(f"  {check}", str(count), change(count, last.by_check.get(check, 0) if last else None))
    console.print(table)
    for problem in [problem for problem in health.problems if problem.severity != "note"][:WORST]:
        console.print(Text(f"{problem.severity}: {problem.name}:{problem.line}: {problem.message}"), soft_wrap=True)
    for spot in health.hot_spots[:WORST]:
        console.print(Text(f"hot spot: {spot.name}:{spot.line} (score {spot.score:.0f})"), soft_wrap=True)
    again = ", ".join(f"{count} x {error}" for error, count in retries(result).items()) or "none"
    console.print(
        f"{result.usage.activations} activations, rounds of ranking: {health.importance.rounds}, tried again: {again}",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main())
