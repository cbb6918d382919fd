"""Claims about the commands over a store: runs, show, prune, delete, export, import, key."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from loomgraph.cli.clean import clean, clean_lines
from loomgraph.cli.exits import UsageError
from loomgraph.cli.when import iso, moment, span
from loomgraph.store.protocol import Batch, RunStatus
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.stores.bench import events, header

Loom = Callable[..., Any]
STORE = "sqlite:runs.db"


def fill(*runs: tuple[str, RunStatus, float], **fields: Any) -> None:
    """Runs with these ids, statuses and times of creation, as other programs left them."""

    async def write() -> None:
        async with SQLiteStore("runs.db") as store:
            for run_id, status, created in runs:
                head = header(run_id, status=status, created=created, updated=created, **fields)
                await store.release(await store.create(head, Batch(events(0, 0)), owner="me", ttl=1.0))

    anyio.run(write)


def listed(loom: Loom, *options: str) -> list[str]:
    done = loom("runs", STORE, "--json", *options)
    assert done.exit_code == 0, done.stderr
    return [run["run_id"] for run in json.loads(done.stdout)["runs"]]


# ---------------------------------------------------------------------- runs


def test_runs_are_listed_newest_first_in_aligned_columns_without_a_terminal(loom: Loom) -> None:
    fill(("t-1", "succeeded", 1_000_000.0), ("t-200", "failed", 2_000_000.0), user_id="ada")
    done = loom("runs", "--store", STORE)
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["RUN", "GRAPH", "STATUS", "CREATED", "SECONDS", "EVENTS", "USER", "SESSION"]
    assert (first.split()[:3], second.split()[:3]) == (["t-200", "triage", "failed"], ["t-1", "triage", "succeeded"])
    assert first.index("failed") == second.index("succeeded") == head.index("STATUS")
    assert "\x1b" not in done.stdout


def test_on_a_terminal_runs_are_a_table_with_colours(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(("t-1", "failed", 1_000_000.0))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    done = loom("runs", STORE)
    assert re.search(r"\x1b\[[\d;]*31m\s*failed", done.stdout)


def test_runs_are_filtered_and_paged(loom: Loom) -> None:
    now = datetime.now(UTC)
    fill(
        ("old", "failed", (now - timedelta(days=9)).timestamp()),
        ("middle", "succeeded", (now - timedelta(days=3)).timestamp()),
        ("young", "running", (now - timedelta(minutes=5)).timestamp()),
        user_id="ada",
        session_id="s1",
    )
    assert listed(loom) == ["young", "middle", "old"]
    assert listed(loom, "--status", "failed", "--status", "running") == ["young", "old"]
    assert listed(loom, "--since", "4d") == ["young", "middle"]
    assert listed(loom, "--until", "1h") == ["middle", "old"]
    assert listed(loom, "--since", "1w", "--until", (now - timedelta(days=1)).isoformat()) == ["middle"]
    assert listed(loom, "--user", "ada", "--session", "s1", "--graph", "triage") == ["young", "middle", "old"]
    assert listed(loom, "--user", "bob") == listed(loom, "--graph", "other") == listed(loom, "--parent", "x") == []
    page = json.loads(loom("runs", STORE, "--json", "-n", "2").stdout)
    assert [run["run_id"] for run in page["runs"]] == ["young", "middle"]
    assert listed(loom, "-n", "2", "--cursor", page["cursor"]) == ["old"]
    assert f"--cursor '{page['cursor']}'" in loom("runs", STORE, "-n", "2").stderr
    assert loom("runs", STORE, "--user", "bob").stderr == "no runs match\n"


def test_the_store_comes_from_the_environment_too(loom: Loom, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(("t-1", "succeeded", 1.0))
    monkeypatch.setenv("LOOMGRAPH_STORE", STORE)
    assert "t-1" in loom("runs").stdout
    assert loom("show", "t-2").stderr.startswith("error: there is no run 't-2' in sqlite:runs.db. List")


@pytest.mark.parametrize(
    ("store", "message"),
    [
        (None, "which store? Say it with --store sqlite:FILE"),
        ("sqlite:typo.db", "there is no file 'typo.db'. Check --store"),
        ("memory:", "a store in memory ends with its command"),
        (
            "sqlit:runs.db",
            "'sqlit' is no kind of store. Did you mean 'sqlite:runs.db'?",
        ),
        ("runs.db", "Did you mean 'sqlite:runs.db'?"),
    ],
)
def test_a_store_that_is_not_there_is_said_so_and_not_made(
    loom: Loom, place: Path, store: str | None, message: str
) -> None:
    arguments = [] if store is None else ["--store", store]
    for command in (["runs"], ["show", "t-1"], ["delete", "t-1"], ["prune", "--keep", "1"], ["answer", "t-1"]):
        done = loom(*command, *arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr
    assert not (place / "typo.db").exists()


def test_a_file_that_is_no_database_is_an_error_without_a_traceback(loom: Loom, place: Path) -> None:
    (place / "runs.db").write_bytes(b"no database " * 1000)
    done = loom("runs", STORE)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("error: sqlite:runs.db cannot be read")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--since", "soon", "--since 'soon' is no time"), ("--until", "2026-13-01", "--until '2026-13-01' is no time")],
)
def test_a_time_that_is_none_is_refused(loom: Loom, option: str, value: str, message: str) -> None:
    fill(("t-1", "succeeded", 1.0))
    done = loom("runs", STORE, option, value)
    assert (done.exit_code, message in done.stderr) == (2, True)


def test_times_and_spans_are_read_as_people_write_them() -> None:
    assert [span(text, "--x") for text in ("90s", "15m", "2h", "1d", "1w", "1d 12h", "0.5h")] == [
        *(90, 900, 7200, 86400, 604800, 129600, 1800)
    ]
    assert moment("2h", "--x", 10_000.0) == 2_800.0
    assert moment("1970-01-02T00:00:00+00:00", "--x", 0.0) == 86_400.0
    assert iso(0.1234) == "1970-01-01T00:00:00.123Z"
    for text in ("", "5", "h", "5 parsecs", "-5m"):
        with pytest.raises(UsageError):
            span(text, "--x")


def test_nothing_that_a_run_is_called_steers_the_terminal(loom: Loom) -> None:
    fill(("evil\x1b[2J\nrun\u202e", "succeeded", 1.0))
    assert "evil\\x1b[2J\\nrun\\u202e" in loom("runs", STORE).stdout
    assert "evil\\x1b[2J\nrun\\u202e" in loom("show", "evil\x1b[2J\nrun\u202e", "-s", "sqlite:runs.db").stderr
    assert clean("plain ünïcode 🧵") == clean_lines("plain ünïcode 🧵") == "plain ünïcode 🧵"
    assert (clean("a\nb\tc"), clean_lines("a\nb\tc")) == ("a\\nb\\tc", "a\nb\tc")


# ---------------------------------------------------------------------- show


def test_show_says_what_each_node_did_how_often_how_long_and_with_what(loom: Loom, place: Path) -> None:
    (place / "closed").touch()
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "--user", "ada", "-q")
    done = loom("show", "t-1", "--store", STORE)
    lines = done.stdout.splitlines()
    assert lines[0] == "run t-1 of graph order: failed"
    assert lines[2] == "user ada, session -"
    assert lines[3].split() == ["KEY", "STATUS", "TRIES", "STARTED", "SECONDS", "WHAT"]
    assert re.fullmatch(r"price +succeeded +1 +\+\d\.\d{3} +\d\.\d{3} +40", lines[4])
    assert re.fullmatch(r"pay +failed +1 +\+\d\.\d{3} +\d\.\d{3} +RuntimeError: the bank is closed", lines[5])
    assert loom("show", "t-1", "-s", STORE, "--only", "failed").stdout.count("\n") == 5
    assert "pay" not in loom("show", "t-1", "-s", STORE, "--node", "price").stdout


def test_show_as_json_has_the_run_its_activations_and_its_questions(loom: Loom) -> None:
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    document = json.loads(loom("show", "t-1", "--store", STORE, "--json").stdout)
    assert (document["run"]["run_id"], document["run"]["status"], document["questions"]) == ("t-1", "succeeded", [])
    assert {(a["key"], a["status"], a["output"]) for a in document["activations"]} == {
        ("price", "succeeded", 40),
        ("pay", "succeeded", 41),
    }


def test_show_prints_the_log_an_event_a_line(loom: Loom) -> None:
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    found = [json.loads(line) for line in loom("show", "t-1", "--store", STORE, "--events").stdout.splitlines()]
    assert [event["seq"] for event in found] == list(range(len(found)))
    assert [event["kind"] for event in found if event.get("key") == "pay"] == ["NodeStarted", "NodeSucceeded"]
    assert {event["run_id"] for event in found} == {"t-1"}


# ---------------------------------------------------------------------- prune and delete


def test_prune_deletes_what_no_rule_spares(loom: Loom) -> None:
    now = datetime.now(UTC).timestamp()
    for i in range(5):
        fill((f"r{i}", "succeeded", now - i * 86_400))
    fill(("asks", "suspended", now - 9 * 86_400))
    assert loom("prune", "-s", STORE).exit_code == 2
    assert loom("prune", "-s", STORE, "--keep", "1", "--older-than", "60h").stdout == "2 runs deleted\n"
    assert listed(loom) == ["r0", "r1", "r2", "asks"]
    assert json.loads(loom("prune", "-s", STORE, "--keep", "2", "--json").stdout) == {"pruned": 1}
    assert loom("prune", "-s", STORE, "--older-than", "1d", "--status", "suspended").stdout == "1 run deleted\n"
    assert listed(loom) == ["r0", "r1"]


def test_delete_deletes_all_that_are_named_or_none(loom: Loom) -> None:
    for i in range(4):
        fill((f"r{i}", "succeeded", float(i)))
    done = loom("delete", "r0", "nowhere", "-s", STORE)
    assert (done.exit_code, listed(loom)) == (2, ["r3", "r2", "r1", "r0"])
    assert loom("delete", "r0", "r1", "-s", STORE).stdout == "deleted r0, r1\n"
    assert json.loads(loom("delete", "r2", "-s", STORE, "--json").stdout) == {"deleted": ["r2"]}
    assert listed(loom) == ["r3"]


def test_a_run_that_a_process_has_is_not_deleted(loom: Loom) -> None:
    async def own() -> None:
        async with SQLiteStore("runs.db") as store:
            await store.create(header("r"), owner="host:17", ttl=600.0)

    anyio.run(own)
    done = loom("delete", "r", "-s", STORE)
    assert (done.exit_code, "is owned by 'host:17'" in done.stderr, listed(loom)) == (2, True, ["r"])


# ---------------------------------------------------------------------- export and import


def test_a_run_goes_from_store_to_store_as_a_file(loom: Loom, place: Path) -> None:
    loom("run", "order", "-i", "20", "--store", STORE, "--run-id", "t-1", "-q")
    assert loom("export", "t-1", "-s", STORE, "-o", "t-1.run").stderr == "wrote t-1.run\n"
    piped = loom("export", "t-1", "-s", STORE).stdout_bytes
    assert piped == (place / "t-1.run").read_bytes()
    done = loom("import", "t-1.run", "-s", "sqlite:new.db")
    assert done.stdout == "imported t-1: succeeded, 6 events\n"
    again = loom("import", "-", "-s", "sqlite:new.db", given=piped)
    assert (again.exit_code, "is in sqlite:new.db already" in again.stderr) == (2, True)
    assert json.loads(loom("import", "-", "-s", "sqlite:third.db", "--json", given=piped).stdout)["run_id"] == "t-1"
    assert loom("show", "t-1", "-s", "sqlite:new.db").stdout == loom("show", "t-1", "-s", STORE).stdout


def test_a_file_that_is_no_run_leaves_nothing_behind(loom: Loom, place: Path) -> None:
    fill(("t-1", "succeeded", 1.0))
    (place / "bad.run").write_text("hello\n")
    done = loom("import", "bad.run", "-s", STORE)
    assert (done.exit_code, done.stderr[:30]) == (1, "error: the file cannot be read")
    assert loom("import", "none.run", "-s", STORE).stderr.startswith("error: cannot read 'none.run': No such file")
    assert loom("export", "nowhere", "-s", STORE, "-o", "x.run").exit_code == 2
    assert loom("export", "t-1", "-s", STORE, "-o", "no/x.run").stderr.startswith("error: cannot write 'no")
    assert {path.name for path in place.glob("*.run*")} == {"bad.run"}


# ---------------------------------------------------------------------- encryption


def test_with_a_key_in_the_environment_the_store_is_encrypted(
    loom: Loom, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed")
    key = loom("key").stdout.strip()
    assert len(urlsafe_b64decode(key)) == 32
    monkeypatch.setenv("LOOMGRAPH_KEY", key)
    loom("run", "triage", "-i", '{"text": "classified", "amount": 3}', "--store", STORE, "--run-id", "t-1", "-q")
    assert "refund" in loom("show", "t-1", "-s", STORE).stdout
    assert b"classified" not in (place / "runs.db").read_bytes()
    monkeypatch.delenv("LOOMGRAPH_KEY")
    assert "t-1" in loom("runs", STORE).stdout
    done = loom("show", "t-1", "-s", STORE)
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "it is encrypted, and the store was opened without a key" in done.stderr
    monkeypatch.setenv("LOOMGRAPH_KEY", loom("key").stdout.strip())
    assert "it was written with the key" in loom("show", "t-1", "-s", STORE).stderr
    monkeypatch.setenv("LOOMGRAPH_KEY", "secret nonsense")
    done = loom("runs", STORE)
    assert (done.exit_code, "nonsense" in done.stderr) == (2, False)


# ---------------------------------------------------------------------- the real command


def test_the_installed_command_reads_a_postgresql_store(loom: Loom, place: Path, postgres_address: str) -> None:
    assert json.loads(loom("run", "order", "-i", "20", "--run-id", "pg-1", "-s", postgres_address).stdout) == 41
    exported = loom("export", "pg-1", "-s", postgres_address).stdout_bytes
    assert loom("delete", "pg-1", "-s", postgres_address).exit_code == 0
    assert loom("import", "-", "-s", postgres_address, given=exported).exit_code == 0
    command = [sys.executable, "-m", "loomgraph.cli", "show", "pg-1", "--json", "--store", postgres_address]
    done = subprocess.run(command, cwd=place, capture_output=True, check=True)
    assert json.loads(done.stdout)["run"]["status"] == "succeeded"
