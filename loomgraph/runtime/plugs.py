"""What higher layers offer to the objects of this one, plugged in by the package's `__init__`; empty until then.

The layers import downward only, yet a Graph can draw itself: the drawing is asked for here by name, when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from loomgraph.errors import DefinitionError

__all__ = ["offer", "plug"]

_offered: dict[str, Callable[..., Any]] = {}


def offer(name: str, function: Callable[..., Any]) -> None:
    """Make a function available to the layers below it."""
    _offered[name] = function


def plug(name: str) -> Callable[..., Any]:
    """The function offered under a name. Raises DefinitionError if nobody offered it."""
    try:
        return _offered[name]
    except KeyError:
        raise DefinitionError(f"'{name}' is not available; import the package `loomgraph`, not a part of it.") from None
