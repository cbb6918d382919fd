"""Every fault that a provider's wire can have, against a real server: it is waited out, or ends in its typed error.

All faults run at the same time, each aimed at a model of its own; the tests then read off what came of each.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from loomgraph.errors import (
    ContextOverflowError,
    ModelAuthenticationError,
    ModelError,
    ModelNotFoundError,
    ModelOverloadedError,
    ModelPermissionError,
    ModelQuotaError,
    ModelRateLimitError,
    ModelRequestError,
    ModelServerError,
    StreamTruncatedError,
    ToolArgumentsError,
)
from loomgraph.graph.policy import Retry
from loomgraph.models import (
    AnthropicModel,
    AttemptRestarted,
    Model,
    ModelRequest,
    OpenAIChatModel,
    OpenAIModel,
    ResponseDone,
    Timing,
    ToolSpec,
    request_of,
    user,
)
from tests.models.servers import FaultServer

APIS = {"chat": OpenAIChatModel, "responses": OpenAIModel, "anthropic": AnthropicModel}
WAYS = ("generate", "stream", "whole")
SILENCE = 1.2
RETRY = Retry(attempts=3, delay=0.15, backoff=4)
# no jitter, so that on a busy machine the second wait is longer than the first one too
STEADY = Timing(chance=lambda: 0.0)
TOOL = ToolSpec(
    name="look_up",
    parameters={"type": "object", "properties": {"key": {"type": "string"}}, "required": ["key"]},
)


@dataclass(frozen=True)
class Row:
    """A fault, how often the server is asked, and the error that comes of it (None: an answer)."""

    behaviors: list[dict[str, Any]]
    attempts: int
    error: type[ModelError] | None = None
    streams_only: bool = False
    tools: bool = False
    timeout: float = 60.0
    found: frozenset[str] = frozenset()


def _fail(status: int, **more: Any) -> dict[str, Any]:
    return {"type": "fail", "status": status, **more}


def _cut(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": "stream_fault", "kind": kind, "match": {"stream": True}, **more}


ROWS = {
    "nothing": Row([], 1),
    "429-with-retry-after": Row([_fail(429, retry_after=0.2, times=2)], 3),
    "429-for-ever": Row([_fail(429, retry_after=0.05, times=None)], 3, ModelRateLimitError),
    "429-asking-too-much": Row([_fail(429, retry_after=200)], 1, ModelRateLimitError, found=frozenset({"gave_up"})),
    "500-twice": Row([_fail(500, times=2)], 3),
    "500-for-ever": Row([_fail(500, times=None)], 3, ModelServerError),
    "529": Row([_fail(529, retry_after=0.05)], 2),
    "outage": Row([_fail(503, retry_after=0.05, times=None)], 3, ModelOverloadedError),
    "delay": Row([{"type": "delay", "seconds": SILENCE + 0.3}], 2, timeout=SILENCE),
    "slow-first-token": Row([{"type": "slow_first_token", "seconds": 0.1}], 1, streams_only=True),
    "disconnect": Row([_cut("disconnect")], 2, streams_only=True),
    "truncate": Row([_cut("truncate")], 2, streams_only=True),
    "truncate-for-ever": Row(
        [_cut("truncate", times=None)],
        3,
        StreamTruncatedError,
        streams_only=True,
        found=frozenset({"truncated_stream_accepted", "no_backoff"}),
    ),
    # a corrupt stream counts as a complete one there, so that its retry is taken for another call
    "corrupt": Row([_cut("malformed")], 2, streams_only=True, found=frozenset({"malformed_chunk_ignored"})),
    "stall": Row([_cut("stall", stall_seconds=30)], 2, streams_only=True, timeout=SILENCE),
    "cut-arguments": Row([{"type": "tool_fault", "kind": "malformed_arguments"}], 2, tools=True),
    "cut-arguments-for-ever": Row(
        [{"type": "tool_fault", "kind": "malformed_arguments", "times": None}], 3, ToolArgumentsError, tools=True
    ),
    "400": Row([_fail(400)], 1, ModelRequestError),
    "401": Row([_fail(401)], 1, ModelAuthenticationError),
    "402": Row([_fail(402)], 1, ModelQuotaError),
    "403": Row([_fail(403)], 1, ModelPermissionError),
    "404": Row([_fail(404)], 1, ModelNotFoundError),
    "413": Row([_fail(413)], 1, ModelRequestError),
    "422": Row([_fail(422)], 1, ModelRequestError),
    "context-overflow": Row([_fail(400, message="prompt is too long: 9 tokens > 8 maximum")], 1, ContextOverflowError),
}
# waits that are measured, here or by the server, are not to be lengthened by everything else
MEASURED = {"500-twice", "500-for-ever", "delay", "stall"}
CASES = [
    (api, way, row)
    for api in APIS
    for way in WAYS
    for row, told in ROWS.items()
    if not (told.streams_only and way == "whole")
]


@dataclass
class Outcome:
    """What came of one call."""

    text: str = ""
    error: ModelError | None = None
    restarts: int = 0
    requests: int = 0
    findings: set[str] = field(default_factory=set[str])


def _make(server: FaultServer, api: str, way: str, name: str) -> Model:
    return APIS[api](
        f"{api}/{way}/{name}",
        api_key="k",
        base_url=server.base_url(api),
        streaming=way != "whole",
        timeout=ROWS[name].timeout,
        connect_timeout=60.0,
        retry=RETRY,
        timing=STEADY,
    )


async def _call(model: Model, request: ModelRequest, way: str, outcome: Outcome, gate: anyio.CapacityLimiter) -> None:
    async with gate:
        await _called(model, request, way, outcome)


async def _called(model: Model, request: ModelRequest, way: str, outcome: Outcome) -> None:
    try:
        if way != "stream":
            response = await model.generate(request)
            outcome.text = response.text + "".join(str(call.arguments) for call in response.tool_calls)
            return
        async with aclosing(model.stream(request)) as events:
            async for event in events:
                outcome.restarts += isinstance(event, AttemptRestarted)
                if isinstance(event, ResponseDone):
                    said = event.response
                    outcome.text = said.text + "".join(str(call.arguments) for call in said.tool_calls)
    except ModelError as error:
        outcome.error = error


async def _all(server: FaultServer) -> dict[str, Outcome]:
    for api in APIS:  # an SDK takes seconds to import, which are not to be taken for its waits
        await _make(server, api, "generate", "nothing").generate(request_of("first"))
    server.reset()
    outcomes: dict[str, Outcome] = {}
    for measured in (True, False):
        # few at a time where they compete for the machine, all at once where they only wait
        gate = anyio.CapacityLimiter(100 if measured else 20)
        async with anyio.create_task_group() as group:
            for api, way, name in (case for case in CASES if (case[2] in MEASURED) is measured):
                row, key = ROWS[name], f"{api}/{way}/{name}"
                server.script(key, *row.behaviors)
                outcomes[key] = outcome = Outcome()
                request = ModelRequest(messages=(user(f"{name}: who are you?"),), tools=(TOOL,) if row.tools else ())
                group.start_soon(_call, _make(server, api, way, name), request, way, outcome, gate)
    models = {request["seq"]: request["model"] for request in server.requests()}
    for model in models.values():
        outcomes[model].requests += 1
    for finding in server.findings():
        for model in {models[number] for number in finding["requests"]}:
            outcomes[model].findings.add(finding["code"])
    return outcomes


_DONE: dict[str, dict[str, Outcome]] = {}


@pytest.fixture
def outcomes(faults: FaultServer, anyio_backend: str) -> dict[str, Outcome]:
    """What came of every fault, found out once for each backend."""
    if anyio_backend not in _DONE:
        _DONE[anyio_backend] = anyio.run(_all, faults, backend=anyio_backend)
    return _DONE[anyio_backend]


@pytest.mark.parametrize(("api", "way", "name"), CASES)
def test_a_fault_is_waited_out_or_ends_in_its_typed_error(
    outcomes: dict[str, Outcome], api: str, way: str, name: str
) -> None:
    key = f"{api}/{way}/{name}"
    outcome, row = outcomes[key], ROWS[name]
    assert outcome.requests == row.attempts
    if row.error is None:
        assert outcome.error is None
        assert outcome.text
    else:
        assert type(outcome.error) is row.error
        assert outcome.error is not None
        assert outcome.error.attempts == row.attempts
        assert outcome.error.model.endswith(key)
    if way == "stream":
        assert outcome.restarts == row.attempts - 1
    assert outcome.findings <= row.found
