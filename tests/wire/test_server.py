"""The tests' provider does what its scripts say; what it counts is what came."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire import answers, failures, faults
from tests.wire.listening import Untouched
from tests.wire.pictures import picture
from tests.wire.received import read_head, read_multipart
from tests.wire.server import ProviderServer
from tests.wire.talking import Answer, Reply

FOX = {"model": "paper-1", "prompt": "a fox", "n": 2, "size": "16x12"}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


@pytest.fixture
def client(server: ProviderServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=10) as speaking:
        yield speaking


def create(client: httpx.Client, path: str = "/images/generations", **headers: str) -> Any:
    return client.post(path, json=FOX, headers=headers)


# ---------------------------------------------------------------- scripts


def test_a_script_is_followed_in_order_and_then_all_is_well(
    server: ProviderServer, client: httpx.Client
) -> None:
    server.script(failures.overloaded(), failures.rate_limited(retry_after="3"))
    came = [create(client) for _ in range(3)]
    assert [one.status_code for one in came] == [503, 429, 200]
    assert came[1].headers["retry-after"] == "3"
    assert len(came[2].json()["data"]) == 2


def test_creating_calls_polls_downloads_and_paths_have_scripts_of_their_own(
    server: ProviderServer, client: httpx.Client
) -> None:
    address = server.media("/media/a.png", picture(1))
    other = server.media("/media/b.png", picture(2))
    server.script(failures.empty(500), at="create")
    server.script(failures.empty(502), at="poll")
    server.script(failures.empty(503), at="download")
    server.script(failures.empty(410), at="/media/b.png")
    assert client.get(other).status_code == 410
    assert client.get(address).status_code == 503
    assert client.get("/videos/x").status_code == 502
    assert create(client).status_code == 500
    assert [client.get(one).content for one in (address, other)] == [picture(1), picture(2)]
    assert client.get("/videos/x").status_code == 404
    assert (len(server.creates), len(server.polls), len(server.downloads)) == (1, 2, 4)


def test_what_came_can_be_waited_for(server: ProviderServer, client: httpx.Client) -> None:
    server.script(faults.hang())
    asking = threading.Thread(target=create, args=(client,))
    asking.start()
    server.wait_for(lambda: server.creates, "the creating call")
    assert server.answered == 0
    server.release()
    server.wait_for(lambda: server.answered == 1, "its answer")
    asking.join()
    with pytest.raises(AssertionError, match="never happened: a second one; came: 1"):
        server.wait_for(lambda: len(server.creates) == 2, "a second one", timeout=0.01)


def test_closing_it_lets_those_go_who_hang() -> None:
    closing = ProviderServer()

    def ask() -> None:
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{closing.base_url}/images", json=FOX, trust_env=False, timeout=20)

    with closing:
        closing.script(faults.hang(), faults.drip(every=60))
        asking = [threading.Thread(target=ask) for _ in range(2)]
        for one in asking:
            one.start()
        closing.wait_for(2)
    for one in asking:
        one.join(5)
        assert not one.is_alive()


# ---------------------------------------------------------------- what is recorded


def test_a_request_is_recorded_as_it_came(server: ProviderServer, client: httpx.Client) -> None:
    create(client, "/images/edits?api-version=1&x=%20", **{"API-Key": "k", "X-Twice": "1"})
    create(client, authorization="Bearer sk-1")
    first, second = server.requests
    assert (first.method, first.path) == ("POST", "/v1/images/edits")
    assert first.query == {"api-version": "1", "x": " "}
    assert (first.headers["x-twice"], first.key, second.key) == ("1", "k", "sk-1")
    assert first.json == FOX
    assert first.connection == second.connection == server.connections == 1
    assert server.creates_by_key() == {"k": 1, "sk-1": 1}
    assert server.creates_by_body() == {first.digest: 2}


def test_a_request_that_ends_too_early_is_recorded_as_such(server: ProviderServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(b"POST /v1/images/generations HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf")
    server.wait_for(1)
    assert [(one.whole, one.body) for one in server.creates] == [(False, b"")]
    assert server.made == 0


def test_a_body_in_chunks_is_read(server: ProviderServer, client: httpx.Client) -> None:
    body = json.dumps(FOX).encode()
    client.post("/images/generations", content=iter([body[:5], body[5:]]))
    assert server.requests[0].json == FOX


def test_a_call_that_comes_again_with_its_key_makes_nothing_more() -> None:
    with (
        ProviderServer(idempotency_header="idempotency-key") as server,
        httpx.Client(base_url=server.base_url, trust_env=False) as client,
    ):
        server.script(faults.reset_after_request())
        with pytest.raises(httpx.TransportError):
            create(client, **{"Idempotency-Key": "one"})
        again = create(client, **{"Idempotency-Key": "one"})
        other = create(client, **{"Idempotency-Key": "two"})
        assert base64.b64decode(again.json()["data"][0]["b64_json"]) == picture(1, 0, (16, 12))
        assert base64.b64decode(other.json()["data"][0]["b64_json"]) == picture(2, 0, (16, 12))
        assert (len(server.creates), server.made) == (3, 2)


NAMES = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=9)
FILES = st.tuples(NAMES, NAMES, st.binary(max_size=60) | st.just(b"\r\n--x\r\n\r\n--\r\n"))


@settings(deadline=None, max_examples=25)
@given(st.lists(FILES, min_size=1, max_size=4), st.dictionaries(NAMES, st.text(max_size=9)))
def test_forms_are_read_as_they_were_written(
    files: list[tuple[str, str, bytes]], fields: dict[str, str]
) -> None:
    request = httpx.Request(
        "POST",
        "http://x",
        data=fields,
        files=[(name, (f"{file}.png", data, "image/png")) for name, file, data in files],
    )
    parts = read_multipart(request.read(), request.headers["content-type"])
    assert {part.name: part.data.decode() for part in parts if part.filename is None} == fields
    assert [(p.name, p.filename, p.data) for p in parts if p.filename] == [
        (name, f"{file}.png", data) for name, file, data in files
    ]
    assert {part.media_type for part in parts if part.filename} == {"image/png"}


@pytest.mark.parametrize("body", [b"", b"--b\r\n", b"--b\r\n\r\nx\r\n--b--", b"x\r\n--b--\r\n"])
def test_a_form_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises((ValueError, KeyError)):
        read_multipart(body, "multipart/form-data; boundary=b")


@pytest.mark.parametrize(
    "head", [b"GET /\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"A / HTTP/1.1\r\nx"]
)
def test_a_head_that_is_none_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError):
        read_head(head, 1)


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize("name", answers.GOOD | answers.BAD)
def test_each_shape_is_whole_http(name: str, server: ProviderServer, client: httpx.Client) -> None:
    server.script((answers.GOOD | answers.BAD)[name])
    came = create(client)
    assert came.status_code == 200
    came = create(client)
    assert came.status_code == 200  # the connection still stands where it should
    assert server.connections == 1


HOLD_ADDRESSES = [
    "url", "images_objects", "output_list", "chat_markdown", "chat_bare", "chat_json", "chat_html",
]  # fmt: skip


@pytest.mark.parametrize("name", HOLD_ADDRESSES)
def test_addresses_lead_to_the_pictures(
    name: str, server: ProviderServer, client: httpx.Client
) -> None:
    server.script(answers.GOOD[name])
    assert f"{server.origin}/media/1-0.png" in create(client).text
    assert client.get(f"{server.origin}/media/1-0.png").content == picture(1, 0, (16, 12))


def test_pictures_may_lie_on_another_server(server: ProviderServer, client: httpx.Client) -> None:
    with ProviderServer() as elsewhere:
        server.script(answers.url(elsewhere))
        address = create(client).json()["data"][1]["url"]
        assert address == f"{elsewhere.origin}/media/1-1.png"
        assert httpx.get(address, trust_env=False).content == picture(1, 1, (16, 12))
        assert (len(server.downloads), len(elsewhere.downloads)) == (0, 1)


def test_paths_and_encodings_are_as_loose_as_they_are_said_to_be(
    server: ProviderServer, client: httpx.Client
) -> None:
    server.script(*(answers.GOOD[name] for name in ("relative", "b64_loose", "out_of_order")))
    assert create(client).json()["data"][0] == {"url": "/media/1-0.png"}
    loose = create(client).json()["data"][0]["b64_json"]
    assert not {"+", "/", "="} & set(loose)
    assert [item["index"] for item in create(client).json()["data"]] == [1, 0]


ERRORS: dict[str, Answer] = {**failures.REFUSED, **failures.PASSING, **failures.INSIDE_200}


@pytest.mark.parametrize("name", ERRORS)
def test_each_failure_is_sent_with_its_status(
    name: str, server: ProviderServer, client: httpx.Client
) -> None:
    reply = ERRORS[name]
    assert isinstance(reply, Reply)
    server.script(reply)
    came = create(client)
    assert (came.status_code, came.content) == (reply.status, reply.body)
    assert server.requests[0].whole


# ---------------------------------------------------------------- ports that nobody should touch


def test_an_untouched_port_says_so_and_a_touched_one_too() -> None:
    with Untouched() as inward:
        assert inward.touched() == 0
        with socket.create_connection(("127.0.0.1", inward.port)):
            assert inward.touched() == 1
        assert inward.touched() == 1
