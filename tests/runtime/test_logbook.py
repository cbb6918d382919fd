"""Claims about logs that were kept: they can be read by any later version, with the graph and without it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from loomgraph.errors import RunError, StoreVersionError, UnknownRunError
from loomgraph.events import VERSION, Event, ScopeEnded, ScopeStarted, StepSucceeded
from loomgraph.runtime.format import KINDS
from loomgraph.runtime.logbook import read_log
from loomgraph.store.memory import MemoryStore
from loomgraph.store.protocol import RunHeader
from tests.crash.graphs import GRAPHS
from tests.places import Place
from tests.runtime.logs.keeping import kept, normal, written
from tests.runtime.logs.programs import PROGRAMS, graph_of, piece_of
from tests.runtime.rehearsal import cut_short

pytestmark = pytest.mark.anyio
LOGS = kept()


async def imported(path: Path) -> tuple[MemoryStore, str]:
    store = MemoryStore()
    header = await store.import_(path.read_bytes())
    return store, header.run_id


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
async def test_a_kept_log_is_read_without_its_graph(path: Path) -> None:
    store, run_id = await imported(path)
    log = await read_log(store, run_id)
    assert [event.seq for event in log.events] == list(range(log.header.events))
    assert {event.run_id for event in log.events} == {run_id}
    assert {type(event) for event in log.events} <= set(KINDS.values())
    assert all(record.started or record.status == "skipped" or record.origin != "run" for record in log.activations)
    ended = {"failed": "failed", "cancelled": "cancelled"}
    assert log.header.status == ended.get(run_id, "succeeded")


async def test_a_log_without_its_graph_says_what_happened_when_and_with_which_plain_values() -> None:
    store, run_id = await imported(next(path for path in LOGS if path.stem == "v1-finished"))
    log = await read_log(store, run_id)
    records = {record.key: record for record in log.activations}
    assert records["cut"].output[2]["number"] == 2
    assert records["grow#1"].taken == (1,)
    assert records["mend"].taken == (10,)
    assert records["mend/@half/half"].output == 4
    assert (records["inner[1]/polish"].attempts, records["inner[1]/polish"].status) == (2, "succeeded")
    assert records["fragile"].status == "handled"
    assert records["unused"].status == "skipped"
    steps = [(event.step, event.output) for event in log.events if isinstance(event, StepSucceeded)]
    assert steps[1] == ("step:price", 7)
    scopes = [event for event in log.events if isinstance(event, (ScopeStarted, ScopeEnded))]
    parents = {(event.kind, event.key): event.parent for event in scopes}
    assert parents["ScopeStarted", "inner[1]"] == "inner[1]"
    assert parents["ScopeEnded", "mend/@half"] == "mend"


OUTPUTS = {
    "finished": "30 11 ['grow 0', 'grow 1', 'grow 2'] 2",
    "raced": -4,
    "resumed": 4,
    "metered": 3,
    "redriven": "75 11 ['grow 0', 'grow 1', 'grow 2'] 2",
}
"""What the programs come to, those that come to an end; add a program's when it is added."""
# v2-finished-listed: written by the same version when it kept the graph in a row a node
ENDED = [path for path in LOGS if path.stem.split("-")[1] in OUTPUTS]


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
async def test_a_kept_log_is_read_with_its_graph(path: Path) -> None:
    store, run_id = await imported(path)
    graph = graph_of(run_id)
    result = await graph.replay(run_id, store=store)
    assert result.output == (OUTPUTS | {"asked": "5 17", "refused": "5 17"}).get(run_id)
    log = await read_log(store, run_id)
    assert result.status == log.header.status
    assert [(r.key, r.status, r.attempts) for r in result.activations] == [
        (r.key, r.status, r.attempts) for r in log.activations
    ]
    history = await graph.history(run_id, store=store)
    assert [moment.seq for moment in history] == list(range(len(log.events)))
    if run_id == "finished":
        assert result.state is not None
        assert result.state.model_dump() == {"seen": ["grow 0", "grow 1", "grow 2"], "last": 2}
        assert history.at("inner[1]/polish").values["inner[1]/polish"] == piece_of(10)


