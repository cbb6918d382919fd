"""`python -m benchmarks`: measure loomgraph and its peers side by side and print one table. See README.md."""

import argparse
import sys
from collections.abc import Sequence

from benchmarks.engines import ENGINES
from benchmarks.harness import Settings, measure
from benchmarks.table import as_json, checks, machine, markdown, save
from benchmarks.targets import verdicts
from benchmarks.workloads import BY_NAME, WORKLOADS


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for. Returns 1 if `--check` was given and a target is missed, else 0."""
    options = _options(argv)
    chosen = [workload for workload in WORKLOADS if workload.name in options.only]
    plan = [(workload, options.sizes or (workload.quick if options.quick else workload.sizes)) for workload in chosen]
    settings = Settings(options.rounds or (3 if options.quick else 5), options.budget, options.limit)
    where = machine()
    cells, versions = measure(options.engines, plan, settings, lambda what: print(what, file=sys.stderr, flush=True))
    found = verdicts(cells)
    head = f"{where}; medians of up to {settings.rounds} interleaved rounds; in brackets: times loomgraph's"
    text = f"{head}\n\n{markdown(cells, options.engines, versions)}"
    if options.json:
        print(as_json(where, cells, versions, found))
    else:
        print(text)
        if options.check:
            print(checks(found))
    if options.save:
        save(text)
    return 1 if options.check and not all(verdict.met for verdict in found) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_names(list(BY_NAME)), default=list(BY_NAME), metavar="chain,map")
    parser.add_argument("--engines", type=_names(list(ENGINES)), default=list(ENGINES), metavar="loomgraph,langgraph")
    parser.add_argument("--sizes", type=_sizes, metavar="100,1000", help="instead of each workload's own sizes")
    parser.add_argument("--quick", action="store_true", help="small sizes, three rounds")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of each (default 5)")
    parser.add_argument("--budget", type=float, default=5.0, metavar="S", help="seconds an engine may use for a cell")
    parser.add_argument(
        "--limit", type=float, default=30.0, metavar="S", help="seconds after which a round is given up"
    )
    parser.add_argument("--json", action="store_true", help="print everything measured as JSON")
    parser.add_argument("--save", action="store_true", help="write the table into benchmarks/README.md")
    parser.add_argument("--check", action="store_true", help="compare with the targets; exit 1 if one is missed")
    return parser.parse_args(argv)


def _names(known: list[str]) -> "type[list[str]]":
    def parse(text: str) -> list[str]:
        asked = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in asked if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is unknown; use {', '.join(known)}")
        return [name for name in known if name in asked]

    return parse  # type: ignore[return-value]


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
