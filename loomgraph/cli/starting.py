"""`loomgraph new`: a folder with a small project to begin with. Never writes into one that has something in it."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Annotated, Final

import typer

from loomgraph import __version__
from loomgraph.cli.exits import UsageError, exits, say
from loomgraph.cli.keeping import JsonOpt, TracebackOpt
from loomgraph.cli.outcome import plain_json
from loomgraph.cli.stores import shell_line

__all__ = ["new"]

# the templates have an ending of their own, so that no tool takes them for code of this package
_FILES: Final = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    ".gitignore": "gitignore.tmpl",
    "{package}/__init__.py": "init.py.tmpl",
    "{package}/flow.py": "flow.py.tmpl",
    "tests/test_flow.py": "test_flow.py.tmpl",
}
# what a project may be called on a package index
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def new(
    folder: Annotated[Path, typer.Argument(metavar="NAME", help="The project's name, or a path that ends in it.")],
    *,
    as_json: JsonOpt = False,
    traceback: TracebackOpt = False,
) -> None:
    """Make a project in a new folder: a typed workflow with an agent, its tests and a README."""
    with exits(show_traceback=traceback):
        name = folder.resolve().name
        package = _package(name)
        texts = _texts(name, package)
        _refuse_to_overwrite(folder)
        for place, text in texts.items():
            _write(folder / place, text)
            if not as_json:
                say(f"wrote {folder / place}")
        if as_json:
            typer.echo(plain_json({"folder": str(folder), "package": package, "files": list(texts)}))
            return
        say(f"next: {shell_line('cd', str(folder))}; then what README.md says")


def _package(name: str) -> str:
    """What the project is imported as. Raises UsageError where it could not be."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is no name for a project. Use letters, digits, '-', '_' and '.', with a letter or digit at "
            "both ends."
        )
    package = re.sub(r"[-_.]+", "_", name).lower()
    if not package.isidentifier() or keyword.iskeyword(package):
        raise UsageError(f"'{name}' would be imported as '{package}', which is no Python name. Choose another name.")
    if package == "tests" or package in sys.stdlib_module_names or _is_installed(package):
        raise UsageError(f"'{name}' would be imported as '{package}', which is taken already. Choose another name.")
    return package


def _is_installed(package: str) -> bool:
    found = find_spec(package)
    return found is not None and found.origin is not None  # an empty folder of that name has none


def _texts(name: str, package: str) -> dict[str, str]:
    """The files of the project, by their place in it."""
    templates = files("loomgraph.cli") / "starter"
    return {
        place.format(package=package): Template((templates / source).read_text(encoding="utf-8")).substitute(
            name=name, package=package, version=__version__
        )
        for place, source in _FILES.items()
    }


def _refuse_to_overwrite(folder: Path) -> None:
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            return
        taken = folder.exists() or folder.is_symlink()
    except OSError as error:
        raise UsageError(f"cannot look into '{folder}': {error.strerror or error}.") from error
    if taken:
        raise UsageError(f"'{folder}' is there already, and nothing is overwritten. Choose another name, or remove it.")


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write '{path}': {error.strerror or error}.") from error
