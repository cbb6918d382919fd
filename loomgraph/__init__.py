"""loomgraph: typed graphs for work that must be trusted, checked before they run and drawn from what runs.

The daily names. Everything else is a module away; nothing here loads a graph library, an SDK or a store.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from loomgraph.errors import CompileError, Failure, Finding, LoomgraphError, NodeFailedError, RunError
from loomgraph.graph.context import Context
from loomgraph.graph.policy import Cache, Limit, Quorum, Retry
from loomgraph.graph.refs import END, OTHERWISE, START
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.plugs import offer
from loomgraph.runtime.workflow import Workflow

if TYPE_CHECKING:  # loaded when first asked for: they bring the engine with them
    from loomgraph.graph.budget import Budget, UserBudget
    from loomgraph.nodes.agent import Agent
    from loomgraph.runtime.handle import RunHandle
    from loomgraph.runtime.result import ActivationRecord, RunResult
    from loomgraph.store.types import register
    from loomgraph.tools.tool import Tool, tool

__all__ = [
    "END",
    "OTHERWISE",
    "START",
    "ActivationRecord",
    "Agent",
    "Budget",
    "Cache",
    "CompileError",
    "Context",
    "Failure",
    "Finding",
    "Graph",
    "Limit",
    "LoomgraphError",
    "NodeFailedError",
    "Quorum",
    "Retry",
    "RunError",
    "RunHandle",
    "RunResult",
    "Tool",
    "UserBudget",
    "Workflow",
    "__version__",
    "register",
    "tool",
]

__version__ = "0.1.0"

_LATE = {
    "ActivationRecord": "loomgraph.runtime.result",
    "Agent": "loomgraph.nodes.agent",
    "Budget": "loomgraph.graph.budget",
    "RunHandle": "loomgraph.runtime.handle",
    "RunResult": "loomgraph.runtime.result",
    "Tool": "loomgraph.tools.tool",
    "UserBudget": "loomgraph.graph.budget",
    "register": "loomgraph.store.types",
    "tool": "loomgraph.tools.tool",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'loomgraph' has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(_LATE[name]), name)
    return found


def _draws(form: str) -> Callable[..., Any]:
    def draw(definition: Any, nest: Any, run: Any, **options: Any) -> Any:
        from loomgraph import visualize

        return getattr(visualize, f"draw_{form}")(definition, nest, run, **options)

    return draw


def _timeline(definition: Any, run: Any) -> Any:
    from loomgraph.visualize.timeline import timeline

    return timeline(definition, run)


def _flame(definition: Any, run: Any, by: Any) -> Any:
    from loomgraph.visualize.flame import flame

    return flame(run, by)


def _messages(definition: Any, run: Any, **options: Any) -> Any:
    from loomgraph.visualize.sequence import messages

    return messages(definition, run, **options)


def _table(name: str) -> Callable[..., Any]:
    def show(rows: Any) -> Any:
        from loomgraph.visualize import tables

        return getattr(tables, name)(rows)

    return show


def _mimebundle(definition: Any, nest: Any, run: Any) -> Any:
    from loomgraph.visualize.notebook import mimebundle

    return mimebundle(definition, nest, run)


def _tool(graph: Any, **options: Any) -> Any:
    from loomgraph.tools.graphs import graph_tool

    return graph_tool(graph, **options)


def _architecture(name: str) -> Any:
    from loomgraph.architectures import resolve_architecture

    return resolve_architecture(name)


offer("architecture", _architecture)
for _form in ("mermaid", "dot", "svg", "png", "text"):
    offer(_form, _draws(_form))
offer("timeline", _timeline)
offer("flame", _flame)
offer("messages", _messages)
offer("mimebundle", _mimebundle)
offer("event_table", _table("event_table"))
offer("activation_table", _table("activation_table"))
offer("tool", _tool)
