"""How one node is called, prepared once a graph: argument binding, output check, policies. Calls nothing itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from loomgraph.compile.plan import Plan
from loomgraph.compile.values import validator
from loomgraph.engine.activation import Named
from loomgraph.errors import OutputRefusedError
from loomgraph.graph.definition import FunctionBody, NodeDef
from loomgraph.graph.ownership import own
from loomgraph.graph.signature import describe_type

__all__ = ["Program", "programs"]


class Program:
    """What the scheduler needs of a node at run time, without looking anything up."""

    __slots__ = (
        "cache",
        "check",
        "context",
        "fn",
        "limit",
        "name",
        "node",
        "output",
        "positional",
        "primary",
        "results",
        "retry",
        "simple",
        "style",
        "timeout",
    )

    def __init__(self, node: NodeDef) -> None:
        signature = node.signature
        self.node = node
        self.name = node.name
        self.fn: Callable[..., Any] | None = node.body.fn if isinstance(node.body, FunctionBody) else None
        self.style = signature.style
        self.context = signature.context
        primary = signature.primary
        self.primary = None if primary is None else primary.name
        self.positional = signature.context is None and primary is not None and primary is signature.params[0]
        if primary is not None and primary.keyword_only:
            self.positional = False
        self.output = signature.output
        self.check: Callable[[Any], str | None] = validator(self.output)
        self.retry = node.retry
        self.timeout = node.timeout
        self.limit = node.limit
        self.cache = node.cache
        self.results: OrderedDict[Any, tuple[float, Any]] = OrderedDict()
        # the common case: one value in, awaited at once, nothing around it
        self.simple = signature.style == "async" and node.timeout is None and node.cache is None

    def call(self, value: Any, context: Any) -> Any:
        """Call the function with a value of its own; a coroutine for an async one."""
        fn = self.fn
        assert fn is not None
        given = own(value)
        if self.positional and type(given) is not Named:
            return fn(given)
        arguments: dict[str, Any] = {}
        if type(given) is Named:
            arguments.update(given)
        elif self.primary is not None:
            arguments[self.primary] = given
        if self.context is not None:
            arguments[self.context] = context
        return fn(**arguments)

    def refusal(self, path: str, value: Any, detail: str) -> OutputRefusedError:
        """The error for an output that `check` refused with `detail`."""
        return OutputRefusedError(path, describe_type(self.output), value, detail)


def programs(plan: Plan) -> list[Program]:
    """The programs of a plan's nodes, made on first use and shared by all its runs."""
    if plan.programs is None:
        plan.programs = [Program(node) for node in plan.definition.nodes]
    made: list[Program] = plan.programs
    return made
