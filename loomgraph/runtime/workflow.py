"""The Workflow that developers import: the builder, with the ways up to a Graph and a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, overload

from typing_extensions import TypeVar

from loomgraph.errors import Finding
from loomgraph.graph.builder import Builder
from loomgraph.graph.definition import OnFailure
from loomgraph.graph.signature import EMPTY
from loomgraph.runtime.drawing import Drawable, Drawn
from loomgraph.runtime.graph import Graph

__all__ = ["Workflow"]

InT = TypeVar("InT", default=Any)
OutT = TypeVar("OutT", default=Any)
# __init__ decides the class's parameters, so its overloads need variables of their own
GivenIn = TypeVar("GivenIn")
GivenOut = TypeVar("GivenOut")


class Workflow(Builder, Drawable, Generic[InT, OutT]):
    """Describe work as a typed graph, then `compile()` it.

    `input` and `output` are types; left out, they are inferred from the nodes after START and before END. `state` is
    a pydantic model class. `on_failure` says whether an unhandled failure cancels what runs or lets what does not
    depend on it finish ("drain"). `max_activations` bounds what one run may start.
    """

    @overload
    def __init__(
        self: Workflow[GivenIn, GivenOut],
        name: str,
        *,
        input: type[GivenIn],
        output: type[GivenOut],
        state: Any = None,
        on_failure: OnFailure = "cancel",
        max_activations: int = 100_000,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: Workflow[GivenIn, Any],
        name: str,
        *,
        input: type[GivenIn],
        output: Any = EMPTY,
        state: Any = None,
        on_failure: OnFailure = "cancel",
        max_activations: int = 100_000,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: Workflow[Any, GivenOut],
        name: str,
        *,
        input: Any = EMPTY,
        output: type[GivenOut],
        state: Any = None,
        on_failure: OnFailure = "cancel",
        max_activations: int = 100_000,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: Workflow[Any, Any],
        name: str,
        *,
        input: Any = EMPTY,
        output: Any = EMPTY,
        state: Any = None,
        on_failure: OnFailure = "cancel",
        max_activations: int = 100_000,
        doc: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None: ...

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)

    def compile(self) -> Graph[InT, OutT]:
        """The checked, frozen graph. Raises CompileError with every finding at once, each with its remedy."""
        from loomgraph.compile.compiled import compile_definition

        return Graph(compile_definition(self.define()))

    def check(self) -> list[Finding]:
        """Every finding, errors first and warnings too; raises nothing."""
        from loomgraph.compile.compiled import check_definition

        return check_definition(self.define())

    def as_tool(self, *, name: str | None = None, description: str | None = None, **options: Any) -> Any:
        """The workflow, compiled, as a tool for agents: see `loomgraph.tools.graph_tool`. Raises CompileError."""
        return self.compile().as_tool(name=name, description=description, **options)

    def _drawn(self, run: Any) -> Drawn:
        return self.define(), None, run

    def __repr__(self) -> str:
        return f"<Workflow {self.name!r}: {len(self._nodes)} nodes, {len(self._edges)} edges>"
