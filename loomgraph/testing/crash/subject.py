"""What is put through crashes: a graph, what it is given, and what of its outcome must not change. Runs nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from loomgraph.errors import DefinitionError
from loomgraph.events import RunFailed
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.options import ResumeKeywords
from loomgraph.runtime.result import RunResult
from loomgraph.runtime.waiting import Question
from loomgraph.store.protocol import Store

__all__ = ["Subject", "address_of", "outcome_of"]


def outcome_of(result: RunResult[Any]) -> Any:
    """What by default must be the same, as JSON data: status, output, state, why it failed, and each activation's end.

    A graph whose failures cancel other nodes (on_failure="cancel") leaves it to chance which of them had ended.
    """
    failed = [event for event in result.events if isinstance(event, RunFailed)]
    return {
        "status": result.status,
        "output": _plain(result.output),
        "state": _plain(result.state),
        "error": [failed[-1].error, sorted([f.key, f.error] for f in failed[-1].failures)] if failed else None,
        "activations": {record.key: [record.status, _output(record)] for record in result.activations},
    }


def _output(record: Any) -> Any:
    # the types of what node code ran with ctx.run are known to node code alone, so a log reads it back as plain data
    return None if "/@" in record.key else _plain(record.output)


def _plain(value: Any) -> Any:
    return to_jsonable_python(value, fallback=repr, inf_nan_mode="constants")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One run to be crashed again and again.

    It is made anew in each process by a function that can be imported, from the same arguments, and the graph it
    describes must give the same `outcome` whenever nothing disturbs it: give `outcome` where more than the answer is
    left to chance. `options` are those of `Graph.run` and `resume`, `state` is the first state. `answer` answers the
    run's questions and `signal` gives the value of a signal of that name, in whatever order and process they turn out
    to be asked. `store` opens the store of a run, given a folder of its own and a clock to be used for leases; by
    default a SQLite file.
    """

    graph: Graph[Any, Any]
    value: Any = None
    state: Any = None
    options: ResumeKeywords = field(default_factory=ResumeKeywords)
    outcome: Callable[[RunResult[Any]], Any] = outcome_of
    answer: Callable[[Question], Any] | None = None
    signal: Callable[[str], Any] | None = None
    store: Callable[[Path, Callable[[], float]], Store] | None = None

    def __post_init__(self) -> None:
        durability = self.options.get("durability", "sync")
        if durability != "sync":
            raise DefinitionError(
                f"a run with durability={durability!r} may lose what a crash test asks for; test it with 'sync'."
            )

    def opened(self, folder: Path, clock: Callable[[], float]) -> Store:
        """The run's store."""
        if self.store is not None:
            return self.store(folder, clock)
        from loomgraph.store.sqlite import SQLiteStore

        return SQLiteStore(folder / "runs.db", clock=clock)


def address_of(make: Callable[..., Subject]) -> tuple[str, str]:
    """Where another process finds a function: its module, or the file of a program, and its name there.

    Raises DefinitionError if another process could not find it.
    """
    module, name = getattr(make, "__module__", None), getattr(make, "__qualname__", None)
    file = inspect.getsourcefile(make) if module == "__main__" and inspect.isfunction(make) else None
    if module == "__main__":
        module = str(Path(file).resolve()) if file is not None and Path(file).exists() else None
    if not module or not name or "<" in name:
        raise DefinitionError(
            f"{make!r} cannot be imported by another process. Give a function that stands at the top level of a module "
            f"or program and returns a Subject; what varies goes into its arguments."
        )
    return module, name
