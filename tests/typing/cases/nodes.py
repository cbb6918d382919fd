"""A decorated function keeps its signature: it can be called and awaited as before, and wrong calls are errors."""

from collections.abc import Sized
from typing import assert_type

from loomgraph import Retry, Workflow
from loomgraph.graph.builder import Node

wf = Workflow("typed", input=int, output=str)


@wf.node
async def spell(number: int, *, loud: bool = False) -> str:
    return str(number)


@wf.node(retry=Retry(attempts=2), timeout=3)
def length(text: str) -> int:
    return len(text)


named = wf.node(len, name="another")

assert_type(named, Node[[Sized], int])
assert_type(length("abc"), int)


async def use() -> None:
    assert_type(await spell(3, loud=True), str)
    await spell(1, quiet=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


length(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
wf.node(length, timeout="3")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
