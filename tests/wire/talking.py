"""One connection of the tests' provider, and what is said on it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.wire.received import Received

if TYPE_CHECKING:
    from tests.wire.server import ProviderServer

LONGEST_HEAD = 1 << 20
"""Bytes. A client that says more before its blank line is no client of ours."""

LINGER_AT_ONCE = struct.pack("ii", 1, 0)
"""With this a close resets the connection."""


class Gone(Exception):
    """The other side left, or the server is being closed."""


class Wire:
    """A connected socket, read and written as bytes."""

    def __init__(self, connected: socket.socket, number: int) -> None:
        self.socket = connected
        self.number = number
        self.open = True
        self._ahead = b""

    def begun(self) -> bool:
        """Wait until the next request begins, and look at nothing of it; False if none comes."""
        return bool(self._ahead) or self._more()

    def head(self) -> bytes | None:
        """What comes before the first blank line, with it; None if nothing comes any more."""
        while b"\r\n\r\n" not in self._ahead:
            if len(self._ahead) > LONGEST_HEAD:
                raise Gone
            if not self._more():
                return None
        head, blank, self._ahead = self._ahead.partition(b"\r\n\r\n")
        return head + blank

    def body(self, headers: Mapping[str, str]) -> bytes:
        """The body that follows such headers.

        Raises:
            Gone: the other side left before its end.
        """
        if "chunked" in headers.get("transfer-encoding", ""):
            return self._chunks()
        return self._exactly(int(headers.get("content-length", "0")))

    def send(self, data: bytes) -> None:
        """
        Raises:
            Gone: nobody is there to take it.
        """
        try:
            self.socket.sendall(data)
        except (OSError, ValueError) as error:
            raise Gone from error

    def reset(self) -> None:
        """End the connection with RST: what the other side sent may not have been read."""
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_AT_ONCE)
        self._close()

    def finish(self) -> None:
        """End the connection in good order: say so, and wait for the other side to leave."""
        if not self.open:
            return
        with contextlib.suppress(OSError, ValueError, Gone):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
            self.socket.settimeout(1.0)  # somebody who keeps talking is not waited for
            while self._more():
                self._ahead = b""
        self._close()

    def interrupt(self) -> None:
        """From another thread: whoever reads or writes here is told that nobody is there."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def wait_gone(self) -> None:
        """Until the other side leaves; whatever it says is thrown away."""
        while self._more():
            self._ahead = b""

    def _close(self) -> None:
        self.open = False
        self.socket.close()

    def _more(self) -> bool:
        try:
            came = self.socket.recv(65536)
        except (OSError, ValueError):
            return False
        self._ahead += came
        return bool(came)

    def _exactly(self, count: int) -> bytes:
        pieces = [self._ahead]
        missing = count - len(self._ahead)
        while missing > 0:
            self._ahead = b""
            if not self._more():
                raise Gone
            pieces.append(self._ahead)
            missing -= len(self._ahead)
        data = b"".join(pieces)
        self._ahead = data[count:]
        return data[:count]

    def _chunks(self) -> bytes:
        data = b""
        while size := int(self._line().partition(b";")[0], 16):
            data += self._exactly(size)
            self._line()
        while self._line():  # trailers
            pass
        return data

    def _line(self) -> bytes:
        while b"\r\n" not in self._ahead:
            if not self._more():
                raise Gone
        line, _, self._ahead = self._ahead.partition(b"\r\n")
        return line


@dataclass(frozen=True)
class Reply:
    """An answer that is sent whole.

    Args:
        headers: besides `Content-Length`, which is true unless it stands here.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def wire(self) -> bytes:
        """All of it, as it is sent."""
        return self.head() + self.body

    def head(self, **instead: str) -> bytes:
        """Its head; `instead` are headers that stand there instead, with `_` for `-`."""
        headers = {"content-length": str(len(self.body))}
        headers |= {name.lower(): value for name, value in self.headers.items()}
        headers |= {name.replace("_", "-"): value for name, value in instead.items()}
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Odd"
        lines = [f"HTTP/1.1 {self.status} {phrase}"]
        # An empty value takes a header away.
        lines += [f"{name}: {value}" for name, value in headers.items() if value]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def but(self, **headers: str) -> Reply:
        """The same with more headers, with `_` for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return dataclasses.replace(self, headers={**self.headers, **more})


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """A reply in JSON; `headers` with `_` for `-`."""
    return Reply(status, json.dumps(value).encode(), {"content-type": "application/json"}).but(
        **headers
    )


@dataclass
class Talk:
    """One request and the place where its answer goes.

    Args:
        number: which of its kind it is (creating call, poll or download), from 1.
        leaving: set when the server is being closed.
    """

    server: ProviderServer
    received: Received
    wire: Wire
    number: int
    leaving: threading.Event

    def render(self, answer: Answer) -> Reply:
        """An answer as what is sent to this request."""
        return answer if isinstance(answer, Reply) else answer(self)


Answer = Reply | Callable[[Talk], Reply]
"""A good answer or an error: something that is sent whole."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong on the way.

    Args:
        act: does it.
        early: as soon as the head was read, before the body.
    """

    act: Callable[[Talk], None]
    early: bool = False


Step = Answer | Fault
"""What a script is made of."""
