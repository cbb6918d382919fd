"""Claims about who may speak to the page's server: each refusal, and that nothing else is needed."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra ui is not installed")
from starlette.testclient import TestClient

from loomgraph.errors import DefinitionError
from loomgraph.store.memory import MemoryStore
from loomgraph.ui import Server
from loomgraph.ui.guard import MAX_BODY


@pytest.fixture
def server() -> Any:
    made = Server(MemoryStore(), port=0)
    yield made
    made.close()


@pytest.fixture
def stranger(server: Server) -> Any:
    with TestClient(server.app, base_url=server.address.rstrip("/"), follow_redirects=False) as client:
        yield client


@pytest.fixture
def friend(server: Server, stranger: TestClient) -> TestClient:
    assert stranger.get(f"/?token={server.token}").status_code == 303
    return stranger


EVERY = ["/", "/assets/app.js", "/api/runs", "/api/run?run=x", "/api/export?run=x", "/api/nothing"]


@pytest.mark.parametrize("path", EVERY)
def test_without_the_token_nothing_is_answered(stranger: TestClient, path: str) -> None:
    found = stranger.get(path)
    assert found.status_code == 401
    assert "script" not in found.text


@pytest.mark.parametrize("token", ["", "x", "ü", "' or 1=1"])
def test_a_wrong_token_opens_nothing(stranger: TestClient, token: str) -> None:
    assert stranger.get("/", params={"token": token}).status_code == 401
    assert stranger.get("/api/runs", headers={b"Authorization": f"Bearer {token}".encode()}).status_code == 401
    assert "set-cookie" not in stranger.get("/", params={"token": token}).headers


def test_the_token_is_taken_once_for_a_strict_cookie_and_leaves_the_address(
    server: Server, stranger: TestClient
) -> None:
    found = stranger.get(f"/?token={server.token}")
    assert (found.status_code, found.headers["location"]) == (303, "/")
    (cookie,) = SimpleCookie(found.headers["set-cookie"]).values()
    assert (cookie["httponly"], cookie["samesite"], cookie["domain"]) == (True, "strict", "")
    assert server.token not in found.headers["set-cookie"]
    assert stranger.get("/").status_code == 200
    assert stranger.get("/api/runs").json() == {"runs": [], "cursor": None}


def test_the_token_may_be_typed_and_a_program_may_send_it(server: Server, stranger: TestClient) -> None:
    form = {"token": server.token}
    refused = stranger.post("/enter", data=form)
    assert refused.status_code == 403, "a form of another site says no origin of ours"
    assert stranger.get("/api/runs", headers={"Authorization": f"Bearer {server.token}"}).status_code == 200
    assert stranger.get("/api/runs").status_code == 401
    entered = stranger.post("/enter", data=form, headers={"Origin": server.address.rstrip("/")})
    assert entered.status_code == 303
    assert stranger.get("/api/runs").status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost", ""])
def test_another_name_for_this_machine_is_refused(friend: TestClient, server: Server, host: str) -> None:
    found = friend.get("/api/runs", headers={"Host": host.format(port=server.port)})
    assert (found.status_code, found.json()["error"]) == (421, "host")


def test_it_answers_to_localhost_too(friend: TestClient, server: Server) -> None:
    bearer = {"Authorization": f"Bearer {server.token}"}
    assert friend.get("/api/runs", headers={"Host": f"LocalHost:{server.port}", **bearer}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_requests_of_other_sites_are_refused_even_with_the_cookie(friend: TestClient, headers: dict[str, str]) -> None:
    assert friend.get("/api/runs", headers=headers).status_code == 403
    assert friend.post("/api/cancel", json={"run": "x"}, headers=headers).status_code == 403


def test_an_act_without_an_origin_is_refused(friend: TestClient) -> None:
    assert friend.post("/api/cancel", json={"run": "x"}).status_code == 403


def test_a_body_that_is_too_long_is_refused(friend: TestClient, server: Server) -> None:
    headers = {"Origin": server.address.rstrip("/"), "Content-Length": str(MAX_BODY + 1)}
    assert friend.post("/api/answer", content=b"{}", headers=headers).status_code == 413


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/api/runs", "/api/run?run=x", "/assets/../app.py", "/x"])
def test_every_answer_says_what_the_browser_must_not_do(friend: TestClient, path: str) -> None:
    headers = friend.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")


def test_the_page_has_no_script_of_its_own_in_it(friend: TestClient) -> None:
    text = friend.get("/").text
    assert text.count("<script") == 1
    assert '<script type="module" src="/assets/app.js">' in text
    assert " style=" not in text
    assert " on" not in text.replace(" only", "")


def test_another_address_is_listened_on_only_with_a_token_of_your_own() -> None:
    for host in ("0.0.0.0", "192.0.2.1", "runs.example.org", "::"):
        with pytest.raises(DefinitionError, match="can be reached from other machines"):
            Server(MemoryStore(), host=host, port=0)
    with pytest.raises(DefinitionError, match="say which it answers to"):
        Server(MemoryStore(), host="0.0.0.0", port=0, token="x" * 16)
    with pytest.raises(DefinitionError, match="can be guessed"):
        Server(MemoryStore(), port=0, token="secret")
    made = Server(MemoryStore(), host="0.0.0.0", port=0, token="x" * 16, names=["runs.example.org"])
    with TestClient(made.app, base_url="http://runs.example.org") as client:
        assert client.get("/api/runs", headers={"Authorization": f"Bearer {'x' * 16}"}).status_code == 200
        assert client.get("/api/runs", headers={"Host": f"0.0.0.0:{made.port}"}).status_code == 421
    made.close()


def test_a_token_of_your_own_is_not_printed_and_one_that_is_made_is_new_each_time() -> None:
    own, one, other = (Server(MemoryStore(), port=0, token=token) for token in ("x" * 16, None, None))
    assert "token" not in own.opening
    assert one.opening == f"{one.address}?token={one.token}"
    assert one.token != other.token
    for made in (own, one, other):
        made.close()
