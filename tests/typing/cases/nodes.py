"""A decorated function keeps its signature: it can be called and awaited as before, and wrong calls are errors."""

from collections.abc import Coroutine
from typing import Any, assert_type

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

assert_type(length, Node[[str], int])
assert_type(length("abc"), int)
assert_type(spell(1, loud=True), Coroutine[Any, Any, str])


async def use() -> None:
    assert_type(await spell(3), str)


length(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
spell(1, quiet=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
wf.node(length, timeout="3")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
