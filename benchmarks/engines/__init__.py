"""The engines by name, imported only when asked for: a peer that is not installed is absent, not an error."""

import importlib

from benchmarks.engines.base import Engine, Job, UnsupportedError

__all__ = ["ENGINES", "IMPORTS", "Engine", "Job", "UnsupportedError", "load"]

ENGINES = {
    "loomgraph": "benchmarks.engines.ours",
    "asyncio": "benchmarks.engines.plain",
    "langgraph": "benchmarks.engines.langgraph_peer",
    "loomflow": "benchmarks.engines.loomflow_peer",
    "pydantic-graph": "benchmarks.engines.pydantic_graph_peer",
    "burr": "benchmarks.engines.burr_peer",
    "haystack": "benchmarks.engines.haystack_peer",
    "dbos": "benchmarks.engines.dbos_peer",
}

# What a user of each writes first; kept here so that an import is measured without importing the rest.
IMPORTS = {
    "loomgraph": "from loomgraph import END, START, Workflow",
    "asyncio": "import asyncio",
    "langgraph": "from langgraph.graph import END, START, StateGraph",
    "loomflow": "from loomflow import END, START, Workflow",
    "pydantic-graph": "from pydantic_graph import GraphBuilder, StepContext",
    "burr": "from burr.core import ApplicationBuilder, State, action",
    "haystack": "from haystack import Pipeline, component",
    "dbos": "from dbos import DBOS",
}


def load(name: str) -> Engine:
    """The engine of that name. Raises ImportError if its library is not installed."""
    made: Engine = importlib.import_module(ENGINES[name]).ENGINE
    return made
