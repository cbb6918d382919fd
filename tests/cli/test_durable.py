"""Claims about runs with a store: each says how it can go on, and goes on, whatever ended its process."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph.cli.stores import resume_command
from loomgraph.store.opening import open_store

Loom = Callable[..., Any]
STORE = "sqlite:runs.db"


def calls(place: Path) -> int:
    return len((place / "calls.txt").read_text().splitlines())


def test_a_run_with_a_store_can_be_looked_at_afterwards(loom: Loom) -> None:
    done = loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "--user", "ada", "--session", "s")
    assert (done.exit_code, json.loads(done.stdout)) == (0, 41)
    assert done.stderr.splitlines()[:2] == [
        "run t-1",
        "if this process is killed: loomgraph resume t-1 --graph order --store sqlite:runs.db --wait",
    ]
    (run,) = json.loads(loom("runs", STORE, "--json").stdout)["runs"]
    assert (run["run_id"], run["status"], run["user_id"], run["session_id"]) == ("t-1", "succeeded", "ada", "s")


def test_without_a_run_id_one_is_made_and_said(loom: Loom) -> None:
    done = loom("run", "order", "-i", "20", "--store", STORE)
    (run,) = json.loads(loom("runs", STORE, "--json").stdout)["runs"]
    assert done.stderr.splitlines()[0] == f"run {run['run_id']}"


def test_an_id_that_is_taken_is_refused_and_the_run_stays(loom: Loom) -> None:
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1")
    done = loom("run", "order", "-i", "21", "--store", STORE, "--run-id", "t-1", "-q")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: run 't-1' is in sqlite:runs.db already. Resume it")
    assert "resume t-1" not in done.stderr


def test_a_failed_run_says_how_to_go_on_and_that_does_it_without_repeating(loom: Loom, place: Path) -> None:
    (place / "closed").touch()
    done = loom("run", "order.py:wf", "-i", "20", "--store", STORE, "--run-id", "t 1", "-q")
    assert (done.exit_code, done.stdout) == (1, "")
    advice = done.stderr.splitlines()[-1]
    assert advice == "the run can go on: loomgraph resume 't 1' --graph order.py:wf --store sqlite:runs.db"
    again = loom(*shlex.split(advice.partition("loomgraph ")[2]), "-q")
    assert (again.exit_code, again.stderr.splitlines()[-1]) == (1, advice)
    (place / "closed").unlink()
    last = loom(*shlex.split(advice.partition("loomgraph ")[2]))
    assert (last.exit_code, json.loads(last.stdout), calls(place)) == (0, 41, 1)
    assert loom("resume", "t 1", "-g", "order", "-s", STORE, "--json").exit_code == 0  # it is over, and read


def test_a_run_that_never_began_gives_no_advice(loom: Loom) -> None:
    done = loom("run", "order", "-i", '"twenty"', "--store", STORE)
    assert (done.exit_code, "the run can go on" in done.stderr) == (2, False)
    assert loom("runs", STORE).stderr.startswith("error: there is no file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--graph", "order", "--store", STORE], "there is no run 'nowhere' in sqlite:runs.db."),
        (["t-1", "--graph", "order"], "which store?"),
        (["t-1", "--graph", "triage", "--store", STORE], "the run is of graph 'order', this one is 'triage'"),
        (["t-1", "--graph", "order", "--store", STORE, "--answers", "[1]"], "--answers is not an object."),
        (["t-1", "--graph", "order", "--store", STORE, "--answers", "{"], "--answers is not JSON"),
        (["t-1", "--graph", "order", "--store", STORE, "--answers", '{"q": 1}'], "'q'"),
        (["t-1", "--graph", "order", "--store", STORE, "--on-change", "maybe"], "'maybe' is not one of"),
    ],
)
def test_what_cannot_be_resumed_is_refused_and_stays(
    loom: Loom, place: Path, arguments: list[str], message: str
) -> None:
    (place / "closed").touch()
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    before = loom("show", "t-1", "-s", STORE).stdout
    done = loom("resume", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr.replace("\n", " ")
    assert loom("show", "t-1", "-s", STORE).stdout == before


def test_the_command_to_go_on_with_names_no_password_and_nothing_that_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOMGRAPH_STORE", raising=False)
    assert resume_command("r", "m:wf", STORE) == "loomgraph resume r --graph m:wf --store sqlite:runs.db"
    secret = "postgresql://ada:hunter2@db.example/runs"
    assert resume_command("r", "m:wf", secret) == "loomgraph resume r --graph m:wf --store STORE"
    monkeypatch.setenv("LOOMGRAPH_STORE", secret)
    assert resume_command("r", "m:wf", secret) == "loomgraph resume r --graph m:wf"


# ---------------------------------------------------------------------- runs that wait


def test_a_run_that_asks_exits_with_3_and_says_how_to_answer_it_and_how_to_go_on(loom: Loom) -> None:
    done = loom("run", "refund", "-i", "120", "--store", STORE, "--run-id", "t-1", "-q")
    assert (done.exit_code, done.stdout) == (3, "")
    asks, answer, advice = done.stderr.splitlines()
    assert asks == "approve asks: Refund 120 EUR?"
    assert answer.startswith("  answer it: loomgraph answer t-1 ")
    assert advice == "the run can go on: loomgraph resume t-1 --graph refund --store sqlite:runs.db"
    words = shlex.split(answer.partition("loomgraph ")[2])
    for wrong in ("maybe", "{}", '{"yes": "maybe"}'):
        refused = loom(*words[:-1], wrong, "-s", STORE)
        assert (refused.exit_code, refused.stdout) == (2, "")
    sent = loom(*words[:-1], '{"yes": true}', "-s", STORE, "--by", "ada")
    assert (sent.exit_code, sent.stderr) == (0, "answered; 0 questions left\n")
    again = loom("resume", "t-1", "-g", "refund", "-s", STORE, "-q")
    assert again.exit_code == 3
    assert again.stderr.splitlines()[:2] == [
        "the signal 'paid' is waited for",
        "  send it: loomgraph signal t-1 paid JSON",
    ]
    assert loom("signal", "t-1", "paid", '"a lot"', "-s", STORE).exit_code == 2
    assert loom("signal", "t-1", "paid", "120.5", "-s", STORE, "--id", "x").stderr == "sent 'paid' to run t-1\n"
    last = loom("resume", "t-1", "-g", "refund", "-s", STORE, "-q")
    assert (last.exit_code, json.loads(last.stdout)) == (0, "True: 120.5")
    late = loom(*words[:-1], '{"yes": false}', "-s", STORE)
    assert (late.exit_code, late.stderr.count("\n")) == (2, 1)


def test_what_a_run_waits_for_is_shown_by_show_and_answer(loom: Loom) -> None:
    loom("run", "refund", "-i", "120", "--store", STORE, "--run-id", "t-1", "-q")
    (question,) = json.loads(loom("show", "t-1", "-s", STORE, "--json").stdout)["questions"]
    assert (question["question"], question["key"]) == ("Refund 120 EUR?", "approve")
    assert question["schema"]["properties"]["yes"] == {"title": "Yes", "type": "boolean"}
    assert "approve asks: Refund 120 EUR?" in loom("show", "t-1", "-s", STORE).stderr
    assert json.loads(loom("answer", "t-1", "-s", STORE, "--json").stdout)["questions"] == [question]
    assert loom("answer", "t-1", question["id"], "-s", STORE).stderr.startswith("error: answer question")
    assert "approve asks: Refund 120 EUR?" in loom("answer", "t-1", "-s", STORE).stderr


def test_a_run_can_be_answered_as_it_is_resumed_and_gives_json(loom: Loom, place: Path) -> None:
    first = loom("run", "refund", "-i", "120", "--store", STORE, "--run-id", "t-1", "-q", "--json")
    document = json.loads(first.stdout)
    assert (first.exit_code, document["status"], document["output"]) == (3, "suspended", None)
    (question,) = document["questions"]
    (place / "answers.json").write_text(json.dumps({question["id"]: {"yes": False, "why": "no"}}))
    loom("signal", "t-1", "paid", "0.5", "-s", STORE)
    resume = ["resume", "t-1", "-g", "refund", "-s", STORE]
    done = loom(*resume, "--answers", "@answers.json", "--json", "-q")
    assert (done.exit_code, json.loads(done.stdout)["output"]) == (0, "False: 0.5")
    wrong = loom(*resume, "--answers", json.dumps({question["id"]: {"yes": True}}))
    assert wrong.exit_code == 2


def test_a_resumed_run_shows_only_what_is_new(loom: Loom, place: Path) -> None:
    (place / "closed").touch()
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    before = json.loads(loom("show", "t-1", "-s", STORE, "--json").stdout)["run"]["events"]
    (place / "closed").unlink()
    done = loom("resume", "t-1", "-g", "order", "-s", STORE)
    assert done.stderr.splitlines()[:-1] == [f"goes on after {before} events, with 1 activation done", "pay: done"]
    loom("delete", "t-1", "-s", STORE)
    (place / "closed").touch()
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    (place / "closed").unlink()
    lines = loom("resume", "t-1", "-g", "order", "-s", STORE, "--events").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(before, before + len(lines)))


def test_a_question_without_a_store_is_refused_before_anything_runs(loom: Loom) -> None:
    done = loom("run", "refund", "-i", "120")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "node 'approve' asks a person" in done.stderr


# ---------------------------------------------------------------------- processes that end in the middle


def held_at_pay(place: Path) -> subprocess.Popen[str]:
    """A process whose run has come to the node `pay`, which holds it there."""
    (place / "hold").touch()
    command = [
        sys.executable,
        "-m",
        "loomgraph.cli",
        "run",
        "order",
        "-i",
        "20",
        "--events",
        "-s",
        STORE,
        "--lease",
        "3",
    ]
    # a job in the background of a shell script ignores Ctrl-C, and so would a process that it starts
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*command, "--run-id", "t-1"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if (event["kind"], event.get("key")) == ("NodeStarted", "pay"):
            return process
    raise AssertionError(f"it ended before: {process.communicate()}")


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is no signal to one process there")
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_run_that_is_told_to_end_is_let_go_of_and_says_how_it_can_go_on(
    loom: Loom, place: Path, number: signal.Signals, code: int, said: str
) -> None:
    process = held_at_pay(place)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.splitlines() == [
        said,
        "the run can go on: loomgraph resume t-1 --graph order --store sqlite:runs.db",
    ]
    (run,) = json.loads(loom("runs", STORE, "--json").stdout)["runs"]
    assert run["status"] == "running"
    (place / "hold").unlink()
    done = loom("resume", "t-1", "-g", "order", "-s", STORE, "-q")
    assert (done.exit_code, json.loads(done.stdout), calls(place)) == (0, 41, 1)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL on this platform")
def test_a_killed_run_is_its_owners_until_the_lease_ends_and_then_goes_on(loom: Loom, place: Path) -> None:
    process = held_at_pay(place)
    busy = loom("resume", "t-1", "-g", "order", "-s", STORE, "-q")
    assert busy.exit_code == 2
    assert f":{process.pid}:" in busy.stderr
    process.kill()
    process.communicate(timeout=60)
    (place / "hold").unlink()
    advice = busy.stderr.splitlines()[-1]
    assert advice == "to wait for it: loomgraph resume t-1 --graph order --store sqlite:runs.db --wait"
    done = loom(*shlex.split(advice.partition("loomgraph ")[2]))
    assert (done.exit_code, json.loads(done.stdout), calls(place)) == (0, 41, 1)
    waited, went_on, *_ = done.stderr.splitlines()
    assert re.fullmatch(r"waiting for '.*' to let go of the run", waited)
    assert re.fullmatch(r"goes on after \d+ events, with 1 activation done", went_on)  # however often it was tried


def test_a_run_that_somebody_has_is_asked_to_stop_and_the_command_says_that_it_has_not_ended(
    loom: Loom, place: Path
) -> None:
    (place / "closed").touch()
    loom("run", "order.py:wf", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    done = loom("cancel", "t-1", "--store", STORE)
    assert (done.exit_code, done.stderr) == (
        2,
        "error: run 't-1' has failed already, so there is nothing to cancel. It goes on only if somebody resumes it.\n",
    )
    (fork,) = [loom("fork", "t-1", "--store", STORE, "--at", "0", "--run-id", "t-2").stdout.strip()]
    kept = open_store(f"sqlite:{place / 'runs.db'}")
    theirs = anyio.run(kept.acquire, fork, "somebody", 60)
    asked = loom("cancel", fork, "--store", STORE)
    assert (asked.exit_code, asked.stderr.splitlines()) == (
        0,
        [
            "run t-2 was asked to stop and has not ended yet",
            "to wait for it: loomgraph cancel t-2 --store sqlite:runs.db --wait 60",
        ],
    )
    assert loom("cancel", fork, "--store", STORE, "--wait", "0.01").exit_code == 1
    anyio.run(kept.release, theirs)
    ended = loom("cancel", fork, "--store", STORE, "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, {"run_id": "t-2", "status": "cancelled"})
    anyio.run(kept.close)
