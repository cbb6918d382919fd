"""The cursor of a page of runs: where the last one stands in the order of creation, as short text."""

from __future__ import annotations

from loomgraph.errors import StoreError

__all__ = ["after_cursor", "cursor_of"]


def cursor_of(created: float, number: int) -> str:
    """The cursor that goes on behind the run created then, the `number`-th that the store got."""
    return f"{created!r}~{number}"


def after_cursor(cursor: str | None) -> tuple[float, int] | None:
    """What `cursor_of` was given; None for no cursor. Raises StoreError for anything else."""
    if cursor is None:
        return None
    created, _, number = cursor.partition("~")
    try:
        return float(created), int(number)
    except ValueError:
        raise StoreError(f"'{cursor}' is not a cursor. Pass on what the page before gave as .cursor.") from None
