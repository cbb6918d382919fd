"""A drawing for a document, from a few lines of text: what MkDocs and Sphinx build their diagrams with.

    flow:wf
    :depth: 1

It loads, compiles and draws; it runs no workflow. What cannot be drawn is a BlockError that says what to do: a document
is never built with a diagram missing, or with that of an unsound workflow.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

import anyio

from loomgraph.errors import LoomgraphError, names
from loomgraph.integrations.load import LoadError, load
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.logbook import Log, read_log
from loomgraph.runtime.workflow import Workflow
from loomgraph.store.keys import ENVIRONMENT as KEY
from loomgraph.store.opening import open_store

__all__ = ["OPTIONS", "Block", "BlockError", "Drawer", "Form", "parsed"]

Form: TypeAlias = Literal["mermaid", "svg", "text"]
View: TypeAlias = Literal["graph", "timeline", "flame", "messages"]

FORMS: Final[tuple[str, ...]] = get_args(Form)
VIEWS: Final[tuple[str, ...]] = get_args(View)
OPTIONS: Final = ("format", "depth", "collapse", "run", "store", "view", "by")
"""What may stand under the target, as `:name: value`."""

_OPTION = re.compile(r":(?P<name>[^:\s]+):[ \t]*(?P<value>.*)")
_BY: Final = ("time", "tokens", "cost", "calls")
_VARIABLE: Final = "LOOMGRAPH_STORE"


class BlockError(Exception):
    """A diagram's text means nothing, or what it names cannot be drawn. The message says what to do instead."""


@dataclass(frozen=True)
class Block:
    """What is to be drawn: `module:workflow`, a run of a store, or the one laid over the other."""

    target: str | None
    form: Form | None = None
    depth: int | None = None
    collapse: bool | None = None
    run: str | None = None
    store: str | None = None
    view: View = "graph"
    by: Literal["time", "tokens", "cost", "calls"] | None = None

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f"the diagram of '{self.target}'" if self.run is None else f"the diagram of run '{self.run}'"


def parsed(text: str) -> Block:
    """The block that a text means: a target in the first line, then options. Raises BlockError."""
    lines = [line.strip() for line in text.strip().splitlines()]
    target = lines.pop(0) if lines and not _OPTION.fullmatch(lines[0]) else None
    given: dict[str, str] = {}
    for line in lines:
        option = _OPTION.fullmatch(line)
        if option is None:
            raise BlockError(f"'{line}' is no option of a diagram. Write module:workflow, then lines like `:depth: 1`.")
        if option["name"] in given:
            raise BlockError(f"a diagram says `:{option['name']}:` twice. Keep one of them.")
        given[option["name"]] = option["value"].strip()
    return of_options(target, given)


def of_options(target: str | None, given: Mapping[str, str]) -> Block:
    """The block of a target and options as text. Raises BlockError."""
    for name in given:
        if name not in OPTIONS:
            close = difflib.get_close_matches(name, OPTIONS, n=1)
            hint = f"Did you mean `:{close[0]}:`?" if close else f"There are {names(OPTIONS, 'and')}."
            raise BlockError(f"a diagram has no option `:{name}:`. {hint}")
    run, view = given.get("run"), given.get("view", "graph")
    if target is None and run is None:
        raise BlockError("a diagram of what? Name a workflow as module:workflow, or a run with `:run:` and `:store:`.")
    if run is None and {"view", "by", "store"} & set(given):
        raise BlockError("`:view:`, `:by:` and `:store:` are about a run. Name it with `:run:`.")
    if "by" in given and view != "flame":
        raise BlockError("`:by:` is about a flame. Add `:view: flame`.")
    if view != "graph" and {"depth", "collapse"} & set(given):
        raise BlockError(f"`:depth:` and `:collapse:` are about a graph, not about a {view}. Leave them out.")
    depth = given.get("depth")
    if depth is not None and not re.fullmatch("[0-9]+", depth):
        raise BlockError(f"`:depth:` is how many levels of sub-graphs are opened: 0, 1, 2, ...; not '{depth}'.")
    chosen: Any = {name: _one_of(name, given[name], known) for name, known in _CHOICES.items() if name in given}
    return Block(
        target,
        form=chosen.get("format"),
        depth=None if depth is None else int(depth),
        collapse=None if "collapse" not in chosen else chosen["collapse"] == "yes",
        run=run,
        store=given.get("store"),
        view=chosen.get("view", "graph"),
        by=chosen.get("by"),
    )


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "format": FORMS,
    "view": VIEWS,
    "by": _BY,
    "collapse": ("yes", "no"),
}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise BlockError(f"`:{name}:` is {names(known, 'or')}, not '{value}'.")
    return value


