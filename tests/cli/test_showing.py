"""Claims about the commands that look at runs while they go on: watch, ui."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loomgraph.cli import showing

Loom = Callable[..., Any]
STORE = "sqlite:runs.db"


def test_watch_shows_a_run_that_has_ended_and_exits_as_it_did(loom: Loom) -> None:
    loom("run", "triage", "-s", STORE, "--run-id", "t-1", "-i", '{"text": "x", "amount": 3}')
    loom("run", "triage", "-s", STORE, "--run-id", "t-2", "-i", '{"text": "fail", "amount": 3}')
    done = loom("watch", "t-1", "-s", STORE)
    assert done.exit_code == 0
    assert done.stdout == ""
    assert "refund: done" in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1] == "run t-1 succeeded, 7 events"
    failed = loom("watch", "t-2", "-s", STORE)
    assert failed.exit_code == 1
    assert "the bank [is] closed" in failed.stderr


def test_watch_prints_events_or_one_document(loom: Loom) -> None:
    loom("run", "triage", "-s", STORE, "--run-id", "t-1", "-i", '{"text": "x", "amount": 3}')
    events = [json.loads(line) for line in loom("watch", "t-1", "-s", STORE, "--events").stdout.splitlines()]
    shown = [json.loads(line) for line in loom("show", "t-1", "-s", STORE, "--events").stdout.splitlines()]
    assert events == shown
    document = json.loads(loom("watch", "t-1", "-s", STORE, "--json", "-q").stdout)
    assert document == json.loads(loom("show", "t-1", "-s", STORE, "--json").stdout)
    assert loom("watch", "t-1", "-s", STORE, "--json", "--events").exit_code == 2
    assert loom("watch", "t-9", "-s", STORE).exit_code == 2


def test_watch_ends_where_a_run_waits_and_says_for_what(loom: Loom) -> None:
    loom("run", "refund", "-s", STORE, "--run-id", "t-1", "-i", "3")
    done = loom("watch", "t-1", "-s", STORE)
    assert done.exit_code == 3
    assert "Refund 3 EUR?" in done.stderr


def test_watch_follows_a_run_from_another_process_while_it_waits_and_goes_on(loom: Loom, place: Path) -> None:
    assert loom("run", "refund", "-s", STORE, "--run-id", "t-1", "-i", "3").exit_code == 3
    command = [sys.executable, "-m", "loomgraph.cli", "watch", "t-1", "-s", STORE, "--wait", "--events"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stdout is not None
        kinds: list[str] = []
        while kinds[-1:] != ["RunSuspended"]:
            kinds.append(json.loads(watcher.stdout.readline())["kind"])
        loom("signal", "t-1", "paid", "3.5", "-s", STORE)
        assert (
            loom("resume", "t-1", "-g", "refund", "-s", STORE, "--answers", '{"approve": {"yes": true}}').exit_code == 0
        )
        out, err = watcher.communicate(timeout=60)
    later = [json.loads(line)["kind"] for line in out.splitlines()]
    assert (later[0], later[-1]) == ("RunResumed", "RunSucceeded")
    assert watcher.returncode == 0, err


def test_ui_refuses_what_it_cannot_serve(loom: Loom) -> None:
    loom("run", "triage", "-s", STORE, "--run-id", "t-1", "-i", '{"text": "x"}')
    for words, said in (
        (["sqlite:nothing.db"], "there is no file"),
        (["memory:"], "a store in memory"),
        ([STORE, "-g", "nothing"], "nothing"),
        ([STORE, "--host", "0.0.0.0"], "can be reached from other machines"),
        ([STORE, "--token", "short"], "can be guessed"),
    ):
        done = loom("ui", *words)
        assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_without_the_extra_the_command_says_what_to_install(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showing, "find_spec", lambda name: None)
    done = loom("ui", STORE)
    assert (done.exit_code, "loomgraph-engine[ui]" in done.stderr) == (2, True)


def test_ui_prints_an_address_that_opens_it_and_ends_when_it_is_told_to(loom: Loom, place: Path) -> None:
    loom("run", "triage", "-s", STORE, "--run-id", "t-1", "-i", '{"text": "x"}')
    command = [sys.executable, "-m", "loomgraph.cli", "ui", STORE, "-g", "triage", "--port", "0"]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        own, _, token = address.partition("?token=")
        asked = urllib.request.Request(f"{own}api/run?run=t-1", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked) as found:
            assert json.loads(found.read())["run"]["status"] == "succeeded"
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{own}api/run?run=t-1")
        # somebody who follows the run does not keep the server alive
        live = urllib.request.Request(f"{own}api/live?run=t-1", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(live) as changes:
            assert json.loads(changes.readline().removeprefix(b"data: "))["reset"]
            server.terminate()
            out, err = server.communicate(timeout=30)
    assert token not in out + err
