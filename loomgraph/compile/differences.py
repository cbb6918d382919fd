"""What changed between the graph that wrote a log and the one at hand, node by node, inside nested graphs too. Pure.

Only what a log cannot be read over is a difference: what has not begun yet may do something else by now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from loomgraph.compile.blueprint import Blueprint

__all__ = ["differences"]

Path = tuple[str, ...]


def differences(was: Blueprint, now: Blueprint, ran: Collection[Path], *, code: bool, at: Path = ()) -> Iterator[str]:
    """Every difference, as a clause that names it. `ran` are the paths of the nodes that have begun.

    With `code`, a node that has begun must do what it did, and so must the conditions out of it; without, only its
    types must stay. `at` is the path of the node whose graph this is.
    """
    where = f"the graph of node '{_said(at)}'" if at else "the graph"
    if was["types"] != now["types"]:
        yield f"{where} takes or gives other types"
    if (was["state"] is None) != (now["state"] is None):
        yield f"{where} has {'no state any more' if now['state'] is None else 'a state now'}"
    elif was["state"] is not None and was["state"][1] != now["state"][1]:
        yield f"the state of {where} has other fields, or fields of other types"
    elif was["state"] is not None and was["state"][0] != now["state"][0] and code:
        yield f"the state of {where} has other reducers or defaults"
    before, after = _by_name(was), _by_name(now)
    renamed = _renamed(was, now, before, after)
    for name in before:
        path, done = (*at, name), (*at, name) in ran
        if name in renamed:
            yield f"{_node(path, done)}, is called '{renamed[name]}' now"
        elif name not in after:
            yield f"{_node(path, done)}, is gone"
        elif done:
            yield from _changed(before[name], after[name], ran, code, path)
    for name in after:
        if name not in before and name not in renamed.values():
            yield f"node '{_said((*at, name))}' is new"
    yield from _edges(was, now, renamed, ran, code, at)


def _changed(was: list[Any], now: list[Any], ran: Collection[Path], code: bool, path: Path) -> Iterator[str]:
    """What is different in a node that has begun."""
    said = _node(path, True)
    if (was[-1] is None) != (now[-1] is None):
        yield f"{said}, is {'a graph' if was[-1] is None else 'no graph any more'}"
    elif was[6] != now[6]:
        yield f"{said}, maps otherwise"
    elif was[-1] is not None:
        yield from differences(was[-1], now[-1], ran, code=code, at=path)
    elif was[2] != now[2]:
        yield f"{said}, takes or gives other types"
    elif was[1] != now[1] and code:
        yield f"{said}, has other code"


def _edges(
    was: Blueprint, now: Blueprint, renamed: dict[str, str], ran: Collection[Path], code: bool, at: Path
) -> Iterator[str]:
    old, new = _lines(was, renamed), _lines(now, {})
    both = {"START", "END"} | {line[i] for line in old for i in (0, 1)} & {line[i] for line in new for i in (0, 1)}
    inside = f" in the graph of node '{_said(at)}'" if at else ""
    gone, more = Counter(old) - Counter(new), Counter(new) - Counter(old)
    for lines, what in ((gone, "is gone"), (more, "is new")):
        for line in lines.elements():
            if line[0] in both and line[1] in both:  # that of a node that is gone or new goes without saying
                yield f"edge {_edge(line)}{inside} {what}"
    if gone or more:
        return
    if old != new:
        yield f"the edges{inside} are declared in another order"
        return
    if was["joins"] != now["joins"]:
        changed = [i for i, join in enumerate(now["joins"]) if join not in was["joins"]]
        for i in changed or [0]:
            target = _name(now, now["joins"][i][0]) if now["joins"] else "?"
            yield f"a join into '{target}'{inside} binds other parameters, or waits otherwise"
    if was["loops"] != now["loops"]:
        yield f"the loops{inside} have another header, or include other nodes"
    if code:
        for line, a, b in zip(new, was["edges"], now["edges"], strict=True):
            asked = (*at, line[0]) in ran or line[0] == "START"
            if asked and a[4:5] != b[4:5]:
                yield f"the condition of edge {_edge(line)}{inside}, which has been asked, is another"


def _renamed(was: Blueprint, now: Blueprint, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    """Nodes that are called otherwise: at the same place among the same edges, or doing the same."""
    new = [name for name in after if name not in before]
    found: dict[str, str] = {}
    for name in before:
        if name in after:
            continue
        same = [n for n in new if after[n][1] == before[name][1] and n not in found.values()]
        same = same or [n for n in new if n not in found.values() and _around(now, n) == _around(was, name)]
        if same:
            found[name] = same[0]
    return found


def _around(graph: Blueprint, name: str) -> Any:
    """A node's edges, with itself left out."""
    lines = [line for line in _lines(graph, {name: ""}) if "" in line[:2]]
    return sorted(lines, key=repr)


def _lines(graph: Blueprint, renamed: dict[str, str]) -> list[tuple[Any, ...]]:
    """Every edge as (source, target, kind, errors, exit, join), by names."""
    lines: list[tuple[Any, ...]] = []
    for source, target, kind, *more in graph["edges"]:
        _, _, errors, exit, join = [*more, *[None] * 5][:5]
        ends = (_name(graph, source), _name(graph, target))
        lines.append((*(renamed.get(end, end) for end in ends), kind, tuple(errors or ()), exit, join))
    return lines


def _name(graph: Blueprint, ref: int) -> str:
    return "START" if ref == -1 else "END" if ref == -2 else str(graph["nodes"][ref][0])


def _by_name(graph: Blueprint) -> dict[str, list[Any]]:
    return {node[0]: node for node in graph["nodes"]}


def _edge(line: tuple[Any, ...]) -> str:
    error = "" if line[2] != "error" else f" on {' or '.join(line[3])}"
    return f"'{line[0]}' -> '{line[1]}'{error}"


def _node(path: Path, done: bool) -> str:
    return f"node '{_said(path)}', which {'has run' if done else 'has not run yet'}"


def _said(path: Path) -> str:
    return "/".join(path)
