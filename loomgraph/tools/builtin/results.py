"""Reading on in a result that was too long to be shown whole. It is in the run's log; nothing is run again for it."""

from __future__ import annotations

from pydantic import ValidationError

from loomgraph.errors import ToolError, brief
from loomgraph.graph.context import Context
from loomgraph.tools.calls import ToolResult
from loomgraph.tools.spill import READS_RESULTS, place_of, text_of
from loomgraph.tools.tool import tool

__all__ = ["read_result"]

_LONGEST = 20_000


@tool(read_only=True, reads=(), tags=[READS_RESULTS], max_chars=_LONGEST + 500)
async def read_result(ctx: Context, result: str, start: int = 0, find: str = "", length: int = _LONGEST) -> str:
    """Read part of an earlier tool result of which the middle was left out.

    Args:
        result: The name of the result, as the note in it says.
        start: From which character on.
        find: Begin where this text stands first at or behind start.
        length: How many characters, 20000 at most.
    """
    scope, _ = place_of(ctx.key)
    try:
        found: ToolResult | None = ctx.finished(f"{scope}{result}", ToolResult)
    except (LookupError, ValidationError):
        found = None
    if found is None or not found.ok:
        raise ToolError(f"there is no result {brief(result)}. Use the name in the note of the result that was cut.")
    text = text_of(found.value)
    if start < 0 or length < 1 or start >= len(text):
        raise ToolError(f"the result has the characters 0 to {len(text) - 1}; start={start}, length={length} is none.")
    if find:
        at = text.find(find, start)
        if at < 0:
            raise ToolError(f"{brief(find)} does not stand in the result behind character {start}.")
        start = at
    end = min(len(text), start + min(length, _LONGEST))
    more = f"; read on with start={end}" if end < len(text) else ""
    return f"{text[start:end]}\n[characters {start} to {end} of {len(text)}{more}]"
