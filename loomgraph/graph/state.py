"""The state layer's declaration: a pydantic model whose fields may name a reducer. Checks and folds; keeps nothing."""

from __future__ import annotations

import difflib
import operator
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from pydantic import BaseModel, TypeAdapter, ValidationError

from loomgraph.errors import DefinitionError, ReducerError, StateFieldError, StateTypeError
from loomgraph.graph.ownership import own
from loomgraph.graph.signature import describe_type

__all__ = ["Reducer", "StateSpec", "Updates"]

Reducer: TypeAlias = Callable[[Any, Any], Any]
Updates: TypeAlias = tuple[tuple[str, Any], ...]
"""The writes of one activation, in the order they were made: (field, value)."""


@dataclass(frozen=True, slots=True, eq=False)
class StateSpec:
    """The fields of a state model, their validators and reducers."""

    model: type[BaseModel]
    adapters: Mapping[str, TypeAdapter[Any]]
    reducers: Mapping[str, Reducer]
    # fields of which the sum of two right values is right, so that adding to a long list costs the addition
    additive: frozenset[str]

    @classmethod
    def of(cls, model: Any) -> StateSpec:
        """Read a state model. Raises DefinitionError if it is not a pydantic model class."""
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise DefinitionError(f"state= takes a pydantic model class, not {model!r}. Derive it from BaseModel.")
        adapters: dict[str, TypeAdapter[Any]] = {}
        reducers: dict[str, Reducer] = {}
        additive: set[str] = set()
        for name, info in model.model_fields.items():
            annotation: Any = info.annotation
            adapters[name] = TypeAdapter(annotation)
            # a constraint such as Gt is not callable; a class (a validator, a type) is not a reducer
            found = [m for m in info.metadata if callable(m) and not isinstance(m, type)]
            if len(found) > 1:
                raise DefinitionError(f"state field '{name}' of {model.__name__} has {len(found)} reducers; keep one.")
            if found:
                reducers[name] = cast(Reducer, found[0])
            if found == [operator.add] and len(info.metadata) == 1 and typing.get_origin(annotation) is list:
                additive.add(name)
        return cls(model, adapters, reducers, frozenset(additive))

    def missing(self) -> tuple[str, ...]:
        """The fields without a default: a run of this workflow must be given its state."""
        return tuple(name for name, info in self.model.model_fields.items() if info.is_required())

    def initial(self, given: BaseModel | None) -> dict[str, Any]:
        """The fields' first values, owned by the caller: those of `given`, else the model's defaults."""
        source = given if given is not None else self.model()
        return {name: own(getattr(source, name)) for name in self.adapters}

    def check(self, node: str, field: str, value: Any) -> None:
        """Raise StateFieldError or StateTypeError unless `value` may be written to `field`.

        A field with a reducer accepts what its reducer accepts, so only the reduced value is checked for those.
        """
        if field not in self.adapters:
            close = difflib.get_close_matches(field, list(self.adapters), n=1)
            raise StateFieldError(node, field, list(self.adapters), close[0] if close else None)
        if field not in self.reducers:
            self.check_type(node, field, value)

    def check_type(self, node: str, field: str, value: Any) -> None:
        """Raise StateTypeError unless `value` is of the field's type."""
        try:
            self.adapters[field].validate_python(value, strict=True)
        except ValidationError as error:
            expected = describe_type(self.model.model_fields[field].annotation)
            detail = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise StateTypeError(node, field, expected, value, detail) from None

    def fold(self, base: dict[str, Any], updates: Iterable[tuple[str, Updates]]) -> dict[str, Any]:
        """`base` with the updates of (node, updates) applied in order, as a new dict; `base` is unchanged.

        Raises ReducerError, with the reducer's exception as `__cause__`, and StateTypeError for a reduced value of
        the wrong type.
        """
        fields = dict(base)
        for node, writes in updates:
            for field, value in writes:
                reducer = self.reducers.get(field)
                if reducer is None:
                    fields[field] = value
                    continue
                if field in self.additive:
                    self.check_type(node, field, value)
                    fields[field] = fields[field] + own(value)
                    continue
                try:
                    # reducers such as list.extend-and-return would otherwise change the ancestors' state
                    fields[field] = reducer(own(fields[field]), own(value))
                except Exception as error:
                    raise ReducerError(field, error) from error
                self.check_type(node, field, fields[field])
        return fields

    def build(self, fields: Mapping[str, Any]) -> BaseModel:
        """A state object of its own for one reader."""
        return self.model.model_construct(**{name: own(value) for name, value in fields.items()})
