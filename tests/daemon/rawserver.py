"""A small server on loopback that does to its callers whatever a script says, down to the bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from typing import Any

import pytest

from daemon.net import Network, NotAnswered
from daemon.sites import Site
from handlers.media.wholeness import looks_cut
from handlers.wire import HttpCall, HttpReply

CAP = 1000
"""Bytes that an answer or a medium may have where a test does not say."""

CREATE = HttpCall("POST", "/images", json={"prompt": "x"}, creates="image")
POLL = HttpCall("GET", "/jobs/1")

HEAD_END = b"\r\n\r\n"


class Peer:
    """One connection, as the script of a server sees it."""

    def __init__(self, connection: socket.socket, server: RawServer) -> None:
        self._connection = connection
        self._server = server

    def request(self) -> bytes | None:
        """The next request, head and body; None where the caller has gone."""
        got = b""
        while HEAD_END not in got:
            more = self._connection.recv(65536)
            if not more:
                return None
            got += more
        length = int(header(got, "content-length") or 0)
        while len(got) < got.index(HEAD_END) + 4 + length:
            got += self._connection.recv(65536)
        self._server.requests.append(got)
        return got

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def reset(self) -> None:
        """Break off, so that the caller gets an error and no orderly end."""
        linger = struct.pack("ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._connection.close()

    def pass_on_to(self, onward: socket.socket) -> None:
        """Hand on what the caller sends, until it hangs up."""
        _pass_on(self._connection, onward)

    def pass_on_from(self, onward: socket.socket) -> None:
        """Hand the caller what comes from there, until that ends."""
        _pass_on(onward, self._connection)

    def gone(self, within: float) -> bool:
        """Whether the caller hung up within some seconds."""
        self._connection.settimeout(within)
        try:
            return not self._connection.recv(1)
        except TimeoutError:
            return False

    def wait_until_gone(self) -> None:
        """Until the caller has hung up."""
        with contextlib.suppress(OSError):
            while self._connection.recv(65536):
                pass


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


Script = Callable[[Peer], None]


class RawServer:
    """Runs its script for each connection, in a thread of its own."""

    def __init__(
        self, script: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.names: list[str | None] = []
        """What the callers wanted a certificate for."""
        self._script = script
        self._context = context
        if context is not None:
            context.sni_callback = lambda _sock, name, _ctx: self.names.append(name)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=[connection])
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._script(Peer(connection, self))

    def finish(self) -> None:
        """Wait until the connections that were made are over."""
        for thread in self._threads[1:]:
            thread.join()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@contextlib.contextmanager
def serving(
    script: Script, context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[RawServer]:
    server = RawServer(script, context, host)
    try:
        yield server
    finally:
        server.close()


def header(message: bytes, name: str) -> str | None:
    """The value of a header of a request or a reply."""
    for line in message.split(HEAD_END)[0].split(b"\r\n")[1:]:
        found, _, value = line.decode("latin-1").partition(":")
        if found.lower() == name:
            return value.strip()
    return None


def reply(body: bytes = b"", status: int = 200, **headers: Any) -> bytes:
    """A whole answer. `content_length=None` leaves that header out."""
    fields = {"content_length": len(body), **headers}
    lines = [f"HTTP/1.1 {status} Said"]
    lines += [f"{n.replace('_', '-')}: {v}" for n, v in fields.items() if v is not None]
    return "\r\n".join(lines).encode() + HEAD_END + body


def always(*answers: bytes) -> Script:
    """Answer each request of a connection with the next of these, and then with the last."""

    def script(peer: Peer) -> None:
        turn = 0
        while peer.request() is not None:
            peer.send(answers[min(turn, len(answers) - 1)])
            turn += 1

    return script


def in_turn(*scripts: Script) -> Script:
    """A script for each connection: the next of these, and then the last."""
    left = list(scripts)

    def script(peer: Peer) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(peer)

    return script


@cache
def _warm_up() -> None:
    """Make a first call, which imports what it needs: no test's timeout is to pay for that."""
    with serving(always(reply())) as server:
        asyncio.run(_with_network(lambda net: net.call(site_of(server), POLL, 60), {}))


async def _with_network(work: Callable[[Network], Awaitable[Any]], options: dict[str, Any]) -> Any:
    usual = {"max_answer_bytes": CAP, "max_media_bytes": CAP, "looks_cut": looks_cut}
    network = Network(**{**usual, **options})
    try:
        return await work(network)
    finally:
        await network.close()


def run(work: Callable[[Network], Awaitable[Any]], **options: Any) -> Any:
    """What some work with a network gives; the network is closed behind it."""
    _warm_up()
    return asyncio.run(_with_network(work, options))


def site_of(server: RawServer, **fields: Any) -> Site:
    return Site(f"http://127.0.0.1:{server.port}/v1", **fields)


def call(script: Script, one: HttpCall = CREATE, timeout: float = 5, **options: Any) -> HttpReply:
    """What a call to a server with this script gives."""
    with serving(script) as server:
        return run(lambda net: net.call(site_of(server), one, timeout), **options)


def lost(script: Script, one: HttpCall = CREATE, timeout: float = 5) -> NotAnswered:
    """How a call that such a server does not answer ends."""
    with pytest.raises(NotAnswered) as caught:
        call(script, one, timeout)
    return caught.value