@pytest.mark.parametrize("path", ENDED, ids=lambda path: path.stem)
async def test_a_run_of_an_older_loomgraph_goes_on_from_any_event(path: Path) -> None:
    store, run_id = await imported(path)
    # what stands before the last pass of a run that was driven once more is the log of another run
    begin = max(event.seq for event in await store.events(run_id) if event.kind in ("R", "R<"))
    for stop in range(begin + 1, (await store.load(run_id)).events):
        cut = await cut_short(store, run_id, stop)
        assert (await graph_of(run_id).resume(run_id, store=cut)).output == OUTPUTS[run_id], stop


@pytest.mark.parametrize("name", sorted(GRAPHS))
async def test_every_field_of_every_event_is_read_as_it_was_recorded(name: str) -> None:
    make, value = GRAPHS[name]
    graph, store = make(), MemoryStore()
    try:
        result = await graph.run(value, store=store, run_id="r")
    except RunError as error:
        result = error.result
    replayed = (await graph.replay("r", store=store)).events
    without = (await read_log(store, "r")).events
    for live, *read in zip(result.events, replayed, without, strict=True):
        told = _plain(live)
        for event, has_graph in zip(read, (True, False), strict=True):
            for field, found in _plain(event).items():
                # what follows from other events, and what only the graph knows, is left out without it
                left_out = field in ("input", "output") and found is None
                key = told.get("key", "")
                left_out |= field == "taken" and "/" in key and not found
                assert found == told[field] or (left_out and (not has_graph or "/@" in key)), (live, field)


def _plain(event: Event) -> dict[str, Any]:
    return dict(json.loads(json.dumps(event.model_dump(), default=repr)))


def test_the_logs_of_this_version_are_kept_and_hold_every_kind_of_event() -> None:
    names = {path.stem.partition("-")[2] for path in LOGS if path.stem.startswith(f"v{VERSION}-")}
    missing = set(PROGRAMS) - names
    assert not missing, f"write them with: python -m tests.runtime.logs {' '.join(sorted(missing))}"
    kinds = {line[3] for path in LOGS for line in _lines(path) if line[0] == "event"}
    unseen = set(KINDS) - kinds
    assert not unseen, f"no kept log has an event of kind {sorted(unseen)}: add a program to tests/runtime/logs"


@pytest.mark.parametrize("name", PROGRAMS)
async def test_a_log_written_today_has_the_format_of_the_kept_one(name: str, anyio_backend_name: str) -> None:
    if anyio_backend_name == "trio":
        pytest.skip("trio draws the order of tasks, and the format does not depend on it")
    before = next(path for path in LOGS if path.stem == f"v{VERSION}-{name}").read_bytes()
    assert normal(await written(name)) == normal(before), (
        "the format of logs changed. If an older loomgraph would misread such a log, VERSION in loomgraph/events.py "
        f"has to grow; then write what is new with: python -m tests.runtime.logs {name}"
    )


async def test_a_file_with_a_log_of_a_newer_loomgraph_is_not_imported(place: Place) -> None:
    newer, store = MemoryStore(), place.store()
    header = RunHeader(run_id="future", graph="g", fingerprint="f", created=1.0, version=VERSION + 7)
    await newer.release(await newer.create(header, owner="newer", ttl=60))
    file = b"".join([piece async for piece in newer.export("future")])
    with pytest.raises(StoreVersionError, match=f"'future' has format version {VERSION + 7}, .* version {VERSION}"):
        await store.import_(file)
    assert (await store.runs()).runs == []
    await store.close()


async def test_a_log_of_a_newer_loomgraph_is_refused_with_both_versions_named() -> None:
    newer = MemoryStore()
    store, run_id = await imported(LOGS[0])
    header = dataclasses.replace(await store.load(run_id), version=VERSION + 7)
    lease = await newer.create(header, owner="newer", ttl=60)
    await newer.release(lease)
    said = f"version {VERSION + 7}, and this loomgraph reads up to version {VERSION}"
    with pytest.raises(StoreVersionError, match=said):
        await read_log(newer, run_id)
    with pytest.raises(StoreVersionError, match=said):
        await graph_of(run_id).resume(run_id, store=newer)
    file = b"".join([piece async for piece in newer.export(run_id)])
    with pytest.raises(StoreVersionError, match=said):
        await MemoryStore().import_(file)


async def test_an_unknown_run_has_no_log() -> None:
    with pytest.raises(UnknownRunError):
        await read_log(MemoryStore(), "nobody")


def _lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_bytes().splitlines()[1:]]
