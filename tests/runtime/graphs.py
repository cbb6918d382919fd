"""Small graphs for the tests of the runtime. Checks nothing."""

from __future__ import annotations

from typing import Any

import anyio

from loomgraph import END, START, Graph, Workflow
from loomgraph.events import Event

__all__ = ["Meeting", "chain", "kinds", "parallel"]


def chain(*nodes: Any, name: str = "chain", state: Any = None, **options: Any) -> Graph[Any, Any]:
    """START, the nodes in order, END; `options` are those of the first node."""
    wf = Workflow(name, state=state)
    handles = [wf.node(fn, **(options if i == 0 else {})) for i, fn in enumerate(nodes)]
    wf.chain(START, *handles, END)
    return wf.compile()


def parallel(*nodes: Any, on_failure: Any = "cancel", **options: Any) -> Graph[Any, list[Any]]:
    """The nodes side by side from START, joined into END; `options` are those of every node."""
    wf = Workflow("parallel", output=list[Any], on_failure=on_failure)
    wf.parallel([wf.node(fn, **options) for fn in nodes], source=START, into=END)
    return wf.compile()


def kinds(events: Any) -> list[str]:
    """The kinds of some events, with the activation keys of those that have one."""

    def show(event: Event) -> str:
        key = getattr(event, "key", None)
        return event.kind if key is None else f"{event.kind} {key}"

    return [show(event) for event in events]


class Meeting:
    """`await meeting()` returns once `size` tasks are in it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.here = 0
        self.full = anyio.Event()

    async def __call__(self) -> None:
        self.here += 1
        if self.here == self.size:
            self.full.set()
        await self.full.wait()
