"""The source of a callable as text that changes only when the code does. Reads files; runs nothing.

Found through the syntax tree rather than `inspect.getsource`, so that decorators' options and the rest of a line
around a lambda are not part of it. Comments, blank lines, indentation and trailing blanks are taken away.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import linecache
import textwrap
import threading
import tokenize
from types import CodeType
from typing import TypeAlias

__all__ = ["code_text", "normalised", "parsed"]

_Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
# before Python 3.13 two threads that parse at once may get a SystemError, "AST constructor recursion depth mismatch"
_PARSING = threading.Lock()


def code_text(code: CodeType) -> str | None:
    """The normalised source of a function or lambda; None if it cannot be read."""
    try:
        return _code_text(code)
    except (OSError, SyntaxError, ValueError, tokenize.TokenError, RecursionError):
        return None


def parsed(filename: str) -> None:
    """Read and parse a file now, so that processes that are forked off need not. What cannot be read is left out."""
    with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError):
        lines = tuple(linecache.getlines(filename))
        _functions(filename, len(lines), hash(lines))


@functools.lru_cache(maxsize=20_000)
def _code_text(code: CodeType) -> str | None:
    lines = tuple(linecache.getlines(code.co_filename))
    if not lines:
        return None
    found = _functions(code.co_filename, len(lines), hash(lines)).get(code.co_firstlineno, [])
    named = [node for node in found if _name(node) == code.co_name]
    node = named[0] if len(named) == 1 else _nearest(named, code)
    if node is None:
        return None
    parts = [_segment(lines, node)]
    if not isinstance(node, ast.Lambda):
        parts = [*(_segment(lines, d) for d in node.decorator_list if not _declares_node(d)), *parts]
    return "\n".join(normalised(part) for part in parts)


@functools.lru_cache(maxsize=256)
def _functions(filename: str, count: int, digest: int) -> dict[int, list[_Function]]:
    """All functions of a file by the line their code object starts at: that of the first decorator."""
    table: dict[int, list[_Function]] = {}
    with _PARSING:
        tree = ast.parse("".join(linecache.getlines(filename)))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            first = node.lineno
            if not isinstance(node, ast.Lambda) and node.decorator_list:
                first = node.decorator_list[0].lineno
            table.setdefault(first, []).append(node)
    return table


def _name(node: _Function) -> str:
    return "<lambda>" if isinstance(node, ast.Lambda) else node.name


def _nearest(found: list[_Function], code: CodeType) -> _Function | None:
    """Of several lambdas on one line, the one whose body the code was compiled from."""
    spots = [(line, column) for line, _, column, _ in code.co_positions() if line is not None and column]
    around: list[_Function] = []
    for node in found:
        start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
        # the body's first instruction has the body's position; the function's own have none, or its first column
        arguments = tuple(arg.arg for arg in (*node.args.posonlyargs, *node.args.args))
        if arguments == code.co_varnames[: code.co_argcount] and all(start <= spot <= end for spot in spots):
            around.append(node)
    return max(around, key=lambda node: (node.lineno, node.col_offset), default=None)


def _segment(lines: tuple[str, ...], node: ast.AST) -> str:
    """The text of a node with its first line's indentation; columns of the syntax tree count UTF-8 bytes."""
    first, last = getattr(node, "lineno", 1) - 1, getattr(node, "end_lineno", 1) - 1
    start, end = getattr(node, "col_offset", 0), getattr(node, "end_col_offset", 0)
    text = [line.encode() for line in lines[first : last + 1]]
    text[-1] = text[-1][:end]
    text[0] = (b" " * start if isinstance(node, ast.stmt) else b"") + text[0][start:]
    return b"".join(text).decode()


def _declares_node(decorator: ast.expr) -> bool:
    """Whether a decorator is `@wf.node` or `@wf.node(...)`: its options are policy, not code."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(target, ast.Attribute) and target.attr == "node"


def normalised(source: str) -> str:
    """Source text without comments, blank lines, common indentation and trailing blanks; strings stay as they are."""
    lines = textwrap.dedent(source).splitlines()
    raw: set[int] = set()  # rows whose end lies inside a string
    opened: list[int] = []
    reader = io.StringIO("\n".join(lines) + "\n").readline
    try:
        for token in tokenize.generate_tokens(reader):
            name = tokenize.tok_name[token.type]
            row, column = token.start
            if name == "COMMENT" and not opened:
                lines[row - 1] = lines[row - 1][:column]
            elif name == "STRING":
                raw.update(range(row, token.end[0]))
            elif name.endswith("STRING_START"):
                opened.append(row)
            elif name.endswith("STRING_END"):
                raw.update(range(opened.pop(), token.end[0]))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        pass  # a piece of a statement: what was read of it is normalised
    kept = [line if at in raw else line.rstrip() for at, line in enumerate(lines, 1)]
    return "\n".join(line for at, line in enumerate(kept, 1) if line or at in raw)
