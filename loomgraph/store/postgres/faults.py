"""What PostgreSQL's errors mean to whoever uses a store. Decides the words, and what is worth another try."""

from __future__ import annotations

import psycopg
from psycopg import errors

from loomgraph.errors import StoreCorruptError, StoreError, StoreFullError, StoreLockedError, StoreReadOnlyError

__all__ = ["CONTENTION", "is_common", "store_error"]

CONTENTION = (
    errors.SerializationFailure,
    errors.DeadlockDetected,
    # somebody pruned a value between our finding it and our referring to it, or referred to it before we pruned it
    errors.ForeignKeyViolation,
    # somebody created the same run, sent the same message or wrote the same event between our look and our write
    errors.UniqueViolation,
)
"""Two transactions met; the loser sees the other's work when it tries again."""


def is_common(error: psycopg.Error) -> bool:
    """Whether any other transaction would have failed in the same way."""
    # the server is not there (no state), lost (08) or going down (57)
    unreachable = isinstance(error, psycopg.OperationalError) and (error.sqlstate or "08")[:2] in {"08", "57"}
    return unreachable or isinstance(error, (errors.ReadOnlySqlTransaction, errors.InsufficientPrivilege))


def store_error(name: str, error: psycopg.Error, waited: float) -> StoreError:
    """The StoreError for what PostgreSQL raised; `waited` is how long (s) a lock was waited for."""
    detail = " ".join(str(error).split()) or type(error).__name__
    match error:
        case errors.LockNotAvailable():
            return StoreLockedError(name, waited)
        case errors.DiskFull() | errors.OutOfMemory() | errors.ConfigurationLimitExceeded():
            return StoreFullError(name, detail)
        case errors.ReadOnlySqlTransaction() | errors.InsufficientPrivilege():
            return StoreReadOnlyError(name, detail)
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return StoreCorruptError(name, detail)
        case psycopg.OperationalError():
            return StoreError(
                f"{name} cannot be reached ({detail}). Check that the server runs and the address is right."
            )
        case _:
            return StoreError(f"{name}: {detail}.")
