"""Configuration: does it parse? Reads TOML and JSON with the standard library, YAML where PyYAML is installed."""

from __future__ import annotations

import importlib
import json
import re
import tomllib
from pathlib import PurePosixPath

from examples.health.models import ConfigText, Details, Problem

# JSON by name, but with comments by custom
_WITH_COMMENTS = re.compile(r"(^|/)(\.vscode/|\.devcontainer/|devcontainer\.json|tsconfig[^/]*\.json|jsconfig\.json)")
_PLACE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


def check_config(source: ConfigText) -> Details:
    """A problem if the file does not parse as what its name says."""
    name = source.file.name
    trouble: tuple[int, str] | None = None
    match PurePosixPath(name).suffix.lower():
        case ".toml":
            trouble = _toml(source.text)
        case ".json" if not _WITH_COMMENTS.search(name):
            trouble = _json(source.text)
        case ".yaml" | ".yml":
            trouble = _yaml(source.text)
        case _:
            pass
    if trouble is None:
        return Details(kind="config")
    problem = Problem(check="unparsable", severity="error", name=name, line=trouble[0], message=trouble[1])
    return Details(kind="config", problems=(problem,))


def _toml(text: str) -> tuple[int, str] | None:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        place = _PLACE.search(str(error))
        line = int(place[1]) if place and place[1] else text.count("\n") + 1
        return line, f"not TOML: {_PLACE.sub('', str(error)).strip()}"
    return None


def _json(text: str) -> tuple[int, str] | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, f"not JSON: {error.msg}"
    except (RecursionError, ValueError) as error:
        return 1, f"not JSON: {error}"
    return None


def _yaml(text: str) -> tuple[int, str] | None:
    try:
        yaml = importlib.import_module("yaml")
    except ImportError:
        tab = next((number for number, line in enumerate(text.split("\n"), 1) if line.startswith("\t")), None)
        return None if tab is None else (tab, "not YAML: a tab cannot indent")
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return (mark.line + 1 if mark else 1), f"not YAML: {getattr(error, 'problem', None) or error}"
    except RecursionError:
        return 1, "not YAML: nested too deeply"
    return None
