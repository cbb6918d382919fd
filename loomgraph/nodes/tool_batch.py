"""The tool calls of one answer as the body of a node: each call an activation, in the order that `tools` finds."""

from __future__ import annotations

from collections.abc import Sequence

from loomgraph.graph.context import Context
from loomgraph.models.messages import Text, ToolResult, tool_results
from loomgraph.nodes.conversation import Calls, Conversation, Ended
from loomgraph.nodes.hooks import NONE, Hooks, passed_through
from loomgraph.tools import batch, calls
from loomgraph.tools.batch import Around
from loomgraph.tools.tool import Tool, check_tools

__all__ = ["EndingToolBatch", "ToolBatch"]


class _Batch:
    def __init__(
        self,
        tools: Sequence[Tool],
        *,
        around: Around | None = None,
        hooks: Hooks = NONE,
        at_once: int | None = None,
    ) -> None:
        self.tools = check_tools(tools)
        self.at_once = at_once
        self.around = around
        self.hooks = hooks
        self.__name__ = "tools"

    async def _carried_out(self, wanted: Calls, ctx: Context) -> tuple[Conversation, Ended | None]:
        asked = [calls.ToolCall(id=call.id, name=call.name, arguments=dict(call.arguments)) for call in wanted.calls]
        results = await batch.run_batch(
            ctx, asked, self.tools, around=self.around, at_once=self.at_once, said=wanted.conversation
        )
        following = wanted.conversation.plus(tool_results(*[_told(result) for result in results]))
        hooks = self.hooks
        if hooks.after_iteration is not None:
            following = await passed_through(hooks.after_iteration, following, ctx, Conversation, "after_iteration")
        for result in results:
            if result.ends_turn and result.ok:
                return following, Ended(conversation=following, content=result.content, value=result.value)
        if hooks.loop_back is not None:
            following = await passed_through(hooks.loop_back, following, ctx, Conversation, "loop_back")
        return following, None

    def __loomgraph_fingerprint__(self) -> str:
        """The tools; and the hooks."""
        said = "\n".join(tool.__loomgraph_fingerprint__() for tool in self.tools.values())
        return f"{said}\n{self.hooks.__loomgraph_fingerprint__()}" if self.hooks else said


class ToolBatch(_Batch):
    """A node body: carries the calls out and adds their results to the conversation.

    An architecture that makes one for an agent takes `agent.tool_batch()`, so that its permissions and hooks are kept.
    """

    async def __call__(self, wanted: Calls, ctx: Context) -> Conversation:
        """The conversation with the results of the calls, in their order."""
        following, _ = await self._carried_out(wanted, ctx)
        return following


class EndingToolBatch(_Batch):
    """The same for tools of which some end the turn: gives `Ended` if one of those succeeded, the first one emitted."""

    async def __call__(self, wanted: Calls, ctx: Context) -> Conversation | Ended:
        """The conversation with the results, or the answer."""
        following, ended = await self._carried_out(wanted, ctx)
        return following if ended is None else ended


def _told(result: calls.ToolResult) -> ToolResult:
    text = result.content or ("done" if result.ok else "failed")
    return ToolResult(call_id=result.id, name=result.name, content=(Text(text=text),), error=not result.ok)
