"""Media that are brought home: sizes, pace, statuses, further tries, and what is no medium."""

from __future__ import annotations

import asyncio
import errno
import gzip
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from daemon.answers import Pace
from daemon.downloads import retry_after
from daemon.files import write_all
from daemon.net import Effort, Fetched, Network
from daemon.redaction import Secret
from daemon.sites import Site
from daemon.staging import SMALL
from daemon.testing import tiny_image
from handlers.contract import HandlerError
from handlers.media.wholeness import is_medium
from tests.daemon.rawserver import (
    CAP,
    Peer,
    Script,
    always,
    header,
    in_turn,
    reply,
    run,
    serving,
    site_of,
)
from tests.support import wait_until

PICTURE = tiny_image()


class Waits:
    """Sleeps that are noted and take no time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)


def fetch(script: Script, path: str = "/x.png", timeout: float = 5, **options: Any) -> Fetched:
    effort = Effort(sleep=Waits().sleep, pace=Pace(floor=1000, window=0.2))
    with serving(script) as server:
        return run(
            lambda net: net.fetch(site_of(server), path, timeout),
            **{"effort": effort, **options},
        )


def failed(script: Script, **options: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        fetch(script, **options)
    return caught.value


def tries_of(script: Script) -> int:
    """How often a failing medium is asked for."""
    with serving(script) as server, pytest.raises(HandlerError):
        effort = Effort(sleep=Waits().sleep)
        run(lambda net: net.fetch(site_of(server), "/x.png", 5), effort=effort)
    return len(server.requests)


# ---------------------------------------------------------------- what comes home


def test_a_medium_comes_home_with_the_key_to_the_own_origin() -> None:
    with serving(always(reply(PICTURE, content_type="Image/PNG; q=1"))) as server:
        site = site_of(server, headers={"x-api-key": Secret("canary")})
        got = run(lambda net: net.fetch(site, "/x.png?sig=1", 5))
    assert got == Fetched(PICTURE, "image/png", f"http://127.0.0.1:{server.port}/v1/x.png")
    (sent,) = server.requests
    assert sent.startswith(b"GET /v1/x.png?sig=1 ")
    assert header(sent, "x-api-key") == "canary"
    assert header(sent, "accept-encoding") == "identity"


def test_a_medium_of_no_type_has_none() -> None:
    assert fetch(always(reply(b"any bytes"))).media_type is None


def test_a_medium_of_just_the_size_comes_home() -> None:
    assert len(fetch(always(reply(b"x" * CAP))).data) == CAP


def test_a_medium_in_chunks_comes_home() -> None:
    chunks = b"1\r\nx\r\n" * 3 + b"0\r\n\r\n"
    whole = always(reply(chunks, content_length=None, transfer_encoding="chunked"))
    assert fetch(whole).data == b"xxx"


def test_cookies_are_not_kept() -> None:
    with serving(always(reply(PICTURE, Set_Cookie="a=b"))) as server:

        async def work(net: Any) -> None:
            await net.fetch(site_of(server), "/x", 5)
            await net.fetch(site_of(server), "/x", 5)

        run(work)
    assert [header(sent, "cookie") for sent in server.requests] == [None, None]


# ---------------------------------------------------------------- sizes and pace


def endless(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=None, transfer_encoding="chunked"))
    while True:
        peer.send(b"64\r\n" + bytes(100) + b"\r\n")


@pytest.mark.parametrize(
    "script", [endless, always(reply(bytes(CAP + 1))), always(reply(b"x", content_length=10**12))]
)
def test_more_than_the_cap_is_too_large(script: Script) -> None:
    assert failed(script).code == "too_large"


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_packed_media_are_refused_unread(coding: str) -> None:
    bomb = gzip.compress(bytes(10**6))
    error = failed(always(reply(bomb, content_encoding=coding)))
    assert (error.code, error.retryable) == ("download_failed", False)


def drip(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=10**6))
    while True:
        peer.send(b"x")
        if peer.gone(within=0.01):
            return


def stall(peer: Peer) -> None:
    peer.request()
    peer.send(reply(b"x", content_length=10**6))
    peer.wait_until_gone()


@pytest.mark.parametrize("script", [drip, stall])
def test_a_body_below_the_pace_is_given_up(script: Script) -> None:
    error = failed(script, max_media_bytes=10**7)
    assert (error.code, error.retryable) == ("download_failed", True)
    assert error.message.endswith("comes too slowly")


def test_a_body_that_keeps_the_pace_may_take_many_windows() -> None:
    def steady(peer: Peer) -> None:
        peer.request()
        peer.send(reply(content_length=6000))
        for _ in range(6):
            peer.send(bytes(1000))
            peer.gone(within=0.15)

    effort = Effort(pace=Pace(floor=1000, window=0.6))
    assert len(fetch(steady, max_media_bytes=6000, effort=effort).data) == 6000


def test_all_of_it_has_a_deadline() -> None:
    def silent(peer: Peer) -> None:
        peer.request()
        peer.wait_until_gone()

    error = failed(silent, timeout=0.1)
    assert (error.code, error.retryable) == ("download_failed", True)
    assert error.message.endswith("/v1/x.png was not here within 0.1 s")


def test_cancellation_passes_through_and_is_no_reason_to_try_again() -> None:
    arrived = threading.Event()

    def silent(peer: Peer) -> None:
        peer.request()
        arrived.set()
        peer.wait_until_gone()

    async def work(net: Network) -> None:
        task = asyncio.create_task(net.fetch(site_of(server), "/x", 60))
        await asyncio.to_thread(arrived.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with serving(silent) as server:
        run(work)
    assert len(server.requests) == 1


# ---------------------------------------------------------------- statuses and further tries


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 304, 300])
def test_a_refusal_that_stays_is_not_tried_again(status: int) -> None:
    script = always(reply(b"gone", status=status))
    error = failed(script)
    assert (error.code, error.retryable) == ("download_failed", False)
    assert error.http == {"status": status}
    assert tries_of(script) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_refusal_that_may_pass_is_tried_three_times(status: int) -> None:
    script = always(reply(b"later", status=status))
    error = failed(script)
    assert (error.code, error.retryable, error.http) == (
        "download_failed",
        True,
        {"status": status},
    )
    assert tries_of(script) == 3


def cut(peer: Peer) -> None:
    peer.request()
    peer.send(reply(PICTURE[:-20], content_length=len(PICTURE)))


def reset_within(peer: Peer) -> None:
    peer.request()
    peer.send(reply(PICTURE[:-20], content_length=len(PICTURE)))
    peer.reset()


def hang_up(peer: Peer) -> None:
    peer.request()


PASSING = {
    "shorter than its length": cut,
    "reset within the body": reset_within,
    "hung up": hang_up,
    "unread": lambda _peer: None,
    "a PNG without its end": always(reply(PICTURE[:-12])),
    "a JPEG without its end": always(reply(tiny_image(form="JPEG")[:-2])),
    "a WebP without its end": always(reply(tiny_image(form="WEBP")[:-2])),
    "nothing": always(reply(b"")),
    "status 503": always(reply(status=503)),
}


@pytest.mark.parametrize("fault", PASSING)
def test_what_may_pass_is_fetched_again(fault: str) -> None:
    assert fetch(in_turn(PASSING[fault], PASSING[fault], always(reply(PICTURE)))).data == PICTURE


@pytest.mark.parametrize("fault", PASSING)
def test_but_not_for_ever(fault: str) -> None:
    error = failed(in_turn(*[PASSING[fault]] * 3, always(reply(PICTURE))))
    assert (error.code, error.retryable) == ("download_failed", True)


@pytest.mark.parametrize("page", [b"<!doctype html>", b' {"error":1}', b"<svg>", b"[]", b"<?xml?>"])
def test_a_page_is_no_medium_and_not_asked_for_again(page: bytes) -> None:
    script = always(reply(page, content_type="image/png"))
    error = failed(script)
    assert (error.code, error.retryable) == ("download_failed", False)
    assert "a page" in error.message
    assert tries_of(script) == 1


def waits_for(*answers: bytes) -> list[float]:
    waits = Waits()
    with serving(in_turn(*map(always, answers))) as server:
        run(lambda net: net.fetch(site_of(server), "/x", 5), effort=Effort(sleep=waits.sleep))
    assert len(answers) == len(server.requests)
    return waits.seconds


def test_waits_are_jittered_and_grow() -> None:
    busy, whole = reply(status=503), reply(PICTURE)
    found = [waits_for(busy, busy, whole) for _ in range(5)]
    assert all(0 <= first <= 1 and 0 <= second <= 2 for first, second in found)
    assert len({first for first, _ in found}) > 1


def test_an_answer_may_ask_for_a_longer_wait_within_reason() -> None:
    busy = [reply(status=429, Retry_After=after) for after in ("7.5", "9999")]
    assert waits_for(*busy, reply(PICTURE)) == [7.5, 30.0]


DATE = "Wed, 21 Oct 2026 07:28:00 GMT"
ASKED = [
    ({"retry-after": "7"}, 7.0),
    ({"retry-after": " 0.5 "}, 0.5),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": DATE}, 10.0),
    ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": DATE}, 0.0),
    ({"retry-after": DATE}, None),
    ({"retry-after": "soon", "date": DATE}, None),
    ({"retry-after": "-1"}, None),
    ({"retry-after": "nan"}, None),
    ({"retry-after": "9" * 400}, None),
    ({"retry-after": "Wed, 21 Oct 99999999999 07:28:10", "date": DATE}, None),
    ({}, None),
]


@pytest.mark.parametrize(("headers", "seconds"), ASKED)
def test_how_long_an_answer_wants_to_be_left_alone(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_a_refused_connection_may_pass() -> None:
    waits = Waits()
    with serving(always()) as server:
        pass
    with pytest.raises(HandlerError) as caught:
        run(
            lambda net: net.fetch(Site(f"http://127.0.0.1:{server.port}"), "/x", 5),
            effort=Effort(sleep=waits.sleep),
        )
    assert (caught.value.code, caught.value.retryable) == ("download_failed", True)
    assert len(waits.seconds) == 2


def test_what_is_no_medium_is_fetched_again_and_given_back_in_the_end() -> None:
    odd, picture = always(reply(b"no medium")), always(reply(PICTURE))
    known = {"is_medium": is_medium}
    assert fetch(in_turn(odd, picture), **known).data == PICTURE
    with serving(odd) as server:
        effort = Effort(sleep=Waits().sleep)
        got = run(lambda net: net.fetch(site_of(server), "/x", 5), effort=effort, **known)
    assert (got.data, len(server.requests)) == (b"no medium", 3)


def test_where_a_cut_medium_comes_last_nothing_is_given_back() -> None:
    script = in_turn(always(reply(b"no medium")), always(reply(PICTURE[:40])))
    assert failed(script, is_medium=is_medium).retryable


# ---------------------------------------------------------------- large ones


LARGE = tiny_image()[:-12] + bytes(3 * SMALL) + tiny_image()[-12:]
"""Begins and ends as a PNG."""


def fetched_to(folder: Path, script: Script, **options: Any) -> Fetched:
    return fetch(script, staging=folder, max_media_bytes=8 * SMALL, is_medium=is_medium, **options)


def test_a_large_medium_comes_into_a_file(tmp_path: Path) -> None:
    got = fetched_to(tmp_path, always(reply(LARGE, content_type="image/png")))
    assert (got.data, got.media_type) == (None, "image/png")
    assert got.staged is not None
    assert got.staged.path.read_bytes() == LARGE
    assert got.staged.sha256 == hashlib.sha256(LARGE).hexdigest()
    got.staged.close()
    assert os.listdir(tmp_path) == []


def large_and_cut(peer: Peer) -> None:
    peer.request()
    peer.send(reply(LARGE[:-20], content_length=len(LARGE)))


def large_and_slow(peer: Peer) -> None:
    peer.request()
    peer.send(reply(LARGE[: 2 * SMALL], content_length=len(LARGE)))
    peer.wait_until_gone()


def large_and_endless(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=None, transfer_encoding="chunked"))
    part = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    while True:
        peer.send(part)


FAULTY = {
    "shorter than its length": (large_and_cut, "download_failed"),
    "without its end": (always(reply(LARGE[:-12])), "download_failed"),
    "too slow": (large_and_slow, "download_failed"),
    "too large": (large_and_endless, "too_large"),
    "a page": (always(reply(b"<html>" + bytes(2 * SMALL))), "download_failed"),
    "a text": (always(reply(b"GIF89a" + b"x" * 2 * SMALL)), "download_failed"),
    "refused": (always(reply(LARGE, status=404)), "download_failed"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_try_that_failed_leaves_no_file(fault: str, tmp_path: Path) -> None:
    script, code = FAULTY[fault]
    with pytest.raises(HandlerError) as caught:
        fetched_to(tmp_path, script)
    assert caught.value.code == code
    wait_until(lambda: os.listdir(tmp_path) == [], "nothing is left")


def test_the_deadline_leaves_no_file(tmp_path: Path) -> None:
    slow = Effort(pace=Pace(floor=1, window=60))
    with pytest.raises(HandlerError) as caught:
        fetched_to(tmp_path, large_and_slow, timeout=0.5, effort=slow)
    assert caught.value.message.endswith("was not here within 0.5 s")
    wait_until(lambda: os.listdir(tmp_path) == [], "nothing is left")


def test_of_large_ones_that_are_no_medium_only_the_last_is_given_back(tmp_path: Path) -> None:
    odd = b"\xff\xd9 no medium" + bytes(2 * SMALL)
    got = fetched_to(tmp_path, always(reply(odd)))
    assert got.staged is not None
    assert got.staged.path.read_bytes() == odd
    assert os.listdir(tmp_path) == [got.staged.path.name]
    got.staged.close()
    got = fetched_to(tmp_path, in_turn(always(reply(odd)), always(reply(PICTURE))))
    assert (got.data, os.listdir(tmp_path)) == (PICTURE, [])


def test_a_long_text_comes_into_a_file_where_a_text_is_wanted(tmp_path: Path) -> None:
    text = b"{" + b" " * 2 * SMALL + b"}"
    with serving(always(reply(text))) as server:
        got = run(
            lambda net: net.fetch(site_of(server), "/x", 5, text=True),
            staging=tmp_path,
            max_media_bytes=8 * SMALL,
        )
    assert got.staged.path.read_bytes() == text
    got.staged.close()


def test_a_disk_without_room_is_no_fault_of_the_medium(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("daemon.staging.write_all", full)
    with pytest.raises(OSError, match="full"):
        fetched_to(tmp_path, always(reply(LARGE)))
    assert os.listdir(tmp_path) == []


def test_the_time_that_the_disk_takes_is_not_the_senders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(descriptor: int, data: bytes) -> None:
        threading.Event().wait(0.4)  # longer than the window
        write_all(descriptor, data)

    monkeypatch.setattr("daemon.staging.write_all", slow)
    got = fetched_to(tmp_path, always(reply(LARGE)))
    assert got.staged is not None
    got.staged.close()


def test_a_clip_whose_first_length_is_a_bracket_is_no_page() -> None:
    clip = b"\0\0\0<ftypisom" + bytes(48)
    assert fetch(always(reply(clip)), looks_cut=lambda _: False).data == clip


# ---------------------------------------------------------------- within the own origin


def test_a_redirect_within_the_origin_is_followed_without_the_key() -> None:
    redirect = always(reply(status=302, Location="/there?q=1"))
    with serving(in_turn(redirect, always(reply(PICTURE)))) as server:
        site = site_of(server, headers={"authorization": Secret("Bearer canary")})
        got = run(lambda net: net.fetch(site, "/x", 5))
    assert got.url == f"http://127.0.0.1:{server.port}/there"
    assert server.requests[1].startswith(b"GET /there?q=1 ")
    assert b"canary" in server.requests[0]
    assert b"canary" not in server.requests[1]


def test_redirects_end_somewhere() -> None:
    script = always(reply(status=302, Location="/again"))
    assert "more than 5 redirects" in failed(script).message
    assert tries_of(script) == 6


def test_an_error_shows_no_query() -> None:
    script = always(reply(status=404))
    assert "canary" not in repr(failed(script, path="/x?sig=canary"))
