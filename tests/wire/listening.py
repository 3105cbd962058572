"""A loopback port with threads of its own, on which the tests' servers stand."""

from __future__ import annotations

import contextlib
import functools
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from tests.wire.talking import Wire

PATIENCE = 20.0
"""Seconds after which a thing that should have happened counts as not happening."""


class Listener:
    """A loopback port with a thread for each of its connections; a context manager.

    Args:
        tls: what it takes to speak TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._wires: dict[int, Wire] = {}
        self._crashes: list[Exception] = []
        self.changed = threading.Condition()
        self.leaving = threading.Event()
        self._peers: list[int] = []
        self._left = 0
        """How many of them are dealt with."""

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self._crashes:
            raise ExceptionGroup("the tests' provider itself failed", self._crashes)

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """How many were accepted."""
        return len(self._peers)

    def close(self) -> None:
        """Let go of everything: the port, the connections, and who hangs on them."""
        self.leaving.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        with self.changed:
            for wire in self._wires.values():
                wire.interrupt()
        for thread in self._threads:
            thread.join(PATIENCE)
        self._listening.close()

    def wait_for(
        self, wanted: int | Callable[[], Any], what: str = "", timeout: float = PATIENCE
    ) -> None:
        """Block until a condition holds, looked at after each change; or until so many connections
        (`Untouched`) or requests (`ProviderServer`) came.

        Raises:
            AssertionError: it never did.
        """
        holds = (lambda: self._count() >= wanted) if isinstance(wanted, int) else wanted
        with self.changed:
            if not self.changed.wait_for(holds, timeout):
                raise AssertionError(f"never happened: {what or wanted}; came: {self._count()}")

    def wait_left(self) -> None:
        """Block until all who connected are gone, those too whom nobody has accepted yet, and all
        that they said was heard. For when their process has died."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            port = own.getsockname()[1]
            # Connections are accepted in order: with its own, all before it were.
            self.wait_for(lambda: port in self._peers, "its own connection")
        self.wait_for(lambda: self._left == len(self._peers), "all are gone")

    def _count(self) -> int:
        return self.connections

    def serve(self, wire: Wire) -> None:
        """What is done with a connection."""
        wire.finish()

    def _accept(self) -> None:
        while not self.leaving.is_set():
            try:
                connected, peer = self._listening.accept()
            except OSError:
                return
            with self.changed:
                self._peers.append(peer[1])
                number = len(self._peers)
                self.changed.notify_all()
            self._start(functools.partial(self._connected, connected, number))

    def _connected(self, connected: socket.socket, number: int) -> None:
        try:
            self._speak(connected, number)
        finally:
            with self.changed:
                self._left += 1
                self.changed.notify_all()

    def _speak(self, connected: socket.socket, number: int) -> None:
        with connected:
            # Here and not where it is accepted: a handshake may take its time, or never end.
            wire = Wire(connected, number)
            with self._known(wire):
                if self._tls is None:
                    self.serve(wire)
                    return
                with contextlib.suppress(OSError):
                    wire.socket = self._tls.wrap_socket(
                        connected, server_side=True, do_handshake_on_connect=False
                    )
                    with wire.socket as speaking:
                        speaking.do_handshake()
                        self.serve(wire)

    @contextlib.contextmanager
    def _known(self, wire: Wire) -> Iterator[None]:
        with self.changed:
            self._wires[wire.number] = wire
            if self.leaving.is_set():
                wire.interrupt()
        try:
            yield
        finally:
            with self.changed:
                del self._wires[wire.number]
                self.changed.notify_all()

    def _start(self, work: Callable[[], None]) -> None:
        def run() -> None:
            try:
                work()
            except Exception as error:
                self._crashes.append(error)

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()


class Untouched(Listener):
    """A port to which nobody should connect."""

    def __init__(self) -> None:
        super().__init__()
        self._owned: set[int] = set()

    def touched(self) -> int:
        """How many connected until now, those too that nobody has accepted yet."""
        with socket.create_connection(("127.0.0.1", self.port)) as own:
            port = own.getsockname()[1]
            # Connections are accepted in order: with its own, all before it were.
            self.wait_for(lambda: port in self._peers, "its own connection")
        with self.changed:
            self._owned.add(port)
            return sum(peer not in self._owned for peer in self._peers)
