"""A Context says what its state and its dependencies are."""

from dataclasses import dataclass
from typing import Any, assert_type

from pydantic import BaseModel

from loomgraph import Context


class State(BaseModel):
    count: int = 0


@dataclass
class Deps:
    url: str


async def node(value: int, ctx: Context[State, Deps]) -> int:
    assert_type(ctx.state.count, int)
    assert_type(ctx.deps.url, str)
    assert_type(ctx.iteration, tuple[int, ...])
    ctx.state.cuont  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    return value


async def bare(value: int, ctx: Context) -> int:
    assert_type(ctx.state, Any)
    return value
