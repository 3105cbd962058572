"""Certificates, pinned addresses, proxies: by which connection something goes out."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme

from daemon.connections import Connections
from daemon.net import Effort, Fetched, NotAnswered
from daemon.redaction import Secret
from daemon.sites import Site
from daemon.testing import tiny_image
from handlers.contract import HandlerError
from handlers.wire import HttpCall
from tests.daemon.rawserver import (
    CREATE,
    POLL,
    Peer,
    RawServer,
    always,
    header,
    in_turn,
    reply,
    run,
    serving,
)

PICTURE = tiny_image()
KEYS = {name: Secret("canary") for name in ("authorization", "x-api-key", "x-goog-api-key")}
ONE_TRY = Effort(tries=1)


class Authority:
    """An authority of the tests' own, and a server's certificate from it."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.file))
        self._certificate = authority.issue_cert("api.test", "media.test", "127.0.0.1")

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._certificate.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority, trusted by whoever trusts the environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


class Resolver:
    """Every name is this machine; notes who was asked for."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[str] = []
        self._answers = answers or ("127.0.0.1",)

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers


def call(site: Site, one: HttpCall = POLL, **options: Any) -> bytes:
    reply = run(lambda net: net.call(site, one, 5), **{"resolve": Resolver(), **options})
    return bytes(reply.body)


def fetch(site: Site | None, url: str, **options: Any) -> Fetched:
    """From a stranger, who may be this machine for once."""
    chosen = {"resolve": Resolver(), "judge": lambda _: None, "trust_env": True, "effort": ONE_TRY}
    got = run(lambda net: net.fetch(site, url, 5), **{**chosen, **options})
    assert isinstance(got, Fetched)
    return got


def tls(authority: Authority, script: Any = always(reply(PICTURE))) -> Any:  # noqa: B008
    return serving(script, authority.context())


# ---------------------------------------------------------------- certificates


def test_a_certificate_of_nobody_known_is_refused(authority: Authority) -> None:
    with tls(authority) as server, pytest.raises(NotAnswered, match="no certificate") as caught:
        call(Site(f"https://api.test:{server.port}"), CREATE)
    assert not caught.value.sent
    assert server.requests == []


def test_an_authority_of_the_sites_own_is_trusted(authority: Authority) -> None:
    with tls(authority) as server:
        site = Site(f"https://api.test:{server.port}", ca_file=authority.file)
        assert call(site) == PICTURE
    assert server.names == ["api.test"]


def test_but_only_for_its_own_origin(authority: Authority) -> None:
    with tls(authority) as server, pytest.raises(NotAnswered, match="no certificate"):
        site = Site(f"https://api.test:{server.port}", ca_file=authority.file)
        there = HttpCall("GET", f"https://media.test:{server.port}/")
        call(site, there, judge=lambda _: None)
    assert server.requests == []


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    with tls(authority) as server, pytest.raises(NotAnswered, match=r"other\.test"):
        call(Site(f"https://other.test:{server.port}", ca_file=authority.file))
    assert server.requests == []


def test_old_versions_of_tls_are_not_spoken(authority: Authority) -> None:
    context = Connections()._context(authority.file)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_a_pinned_connection_checks_the_certificate_against_the_name(trusted: Authority) -> None:
    with tls(trusted) as server:
        site = Site(f"https://api.test:{server.port}")
        resolver = Resolver()
        url = f"https://media.test:{server.port}/x.png?q=1"
        assert fetch(site, url, resolve=resolver).data == PICTURE
        with pytest.raises(HandlerError, match=r"other\.test"):
            fetch(site, f"https://other.test:{server.port}/x.png")
    (sent,) = server.requests
    assert header(sent, "host") == f"media.test:{server.port}"
    assert sent.startswith(b"GET /x.png?q=1 ")
    assert (resolver.asked, server.names) == (["media.test"], ["media.test", "other.test"])


def test_an_address_in_place_of_a_name_is_checked_too(authority: Authority) -> None:
    with tls(authority) as server:
        site = Site(f"https://127.0.0.1:{server.port}", ca_file=authority.file)
        assert call(site) == PICTURE


# ---------------------------------------------------------------- keys and strangers


def keys_in(request: bytes) -> list[str]:
    return [name for name in KEYS if header(request, name)]


def test_no_key_goes_to_another_host(trusted: Authority) -> None:
    with tls(trusted) as server:
        site = Site(f"https://api.test:{server.port}", headers=KEYS)
        url = f"https://media.test:{server.port}/x.png"
        fetch(site, url)
        call(site, HttpCall("GET", url), judge=lambda _: None, trust_env=True)
        fetch(site, "/x.png")
    assert [keys_in(sent) for sent in server.requests] == [[], [], list(KEYS)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_key_goes_along_with_a_redirect(trusted: Authority, status: int) -> None:
    there = reply(status=status, Location="//media.test:PORT/x.png")
    back = reply(status=status, Location="//api.test:PORT/x.png")
    with tls(trusted, in_turn(sends(there), sends(back), always(reply(PICTURE)))) as server:
        site = Site(f"https://api.test:{server.port}", headers=KEYS)
        assert fetch(site, "/x.png").data == PICTURE
    assert [keys_in(sent) for sent in server.requests] == [list(KEYS), [], []]
    assert server.names == ["api.test", "media.test", "api.test"]
    assert b"canary" not in b"".join(server.requests[1:])


def test_what_was_redirected_abroad_comes_back_as_a_stranger(trusted: Authority) -> None:
    async def resolve(host: str, _port: int) -> list[str]:
        return ["127.0.0.1" if host == "api.test" else "127.0.0.2"]

    judge = {"127.0.0.1": "a loopback address", "127.0.0.2": None}.__getitem__
    there = sends(reply(status=302, Location="//media.test:PORT/x.png"))
    back = sends(reply(status=302, Location="//api.test:PORT/x.png"))
    script = in_turn(there, back, always(reply(PICTURE)))
    with (
        serving(script, trusted.context(), host="0.0.0.0") as server,
        pytest.raises(HandlerError, match="a loopback address") as caught,
    ):
        fetch(Site(f"https://api.test:{server.port}"), "/x", resolve=resolve, judge=judge)
    assert caught.value.code == "forbidden_address"
    assert server.names == ["api.test", "media.test"]


def sends(answer: bytes) -> Any:
    """A script that sends an answer, with the port of the host that was asked for."""

    def script(peer: Peer) -> None:
        sent = peer.request()
        port = (header(sent or b"", "host") or "").rpartition(":")[2]
        peer.send(answer.replace(b"PORT", port.encode()))

    return script


def test_a_redirect_never_leads_from_https_to_http(trusted: Authority) -> None:
    with serving(always(reply(PICTURE))) as inner:
        away = reply(status=302, Location=f"http://api.test:{inner.port}/x.png")
        with tls(trusted, always(away)) as server, pytest.raises(HandlerError) as caught:
            fetch(Site(f"https://api.test:{server.port}"), "/x.png")
    assert caught.value.code == "forbidden_address"
    assert inner.connections == 0


# ---------------------------------------------------------------- proxies


def proxy_of(server: RawServer) -> Secret:
    return Secret(f"http://user:canary@127.0.0.1:{server.port}")


def test_the_proxies_of_the_environment_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(always(reply(b"proxied"))) as proxy, serving(always(reply(b"said"))) as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            for spelling in (name, name.lower()):
                monkeypatch.setenv(spelling, f"http://127.0.0.1:{proxy.port}")
        assert call(Site(f"http://api.test:{server.port}")) == b"said"
    assert proxy.connections == 0


def test_they_are_used_where_the_settings_say_so(
    trusted: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert trusted
    with serving(always(reply(b"proxied"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        assert call(Site("http://api.test"), trust_env=True) == b"proxied"
        monkeypatch.setenv("no_proxy", "api.test")
        with pytest.raises(NotAnswered):
            call(Site("http://api.test:1"), trust_env=True)
    assert proxy.connections == 1


def test_a_proxy_of_the_site_gets_the_name_and_not_the_key(authority: Authority) -> None:
    with serving(always(reply(status=502))) as proxy, pytest.raises(NotAnswered) as caught:
        site = Site("https://api.test", headers=KEYS, proxy=proxy_of(proxy))
        call(site, CREATE)
    (sent,) = proxy.requests
    assert sent.startswith(b"CONNECT api.test:443 ")
    assert header(sent, "proxy-authorization")
    assert keys_in(sent) == []
    assert not caught.value.sent
    assert str(caught.value) == "the proxy does not connect to api.test"


def test_a_tunnel_through_a_proxy_is_encrypted_to_the_name(authority: Authority) -> None:
    with tls(authority) as server:

        def tunnel(peer: Peer) -> None:
            peer.request()
            with socket.create_connection(("127.0.0.1", server.port)) as onward:
                peer.send(b"HTTP/1.1 200 Established\r\n\r\n")
                back = threading.Thread(target=peer.pass_on_from, args=[onward])
                back.start()
                peer.pass_on_to(onward)
                back.join()

        with serving(tunnel) as proxy:
            site = Site(
                f"https://api.test:{server.port}",
                headers=KEYS,
                ca_file=authority.file,
                proxy=proxy_of(proxy),
            )
            assert call(site, CREATE) == PICTURE
    assert b"canary" not in b"".join(proxy.requests)
    assert keys_in(server.requests[0]) == list(KEYS)
    assert server.names == ["api.test"]


@pytest.mark.parametrize(
    "address", ["socks5://canary@h:1", "canary", "ftp://h", "http://", "http://h:x"]
)
def test_a_proxy_that_is_none_is_the_configurations_fault(address: str) -> None:
    with pytest.raises(HandlerError) as caught:
        call(Site("https://api.test", proxy=Secret(address)))
    assert caught.value.code == "config_invalid"
    assert "canary" not in repr(caught.value)


def test_a_proxy_is_not_asked_for_an_address_that_is_forbidden() -> None:
    with serving(always(reply())) as proxy, pytest.raises(HandlerError) as caught:
        call(Site("http://169.254.169.254", proxy=proxy_of(proxy)), resolve=None)
    assert caught.value.code == "forbidden_address"
    assert proxy.connections == 0
