"""Python source: size and complexity of functions, missing docstrings, imports. Reads it; never runs it."""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import PurePosixPath

from examples.health.models import Details, Function, Import, Problem, PythonText, Severity

LONGEST_FUNCTION = 60
SHORT = 5
HIGHEST_COMPLEXITY = 20

_TEST = re.compile(r"(^|/)(tests?/|test_[^/]*$|conftest\.py$|[^/]*_test\.py$)")
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.match_case,
    ast.Assert,
)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Before Python 3.13 two threads that parse at once may get "AST constructor recursion depth mismatch" (a SystemError),
# and warnings.catch_warnings is never safe in several threads. Files are read and checked side by side all the same.
_PARSING = threading.Lock()


def check_python(source: PythonText) -> Details:
    """The functions, imports and problems of a module; a syntax error is a problem, not a failure."""
    name = source.file.name
    try:
        with _PARSING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an invalid escape in somebody's string is not this program's warning
            tree = ast.parse(source.text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = error.lineno or 1 if isinstance(error, SyntaxError) else 1
        said = error.msg if isinstance(error, SyntaxError) else str(error)
        return Details(kind="python", problems=(_problem(name, "syntax", "error", line, said),))
    functions = tuple(_functions(tree, ""))
    problems = [*_too_much(name, functions)]
    if not _TEST.search(name) and not name.endswith(".pyi"):
        problems += _undocumented(name, tree)
    return Details(kind="python", problems=tuple(problems), functions=functions, imports=tuple(_imports(name, tree)))


def _functions(node: ast.AST, inside: str) -> Iterator[Function]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _FUNCTIONS):
            first = min((decorator.lineno for decorator in child.decorator_list), default=child.lineno)
            yield Function(
                name=inside + child.name,
                line=child.lineno,
                lines=(child.end_lineno or child.lineno) - first + 1,
                complexity=_complexity(child),
            )
            yield from _functions(child, f"{inside}{child.name}.")
        else:
            yield from _functions(child, f"{inside}{child.name}." if isinstance(child, ast.ClassDef) else inside)


def _complexity(function: ast.AST) -> int:
    """Cyclomatic complexity: 1 and one more for each branch, `and` and `or`; a function inside is not counted."""
    total, todo = 1, list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            continue
        if isinstance(node, _BRANCHES):
            total += 1 + (len(node.ifs) if isinstance(node, ast.comprehension) else 0)
        elif isinstance(node, ast.BoolOp):
            total += len(node.values) - 1
        todo.extend(ast.iter_child_nodes(node))
    return total


def _too_much(name: str, functions: tuple[Function, ...]) -> Iterator[Problem]:
    for function in functions:
        if function.lines > LONGEST_FUNCTION:
            said = f"{function.name} has {function.lines} lines, more than {LONGEST_FUNCTION}"
            yield _problem(name, "long-function", "warning", function.line, said)
        if function.complexity > HIGHEST_COMPLEXITY:
            said = f"{function.name} has a complexity of {function.complexity}, more than {HIGHEST_COMPLEXITY}"
            yield _problem(name, "complex-function", "warning", function.line, said)


def _undocumented(name: str, tree: ast.Module) -> Iterator[Problem]:
    """Public modules, classes and functions without a docstring.

    Not asked for: one for a function of a few lines, or for a method that may have inherited its own.
    """
    if tree.body and ast.get_docstring(tree, clean=False) is None:
        yield _problem(name, "no-docstring", "note", 1, "the module has no docstring")
    todo: list[tuple[str, ast.stmt]] = [("", statement) for statement in tree.body]
    for inside, node in todo:
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)) or node.name.startswith("_") or _is_repeated(node):
            continue
        short = not isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno < SHORT
        if not short and ast.get_docstring(node, clean=False) is None:
            yield _problem(name, "no-docstring", "note", node.lineno, f"{inside}{node.name} has no docstring")
        if isinstance(node, ast.ClassDef) and not node.bases:
            todo.extend((f"{inside}{node.name}.", child) for child in node.body)


def _is_repeated(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Overloads, overrides and setters, whose meaning is written down once and elsewhere."""
    named = {ast.unparse(decorator).rpartition(".")[2] for decorator in node.decorator_list}
    return bool(named & {"overload", "override", "setter", "deleter"})


def _imports(name: str, tree: ast.Module) -> Iterator[Import]:
    """What the module imports when it is imported: not what waits inside functions or for a type checker."""
    path = PurePosixPath(name)
    package = list(path.parent.parts)
    todo: list[ast.stmt] = list(tree.body)
    for node in todo:
        if isinstance(node, ast.Import):
            yield from (Import(line=node.lineno, module=alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, node.module] if node.module else above)
            yield from (Import(line=node.lineno, module=module, name=alias.name) for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo.extend(node.orelse)
        elif isinstance(node, ast.If | ast.Try):
            todo.extend([*node.body, *node.orelse])


def _problem(name: str, check: str, severity: Severity, line: int, message: str) -> Problem:
    return Problem(check=check, severity=severity, name=name, line=line, message=message)
