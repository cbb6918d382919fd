"""What an agent calls: functions with a schema, what they touch, and the order in which a batch of calls runs.

Refuses to know of models: a call is a name and arguments, a result is text and a value.
"""

from loomgraph.tools.batch import batch_graph, run_batch
from loomgraph.tools.calls import ToolCall, ToolResult
from loomgraph.tools.graphs import graph_tool
from loomgraph.tools.ordering import OrderedCall, order_calls
from loomgraph.tools.references import Syntax
from loomgraph.tools.tool import Tool, tool

__all__ = [
    "OrderedCall",
    "Syntax",
    "Tool",
    "ToolCall",
    "ToolResult",
    "batch_graph",
    "graph_tool",
    "order_calls",
    "run_batch",
    "tool",
]
