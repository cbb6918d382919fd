"""`python -m examples.wfcommons FILE.json [--limit N] [--scale S] [--virtual]`: run an instance and check the run.

Ends with 0 if every promise was kept, 1 if one was not, 2 if the file cannot be run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import anyio
from rich import box
from rich.console import Console
from rich.table import Table

from examples.wfcommons.checks import check
from examples.wfcommons.instance import Instance, InstanceError, load
from examples.wfcommons.workflow import Executed, execute

SHORT = 2.0
"""Seconds that the critical path is scaled down to, unless --scale says otherwise."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        instance = load(Path(options.file))
        scale = options.scale or (SHORT / instance.critical_path if instance.critical_path else 1.0)
        executed = _run(instance, scale, options.limit, virtual=options.virtual)
    except InstanceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    checks = list(check(instance, executed, scale, options.limit))
    print(f"{instance.name}: {len(instance.tasks)} tasks, {instance.edges} edges")
    print(f"work {instance.work:.1f} s, critical path {instance.critical_path:.1f} s, run at {scale:.3g} of that")
    table = Table("promise", "expected", "seen", "", box=box.SIMPLE)
    for one in checks:
        table.add_row(one.promise, one.expected, one.seen, "kept" if one.kept else "BROKEN")
    Console().print(table)
    return 0 if all(one.kept for one in checks) else 1


def _run(instance: Instance, scale: float, limit: int | None, *, virtual: bool) -> Executed:
    if not virtual:
        return anyio.run(execute, instance, scale, limit)
    try:
        import trio
        import trio.testing
    except ImportError as error:
        raise InstanceError("--virtual needs trio: pip install trio.") from error
    # this clock jumps to the next alarm whenever everybody sleeps
    return trio.run(execute, instance, scale, limit, clock=trio.testing.MockClock(autojump_threshold=0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.wfcommons", description="Run a WfCommons instance.")
    parser.add_argument(
        "file", metavar="FILE", help="an instance in WfFormat 1.5, such as examples/wfcommons/small.json"
    )
    parser.add_argument("--limit", type=_count, metavar="N", help="at most N tasks at a time (default: no limit)")
    parser.add_argument(
        "--scale",
        type=_scale,
        metavar="S",
        help=f"sleep the recorded runtimes times S (default: so that the critical path takes {SHORT:g} s)",
    )
    parser.add_argument(
        "--virtual", action="store_true", help="on a virtual clock: no waiting, exact times (needs trio)"
    )
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} at a time would run nothing; use at least 1")
    return number


def _scale(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no scale; use a number above 0")
    return number


if __name__ == "__main__":
    sys.exit(main())
