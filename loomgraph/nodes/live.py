"""What is said while a model speaks, to whoever listens in this process. Never logged: the log has the whole answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from loomgraph.models.responses import StreamEvent

__all__ = ["LISTENER", "Heard", "Listener"]


@dataclass(frozen=True, slots=True)
class Heard:
    """A piece of an answer as it comes. `node` is the path of the node whose model speaks, `key` its activation."""

    node: str
    key: str
    event: StreamEvent


Listener: TypeAlias = Callable[[Heard], Awaitable[None]]

LISTENER: ContextVar[Listener | None] = ContextVar("loomgraph_listener", default=None)
"""Who listens to the runs that are started in this context; None for nobody."""
