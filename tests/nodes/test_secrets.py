"""Claims about secrets: none in an agent's log, in what a model is told, in an error message or in a drawing."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from loomgraph import END, START, Agent, Context, NodeFailedError, Workflow, tool
from loomgraph.errors import CodecError, DefinitionError, InputRefusedError
from loomgraph.errors.redaction import redact
from loomgraph.models import ModelRequest, ScriptedModel, ToolCall, ToolMessage, assistant
from loomgraph.nodes.hooks import Hooks
from loomgraph.store.memory import MemoryStore
from loomgraph.tools import ToolResult, graph_tool

pytestmark = pytest.mark.anyio

KEY = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"
PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def secrets_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", PASSWORD)


async def everything(store: MemoryStore, run_id: str) -> str:
    """All that is kept of a run, as text."""
    return b"".join([piece async for piece in store.export(run_id)]).decode(errors="replace")


def told(request: ModelRequest) -> list[str]:
    message = request.messages[-1]
    assert isinstance(message, ToolMessage)
    return [result.text for result in message.results]


async def test_what_a_tool_tells_of_the_environments_secrets_reaches_neither_model_nor_log_nor_hook() -> None:
    @tool(reads=())
    async def env() -> dict[str, list[str]]:
        return {"DATABASE_PASSWORD": [PASSWORD, "and more"]}

    @tool(reads=())
    async def connect() -> str:
        raise OSError(f"cannot connect as admin with {PASSWORD}")

    seen: list[str] = []

    def look(result: ToolResult, ctx: Context) -> None:
        seen.append(result.model_dump_json())

    calls = assistant(ToolCall(id="1", name="env"), ToolCall(id="2", name="connect"))
    model, store = ScriptedModel([calls, "Done."]), MemoryStore()
    result = await Agent("a", model, tools=[env, connect], hooks=Hooks(after_tool=look)).run(
        "Look.", store=store, run_id="r"
    )
    assert told(model.requests[1]) == [
        '{"DATABASE_PASSWORD":["[redacted DATABASE_PASSWORD]","and more"]}',
        "OSError: cannot connect as admin with [redacted DATABASE_PASSWORD]",
    ]
    assert PASSWORD not in await everything(store, "r")
    assert PASSWORD not in repr(result.events)
    assert PASSWORD not in "".join(seen)


async def test_what_looks_like_a_secret_is_taken_out_where_that_is_asked_for() -> None:
    @tool(reads=())
    async def read() -> str:
        return f"KEY={KEY} PASSWORD={PASSWORD}"

    @tool(reads=())
    async def use(text: str) -> str:
        return f"used {text}"

    calls = assistant(ToolCall(id="1", name="read"), ToolCall(id="2", name="use", arguments={"text": "{{1}}"}))
    for taken, text in (
        (redact, "KEY=[redacted] PASSWORD=[redacted DATABASE_PASSWORD]"),
        (None, f"KEY={KEY} PASSWORD={PASSWORD}"),
    ):
        model, store = ScriptedModel([calls, "Done."]), MemoryStore()
        await Agent("a", model, tools=[read, use], redact=taken).run("Read.", store=store, run_id="r")
        assert told(model.requests[1]) == [text, f"used {text}"]
        assert (KEY in await everything(store, "r")) == (taken is None)


async def test_an_exceptions_message_reaches_log_error_and_drawing_without_its_secrets() -> None:
    wf = Workflow("w", input=str, output=str)

    @wf.node
    async def fetch(text: str) -> str:
        raise RuntimeError(f"GET https://admin:{text}@host failed with key {KEY} and {PASSWORD}")

    wf.chain(START, fetch, END)
    graph, store = wf.compile(), MemoryStore()
    with pytest.raises(NodeFailedError) as caught:
        await graph.run("hunter22", store=store, run_id="r")
    [failure] = caught.value.failures
    said = "GET https://[redacted]@host failed with key [redacted] and [redacted DATABASE_PASSWORD]"
    assert failure.message == said
    shown = str(caught.value) + graph.to_mermaid(caught.value.result) + graph.to_dot(caught.value.result)
    kept = await everything(store, "r")
    for secret in (KEY, PASSWORD):
        assert secret not in shown
        assert secret not in kept


class Login(BaseModel):
    user: str
    password: SecretStr


async def test_a_declared_secret_is_refused_by_the_log_and_shown_by_nothing() -> None:
    wf = Workflow("w", input=Login, output=str)

    @wf.node
    async def use(login: Login) -> str:
        return f"{len(login.password.get_secret_value())} characters"

    wf.chain(START, use, END)
    graph, store = wf.compile(), MemoryStore()
    login = Login(user="ada", password=SecretStr(PASSWORD))
    result = await graph.run(login)
    assert result.output == "28 characters"
    assert PASSWORD not in repr(result.events) + "".join(event.model_dump_json() for event in result.events)
    with pytest.raises(CodecError, match="A log keeps no secrets: hand them over with deps=") as refused:
        await graph.run(login, store=store, run_id="r")
    assert PASSWORD not in str(refused.value)
    assert (await store.runs()).runs == []
    wrong: Any = {"user": "ada", "password": KEY}
    with pytest.raises(InputRefusedError) as unfit:
        await graph.run(wrong)
    assert KEY not in str(unfit.value)

    model = ScriptedModel(["Hello."])
    await Agent("a", model, input=Login).run(login)
    assert PASSWORD not in model.requests[0].model_dump_json()


def test_a_secret_is_no_argument_of_a_tool() -> None:
    with pytest.raises(DefinitionError, match="tool 'log_in': a secret"):

        @tool
        async def log_in(user: str, password: SecretStr) -> None: ...

    wf = Workflow("w", input=list[Login], output=str)

    @wf.node
    async def use(logins: list[Login]) -> str:
        return ""

    wf.chain(START, use, END)
    with pytest.raises(DefinitionError, match="a secret"):
        graph_tool(wf.compile())
