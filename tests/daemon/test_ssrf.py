"""No address, name or redirect of a stranger's leads to this machine or its network."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from daemon.net import Effort, Network
from daemon.sites import Site
from handlers.contract import HandlerError
from handlers.wire import HttpCall
from tests.daemon.rawserver import always, reply, run, serving


class Inside:
    """A listener on loopback that nobody may touch, on any address of it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])

    def is_untouched(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def inside() -> Iterator[Inside]:
    found = Inside()
    try:
        yield found
        assert found.is_untouched()
    finally:
        found.close()


def refused(site: Site | None, url: str, **options: Any) -> HandlerError:
    """How a download is refused; a call must be, too."""
    errors = []
    works = [lambda net: net.fetch(site, url, 5)]
    if site is not None:
        works.append(lambda net: net.call(site, HttpCall("GET", url), 5))
    for work in works:
        with pytest.raises(HandlerError) as caught:
            run(work, **options)
        errors.append(caught.value)
    assert {error.code for error in errors} == {"forbidden_address"}
    return errors[0]


HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0177.0.0.01",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "127.0.0.1.",
    "１２７.０.０.１",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ｌｏｃａｌｈｏｓｔ",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:0:0:0:0:80ff:fffe]",
    "user:pass@127.0.0.1",
    "api.test@127.0.0.1",
    "127.0.0.1%00.api.test",
    "api.test\\@127.0.0.1",
    "169.254.169.254",
    "[fd00:ec2::254]",
    "100.100.100.200",
    "10.0.0.1",
    "192.168.0.1",
    "[fe80::1]",
    "[fc00::1]",
]


@pytest.mark.parametrize("host", HOSTS)
def test_no_spelling_of_an_inner_address_is_called(inside: Inside, host: str) -> None:
    site = Site(f"https://api.test:{inside.port}")
    refused(site, f"https://{host}:{inside.port}/x.png")
    refused(None, f"https://{host}/x.png")


ODD = ["http://127.0.0.1:PORT/", "file:///etc/passwd", "ftp://127.0.0.1:PORT/", "//127.0.0.1:PORT/"]
ODD += ["http://cdn.test/x.png", "https://cdn.test:22/x.png", "data:image/png;base64,AA", "https:"]


@pytest.mark.parametrize("url", ODD)
def test_no_other_scheme_or_port_is_called(inside: Inside, url: str) -> None:
    refused(Site("https://api.test"), url.replace("PORT", str(inside.port)))


class Rebinding:
    """A name that is a public address first, and then one inside."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.asked: list[str] = []
        self._answers = list(answers)

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        assert isinstance(host, str)
        self.asked.append(host)
        return self._answers.pop(0)


INNER = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "10.1.2.3", "169.254.169.254", "fe80::1%lo"]


@pytest.mark.parametrize("address", INNER)
@pytest.mark.parametrize("public_first", [True, False])
def test_a_name_with_one_inner_address_is_not_called(
    inside: Inside, address: str, public_first: bool
) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        both = ["93.184.215.14", address]
        return both if public_first else both[::-1]

    site = Site(f"https://api.test:{inside.port}")
    error = refused(site, f"https://cdn.test:{inside.port}/x.png", resolve=resolve)
    assert error.message.startswith("cdn.test is not called: its address is a")


def test_a_name_is_resolved_once_and_the_judged_address_is_connected_to() -> None:
    judged: list[str] = []

    def judge(address: str) -> str | None:
        judged.append(address)
        return None

    rebinding = Rebinding(["127.0.0.9"], ["127.0.0.1"])  # on the first nobody listens
    with serving(always(reply())) as server:
        site = Site(f"https://api.test:{server.port}")

        async def work(net: Network) -> None:
            await net.fetch(site, f"https://cdn.test:{server.port}/x", 5)

        with pytest.raises(HandlerError):
            run(work, resolve=rebinding, judge=judge, effort=Effort(tries=1))
    assert (rebinding.asked, judged) == (["cdn.test"], ["127.0.0.9"])
    assert server.connections == 0


def test_each_try_is_judged_again() -> None:
    async def no_wait(_seconds: float) -> None:
        pass

    judge = {"127.0.0.9": None, "127.0.0.1": "a loopback address"}.__getitem__
    rebinding = Rebinding(["127.0.0.9"], ["127.0.0.1"])
    with serving(always(reply())) as server, pytest.raises(HandlerError) as caught:
        run(
            lambda net: net.fetch(
                Site(f"https://api.test:{server.port}"), f"https://cdn.test:{server.port}/x", 5
            ),
            resolve=rebinding,
            judge=judge,
            effort=Effort(sleep=no_wait),
        )
    assert caught.value.code == "forbidden_address"
    assert server.connections == 0


LOCATIONS = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254/",
    "https://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/",
    "https://[::1]:PORT/",
    "https://127.1:PORT/",
    "//localhost:PORT/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:PORT/",
    "https://user:pass@127.0.0.1:PORT/",
    "https://[",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_no_redirect_leads_inside(inside: Inside, location: str) -> None:
    away = reply(status=302, Location=location.replace("PORT", str(inside.port)))
    with serving(always(away)) as server, pytest.raises(HandlerError) as caught:
        run(lambda net: net.fetch(Site(f"http://127.0.0.1:{server.port}"), "/x.png", 5))
    assert caught.value.code == "forbidden_address"
    assert len(server.requests) == 1


# ---------------------------------------------------------------- the configured origin


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[fe80::1]"]
)
def test_a_metadata_service_cannot_be_configured(host: str) -> None:
    refused(Site(f"http://{host}"), "/latest/meta-data")


def test_a_name_of_a_metadata_service_cannot_be_configured() -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["169.254.169.254"]

    refused(Site("http://api.test"), "/latest/meta-data", resolve=resolve)


def test_a_local_server_is_called_at_exactly_its_own_origin(inside: Inside) -> None:
    with serving(always(reply(b"x"))) as server:
        site = Site(f"http://127.0.0.1:{server.port}")
        assert run(lambda net: net.fetch(site, "/x", 5)).data == b"x"
        refused(site, f"http://127.0.0.1:{inside.port}/x")
        refused(site, f"http://127.0.0.2:{server.port}/x")
        refused(site, f"https://127.0.0.1:{server.port}/x")
    assert server.connections == 1
