"""Servers that speak the providers' wire protocols, as processes of their own on free ports. Nobody here wrote them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.npm import Unavailable, node_for

AIMOCK = Path(__file__).parent / "aimock"


@dataclass(frozen=True)
class FaultServer:
    """llmock: answers anything, fails when told to, and judges how its client took it."""

    url: str

    def base_url(self, provider: str) -> str:
        """Where the API of this provider is."""
        return f"{self.url}/anthropic" if provider == "anthropic" else f"{self.url}/v1"

    def reset(self) -> None:
        """Forget requests and faults."""
        _post(f"{self.url}/_llmock/reset", {})

    def script(self, model: str, *behaviors: dict[str, Any]) -> None:
        """What happens to the calls of one model, in order."""
        aimed = [{**behavior, "match": {**behavior.get("match", {}), "model": model}} for behavior in behaviors]
        if aimed:
            _post(f"{self.url}/_llmock/scenario", {"behaviors": aimed})

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, in the order of arrival."""
        return _get(f"{self.url}/_llmock/requests")["requests"]

    def findings(self) -> list[dict[str, Any]]:
        """What the server has to say against its client: `code`, `severity`, and `requests` by number."""
        return _get(f"{self.url}/_llmock/verdict")["findings"]


@dataclass(frozen=True)
class FixtureServer:
    """aimock in strict mode: answers what its fixtures say, and refuses what they do not expect."""

    url: str

    def base_url(self, provider: str) -> str:
        """Where the API of this provider is."""
        return self.url if provider == "anthropic" else f"{self.url}/v1"

    def journal(self) -> list[dict[str, Any]]:
        """Every request so far."""
        return _get(f"{self.url}/__aimock/journal")


@contextmanager
def fault_server() -> Iterator[FaultServer]:
    """llmock on a free port. Raises Unavailable."""
    try:
        import llmock
    except ImportError as error:
        raise Unavailable("llmock is not installed") from error
    assert llmock.__file__
    command = [sys.executable, "-c", "from llmock.cli import app; app()", "serve", "--port", "0"]
    with _announced(command, r"Uvicorn running on (http://\S+)") as url:
        yield FaultServer(url)


@contextmanager
def fixture_server() -> Iterator[FixtureServer]:
    """aimock on a free port, with the fixtures beside it. Raises Unavailable."""
    program = str(AIMOCK / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js")
    command = [*node_for(AIMOCK), program, "-p", "0", "-f", str(AIMOCK / "fixtures"), "--strict"]
    with _announced(command, r"listening on (http://\S+)") as url:
        yield FixtureServer(url)


@contextmanager
def _announced(command: list[str], pattern: str) -> Iterator[str]:
    """A process, once it has said its address; what it says after that is read and dropped, so that it never blocks."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    assert process.stdout is not None
    drain = threading.Thread(target=process.stdout.read, daemon=True)
    try:
        heard: list[str] = []
        for line in process.stdout:
            heard.append(line)
            if found := re.search(pattern, line):
                break
        else:
            raise Unavailable(f"{command[-1]} did not start: {''.join(heard)[-500:]}")
        drain.start()
        yield found[1]
    finally:
        process.terminate()
        process.wait(timeout=30)
        if drain.ident is not None:
            drain.join(timeout=30)
        process.stdout.close()


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _post(url: str, body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
