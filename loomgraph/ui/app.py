"""What the page's server answers: the page itself, and one small JSON document for each part of it.

Reads come from views of the store, acts go through `Actions`. Who may ask was decided before, in `guard`.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.resources import files
from typing import Any, Final, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from loomgraph import errors
from loomgraph.runtime.graph import Graph
from loomgraph.runtime.logbook import read_stored
from loomgraph.runtime.notes import BOOK
from loomgraph.runtime.recorded import OnChange
from loomgraph.store.protocol import RunFilter, RunPage, RunStatus, Store
from loomgraph.ui import documents
from loomgraph.ui.acting import ActionRefusedError, Actions
from loomgraph.ui.layout import LayoutMissingError, inside, layout
from loomgraph.ui.long import Long
from loomgraph.ui.view import StoreGoneError, View, Views

__all__ = ["Pages"]

_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PAGE: Final = 200
_VALUE: Final = 200_000
"""How many characters of a value the page shows; the rest is a download."""
_TICK: Final = 0.25
"""Seconds between two looks at a run that somebody follows."""

_NOT_FOUND: Final = (errors.UnknownRunError, errors.UnknownEventError, errors.UnknownQuestionError)
_CONFLICT: Final = (
    ActionRefusedError,
    errors.RunExistsError,
    errors.RunBusyError,
    errors.RunEndedError,
    errors.QuestionClosedError,
    errors.GraphChangedError,
    errors.InDoubtError,
)
_REFUSED: Final = (
    errors.QuestionError,
    errors.EditRefusedError,
    errors.ValueRefusedError,
    errors.DefinitionError,
    ValueError,
)


class _Said(BaseModel):
    """What the page sends; a field that is not one is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: str


_SaidT = TypeVar("_SaidT", bound=_Said)


class _Answer(_Said):
    id: str
    answer: Any = None
    by: str | None = Field(default=None, max_length=200)


class _Signal(_Said):
    name: str
    value: Any = None


class _Cancel(_Said):
    reason: str | None = Field(default=None, max_length=500)


class _Resume(_Said):
    on_change: OnChange = "strict"
    in_doubt: Any = Field(default="fail", pattern="^(fail|rerun|ask)$")


class _Fork(_Said):
    at: int | str | None = None
    id: str | None = Field(default=None, max_length=200)
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    resume: bool = False


