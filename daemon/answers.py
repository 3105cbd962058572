"""An answer on its way: whether its call had left, and how its body is read within limits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.contract import Json

Take = Callable[[bytes], Awaitable[None] | None]
"""Takes a chunk of a body; what it returns is waited for before the next one comes."""


class NotAnswered(Exception):
    """No whole reply came.

    Args:
        message: a short sentence for people, without a query, a password or any header.
        sent: whether anything of the call had left, so that it may have been done.
        timed_out: whether it was time that ran out.
    """

    def __init__(self, message: str, *, sent: bool, timed_out: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.timed_out = timed_out


class TooMuch(Exception):
    """A body is larger than it may be."""


class TooSlow(Exception):
    """A body comes more slowly than it may."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a body may come at worst."""

    floor: int = 20 * 1024
    """Bytes that must come in each window."""
    window: float = 20.0
    """In seconds."""


@dataclass(slots=True)
class Journey:
    """What became of one request."""

    host: str
    sent: bool = False
    """Whether its first line had begun to leave."""
    _stream: Any = None
    """The last connection that was made for it."""

    async def trace(self, event: str, info: Mapping[str, Json]) -> None:
        """Told by httpcore of each thing it does. CONNECT is for the proxy, not the request."""
        if event.endswith("send_request_headers.started"):
            self.sent = self.sent or info["request"].method != b"CONNECT"
        elif event.endswith("connect_tcp.complete"):
            self._stream = info["return_value"]

    async def give_up(self) -> None:
        """Close its connection: httpcore leaves one open whose TLS handshake is cancelled."""
        if self._stream is not None:
            await self._stream.aclose()


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; its body is still to be read, once."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case; of several with one name, the values with commas between."""
    chunks: Callable[[], AsyncIterator[bytes]]

    async def read(self, cap: int, pace: Pace | None = None) -> bytes:
        """The raw bytes of the body.

        Args:
            cap: how many there may be.
            pace: how slowly they may come; None for as slowly as they like.

        Raises:
            TooMuch: there are more.
            TooSlow: they come more slowly.
        """
        body = bytearray()

        def take(chunk: bytes) -> None:
            body.extend(chunk)

        await self.pour(take, cap, pace)
        return bytes(body)

    async def pour(self, take: Take, cap: int, pace: Pace | None = None) -> None:
        """Hand the body over as it comes.

        Args:
            take: gets each chunk.
            cap: how many bytes there may be.
            pace: how slowly they may come; the time that `take` wants does not count.

        Raises:
            TooMuch: there are more.
            TooSlow: they come more slowly.
        """
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > cap:
            raise TooMuch
        window = pace.window if pace else None
        try:
            async with asyncio.timeout(window) as timer, _closing(self.chunks()) as chunks:
                await _pour(chunks, take, cap, pace, timer)
        except TimeoutError:
            if timer.expired():
                raise TooSlow from None
            raise


async def _pour(
    chunks: AsyncIterator[bytes], take: Take, cap: int, pace: Pace | None, timer: asyncio.Timeout
) -> None:
    clock, size, counted = asyncio.get_running_loop().time, 0, 0
    async for chunk in chunks:
        size += len(chunk)
        if size > cap:
            raise TooMuch
        if (taking := take(chunk)) is not None:
            began, ends = clock(), timer.when()
            timer.reschedule(None)
            await taking
            timer.reschedule(ends and ends + clock() - began)
        if pace is not None and size - counted >= pace.floor:
            counted = size
            timer.reschedule(clock() + pace.window)


@contextlib.asynccontextmanager
async def _closing(chunks: AsyncIterator[bytes]) -> AsyncIterator[AsyncIterator[bytes]]:
    """Close a generator at once, and not when it is collected."""
    try:
        yield chunks
    finally:
        if (close := getattr(chunks, "aclose", None)) is not None:
            await close()