class Drawer:
    """Draws the blocks of one document tree. `folder` is where modules, files and stores are looked up.

    `files` are the sources, inside `folder`, of all that was drawn: when one changes, a drawing may.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.files: set[Path] = set()
        self._modules: set[str] = set()

    def draw(self, block: Block, form: Form) -> str:
        """The drawing, as `form` unless the block says otherwise. Raises BlockError."""
        try:
            with self._at_home():
                return _rendered(block, block.form or form)
        except (LoadError, LoomgraphError) as error:
            raise BlockError(f"{block.title} cannot be drawn: {error}") from error

    def forget(self) -> None:
        """Let the next drawing read the sources again, as they are then."""
        for name in self._modules:
            sys.modules.pop(name, None)
        self._modules.clear()

    @contextlib.contextmanager
    def _at_home(self) -> Generator[None, None, None]:
        """Names mean what they mean in the folder; what is imported meanwhile is noted, and `sys.path` put back."""
        before, path = set(sys.modules), list(sys.path)
        try:
            with contextlib.chdir(self.folder):
                yield
        finally:
            sys.path[:] = path
            for name in set(sys.modules) - before:
                file = getattr(sys.modules[name], "__file__", None)
                if file is not None and self._is_source(Path(file).resolve()) and name.partition(".")[0] != "loomgraph":
                    self._modules.add(name)
                    self.files.add(Path(file).resolve())

    def _is_source(self, file: Path) -> bool:
        # an environment inside the folder holds what others wrote, which does not change and may not load twice
        return file.is_relative_to(self.folder) and not {"site-packages", "dist-packages"} & set(file.parts)


def _rendered(block: Block, form: Form) -> str:
    log = None if block.run is None else _log(block.run, block.store)
    graph = None if block.target is None else _compiled(load(block.target))
    if block.view != "graph" and log is not None:
        return _picture(block, log, form)
    options: dict[str, Any] = {} if block.depth is None else {"depth": block.depth}
    if block.collapse is not None:
        options["collapse"] = block.collapse
    render = getattr(log if graph is None else graph, f"to_{form}")
    drawn: str = render(**options) if graph is None else render(log, **options)
    return drawn


def _picture(block: Block, log: Log, form: Form) -> str:
    picture: Any = log.flame(block.by or "time") if block.view == "flame" else getattr(log, block.view)()
    if form == "mermaid" and not hasattr(picture, "to_mermaid"):
        form = "svg"  # Mermaid has no such picture; a block that asks for it in so many words is told
        if block.form is not None:
            raise BlockError(f"Mermaid cannot draw a {block.view}. Write `:format: svg`.")
    drawn: str = getattr(picture, f"to_{form}")()
    return drawn


def _compiled(loaded: Workflow[Any, Any] | Graph[Any, Any]) -> Graph[Any, Any]:
    return loaded.compile() if isinstance(loaded, Workflow) else loaded


def _log(run: str, address: str | None) -> Log:
    address = address or os.environ.get(_VARIABLE)
    if address is None:
        raise BlockError(f"run '{run}' of which store? Say `:store: sqlite:FILE`, or set {_VARIABLE}.")

    async def read(where: str) -> Log:
        store = open_store(where)
        path = getattr(store, "path", None)
        if isinstance(path, Path) and not path.is_file():  # or an empty one would be made here
            raise BlockError(f"there is no store '{path}' in {Path.cwd()}. Check `:store:`.")
        async with open_store(store, encrypt=True) if os.environ.get(KEY) else store as opened:
            return await read_log(opened, run)

    return anyio.run(read, address)
