"""Answers that cannot be read, though what was asked for may have been done."""

from __future__ import annotations

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.net import Effort, NotAnswered
from handlers.contract import HandlerError
from tests.daemon.rawserver import (
    CAP,
    CREATE,
    Peer,
    Script,
    always,
    call,
    lost,
    reply,
    run,
    serving,
    site_of,
)
from tests.examples import examples


def endless_chunks(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=None, transfer_encoding="chunked"))
    while True:
        peer.send(b"64\r\n" + bytes(100) + b"\r\n")


def endless_without_length(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=None))
    while True:
        peer.send(bytes(100))


TOO_MUCH = [
    always(reply(bytes(CAP + 1))),
    always(reply(b"x", content_length=10**15)),
    endless_chunks,
    endless_without_length,
    always(reply(gzip.compress(bytes(10**6)), content_encoding="gzip")),
    always(reply(gzip.compress(bytes(10**8), 1)[:CAP], content_encoding="gzip")),
    always(reply(zlib.compress(bytes(10**6)), content_encoding="deflate")),
]


@pytest.mark.parametrize("script", TOO_MUCH)
def test_an_answer_that_is_too_large_was_sent_for(script: Script) -> None:
    error = lost(script)
    assert error.sent
    assert "more than" in str(error) or "larger than" in str(error)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_an_answer_in_an_unknown_packing_was_sent_for(coding: str) -> None:
    error = lost(always(reply(b"x", content_encoding=coding)))
    assert error.sent
    assert "not asked for" in str(error)


def test_an_answer_that_was_packed_unasked_is_unpacked() -> None:
    packed = gzip.compress(b"said")
    got = call(always(reply(packed, content_encoding="gzip", content_type="text/plain")))
    assert got.body == b"said"
    assert "content-encoding" not in got.headers


def test_an_answer_of_just_the_size_is_whole() -> None:
    assert len(call(always(reply(bytes(CAP)))).body) == CAP


def test_what_comes_after_the_length_is_not_taken() -> None:
    assert call(always(reply(b"said and more", content_length=4))).body == b"said"


def test_an_answer_without_length_ends_with_its_connection() -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(reply(b"said", content_length=None))

    assert call(script).body == b"said"


HEADS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 Said\r\nLocation: ", b"HTTP/1.1 101 Up\r\n", b""]
FIELDS = [
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Encoding: gzip\r\n",
]
FIELDS += [b"Connection: upgrade\r\n", b"\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n"]
NOISE = st.lists(st.sampled_from(FIELDS) | st.binary(max_size=9), max_size=6).map(b"".join)


@settings(max_examples=examples(60), deadline=None)
@given(st.sampled_from(HEADS), NOISE)
def test_no_bytes_are_too_odd_for_a_clear_end(head: bytes, noise: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(head + noise)

    with serving(script) as server:
        with contextlib.suppress(NotAnswered):
            run(lambda net: net.call(site_of(server), CREATE, 5))
        with contextlib.suppress(HandlerError):
            run(lambda net: net.fetch(site_of(server), "/x", 5), effort=Effort(tries=1))
