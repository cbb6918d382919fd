"""Who may call which tool: rules that allow, deny or ask, and approvals as durable questions. Runs no tool itself.

A tool that is marked destructive and that no rule speaks of is asked about. Where nobody can be asked, because the run
has no store to wait in, what would have to be asked is denied.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from loomgraph.compile.fingerprint import callable_mark
from loomgraph.errors import DefinitionError, StorelessPauseError, ToolInputError
from loomgraph.graph.context import Context, Whose
from loomgraph.runtime.notes import note_about_user
from loomgraph.tools.batch import Around, Proceed
from loomgraph.tools.calls import ToolCall, ToolResult
from loomgraph.tools.spill import text_of
from loomgraph.tools.tool import Tool

__all__ = ["Approval", "ApprovalRequest", "Decision", "Permissions", "Rule", "forget", "guarded"]

Decision: TypeAlias = Literal["allow", "deny", "ask"]
_TOPIC = "loomgraph.approval"


class ApprovalRequest(BaseModel):
    """The question: may this tool be called with these arguments, for this user?"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    description: str
    arguments: dict[str, JsonValue]
    user_id: str | None = None
    reason: str = ""


class Approval(BaseModel):
    """The answer: call it, do not, or call it with other `arguments`. `reason` is told to the model of a denial.

    With `remember` nobody is asked again about calls of this tool with these arguments (with `any_arguments`, whatever
    they are): for the rest of this run (a fork asks again), or in every run of this user in the store. A tool that
    became another one is asked about again; `forget` takes it back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    approve: bool
    arguments: dict[str, JsonValue] | None = None
    reason: str = ""
    remember: Whose | None = None
    any_arguments: bool = False

    @model_validator(mode="after")
    def _is_plain(self) -> Approval:
        if self.remember is not None and self.arguments is not None:
            raise ValueError("an approval with other arguments is for this call alone; leave remember out")
        if self.any_arguments and self.remember is None:
            raise ValueError("any_arguments says what to remember; say remember='run' or 'user' too")
        return self


class _ApprovalForRun(Approval):
    """The same in a run that is for no user: there is nobody to remember it for beyond the run."""

    @model_validator(mode="after")
    def _is_for_the_run(self) -> _ApprovalForRun:
        if self.remember == "user":
            raise ValueError("this run is for no user, so nothing can be remembered beyond it; remember='run'")
        return self


class _Memory(BaseModel):
    """A note of what was decided about calls of a tool, which looked like `mark`; None forgets it."""

    tool: str
    mark: str
    approve: bool | None
    arguments: dict[str, JsonValue] | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """`decision` for calls of tools whose name fits the pattern `tool`, for users that fit `user`, whose arguments fit
    `arguments`, and where `when` holds.

    Patterns are those of a shell (`write_*`), which hold for all of a text, its slashes and line ends too:
    `arguments={"path": "docs/*"}`; what is no text is compared as JSON, an argument that is left out by its default.
    A call without a user fits no `user` but `"*"`. `when` is given the arguments, references replaced; where it raises,
    the call is denied. `reason` is told with a denial or a question.
    """

    decision: Decision
    tool: str = "*"
    user: str = "*"
    arguments: Mapping[str, str] | None = None
    when: Callable[[Mapping[str, Any]], bool] | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.decision not in ("allow", "deny", "ask"):
            raise DefinitionError(f"Rule({self.decision!r}) is unknown; use 'allow', 'deny' or 'ask'.")

    def fits(self, tool: Tool, arguments: Mapping[str, Any], user_id: str | None) -> bool:
        """Whether the rule speaks of this call."""
        if not fnmatch.fnmatchcase(tool.name, self.tool):
            return False
        if self.user != "*" and (user_id is None or not fnmatch.fnmatchcase(user_id, self.user)):
            return False
        for name, pattern in (self.arguments or {}).items():
            known = tool.parameters.get("properties", {}).get(name, {})
            if name not in arguments and "default" not in known:
                return False
            if not fnmatch.fnmatchcase(text_of(arguments.get(name, known.get("default"))), pattern):
                return False
        return self.when is None or self.when(arguments)


class Permissions:
    """Rules in order, of which the first that fits decides. Where none does: `otherwise`, and "ask" for what is
    destructive."""

    def __init__(self, *rules: Rule, otherwise: Decision = "allow") -> None:
        self.rules = rules
        self.otherwise: Decision = Rule(otherwise).decision

    @property
    def silent(self) -> bool:
        """Whether they allow whatever is not destructive."""
        return not self.rules and self.otherwise == "allow"

    def decide(self, tool: Tool, arguments: Mapping[str, Any], user_id: str | None) -> tuple[Decision, str]:
        """What is to be done about a call, and why. A rule that cannot be worked out denies."""
        for rule in self.rules:
            try:
                fits = rule.fits(tool, arguments, user_id)
            except Exception as error:
                return "deny", f"a rule about it could not be worked out ({type(error).__name__}: {error})"
            if fits:
                return rule.decision, rule.reason
        if tool.destructive and self.otherwise == "allow":
            return "ask", "it is marked destructive"
        return self.otherwise, ""


def guarded(permissions: Permissions, inner: Around | None = None) -> Around:
    """What stands around every call so that the permissions are kept; `inner` stands around what is permitted."""

    async def around(tool: Tool, call: ToolCall, ctx: Context, proceed: Proceed) -> ToolResult:
        if permissions.silent and not tool.destructive:
            return await (proceed(call) if inner is None else inner(tool, call, ctx, proceed))
        arguments: Mapping[str, Any] = call.arguments if isinstance(call.arguments, dict) else {}
        try:
            tool.validated(arguments)
        except ToolInputError:
            return await proceed(call)  # it will not be called: nobody is to be asked about that
        decision, reason = permissions.decide(tool, arguments, ctx.user_id)
        if decision == "ask":
            asked = await _asked(tool, arguments, ctx, reason)
            if isinstance(asked, str):
                return _denied(call, asked)
            call = call.model_copy(update={"arguments": dict(asked)})
        elif decision == "deny":
            return _denied(call, reason)
        return await (proceed(call) if inner is None else inner(tool, call, ctx, proceed))

    return around


async def _asked(tool: Tool, arguments: Mapping[str, Any], ctx: Context, reason: str) -> Mapping[str, Any] | str:
    """The arguments that were approved, or why the call is denied."""
    # a step, so that an answer to this very question counts for it, whatever is remembered meanwhile
    known = await ctx.step("loomgraph:remembered", _remembered, tool, arguments, ctx, result=_Memory | None)
    if known is not None:
        return arguments if known.approve else known.reason or "it was not approved before"
    question = ApprovalRequest(
        tool=tool.name,
        description=tool.description,
        arguments=dict(arguments),
        user_id=ctx.user_id,
        reason=reason,
    )
    try:
        answer = await ctx.ask(question, _ApprovalForRun if ctx.user_id is None else Approval, key="approve")
    except StorelessPauseError:
        return f"it has to be approved ({reason or 'a rule says so'}), and this run has nobody to ask"
    if answer.remember is not None:
        about = None if answer.any_arguments else dict(arguments)
        memory = _Memory(
            tool=tool.name, mark=_mark(tool), approve=answer.approve, arguments=about, reason=answer.reason
        )
        await ctx.note(_TOPIC, memory, whose=answer.remember)
    if not answer.approve:
        return answer.reason or "it was not approved"
    return arguments if answer.arguments is None else answer.arguments


async def _remembered(tool: Tool, arguments: Mapping[str, Any], ctx: Context) -> _Memory | None:
    """What was decided last about calls like this one; what was decided in this run before what was in others."""
    for whose in ("run", "user"):
        for data in reversed(await ctx.noted(_TOPIC, whose=whose)):
            memory = _Memory.model_validate(data)
            if memory.tool != tool.name or (memory.arguments is not None and memory.arguments != arguments):
                continue
            if memory.approve is None or memory.mark != _mark(tool):
                break
            return memory
    return None


async def forget(tool: str, *, store: Any, user_id: str) -> None:
    """Ask again about all calls of this tool in this user's runs, whatever was remembered."""
    await note_about_user(store, user_id, _TOPIC, _Memory(tool=tool, mark="", approve=None))


def _mark(tool: Tool) -> str:
    return f"{callable_mark(tool)} {callable_mark(tool.fn)}"


def _denied(call: ToolCall, reason: str) -> ToolResult:
    why = reason or "a rule says so"
    return ToolResult(id=call.id, name=call.name, outcome="denied", content=f"not permitted: {why}.")
