"""Each fault does on the wire what it says; looked at with a bare socket, which nothing mends."""

from __future__ import annotations

import gzip
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Self

import pytest

from tests.wire import answers, faults
from tests.wire.envelopes import USAGE
from tests.wire.failures import plain
from tests.wire.server import ProviderServer
from tests.wire.talking import Fault, Step

BODY = json.dumps({"prompt": "a fox", "size": "8x8"}).encode()
HEAD = b"POST /v1/images/generations HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
REQUEST = HEAD % len(BODY) + BODY


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


class Raw:
    """A bare connection."""

    def __init__(self, server: ProviderServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, data: bytes = REQUEST) -> Raw:
        self.socket.sendall(data)
        return self

    def rest(self, limit: int = 1 << 30) -> tuple[bytes, str]:
        """What comes until the end, and how it ended: "closed", "reset", or "more" at the limit."""
        came = b""
        while len(came) < limit:
            try:
                piece = self.socket.recv(65536)
            except ConnectionResetError:
                return came, "reset"
            if not piece:
                return came, "closed"
            came += piece
        return came, "more"

    def reply(self) -> tuple[bytes, bytes]:
        """The head and the body of one reply with a length."""
        came = b""
        while b"\r\n\r\n" not in came:
            came += self.socket.recv(65536)
        head, _, body = came.partition(b"\r\n\r\n")
        while len(body) < length(head):
            body += self.socket.recv(65536)
        return head, body


def length(head: bytes) -> int:
    found = re.search(rb"content-length: (\d+)", head)
    assert found is not None
    return int(found[1])


def ask(server: ProviderServer, step: Step, at: str = "create") -> tuple[bytes, bytes, str]:
    """Head, body, and how it ended, of one request that is answered so."""
    server.script(step, at=at)
    with Raw(server) as raw:
        came, end = raw.say().rest()
    head, _, body = came.partition(b"\r\n\r\n")
    return head, body, end


def good(server: ProviderServer) -> bytes:
    """The body of a good answer."""
    with Raw(server) as raw:
        return raw.say().reply()[1]


# ---------------------------------------------------------------- resets


def test_a_connection_is_reset_before_anything_is_read(server: ProviderServer) -> None:
    assert ask(server, faults.reset_before_reading(), at="connect") == (b"", b"", "reset")
    assert (server.connections, server.requests) == (1, [])


def test_a_connection_is_reset_after_the_head(server: ProviderServer) -> None:
    server.script(faults.reset_after_head())
    with Raw(server) as raw:
        assert raw.say(HEAD % len(BODY)).rest() == (b"", "reset")
    assert [(one.whole, one.body) for one in server.creates] == [(False, b"")]


def test_a_connection_is_reset_or_closed_after_the_request(server: ProviderServer) -> None:
    assert ask(server, faults.reset_after_request()) == (b"", b"", "reset")
    assert ask(server, faults.close_after_request()) == (b"", b"", "closed")
    assert [(one.whole, one.body) for one in server.creates] == [(True, BODY)] * 2


