"""Connections: real sockets that refuse, break and come too late; one model in many tasks and many event loops."""

from __future__ import annotations

import gc
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread
import pytest

from loomgraph.errors import ModelConnectionError, ModelError, ModelRequestError, ModelTimeoutError, StreamStalledError
from loomgraph.models import Model, ModelResponse, TextDelta, request_of
from tests.models.mocked import APIS, said

pytest.importorskip("openai", reason="openai is not installed", exc_type=ImportError)
pytest.importorskip("anthropic", reason="anthropic is not installed", exc_type=ImportError)

ASKED = request_of("q")


@asynccontextmanager
async def _server(handle: Callable[[anyio.abc.ByteStream], Any]) -> AsyncGenerator[str]:
    """A server that reads a request and hands its connection on; the address."""

    async def serve(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            try:
                head = b""
                while b"\r\n\r\n" not in head:
                    head += await stream.receive()
                await handle(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError):
                pass  # the client has left, which some tests are about

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{port}"
        group.cancel_scope.cancel()


async def _left(stream: anyio.abc.ByteStream) -> None:
    """Until the client hangs up."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        while True:
            await stream.receive()


def _model(api: str, address: str, **options: Any) -> Model:
    base = address if api == "anthropic" else f"{address}/v1"
    return APIS[api]("m", api_key="k", base_url=base, **{"retry": None, "timeout": 20.0, **options})


def _head(length: int | None) -> bytes:
    size = "" if length is None else f"content-length: {length}\r\n"
    return f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{size}connection: close\r\n\r\n".encode()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_nobody_listening_is_a_connection_error(api: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it, and it refuses
        port = taken.getsockname()[1]
        with pytest.raises(ModelConnectionError, match="Connect"):
            await _model(api, f"http://127.0.0.1:{port}").generate(ASKED)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_an_address_that_is_none_is_the_callers_fault(api: str) -> None:
    with pytest.raises(ModelRequestError):
        await _model(api, "htp://127.0.0.1:1").generate(ASKED)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_server_that_hangs_up_without_a_word_is_a_connection_error(api: str) -> None:
    async def handle(stream: anyio.abc.ByteStream) -> None:
        await anyio.lowlevel.checkpoint()

    async with _server(handle) as address:
        with pytest.raises(ModelConnectionError):
            await _model(api, address).generate(ASKED)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_body_that_is_shorter_than_it_said_is_a_connection_error(api: str) -> None:
    content = said(api).content

    async def handle(stream: anyio.abc.ByteStream) -> None:
        await stream.send(_head(len(content)) + content[: len(content) // 2])

    async with _server(handle) as address:
        with pytest.raises(ModelConnectionError):
            await _model(api, address).generate(ASKED)


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_silence_is_a_timeout_before_the_answer_and_a_stall_in_it(api: str, begun: bool) -> None:
    content = said(api).content

    async def handle(stream: anyio.abc.ByteStream) -> None:
        if begun:
            await stream.send(_head(None) + content[: len(content) // 2])
        await _left(stream)

    async with _server(handle) as address:
        with pytest.raises(ModelError) as caught:
            await _model(api, address, timeout=0.1).generate(ASKED)
    assert type(caught.value) is (StreamStalledError if begun else ModelTimeoutError)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_stream_is_given_on_as_it_comes_and_may_be_left_early(api: str) -> None:
    content = said(api, "Hello").content
    at = content.index(b"Hello") + len(content[content.index(b"Hello") :].split(b"\n\n")[0]) + 2
    left = anyio.Event()

    async def handle(stream: anyio.abc.ByteStream) -> None:
        await stream.send(_head(None) + content[:at])
        await _left(stream)
        left.set()

    async with _server(handle) as address:
        async with aclosing(_model(api, address).stream(ASKED)) as events:
            assert await anext(events) == TextDelta(text="Hello")  # while the rest is not even sent
        with anyio.fail_after(20):
            await left.wait()  # whoever leaves hangs up


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_a_cancelled_call_hangs_up_and_ends_as_cancelled(api: str) -> None:
    asked, left = anyio.Event(), anyio.Event()

    async def handle(stream: anyio.abc.ByteStream) -> None:
        asked.set()
        await _left(stream)
        left.set()

    async with _server(handle) as address:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                group.start_soon(_model(api, address).generate, ASKED)
                await asked.wait()
                group.cancel_scope.cancel()
            assert group.cancel_scope.cancelled_caught
            await left.wait()


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_one_model_serves_one_event_loop_after_another_and_leaves_nothing_open(
    api: str, anyio_backend_name: str
) -> None:
    content = said(api).content

    async def handle(stream: anyio.abc.ByteStream) -> None:
        await stream.send(_head(len(content)) + content)

    async with _server(handle) as address:
        model = _model(api, address)

        def again() -> ModelResponse:
            return anyio.run(model.generate, ASKED, backend=anyio_backend_name)

        for _ in range(2):
            assert (await anyio.to_thread.run_sync(again)).text == "Hello"
        assert (await model.generate(ASKED)).text == "Hello"
    gc.collect()  # what was left open would be reported here, and fail the test


@pytest.mark.parametrize("api", APIS)
@pytest.mark.anyio
async def test_many_calls_of_one_model_at_once_get_an_answer_each(api: str) -> None:
    content = said(api).content
    answers: list[str] = []

    async def handle(stream: anyio.abc.ByteStream) -> None:
        await stream.send(_head(len(content)) + content)

    async with _server(handle) as address:
        model = _model(api, address)

        async def call() -> None:
            answers.append((await model.generate(ASKED)).text)

        async with anyio.create_task_group() as group:
            for _ in range(20):
                group.start_soon(call)
    assert answers == ["Hello"] * 20
