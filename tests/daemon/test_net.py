"""Calls: what is sent where, what comes back, and whether a lost one had left."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from typing import Any

import pytest

from daemon.net import Network, NotAnswered
from daemon.redaction import Secret
from daemon.sites import Site
from handlers.contract import HandlerError
from handlers.wire import HttpCall
from tests.daemon.rawserver import (
    CREATE,
    POLL,
    Peer,
    Script,
    always,
    call,
    header,
    in_turn,
    lost,
    reply,
    run,
    serving,
    site_of,
)

# ---------------------------------------------------------------- what is sent, and what comes back


def test_the_path_is_appended_to_the_base_url_and_the_key_goes_along() -> None:
    with serving(always(reply(b"said", status=201, X_Request_Id="r1"))) as server:
        site = site_of(server, headers={"authorization": Secret("Bearer canary")})
        got = run(lambda net: net.call(site, CREATE, 5))
    assert (got.status, got.body, got.headers["x-request-id"]) == (201, b"said", "r1")
    (sent,) = server.requests
    assert sent.startswith(b"POST /v1/images HTTP/1.1\r\n")
    assert sent.endswith(b'\r\n\r\n{"prompt":"x"}')
    assert header(sent, "authorization") == "Bearer canary"
    assert header(sent, "host") == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_any_status_is_a_reply(status: int) -> None:
    assert call(always(reply(b"why", status=status))).status == status


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(status: int) -> None:
    with serving(always(reply(status=status, Location="/elsewhere"))) as server:
        got = run(lambda net: net.call(site_of(server), POLL, 5))
    assert (got.status, got.headers["location"]) == (status, "/elsewhere")
    assert len(server.requests) == 1


def test_a_whole_address_of_the_origin_is_called_with_the_key() -> None:
    with serving(always(reply())) as server:
        site = site_of(server, headers={"x-api-key": Secret("canary")})
        there = HttpCall("GET", f"http://127.0.0.1:{server.port}/other?q=1")
        run(lambda net: net.call(site, there, 5))
    assert server.requests[0].startswith(b"GET /other?q=1 ")
    assert header(server.requests[0], "x-api-key") == "canary"


# ---------------------------------------------------------------- connections


def test_each_call_that_creates_has_a_connection_of_its_own() -> None:
    async def work(net: Network) -> None:
        for one in (POLL, CREATE, CREATE, POLL):
            await net.call(site_of(server), one, 5)

    with serving(always(reply(b"x"))) as server:
        run(work)
    assert (server.connections, len(server.requests)) == (3, 4)


def test_free_calls_share_a_connection() -> None:
    async def work(net: Network) -> None:
        for _ in range(5):
            await net.call(site_of(server), POLL, 5)

    with serving(always(reply(b"x"))) as server:
        run(work)
    assert (server.connections, len(server.requests)) == (1, 5)


def test_sites_with_another_proxy_or_authority_share_none(tmp_path: Any) -> None:
    import trustme

    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(file))

    async def work(net: Network) -> None:
        await net.call(site_of(server), POLL, 5)
        await net.call(site_of(server, ca_file=file), POLL, 5)

    with serving(always(reply(b"x"))) as server:
        run(work)
    assert server.connections == 2


def test_the_next_of_several_addresses_is_tried() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]  # on the first nobody listens

    with serving(always(reply(b"x"))) as server:
        site = Site(f"http://api.test:{server.port}")
        assert run(lambda net: net.call(site, CREATE, 5), resolve=resolve).body == b"x"
    assert header(server.requests[0], "host") == f"api.test:{server.port}"


def test_an_address_of_version_6_is_called() -> None:
    with serving(always(reply(b"x")), host="::1") as server:
        site = Site(f"http://[::1]:{server.port}")
        assert run(lambda net: net.call(site, CREATE, 5)).body == b"x"
    assert header(server.requests[0], "host") == f"[::1]:{server.port}"


# ---------------------------------------------------------------- lost answers


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_refused_connection_sent_nothing() -> None:
    with pytest.raises(NotAnswered) as caught:
        run(lambda net: net.call(Site(f"http://127.0.0.1:{closed_port()}"), CREATE, 5))
    assert (caught.value.sent, caught.value.timed_out) == (False, False)
    assert str(caught.value) == "no connection to 127.0.0.1 could be made"


def test_a_name_without_an_address_sent_nothing() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(NotAnswered, match=r"api\.test cannot be resolved") as caught:
        run(lambda net: net.call(Site("https://api.test"), CREATE, 5), resolve=resolve)
    assert not caught.value.sent


def test_a_name_that_is_not_resolved_in_time_sent_nothing() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(NotAnswered, match="not resolved in time") as caught:
        run(
            lambda net: net.call(Site("https://api.test"), CREATE, 5),
            resolve=resolve,
            connect_timeout=0.01,
        )
    assert (caught.value.sent, caught.value.timed_out) == (False, True)


@pytest.mark.parametrize(("timeout", "connect_timeout"), [(0.1, 9.0), (9.0, 0.1)])
def test_time_may_run_out_while_the_connection_is_made(
    timeout: float, connect_timeout: float
) -> None:
    with (
        serving(lambda peer: peer.wait_until_gone()) as server,  # never shakes hands for TLS
        pytest.raises(NotAnswered) as caught,
    ):
        site = Site(f"https://127.0.0.1:{server.port}")
        run(lambda net: net.call(site, CREATE, timeout), connect_timeout=connect_timeout)
    assert (caught.value.sent, caught.value.timed_out) == (False, True)


@pytest.mark.parametrize(("timeout", "connect_timeout"), [(0.1, 9.0), (9.0, 0.1)])
def test_a_connection_that_was_given_up_is_closed(timeout: float, connect_timeout: float) -> None:
    async def work(net: Network) -> None:
        with pytest.raises(NotAnswered):
            await net.call(Site(f"https://127.0.0.1:{server.port}"), CREATE, timeout)
        async with asyncio.timeout(5):
            await asyncio.to_thread(server.finish)

    with serving(lambda peer: peer.wait_until_gone()) as server:
        run(work, connect_timeout=connect_timeout)


def hang_up(_peer: Peer) -> None:
    """Accepted, and closed unread."""


@pytest.mark.parametrize("script", [hang_up, lambda peer: peer.reset()])
def test_what_breaks_off_within_the_handshake_sent_nothing(script: Script) -> None:
    with serving(script) as server, pytest.raises(NotAnswered) as caught:
        run(lambda net: net.call(Site(f"https://127.0.0.1:{server.port}"), CREATE, 5))
    assert (caught.value.sent, caught.value.timed_out) == (False, False)


def hang_up_after_reading(peer: Peer) -> None:
    peer.request()


def reset_after_reading(peer: Peer) -> None:
    peer.request()
    peer.reset()


def reset_within_the_head(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-")
    peer.reset()


def reset_within_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(reply(b"half", content_length=8))
    peer.reset()


def end_within_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(reply(b"half", content_length=8))


def end_within_a_chunk(peer: Peer) -> None:
    peer.request()
    peer.send(reply(b"8\r\nhalf", content_length=None, transfer_encoding="chunked"))


def speak_no_http(peer: Peer) -> None:
    peer.request()
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n")


BROKEN = [
    hang_up, hang_up_after_reading, reset_after_reading, reset_within_the_head,
    reset_within_the_body, end_within_the_body, end_within_a_chunk, speak_no_http,
    always(reply(b"x", content_length="1, 2")),
]  # fmt: skip


@pytest.mark.parametrize("script", BROKEN)
def test_whatever_breaks_off_after_the_first_line_was_sent(script: Script) -> None:
    error = lost(script)
    assert (error.sent, error.timed_out) == (True, False)
    assert str(error) == "127.0.0.1 broke off before its answer was whole"


def silent(peer: Peer) -> None:
    peer.request()
    peer.wait_until_gone()


def endless(peer: Peer) -> None:
    peer.request()
    peer.send(reply(content_length=None, transfer_encoding="chunked"))
    peer.send(b"1\r\nx\r\n")
    peer.wait_until_gone()


def only_informational(peer: Peer) -> None:
    peer.request()
    peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    peer.wait_until_gone()


@pytest.mark.parametrize("script", [silent, endless, only_informational])
def test_a_timeout_after_that_was_sent_too(script: Script) -> None:
    error = lost(script, timeout=0.3)
    assert (error.sent, error.timed_out) == (True, True)
    assert str(error) == "127.0.0.1 did not answer within 0.3 s"


def test_cancellation_passes_through() -> None:
    async def work(net: Network) -> None:
        task = asyncio.create_task(net.call(site_of(server), CREATE, 60))
        await asyncio.to_thread(arrived.wait)
        task.cancel("by hand")
        with pytest.raises(asyncio.CancelledError):
            await task

    arrived = threading.Event()

    def script(peer: Peer) -> None:
        peer.request()
        arrived.set()
        peer.wait_until_gone()

    with serving(script) as server:
        run(work)


def test_an_error_shows_neither_query_nor_key() -> None:
    with serving(hang_up) as server, pytest.raises(NotAnswered) as caught:
        site = site_of(server, headers={"x-api-key": Secret("canary")})
        run(lambda net: net.call(site, HttpCall("GET", "/x?key=canary"), 5))
    assert "canary" not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


# ---------------------------------------------------------------- the rest


def test_importing_the_module_does_not_import_httpx() -> None:
    program = "import daemon.net, sys; print([m for m in sys.modules if m.startswith('http')])"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "httpx" not in out.stdout
    assert "httpcore" not in out.stdout


def test_the_libraries_write_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    call(always(reply(b"x", X_Key="canary")))
    assert [record for record in caplog.records if record.name.startswith("http")] == []


def test_a_certificate_file_that_is_none_is_the_configurations_fault(tmp_path: Any) -> None:
    file = tmp_path / "ca.pem"
    for content in (None, "no certificate"):
        if content:
            file.write_text(content)
        with pytest.raises(HandlerError) as caught:
            run(lambda net: net.call(Site("https://127.0.0.1", ca_file=file), CREATE, 5))
        assert caught.value.code == "config_invalid"
        assert "ca.pem" in caught.value.message


def test_a_call_after_a_connection_died_goes_out_on_a_new_one() -> None:
    def once(peer: Peer) -> None:
        peer.request()
        peer.send(reply(b"1"))
        peer.reset()

    async def work(net: Network) -> bytes:
        await net.call(site_of(server), POLL, 5)
        await asyncio.to_thread(server.finish)
        return (await net.call(site_of(server), POLL, 5)).body

    with serving(in_turn(once, always(reply(b"2")))) as server:
        assert run(work) == b"2"
