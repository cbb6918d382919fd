"""Records a model's answers in a file once, and replays them. Refuses a request that is not in the file: no guessing.

Secrets are taken out before anything is written. Only whole answers are recorded; a failure is raised and not kept.
"""

from __future__ import annotations

import difflib
import json
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import anyio.to_thread
from pydantic import ValidationError

from loomgraph.errors import CassetteError, CassetteMismatchError
from loomgraph.errors.redaction import Redact, redact, redacted
from loomgraph.models.assemble import events_of
from loomgraph.models.naming import resolve_model
from loomgraph.models.protocol import Model
from loomgraph.models.requests import ModelRequest
from loomgraph.models.responses import ModelResponse, ResponseDone, StreamEvent
from loomgraph.models.retrying import answer_of

__all__ = ["CassetteModel", "Mode"]

Mode: TypeAlias = Literal["once", "replay"]

_VERSION = 1
_DIFF_LINES = 60


class CassetteModel:
    """Replays the answers in `path`; `mode="once"` asks `model` and records while the file is not there yet.

    An answer belongs to a whole request (conversation, tools, settings), secrets apart; equal requests get their
    answers in the order of the recording. `redact` takes secrets out of texts; by default see
    `loomgraph.errors.redaction`. Raises CassetteMismatchError with a diff for a request that was not recorded, and
    CassetteError for one that was recorded less often, for a file that is missing or damaged.
    """

    provider = "cassette"

    def __init__(
        self, path: str | Path, model: Model | str | None = None, *, mode: Mode = "once", redact: Redact = redact
    ) -> None:
        self.path = Path(path)
        self._model = None if model is None else resolve_model(model)
        self._redact = redact
        self._lock = threading.Lock()
        self._played: dict[str, int] = {}
        self._recordings: list[tuple[dict[str, Any], ModelResponse]] = []
        self.recording = mode == "once" and self._model is not None and not self.path.exists()
        self._name = "cassette" if self._model is None else self._model.name
        if not self.recording:
            self._load()

    @property
    def name(self) -> str:
        """The name of the model that was recorded."""
        return self._name

    def __repr__(self) -> str:
        return f"CassetteModel({str(self.path)!r})"

    async def generate(self, request: ModelRequest) -> ModelResponse:
        """The recorded answer."""
        return await answer_of(self.name, self.stream(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[StreamEvent]:
        """The recorded answer, a part an event; while recording, the model's own events."""
        asked = self._seen(request)
        if not self.recording:
            for event in events_of(self._replayed(asked)):
                yield event
            return
        assert self._model is not None
        async with aclosing(self._model.stream(request)) as events:
            async for event in events:
                if isinstance(event, ResponseDone):
                    # kept before it is handed on: whoever has an answer finds it in the file
                    await anyio.to_thread.run_sync(partial(self._keep, asked, event.response))
                yield event

    def _seen(self, request: ModelRequest) -> dict[str, Any]:
        """The request as the file knows it."""
        return cast(dict[str, Any], redacted(request.model_dump(mode="json"), self._redact))

    def _replayed(self, asked: dict[str, Any]) -> ModelResponse:
        fitting = [response for request, response in self._recordings if request == asked]
        if not fitting:
            raise CassetteMismatchError(self.name, str(self.path), self._diff(asked))
        key = json.dumps(asked, sort_keys=True)
        with self._lock:
            played = self._played.get(key, 0)
            if played >= len(fitting):
                times = f"recorded {len(fitting)} times and is asked once more"
                raise CassetteError(self.name, f"{self.path}: this request was {times}; record it anew")
            self._played[key] = played + 1
        return fitting[played]

    def _diff(self, asked: dict[str, Any]) -> str:
        """What is different from the recording that shares the longest beginning of the conversation."""
        if not self._recordings:
            return "(the cassette is empty)"
        closest = max((request for request, _ in self._recordings), key=lambda request: _shared(request, asked))
        lines = difflib.unified_diff(_lines(closest), _lines(asked), "recorded", "asked", lineterm="", n=2)
        shown = list(lines)
        more = [f"... and {len(shown) - _DIFF_LINES} more lines"] if len(shown) > _DIFF_LINES else []
        return "\n".join(shown[:_DIFF_LINES] + more)

    def _load(self) -> None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as error:
            raise CassetteError(self.name, f"{self.path}: {error.strerror or error}; give model= to record") from error
        try:
            data = json.loads(text)
            if data["version"] != _VERSION:
                raise CassetteError(self.name, f"{self.path} has format {data['version']}, this is {_VERSION}")
            self._name = str(data["model"])
            # through the models, so that a field added since then has its default
            self._recordings = [
                (ModelRequest.model_validate(item["request"]).model_dump(mode="json"),
                 ModelResponse.model_validate(item["response"]))
                for item in data["recordings"]
            ]  # fmt: skip
        except (ValueError, KeyError, TypeError, ValidationError) as error:
            raise CassetteError(self.name, f"{self.path} is damaged: {type(error).__name__}: {error}") from error

    def _keep(self, asked: dict[str, Any], response: ModelResponse) -> None:
        """Add a recording, and write the file anew, whole or not at all."""
        kept = ModelResponse.model_validate(redacted(response.model_dump(mode="json"), self._redact))
        with self._lock:
            self._recordings.append((asked, kept))
            recordings = [
                {"request": request, "response": answer.model_dump(mode="json")} for request, answer in self._recordings
            ]
            data = {"version": _VERSION, "model": self.name, "recordings": recordings}
            self.path.parent.mkdir(parents=True, exist_ok=True)
            beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
            beside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            beside.replace(self.path)


def _shared(recorded: dict[str, Any], asked: dict[str, Any]) -> tuple[int, int]:
    """How much two requests have in common: messages from the beginning, then other fields."""
    pairs = zip(recorded["messages"], asked["messages"], strict=False)
    messages = next(
        (at for at, (a, b) in enumerate(pairs) if a != b), min(len(recorded["messages"]), len(asked["messages"]))
    )
    return messages, sum(recorded[field] == asked[field] for field in asked)


def _lines(request: dict[str, Any]) -> list[str]:
    return json.dumps(request, indent=1, ensure_ascii=False).splitlines()
