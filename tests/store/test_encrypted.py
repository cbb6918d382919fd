"""Claims about encryption at rest: what is hidden, what is not, whose key opens what, and that changes are noticed."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from loomgraph import END, START, Context, NodeFailedError, Workflow
from loomgraph.errors import StoreCorruptError, StoreKeyError, StoreTamperedError
from loomgraph.events import MessageRefused
from loomgraph.runtime.notes import Book
from loomgraph.store.keys import new_key
from loomgraph.store.memory import MemoryStore
from loomgraph.store.opening import open_store
from loomgraph.store.protocol import Batch, Message, RunHeader, Store, StoredEvent
from loomgraph.store.sqlite import SQLiteStore
from loomgraph.testing.stores.bench import events, header, value

pytest.importorskip("cryptography", reason="cryptography is not installed")
from loomgraph.store.encrypted import EncryptedStore

pytestmark = pytest.mark.anyio

KEY, OTHER = (urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2))


class Notes(BaseModel):
    diagnosis: str = ""


def clinic(broken: list[bool]) -> Any:
    wf = Workflow("clinic", input=str, output=list[str], state=Notes)

    @wf.node
    async def examine(patient: str, ctx: Context[Notes]) -> list[str]:
        ctx.update(diagnosis="secret: influenza")
        return [f"secret: {patient} has a fever {'x' * 200}", *(f"secret {i}" for i in range(20))]

    @wf.node
    async def treat(findings: list[str], ctx: Context) -> list[str]:
        if broken:
            raise ConnectionError("secret: the pharmacy of 5 Main Street is closed")
        return findings

    wf.chain(START, examine, treat, END)
    return wf.compile()


async def failed_run(store: Store) -> None:
    graph = clinic([True])
    with pytest.raises(NodeFailedError):
        await graph.run("secret name", store=store, run_id="r-1", metadata={"ward": "secret ward"}, user_id="u-7")
    await store.post("r-1", "m-1", "note", b"secret answer")


async def test_nothing_that_a_run_is_about_can_be_read_from_the_file(tmp_path: Path) -> None:
    async with EncryptedStore(SQLiteStore(tmp_path / "runs.db"), KEY) as store:
        await failed_run(store)
        # as it lies on the disk while it is open, too
        data = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    data += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in data
    assert b"fever" not in data
    assert KEY.encode() not in data
    # and this is what can: it is said to be
    assert all(word in data for word in (b"r-1", b"clinic", b"examine", b"u-7", b"m-1", b"failed"))


async def test_a_run_goes_on_with_its_key_and_is_refused_without_it(tmp_path: Path) -> None:
    path, graph = tmp_path / "runs.db", clinic([])
    async with EncryptedStore(SQLiteStore(path), KEY) as store:
        await failed_run(store)
    async with SQLiteStore(path) as bare:
        with pytest.raises(StoreKeyError, match=r"run 'r-1': it is encrypted, and the store was opened without a key"):
            await graph.resume("r-1", store=bare)
    async with EncryptedStore(SQLiteStore(path), OTHER) as wrong:
        with pytest.raises(StoreKeyError, match=r"run 'r-1' in .*: it was written with the key '\w+', and this is"):
            await graph.resume("r-1", store=wrong)
        (listed,) = (await wrong.runs()).runs
        assert (listed.run_id, "secret" in listed.metadata) == ("r-1", False)
    async with open_store(f"sqlite:{path}", encrypt=KEY) as right:
        (listed,) = (await right.runs()).runs
        assert json.loads(listed.metadata) == {"ward": "secret ward"}
        result = await graph.resume("r-1", store=right)
        assert result.output[0].startswith("secret: secret name has a fever")
        assert (await right.inbox("r-1"))[0].data == b"secret answer"


async def test_a_run_written_without_encryption_is_not_taken_for_one_with() -> None:
    inner = MemoryStore()
    await failed_run(inner)
    store = EncryptedStore(inner, KEY)
    for call in (store.load, store.events, store.digests, store.inbox):
        with pytest.raises(StoreKeyError, match="it was written without encryption"):
            await call("r-1")
    with pytest.raises(StoreKeyError):
        await store.acquire("r-1", "me", 5.0)
    await inner.acquire("r-1", "me", 5.0)
    assert [run.run_id for run in (await store.runs()).runs] == ["r-1"]


# ---------------------------------------------------------------------- keys


async def test_keys_can_be_changed_and_old_runs_stay_readable() -> None:
    inner = MemoryStore()
    old = EncryptedStore(inner, {"2025": KEY})
    await old.release(await old.create(header("a"), Batch(events(0, 2), [value("v")]), owner="me", ttl=5.0))
    both = EncryptedStore(inner, {"2026": OTHER, "2025": KEY})
    await both.release(await both.create(header("b"), Batch(events(0, 1), [value("v")]), owner="me", ttl=5.0))
    assert await both.events("a") == await old.events("a") == events(0, 2)
    lease = await both.acquire("a", "me", 5.0)
    await both.append(lease, Batch(events(2, 3)))
    assert await old.events("a") == events(0, 3)
    with pytest.raises(StoreKeyError, match="it was written with the key '2026', and this is '2025'"):
        await old.events("b")
    # a run that shares its parent's values is written with its parent's key
    child = replace(header("c"), parent="a", fork_seq=1)
    await both.release(await both.create(child, Batch(events(0, 1), [], [value("v").digest]), owner="me", ttl=5.0))
    assert await old.values(await old.digests("c")) == {value("v").digest: value("v").data}
    await inner.delete("b")
    assert await both.values(await both.digests("c")) == {value("v").digest: value("v").data}


async def test_a_function_may_give_the_keys() -> None:
    asked: list[str] = []
    keys = {"k1": KEY, "k2": OTHER}

    def find(id: str) -> str:
        asked.append(id)
        return keys[id]

    inner = MemoryStore()
    store = EncryptedStore(inner, find, key_id="k1")
    await store.create(header("a"), Batch(events(0, 1)), owner="me", ttl=5.0)
    rotated = EncryptedStore(inner, find, key_id="k2")
    assert await rotated.events("a") == events(0, 1)
    assert await rotated.events("a") == events(0, 1)
    assert asked == ["k1", "k2", "k1"]
    del keys["k1"]
    with pytest.raises(StoreKeyError, match="run 'a' in memory:: it was written with the key 'k1', and this is 'k2'"):
        await EncryptedStore(inner, find, key_id="k2").load("a")


async def test_a_new_key_is_random_and_is_a_key() -> None:
    assert len({new_key() for _ in range(100)}) == 100
    await EncryptedStore(MemoryStore(), new_key()).create(header("a"), owner="me", ttl=5.0)


async def test_another_key_under_the_same_id_is_a_wrong_key_and_not_damage() -> None:
    inner = MemoryStore()
    await EncryptedStore(inner, {"k": KEY}).create(header("a"), owner="me", ttl=5.0)
    with pytest.raises(StoreKeyError, match="it was written with another key 'k'"):
        await EncryptedStore(inner, {"k": OTHER}).load("a")


@pytest.mark.parametrize(
    ("key", "key_id", "message"),
    [
        ("short", None, "the key: it is not base64"),
        ("c2hvcnQ=", None, "the key: it has 5 bytes, and a key has 32. Make one with: loomgraph key"),
        (b"x" * 16, None, "it has 16 bytes"),
        ({}, None, "key=: it holds no key"),
        ({"a": KEY}, "b", "key=: it has no key 'b'"),
        ({"a": "no"}, None, "the key 'a': it"),
        (lambda name: KEY, None, "key=: it is a function, which does not tell. Say with key_id="),
        ({}.__getitem__, "a", "key=: the function does not know the key 'a'"),
    ],
)
async def test_what_is_no_key_is_refused_when_the_store_is_made(key: Any, key_id: str | None, message: str) -> None:
    with pytest.raises(StoreKeyError) as caught:
        await EncryptedStore(MemoryStore(), key, key_id=key_id).create(header("a"), owner="me", ttl=5.0)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "LOOMGRAPH_KEY: it is not set in the environment. Set it, or pass key=. Make one with: loomgraph key"),
        (f"a:{KEY},b", "LOOMGRAPH_KEY: it is neither KEY nor ID:KEY,ID:KEY"),
        ("a:nonsense", "the key 'a': it"),
    ],
)
async def test_an_environment_without_a_key_says_so(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOMGRAPH_KEY", text)
    with pytest.raises(StoreKeyError) as caught:
        await open_store("memory:", encrypt=True).create(header("a"), owner="me", ttl=5.0)
    assert message in str(caught.value)
    assert "nonsense" not in str(caught.value)


async def test_the_environment_may_hold_several_keys_the_one_to_write_with_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = MemoryStore()
    monkeypatch.setenv("LOOMGRAPH_KEY", KEY)
    await open_store(inner, encrypt=True).create(header("a"), owner="me", ttl=5.0)
    assert await EncryptedStore(inner, KEY).load("a") == await open_store(inner, encrypt=True).load("a")
    monkeypatch.setenv("LOOMGRAPH_KEY", f"2026:{OTHER}, 2025:{KEY}")
    await open_store(inner, encrypt=True).create(header("b"), owner="me", ttl=5.0)
    assert await EncryptedStore(inner, {"2026": OTHER}).load("b")


# ---------------------------------------------------------------------- what is noticed


class Tampering(MemoryStore):
    """Hands out what was written, changed."""

    change: Callable[[Any], Any] = staticmethod(lambda found: found)

    async def load(self, run_id: str) -> RunHeader:
        return self.change(await super().load(run_id))

    async def events(self, run_id: str, start: int = 0, stop: int | None = None) -> list[StoredEvent]:
        return self.change(await super().events(run_id, start, stop))

    async def values(self, digests: Iterable[bytes]) -> dict[bytes, bytes]:
        return self.change(await super().values(digests))

    async def inbox(self, run_id: str, after: int = 0) -> list[Message]:
        return self.change(await super().inbox(run_id, after))


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _events(change: Callable[[list[StoredEvent]], list[StoredEvent]]) -> Callable[[Any], Any]:
    return lambda found: change(found) if isinstance(found, list) and isinstance(found[0], StoredEvent) else found


def _headers(**changes: Any) -> Callable[[Any], Any]:
    return lambda found: replace(found, **changes) if isinstance(found, RunHeader) else found


def _swapped(found: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return dict(zip(found, reversed(found.values()), strict=True))


CHANGES: dict[str, Callable[[Any], Any]] = {
    "a byte of a body": _events(lambda es: [es[0]._replace(body=_flipped(es[0].body, 20)), *es[1:]]),
    "a nonce": _events(lambda es: [es[0]._replace(body=_flipped(es[0].body, 0)), *es[1:]]),
    "a body cut short": _events(lambda es: [es[0]._replace(body=es[0].body[:-1])]),
    "a body taken away": _events(lambda es: [es[0]._replace(body=b"")]),
    "bodies swapped": _events(lambda es: [es[0]._replace(body=es[1].body), es[1]._replace(body=es[0].body)]),
    "another time": _events(lambda es: [es[0]._replace(time=1.0)]),
    "another kind": _events(lambda es: [es[0]._replace(kind="NodeSkipped")]),
    "another node": _events(lambda es: [es[0]._replace(key="other")]),
    "values swapped": lambda found: _swapped(found) if isinstance(found, dict) else found,
    "another user": _headers(user_id="somebody"),
    "another graph": _headers(graph="other"),
    "another parent": _headers(parent="other"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
async def test_a_change_is_noticed_and_nothing_of_it_is_used(change: Callable[[Any], Any]) -> None:
    inner = Tampering()
    store = EncryptedStore(inner, KEY)
    batch = Batch(events(0, 2), [value("a"), value("b")], (), None, [Message(1, "m", "answer", b"yes", 1.0)])
    await store.create(replace(header("r"), user_id="me"), batch, owner="me", ttl=5.0)

    async def read() -> None:
        await store.load("r")
        await store.events("r")
        await store.values(await store.digests("r"))
        await store.inbox("r")

    await read()
    inner.change = change
    with pytest.raises(StoreTamperedError, match="although the key is right"):
        await read()


async def test_a_message_that_nobody_with_the_key_wrote_is_refused_in_the_log_and_the_run_goes_on() -> None:
    wf = Workflow("asks", input=int, output=str)

    @wf.node
    async def ask(value: int, ctx: Context) -> str:
        return f"{await ctx.ask('sure?', bool)} {await ctx.wait_for('paid', int)}"

    wf.chain(START, ask, END)
    graph, inner = wf.compile(), MemoryStore()
    store = EncryptedStore(inner, KEY)
    asked = (await graph.run(1, store=store, run_id="r")).questions[0].seq
    # as it would be right without encryption
    forged = f'{{"id": "ask", "asked": {asked}, "answer": false, "by": null}}'
    await inner.post("r", f"answer:{asked}:ask", "answer", forged.encode())
    await inner.post("r", "m", "note", b'["seen", 1]')
    result = await graph.resume("r", store=store)
    assert [(question.id, question.refused) for question in result.questions] == [("ask", None)]
    refused = [(event.message, event.reason) for event in result.events if isinstance(event, MessageRefused)]
    assert [message for message, _ in refused] == [f"answer:{asked}:ask", "m"]
    assert refused[0][1] == (
        "it says it is of kind 'answer', but was not sealed with the key of this run, or was changed since. "
        "Post it again through the store with its key"
    )
    assert (await graph.resume("r", store=store, answers={"ask": True})).signals == ("paid",)
    # a message that was moved here from another place is no better
    await graph.signal("r", "paid", 7, store=store, id="7")
    good = (await inner.inbox("r"))[-1]
    await graph.signal("r", "paid", 8, store=store, id="8")
    await inner.post("r", "signal:9", "signal", good.data)
    result = await graph.resume("r", store=store)
    assert result.output == "True 7"


async def test_an_account_does_not_pass_over_an_entry_that_nobody_with_the_key_wrote() -> None:
    inner = MemoryStore()
    book = Book(EncryptedStore(inner, KEY), "@user/ada")
    await book.add("1", 5)
    await inner.post("@user/ada", "2", "entry", b"7")
    with pytest.raises(StoreTamperedError, match="message '2'"):
        await book.read()


async def test_what_belongs_to_one_run_does_not_open_in_another() -> None:
    inner = MemoryStore()
    store = EncryptedStore(inner, KEY)
    await store.create(header("a"), Batch(events(0, 1)), owner="me", ttl=5.0)
    await store.create(header("b"), Batch(events(0, 1)), owner="me", ttl=5.0)
    (one,), (two,) = await inner.events("a"), await inner.events("b")
    assert one.body != two.body  # though their texts are the same
    moved = MemoryStore()
    await moved.create(await inner.load("a"), Batch([two]), owner="me", ttl=5.0)
    with pytest.raises(StoreTamperedError):
        await EncryptedStore(moved, KEY).events("a")


async def test_names_of_values_are_keyed() -> None:
    names: list[set[bytes]] = []
    for key in (KEY, OTHER):
        inner = MemoryStore()
        store = EncryptedStore(inner, key)
        for run_id in ("a", "b"):
            await store.create(header(run_id), Batch(events(0, 1), [value("v")]), owner="me", ttl=5.0)
        assert await inner.digests("a") == await inner.digests("b")  # stored once, and that can be seen
        assert await store.digests("a") == [value("v").digest]
        names.append({value("v").digest, *await inner.digests("a")})
    assert len(names[0] | names[1]) == 3


# ---------------------------------------------------------------------- files


async def _exported(store: Store, run_id: str) -> bytes:
    return b"".join([piece async for piece in store.export(run_id)])


async def test_an_export_is_encrypted_and_any_store_takes_it() -> None:
    store = EncryptedStore(MemoryStore(), KEY)
    await failed_run(store)
    data = await _exported(store, "r-1")
    assert b"secret" not in data
    bare = MemoryStore()
    await bare.import_(data)
    assert await EncryptedStore(bare, KEY).events("r-1") == await store.events("r-1")
    other = EncryptedStore(MemoryStore(), KEY)
    assert await other.import_(data) == await other.load("r-1")
    assert (await clinic([]).resume("r-1", store=other)).status == "succeeded"
    with pytest.raises(StoreKeyError):
        await EncryptedStore(MemoryStore(), OTHER).import_(data)
    with pytest.raises(StoreCorruptError):
        await EncryptedStore(MemoryStore(), KEY).import_(data[:-10])


async def test_an_export_without_encryption_is_encrypted_when_it_comes_in() -> None:
    bare, inner = MemoryStore(), MemoryStore()
    await failed_run(bare)
    store = EncryptedStore(inner, KEY)
    await store.import_(await _exported(bare, "r-1"))
    assert await store.events("r-1") == await bare.events("r-1")
    assert b"secret" not in await _exported(inner, "r-1")


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_run_in_postgresql_is_encrypted_too(postgres_address: str) -> None:
    from loomgraph.store.postgres import PostgresStore

    inner = PostgresStore(postgres_address, schema="sealed")
    async with EncryptedStore(inner, KEY) as store:
        await failed_run(store)
        assert b"secret" not in await _exported(inner, "r-1")
        assert (await clinic([]).resume("r-1", store=store)).status == "succeeded"


def test_without_the_library_the_store_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from loomgraph.store.opening import open_store\n"
        "try: open_store('memory:', encrypt=True)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("StoreError an encrypted store needs cryptography")
    assert "pip install 'loomgraph-engine[crypto]'" in done.stdout
