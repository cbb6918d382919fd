"""From `module:workflow` to the Workflow or Graph it names; an Agent is its graph. Imports the user's module and
calls nothing in it.

`module` is a dotted name or a path to a .py file (`C:\\x\\flow.py:wf` too); without `:workflow`, the only Workflow or
Graph in the module is meant.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Generator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from loomgraph import Graph, Workflow
from loomgraph.errors import CompileError, names

if TYPE_CHECKING:  # agents bring models with them
    from loomgraph import Agent

__all__ = ["LoadError", "Target", "load", "split"]

Target: TypeAlias = "Workflow[Any, Any] | Graph[Any, Any]"


class LoadError(Exception):
    """The target does not name a Workflow or Graph that can be loaded. The message says what to do instead."""


def load(target: str) -> Target:
    """The Workflow or Graph that `target` names.

    Puts the current directory first on `sys.path`, as `python -m` does. Raises LoadError, with the module's own
    exception as `__cause__` where there is one, and CompileError if the module compiles an unsound workflow.
    """
    place, attribute = split(target)
    cwd = str(Path.cwd())
    if sys.path[:1] != [cwd]:
        sys.path.insert(0, cwd)
    importlib.invalidate_caches()
    module = _from_file(Path(place)) if _is_path(place) else _from_name(place)
    return _only(module, place) if attribute is None else _named(module, place, attribute)


def split(target: str) -> tuple[str, str | None]:
    """`target` as (module or path, attribute or None). A drive letter's colon separates nothing."""
    place, colon, attribute = target.rpartition(":")
    if not colon:
        return target, None
    if all(part.isidentifier() for part in attribute.split(".")) and place:
        return place, attribute
    if "/" in attribute or "\\" in attribute:
        return target, None
    raise LoadError(f"'{target}' names no workflow: '{attribute}' is not a Python name. Write module:workflow.")


def _is_path(place: str) -> bool:
    return place.endswith(".py") or "/" in place or "\\" in place


def _from_name(name: str) -> ModuleType:
    here = Path.cwd()
    if name in sys.modules and _is_elsewhere(sys.modules[name], here) and (here / f"{name}.py").is_file():
        return _from_file(here / f"{name}.py")  # the current directory comes first, but Python keeps what it has loaded
    try:
        with _importing(name):
            return importlib.import_module(name)
    except LoadError as error:
        cause = error.__cause__
        lacking = cause.name if isinstance(cause, ModuleNotFoundError) else None
        if lacking is None or not f"{name}.".startswith(f"{lacking}."):
            raise
    siblings = [p.stem for p in here.glob("*.py")] + [p.parent.name for p in here.glob("*/__init__.py")]
    hint = _did_you_mean(lacking, siblings) or "Run this where the module is, or give the path to its .py file."
    raise LoadError(f"there is no module '{lacking}' in {here} or among the installed packages. {hint}")


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.py")] if path.parent.is_dir() else []
        hint = _did_you_mean(path.name, near) or "Give the path to a .py file, or a dotted module name."
        raise LoadError(f"there is no file '{path}'. {hint}")
    path = path.resolve()
    package = path.parent
    while (package / "__init__.py").is_file():
        package = package.parent
    sys.path.insert(0, str(package))
    if package != path.parent:  # inside a package its relative imports must work
        parts = path.relative_to(package).with_suffix("").parts
        return _from_name(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    # by its location, not by its name: a file may be called like an installed module
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"_loomgraph_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"'{path}' is not Python source. Give the path to a .py file, or a dotted module name.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _importing(str(path)):
        spec.loader.exec_module(module)
    return module


def _is_elsewhere(module: ModuleType, here: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is None or Path(file).resolve().parent != here.resolve()


@contextlib.contextmanager
def _importing(place: str) -> Generator[None, None, None]:
    """Whatever a module raises while it is imported becomes a LoadError; a CompileError speaks for itself."""
    try:
        yield
    except CompileError:
        raise
    except SystemExit as error:
        raise LoadError(
            f"importing '{place}' exits the program. Put what runs under: if __name__ == '__main__':"
        ) from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
        if isinstance(error, SyntaxError):
            where = ""  # its own text says where
        raise LoadError(
            f"importing '{place}' raised {type(error).__name__}: {error}{where}. "
            f"Make the module importable; `loomgraph check {place} --traceback` shows the whole story."
        ) from error


def _named(module: ModuleType, place: str, attribute: str) -> Target:
    value: Any = module
    for part in attribute.split("."):
        missing = not hasattr(value, part)
        if missing:
            known = _candidates(module)
            close = _did_you_mean(part, [*known, *(name for name in vars(module) if not name.startswith("_"))])
            raise LoadError(f"'{place}' has no '{attribute}'. {close or _choices(place, list(known))}")
        value = getattr(value, part)
    if _is_target(value):
        return value
    if _is_agent(value):
        return value.graph
    made = f"'{attribute}' in '{place}' is a {type(value).__name__}, not a Workflow or a Graph. "
    if callable(value):
        raise LoadError(f"{made}If it makes one, keep what it returns under a name: wf = {attribute}().")
    raise LoadError(f"{made}{_choices(place, list(_candidates(module)))}")


def _only(module: ModuleType, place: str) -> Target:
    found = _candidates(module)
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        agents = [value for name, value in vars(module).items() if not name.startswith("_") and _is_agent(value)]
        if len({id(agent) for agent in agents}) == 1:
            return agents[0].graph
        raise LoadError(f"'{place}' has no Workflow or Graph. Define one at the top level: wf = Workflow('name').")
    raise LoadError(f"'{place}' has {len(found)} workflows. {_choices(place, list(found))}")


def _candidates(module: ModuleType) -> dict[str, Target]:
    """The module's Workflows and Graphs by name; a Workflow and what it was compiled to count once, as the Graph."""
    by_title: dict[str, tuple[str, Target]] = {}
    for name, value in vars(module).items():
        if name.startswith("_") or not _is_target(value):
            continue
        held = by_title.get(value.name)
        if held is None or (isinstance(value, Graph) and not isinstance(held[1], Graph)):
            by_title[value.name] = (name, value)
    return dict(by_title.values())


def _is_target(value: object) -> TypeGuard[Target]:
    return isinstance(value, (Workflow, Graph))


def _is_agent(value: object) -> TypeGuard[Agent[Any, Any]]:
    # whoever has an agent has loaded what agents are, and nobody else needs to
    agents = sys.modules.get("loomgraph.nodes.agent")
    return agents is not None and isinstance(value, agents.Agent)


def _did_you_mean(wrong: str, known: Sequence[str]) -> str | None:
    close = difflib.get_close_matches(wrong, known, n=1)
    return f"Did you mean '{close[0]}'?" if close else None


def _choices(place: str, known: Sequence[str]) -> str:
    if not known:
        return f"'{place}' has no Workflow or Graph at its top level."
    return f"Say which: {names([f'{place}:{name}' for name in known], 'or')}."
