"""The driver of crashes finds what is not as it must be, and says so."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loomgraph.errors import DefinitionError
from loomgraph.events import NodeStarted, NodeSucceeded, StepSucceeded
from loomgraph.runtime.format import KINDS
from loomgraph.store.protocol import StoredEvent
from loomgraph.testing.crash import AtWrite, CrashDriver, Found, Subject, crash_test
from loomgraph.testing.crash.life import _damage
from tests.crash.cheats import cheat

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the process to be killed is forked, which needs POSIX")


@pytest.fixture(scope="module")
def driver() -> Iterator[CrashDriver]:
    with CrashDriver(cheat, processes=1) as made:
        yield made


def test_a_graph_that_keeps_what_it_should_passes(tmp_path: Path, driver: CrashDriver) -> None:
    report = crash_test(cheat, "nothing", folder=tmp_path, stride=4, instants=2, driver=driver)
    alone = report.whole.lives[0]
    assert alone.ended is not None
    assert (alone.ended.outcome["status"], alone.ended.outcome["output"]) == ("succeeded", 2)
    assert report.kills >= 2


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("another answer", "its outcome is"),
        ("a store that is hasty", "was called, and the log does not say that it began"),
        ("what ends the process", "it neither ended nor was killed"),
    ],
)
def test_what_is_not_kept_is_told(how: str, said: str, tmp_path: Path, driver: CrashDriver) -> None:
    with pytest.raises(AssertionError, match=said) as caught:
        crash_test(cheat, how, folder=tmp_path, stride=1, instants=0, driver=driver)
    assert f"arguments: ['{how}']" in str(caught.value)


def test_what_was_settled_and_runs_again_is_told(tmp_path: Path, driver: CrashDriver) -> None:
    trial = driver.trial(tmp_path, "nothing")
    life = trial.live(AtWrite(5, late=True))
    assert life.killed
    # somebody wrote the lines of the dead into the side file once more, as if they came from the next life
    calls = trial.folder / "calls"
    again = [line for line in calls.read_text(encoding="utf-8").splitlines() if '"one"' in line]
    calls.write_text(calls.read_text(encoding="utf-8") + "".join(f"{line}\n" for line in again), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"\['one'\] ran, though the log it found says that it was settled"):
        trial.live()


def test_a_damaged_file_is_told(tmp_path: Path, driver: CrashDriver) -> None:
    trial = driver.trial(tmp_path, "nothing")
    trial.live(AtWrite(5, late=True))
    trial.live()
    path = trial.folder / "runs.db"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(AssertionError, match="the file it found is damaged"):
        trial.live()


def test_a_file_that_can_be_read_and_contradicts_itself_is_damaged(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
        db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (NULL); PRAGMA writable_schema = ON")
        assert _damage(tmp_path / "runs.db") is None
        db.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE t (x NOT NULL)' WHERE name = 't'")
    assert _damage(tmp_path / "runs.db") == "[('NULL value in t.x',)]"


def test_a_file_that_was_left_in_the_middle_of_a_write_is_not_damaged(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as db:
        db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1); PRAGMA cache_size = 1; BEGIN")
        db.execute("INSERT INTO t SELECT zeroblob(9000) FROM json_each('[1,2,3,4,5,6,7,8,9]')")
        for part in ("runs.db", "runs.db-journal"):  # as a process killed here leaves them
            shutil.copy(tmp_path / part, left)
        db.execute("ROLLBACK")
    looks = sqlite3.connect(f"{(left / 'runs.db').as_uri()}?mode=ro", uri=True)
    with closing(looks), pytest.raises(sqlite3.OperationalError, match="readonly"):
        looks.execute("SELECT * FROM t")
    assert _damage(left / "runs.db") is None


def _events(*said: tuple[type, str, bytes]) -> list[StoredEvent]:
    codes = {kind: code for code, kind in KINDS.items()}
    return [StoredEvent(seq, 1.0, codes[kind], key, body) for seq, (kind, key, body) in enumerate(said)]


def test_what_no_log_may_say_is_told() -> None:
    step = b'["step:pay",1]'
    found = Found.of(
        _events(
            (NodeStarted, "a", b""),
            (StepSucceeded, "a", step),
            (StepSucceeded, "a", step),
            (NodeSucceeded, "a", b"[1]"),
            (NodeStarted, "a", b""),
            (NodeSucceeded, "a", b"[1]"),
        )
    )
    assert (found.started, found.settled, found.steps) == ({"a"}, {"a"}, {("a", "step:pay")})
    assert found.problems == (
        "event 2: step:pay of a is done for the second time",
        "event 4: a begins, though the log says that it is settled",
        "event 5: a ends, though the log says that it is settled",
    )


def test_what_another_process_cannot_import_is_refused_before_it_starts() -> None:
    def local() -> Subject:
        return cheat("nothing")

    with pytest.raises(DefinitionError, match="cannot be imported by another process"):
        CrashDriver(local)


def test_a_run_that_may_lose_what_it_did_is_no_subject() -> None:
    subject = cheat("nothing")
    with pytest.raises(DefinitionError, match="durability='exit' may lose"):
        Subject(graph=subject.graph, options={"durability": "exit"})
