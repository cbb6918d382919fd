"""The store that a command works on: which one is meant, that it is there, and how to name it without its password."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import anyio
import typer

from loomgraph.cli.exits import UsageError
from loomgraph.store.keys import ENVIRONMENT as KEY
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Store

__all__ = ["RunArg", "StoreOpt", "command", "opened_for", "resume_command", "shell_line", "store_words", "with_store"]

T = TypeVar("T")

_VARIABLE: Final = "LOOMGRAPH_STORE"

StoreOpt = Annotated[
    str | None,
    typer.Option(
        "--store",
        "-s",
        metavar="STORE",
        envvar=_VARIABLE,
        show_envvar=False,
        help=f"Where runs live: sqlite:FILE or postgresql://...; else what {_VARIABLE} says. "
        f"With a key in {KEY} it is encrypted.",
    ),
]
RunArg = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


def with_store(address: str | None, work: Callable[[Store], Awaitable[T]], *, new: bool = False) -> T:
    """What `work` returns of the store, which is there already or may be `new`. Raises UsageError too."""

    async def go() -> T:
        async with opened_for(address, new=new) as store:
            return await work(store)

    return anyio.run(go)


def opened_for(address: str | None, *, new: bool) -> Store:
    """The store that an address means, with the key of the environment; a new file only if `new`.

    Raises UsageError where it would be an empty one made by mistake, and StoreAddressError and StoreKeyError.
    """
    if address is None:
        raise UsageError(f"which store? Say it with --store sqlite:FILE (or postgresql://...), or in {_VARIABLE}.")
    if address.partition(":")[0] == "memory":
        raise UsageError("a store in memory ends with its command. Use --store sqlite:FILE, or leave --store out.")
    store = open_store(address)
    path = getattr(store, "path", None)
    if not new and isinstance(path, Path) and not path.is_file():
        raise UsageError(f"there is no file '{path}'. Check --store; `loomgraph run --store` makes new ones.")
    return open_store(store, encrypt=True) if os.environ.get(KEY) else store


def resume_command(run_id: str, target: str, address: str | None, *options: str) -> str:
    """The command that goes on with a run, ready to be pasted, without any password."""
    return command("resume", run_id, "--graph", target, *store_words(address), *options)


def store_words(address: str | None) -> list[str]:
    """How a command says which store, without any password; nothing where the environment says it."""
    if address is None or address == os.environ.get(_VARIABLE):
        return []
    # the name of a store is its address without user and password
    named = open_store(address).name
    return ["--store", named if named == address or "@" not in address else "STORE"]


def command(*words: str) -> str:
    """A command of this program, quoted for the shell."""
    return shell_line("loomgraph", *words)


def shell_line(*line: str) -> str:
    """Words as one line for the shell."""
    return subprocess.list2cmdline(line) if sys.platform == "win32" else shlex.join(line)
