"""Small parts that the claims about single rules are built from."""

from __future__ import annotations

from typing import Any

from loomgraph import Failure, Workflow

__all__ = ["always", "keys", "named", "never", "rescue", "same", "total"]


async def same(value: int) -> int:
    """The identity."""
    return value


async def total(values: list[int]) -> int:
    """A node for joins into one list."""
    return sum(values)


async def rescue(failure: Failure) -> int:
    """A handler of failures."""
    return -1


def always(value: Any) -> bool:
    """A condition of which compile() cannot know what it answers."""
    return True


def never(value: Any) -> bool:
    """Another one."""
    return False


def named(wf: Workflow[Any, Any], *names: str) -> None:
    """Declare nodes that pass their int on."""
    for name in names:
        wf.node(same, name=name)


def keys(result: Any, *names: str, status: str = "succeeded") -> list[str]:
    """The keys of the activations with this status, of these nodes or of all, in log order."""
    return [a.key for a in result.activations if a.status == status and (not names or a.path[-1] in names)]