class Pages:
    """The application. `closing` ends what would go on for ever."""

    def __init__(self, store: Store, graphs: Mapping[str, Graph[Any, Any]]) -> None:
        self._store = store
        self._graphs = graphs
        self._views = Views(store)
        self._actions: Actions | None = None
        self._layouts: dict[str, Any] = {}
        self._drawing = anyio.Lock()
        self._long = Long(store)
        self.closing = False
        assets = files("loomgraph.ui") / "assets"
        self._assets = {found.name: found.read_bytes() for found in assets.iterdir() if "." in found.name}
        reads = {
            "about": self._about,
            "runs": self._runs,
            "run": self._run,
            "live": self._live,
            "picture": self._picture,
            "activations": self._activations,
            "activation": self._activation,
            "value": self._value,
            "events": self._events,
            "event": self._event,
            "timeline": self._timeline,
            "compare": self._compare,
            "export": self._export,
        }
        acts = {
            "answer": self._answer,
            "signal": self._signal,
            "resume": self._resume,
            "cancel": self._cancel,
            "fork": self._fork,
        }
        routes = [
            Route("/", partial(self._asset, "index.html")),
            Route("/assets/{name}", self._asset),
            *(Route(f"/api/{name}", self._told(answer), methods=["GET"]) for name, answer in reads.items()),
            *(Route(f"/api/{name}", self._told(answer), methods=["POST"]) for name, answer in acts.items()),
        ]
        self.app = Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncGenerator[None]:
        async with anyio.create_task_group() as group:
            self._actions = Actions(self._store, self._graphs, group)
            yield
            self.closing = True
            self._actions.cancel_all()

    def _told(self, answer: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
        """A route that turns what comes of a question into a response, refusals too."""

        async def route(request: Request) -> Response:
            try:
                self._views.check()
                found = await answer(request)
            except Exception as error:  # a store may raise anything; the page says what it was
                return _refused(error)
            return found if isinstance(found, Response) else JSONResponse(found)

        return route

    @property
    def _acting(self) -> Actions:
        assert self._actions is not None, "the server has started"
        return self._actions

    # ------------------------------------------------------------------ the page

    async def _asset(self, name: str | Request, request: Request | None = None) -> Response:
        wanted = name if isinstance(name, str) else str(name.path_params["name"])
        found = self._assets.get(wanted)
        if found is None:
            return _problem(404, "NotFound", "There is nothing of that name.")
        kind = _TYPES.get(wanted.rpartition(".")[2], "application/octet-stream")
        return Response(found, media_type=kind)

    async def _about(self, request: Request) -> Any:
        return {"store": self._store.name, "graphs": sorted(self._graphs)}

    # ------------------------------------------------------------------ reading

    async def _runs(self, request: Request) -> Any:
        get = request.query_params.get
        statuses: Any = request.query_params.getlist("status")
        where = RunFilter(
            status=tuple(_status(status) for status in statuses),
            graph=get("graph") or None,
            user_id=get("user") or None,
            session_id=get("session") or None,
            parent=get("parent") or None,
            created_from=_number(get("since")),
            created_before=_number(get("until")),
        )
        limit = max(1, min(int(get("limit") or 50), _PAGE))
        found = await self._page(where, limit, get("cursor") or None)
        return {"runs": [documents.header(run) for run in found.runs], "cursor": found.cursor}

    async def _page(self, where: RunFilter, limit: int, cursor: str | None) -> RunPage:
        found = await self._store.runs(where, limit=limit, cursor=cursor)
        return found._replace(runs=[run for run in found.runs if run.graph != BOOK])

    async def _view(self, request: Request) -> View:
        return await self._views.get(_asked(request, "run"))

    async def _run(self, request: Request) -> Any:
        return await self._document(await self._view(request))

    async def _document(self, view: View, since: int = -1) -> dict[str, Any]:
        told = await documents.progress(view, since)
        known = view.header.graph if view.header is not None else ""
        return told | {
            "here": self._acting.here(view.run_id),
            "code": known in self._graphs,
            "problem": self._acting.problems.get(view.run_id),
        }

    async def _live(self, request: Request) -> Any:
        view = await self._view(request)
        return StreamingResponse(self._changes(view, request), media_type="text/event-stream")

    async def _changes(self, view: View, request: Request) -> AsyncIterator[bytes]:
        """The run as it is, and then what changes, until the one who asked has left."""
        since, begun, last = -1, 0, b""
        while not self.closing:
            try:
                view = await self._views.get(view.run_id)
            except Exception as error:  # a store may raise anything; an answer has begun, so it is said in it
                yield b"event: gone\ndata: " + json.dumps(f"{type(error).__name__}: {error}").encode() + b"\n\n"
                return
            reset = len(view.tally.passes) != begun
            begun = len(view.tally.passes)
            told = await self._document(view, -1 if reset else since)
            since = view.tally.version
            text = json.dumps(told | {"reset": reset}).encode()
            if text != last:
                last = text
                yield b"data: " + text + b"\n\n"
            for _ in range(1 if told["run"]["status"] == "running" else 4):
                if self.closing or await request.is_disconnected():
                    return
                await anyio.sleep(_TICK)

    async def _picture(self, request: Request) -> Any:
        view = await self._view(request)
        assert view.header is not None
        scope = request.query_params.get("scope") or ""
        name, shape = await view.shape(scope)
        graph = None if scope else self._graphs.get(view.header.graph)
        if graph is not None and graph.fingerprint != view.header.fingerprint:
            graph = None
        async with self._drawing:
            if name not in self._layouts:
                if len(self._layouts) >= 32:
                    self._layouts.pop(next(iter(self._layouts)))
                try:
                    self._layouts[name] = await anyio.to_thread.run_sync(layout, shape, graph)
                except LayoutMissingError as error:
                    return {"missing": str(error)}
            return inside(self._layouts[name], scope) if scope else self._layouts[name]

    async def _activations(self, request: Request) -> Any:
        view = await self._view(request)
        get = request.query_params.get
        path, status = get("node") or "", get("status") or ""
        of_node = view.tally.nodes.get(path)
        found = list(view.tally.activations.values()) if not path else [] if of_node is None else of_node.activations
        if status:
            found = [one for one in found if one.status == status]
        start, limit = _slice(get("start"), get("limit"))
        return {"total": len(found), "rows": [documents.activation_row(one) for one in found[start : start + limit]]}

    async def _activation(self, request: Request) -> Any:
        view = await self._view(request)
        key = _asked(request, "key")
        found = view.tally.activations.get(key)
        if found is None:
            raise errors.UnknownEventError(view.run_id, key, len(view.events), list(view.tally.activations))
        told = documents.activation_row(found)
        failures = [{"error": one.error, "message": one.message, "attempt": one.attempt} for one in found.failures]
        return told | {"tries": documents.tries(view, found), "failures": failures, "events": len(found.seqs)}

    async def _value(self, request: Request) -> Any:
        view = await self._view(request)
        get = request.query_params.get
        key, what = get("key") or "", get("what") or "output"
        if what not in ("input", "output"):
            raise ValueError("a value is an input or an output.")
        value = await view.value(key, what)
        if get("download"):
            text = json.dumps(value, indent=2, ensure_ascii=False).encode()
            return _download(text, f"{view.run_id}-{key or 'run'}-{what}.json", "application/json")
        return await anyio.to_thread.run_sync(documents.whole, value, _VALUE)

    async def _events(self, request: Request) -> Any:
        view = await self._view(request)
        get = request.query_params.get
        found = await view.matching(get("kind") or "", get("node") or "", get("key") or "")
        start, limit = _slice(get("start"), get("limit"))
        rows = [documents.event_row(view.events[seq]) for seq in found[start : start + limit]]
        return {"total": len(found), "rows": rows}

    async def _event(self, request: Request) -> Any:
        view = await self._view(request)
        seq = int(_asked(request, "seq"))
        if not 0 <= seq < len(view.events):
            raise errors.UnknownEventError(view.run_id, seq, len(view.events))
        return documents.whole(await view.event(seq), _VALUE)

    async def _timeline(self, request: Request) -> Any:
        view = await self._view(request)
        get = request.query_params.get
        begin, last = view.events[view.tally.passes[-1]].time, view.events[-1].time
        goes_on = view.header is not None and view.header.status == "running"
        now = max(time.time(), last) if goes_on else last
        start = begin if get("from") is None else _number(get("from")) or 0.0
        end = max(now, begin + 1e-3) if get("to") is None else _number(get("to")) or 0.0
        nodes = [found for found in view.tally.nodes.values() if any(a.started for a in found.activations)]
        first, limit = _slice(get("start"), get("limit"))
        width = max(50, min(int(get("width") or 800), 5_000))
        some = nodes[first : first + limit]
        lanes = await anyio.to_thread.run_sync(documents.bars, some, start, end, now, width)
        return {"begin": begin, "end": now, "from": start, "to": end, "total": len(nodes), "lanes": lanes}

    async def _compare(self, request: Request) -> Any:
        get = request.query_params.get
        start, limit = _slice(get("start"), get("limit"))
        return await self._long.compared(
            _asked(request, "left"), _asked(request, "right"), bool(get("all")), start, limit
        )

    async def _export(self, request: Request) -> Any:
        run_id = _asked(request, "run")
        await self._store.load(run_id)  # refused before anything is sent
        if request.query_params.get("form") == "events":
            lines = self._long.lines(await read_stored(self._store, run_id))
            return _download(lines, f"{run_id}.jsonl", "application/x-ndjson")
        return _download(self._store.export(run_id), f"{run_id}.run", "application/octet-stream")

    # ------------------------------------------------------------------ acting

    async def _answer(self, request: Request) -> Any:
        said = await _read(request, _Answer)
        await self._acting.answer(said.run, said.id, said.answer, said.by or None)
        return {"done": "The answer was sent."}

    async def _signal(self, request: Request) -> Any:
        said = await _read(request, _Signal)
        await self._acting.signal(said.run, said.name, said.value)
        return {"done": "The signal was sent."}

    async def _resume(self, request: Request) -> Any:
        said = await _read(request, _Resume)
        await self._acting.resume(said.run, said.on_change, said.in_doubt)
        return {"done": "The run goes on here."}

    async def _cancel(self, request: Request) -> Any:
        said = await _read(request, _Cancel)
        return {"done": await self._acting.cancel(said.run, said.reason)}

    async def _fork(self, request: Request) -> Any:
        said = await _read(request, _Fork)
        made = await self._acting.fork(said.run, said.at, said.id or None, said.inputs, said.outputs)
        told: dict[str, Any] = {"run": made, "done": f"Run {made} was made."}
        if said.resume:
            try:
                await self._acting.resume(made)
            except Exception as error:  # the fork is there all the same, and the page says both
                told["problem"] = str(error)
        return told


# ---------------------------------------------------------------------- parts


def _refused(error: Exception) -> Response:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return _problem(422, "BadRequest", f"{place}: {first['msg']}" if place else first["msg"])
    name = type(error).__name__
    if isinstance(error, errors.InvalidAnswerError | errors.InvalidSignalError):
        # what was said stands in the form beside it
        return JSONResponse({"error": name, "message": str(error), "problem": error.problem}, 422)
    if isinstance(error, _CONFLICT):
        return _problem(409, name, str(error))
    if isinstance(error, _NOT_FOUND):
        return _problem(404, name, str(error))
    if isinstance(error, StoreGoneError):
        return _problem(503, name, str(error))
    if isinstance(error, _REFUSED):
        return _problem(422, name, str(error))
    return _problem(500, name, str(error))


def _problem(status: int, error: str, message: str) -> Response:
    return JSONResponse({"error": error, "message": message}, status)


async def _read(request: Request, model: type[_SaidT]) -> _SaidT:
    return model.model_validate_json(await request.body())


def _download(data: Any, name: str, kind: str) -> Response:
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"}
    if isinstance(data, bytes):
        return Response(data, media_type=kind, headers=headers)
    return StreamingResponse(data, media_type=kind, headers=headers)


def _asked(request: Request, name: str) -> str:
    found = request.query_params.get(name)
    if not found:
        raise ValueError(f"say which: ?{name}=...")
    return found


def _slice(start: str | None, limit: str | None) -> tuple[int, int]:
    return max(0, int(start or 0)), max(1, min(int(limit or 100), _PAGE))


def _number(text: str | None) -> float | None:
    if not text:
        return None
    found = float(text)
    if not math.isfinite(found):
        raise ValueError(f"'{text}' is no time; give seconds since the epoch.")
    return found


def _status(text: str) -> RunStatus:
    match text:
        case "running" | "suspended" | "succeeded" | "failed" | "cancelled":
            return text
        case _:
            raise ValueError(f"'{text}' is no status of a run.")
