"""The root of the tree, what compile() and failures say as values, and how messages show values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loomgraph.errors.redaction import redact

_LONGEST_SECRET = 2_000
_SHOWN = 50  # findings in the message of a CompileError

__all__ = [
    "CompileError",
    "DefinitionError",
    "Failure",
    "Finding",
    "LoomgraphError",
    "brief",
    "brief_text",
    "names",
]


def brief(value: object, limit: int = 200) -> str:
    """The `repr` of a value, cut to `limit` characters and without secrets; never raises."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return _cut(text, limit)


def brief_text(text: str, limit: int = 300) -> str:
    """A text on one line, cut to `limit` characters and without secrets."""
    return _cut(text.strip().replace("\n", " "), limit)


def _cut(text: str, limit: int) -> str:
    # what is far behind the cut is not looked at, and what the cut would go through is
    text = redact(text[: limit + _LONGEST_SECRET])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def names(items: Sequence[str], last: str = "and") -> str:
    """`['a', 'b', 'c']` as `'a', 'b' and 'c'`."""
    quoted = [f"'{item}'" for item in items]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} {last} {quoted[-1]}"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an activation failed, as a value: what an `on_error` handler receives and what the log keeps.

    `node` is the path of the node, `key` the activation key, `attempt` the last attempt (1-based), `error`
    the exception's class name, `message` its text.
    """

    node: str
    key: str
    attempt: int
    error: str
    message: str

    def __str__(self) -> str:
        return f"{self.key} (attempt {self.attempt}): {self.error}: {self.message}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `compile()` has to say: `message` says what is wrong, `remedy` what to do about it.

    `rule` is a stable kebab-case id, `nodes` the names involved, `severity` "error" (refused) or "warning".
    """

    rule: str
    message: str
    remedy: str
    nodes: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"[{self.rule}] {self.message}\n    -> {self.remedy}"


class LoomgraphError(Exception):
    """The root of the tree: catch this to catch everything loomgraph raises on purpose."""


class DefinitionError(LoomgraphError):
    """A builder call that cannot mean anything, whatever else the workflow says."""


class CompileError(LoomgraphError):
    """The graph is unsound. `.findings` has every finding, errors first; of very many the message shows the first."""

    def __init__(self, workflow: str, findings: Sequence[Finding]) -> None:
        self.workflow = workflow
        self.findings = tuple(findings)
        errors = [f for f in self.findings if f.severity == "error"]
        count = f"{len(errors)} error{'s' if len(errors) != 1 else ''}"
        shown = errors if len(errors) <= _SHOWN + 1 else errors[:_SHOWN]
        lines = "\n".join(f"  {i}. {finding}" for i, finding in enumerate(shown, 1))
        if len(shown) < len(errors):
            rules = Counter(finding.rule for finding in errors[len(shown) :])
            rest = ", ".join(f"{number} {rule}" for rule, number in rules.most_common())
            lines += f"\n  and {len(errors) - len(shown)} more: {rest}. All of them are in this error's .findings."
        super().__init__(f"workflow '{workflow}' does not compile, {count}:\n{lines}")
