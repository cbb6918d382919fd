"""Which store a string means."""

from __future__ import annotations

from pathlib import Path

import pytest

from loomgraph.errors import StoreAddressError
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from loomgraph.store.sqlite import SQLiteStore


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("sqlite:runs.db", "runs.db"),
        ("sqlite:../runs.db", "../runs.db"),
        ("sqlite:///abs/runs.db", "/abs/runs.db"),
        ("sqlite:/abs/runs.db", "/abs/runs.db"),
        (r"sqlite:C:\x\runs.db", r"C:\x\runs.db"),
        (r"sqlite:///C:\x\runs.db", r"C:\x\runs.db"),
        ("sqlite:///c:/x/runs.db", "c:/x/runs.db"),
        ("sqlite:with space/ü.db", "with space/ü.db"),
    ],
)
def test_a_sqlite_string_names_a_file(text: str, path: str) -> None:
    store = open_store(text)
    assert isinstance(store, SQLiteStore)
    assert store.path == Path(path)


def test_a_memory_string_names_a_new_store_each_time() -> None:
    first, second = open_store("memory:"), open_store("memory:")
    assert isinstance(first, MemoryStore)
    assert first is not second


def test_a_store_stands_for_itself() -> None:
    store = MemoryStore()
    assert open_store(store) is store


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sqlit:runs.db", "Did you mean 'sqlite:runs.db'"),
        ("postgre://host/db", "Did you mean 'postgresql://host/db'"),
        ("sqlite:", "'sqlite:FILE'"),
        ("runs.db", "Did you mean 'sqlite:runs.db'"),
        (r"C:\x\runs.db", r"Did you mean 'sqlite:C:\x\runs.db'"),
        ("runs", "'sqlite:FILE'"),
        ("redis://host", "'memory:', 'sqlite:FILE' or 'postgresql://USER@HOST/DATABASE'"),
        ("", "'memory:'"),
    ],
)
def test_a_string_that_names_no_store_says_what_would(text: str, hint: str) -> None:
    with pytest.raises(StoreAddressError) as caught:
        open_store(text)
    assert hint in str(caught.value)
