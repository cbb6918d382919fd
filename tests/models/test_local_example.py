"""Claims about the example that asks a model on one's own machine, with a server that speaks the same protocol."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.models.servers import FaultServer

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "15_local_model.py")


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    runpy.run_path(EXAMPLE, run_name="__main__")
    return capsys.readouterr().out


def test_it_asks_a_model_of_the_server_that_calls_the_tool_and_answers(
    faults: FaultServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.reset()
    monkeypatch.setenv("LOOMGRAPH_LOCAL_URL", faults.base_url("openai"))
    monkeypatch.setenv("LOOMGRAPH_LOCAL_MODEL", "no-such-model")
    assert "has no model 'no-such-model'; it has gpt-4o, " in printed(capsys)
    monkeypatch.setenv("LOOMGRAPH_LOCAL_MODEL", "gpt-4o")
    call = {"name": "convert", "arguments": {"amount": 250, "source": "SEK", "target": "USD"}}
    said = 'It comes to {"amount": 25.0, "currency": "USD"}.'
    faults.script(
        "gpt-4o", {"type": "reply", "tool_calls": [call], "times": 1}, {"type": "reply", "text": said, "times": 1}
    )
    assert printed(capsys) == "gpt-4o: amount=25.0 currency='USD'\n2 model calls, tools: convert\n"
    faults.reset()