def test_a_connection_is_reset_within_the_answer(server: ProviderServer) -> None:
    assert ask(server, faults.reset_in_head()) == (b"HTTP/1.1 200 OK\r\ncontent-ty", b"", "reset")
    head, body, end = ask(server, faults.reset_in_body())
    assert (len(body), end) == (length(head) // 2, "reset")


# ---------------------------------------------------------------- waiting


def test_it_hangs_until_it_is_released(server: ProviderServer) -> None:
    server.script(faults.hang(), faults.hang_in_body())
    with Raw(server) as first, Raw(server) as second:
        first.say()
        server.wait_for(1)
        second.say()
        came = second.socket.recv(65536)
        assert came.startswith(b"HTTP/1.1 200 OK")
        assert server.answered == 0
        server.release()
        assert json.loads(first.reply()[1])["data"]
        body = came.partition(b"\r\n\r\n")[2]
        while len(body) < length(came):
            body += second.socket.recv(65536)
        assert json.loads(body)["data"]


def test_it_drips(server: ProviderServer) -> None:
    server.script(faults.drip(answers.no_data(), every=0.002))
    with Raw(server) as raw:
        began = time.monotonic()
        body = raw.say().reply()[1]
    assert json.loads(body) == {"created": 1700000000}
    assert time.monotonic() - began >= 0.002 * (len(body) - 1)


# ---------------------------------------------------------------- lengths and encodings


@pytest.mark.parametrize("by", [7, -7])
def test_a_length_lies(by: int, server: ProviderServer) -> None:
    head, body, end = ask(server, faults.wrong_length(by))
    assert (length(head) - len(body), end) == (by, "closed")
    assert json.loads(body)["data"]


def test_a_body_ends_with_the_connection(server: ProviderServer) -> None:
    head, body, end = ask(server, faults.until_close())
    assert b"content-length" not in head
    assert (json.loads(body)["usage"], end) == (USAGE, "closed")


def test_a_body_comes_in_chunks_whole_or_cut(server: ProviderServer) -> None:
    server.script(faults.chunked(plain(200, "a fox runs"), size=4))
    with Raw(server) as raw:
        came = raw.say().socket.recv(65536)
        while not came.endswith(b"\r\n0\r\n\r\n"):
            came += raw.socket.recv(65536)
    assert came.partition(b"\r\n\r\n")[2] == b"4\r\na fo\r\n4\r\nx ru\r\n2\r\nns\r\n0\r\n\r\n"
    head, body, end = ask(server, faults.chunked(plain(200, "a fox runs"), size=4, cut=True))
    assert b"transfer-encoding: chunked" in head
    assert (body, end) == (b"4\r\na fo\r\n1\r\nx\r\n", "closed")


def test_gzip_comes_unasked(server: ProviderServer) -> None:
    server.script(faults.zipped(answers.no_data()), faults.odd_encoding("br"))
    with Raw(server) as raw:
        head, body = raw.say().reply()
        assert b"content-encoding: gzip" in head
        assert json.loads(gzip.decompress(body)) == {"created": 1700000000}
        assert b"content-encoding: br" in raw.say().reply()[0]


def test_a_bomb_is_small_until_it_is_unpacked(server: ProviderServer) -> None:
    server.script(faults.bomb(16 * faults.MEBIBYTE + 5))
    with Raw(server) as raw:
        body = raw.say().reply()[1]
    assert len(body) < faults.MEBIBYTE // 8
    assert gzip.decompress(body) == bytes(16 * faults.MEBIBYTE + 5)


# ---------------------------------------------------------------- what has no end


@pytest.mark.parametrize("fault", [faults.endless(), faults.endless_head()])
def test_some_answers_have_no_end(fault: Fault, server: ProviderServer) -> None:
    server.script(fault)
    with Raw(server) as raw:
        came, end = raw.say().rest(limit=4 * faults.MEBIBYTE)
    assert (came[:15], end) == (b"HTTP/1.1 200 OK", "more")
    server.wait_for(lambda: server.answered == 1, "it noticed that nobody is there")
    assert good(server)


def test_some_answers_are_none_or_too_many(server: ProviderServer) -> None:
    assert ask(server, faults.no_http())[0] == b"220 mail.example.com ESMTP"
    head, body, end = ask(server, faults.too_much())
    assert body[length(head) :].startswith(b"HTTP/1.1 200 OK")
    assert end == "closed"


# ---------------------------------------------------------------- connections that are kept


def test_a_connection_is_kept_for_as_long_as_the_client_likes(server: ProviderServer) -> None:
    with Raw(server) as raw:
        assert raw.say().reply()[1] != raw.say().reply()[1]
    assert [one.connection for one in server.requests] == [1, 1]


def test_a_kept_connection_is_closed_behind_the_answer(server: ProviderServer) -> None:
    head, body, end = ask(server, faults.then_close())
    assert b"connection: keep-alive" in head
    assert (len(body), end) == (length(head), "closed")


def test_a_kept_connection_is_reset_when_it_is_used_again(server: ProviderServer) -> None:
    server.script(faults.then_reset_next())
    with Raw(server) as raw:
        assert json.loads(raw.say().reply()[1])["data"]
        assert raw.say().rest() == (b"", "reset")
    assert len(server.requests) == 1


# ---------------------------------------------------------------- elsewhere


def test_it_sends_one_elsewhere(server: ProviderServer) -> None:
    server.script(faults.redirect("http://127.0.0.1:1/x", 307), faults.circle())
    with Raw(server) as raw:
        head = raw.say().reply()[0]
        assert head.startswith(b"HTTP/1.1 307 ")
        assert b"location: http://127.0.0.1:1/x" in head
        assert b"location: /v1/images/generations" in raw.say().reply()[0]
