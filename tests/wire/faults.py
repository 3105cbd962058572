"""What goes wrong on the way: faults for `ProviderServer.script`.

Those that need an answer to spoil take one, and spoil a good one otherwise.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable

from tests.wire.answers import b64
from tests.wire.talking import Answer, Fault, Reply, Talk, Wire

MEBIBYTE = 1 << 20

# ---------------------------------------------------------------- resets and hangs


def reset(talk: Talk) -> None:
    talk.wire.reset()


def reset_before_reading() -> Fault:
    """Reset as soon as a first byte came. For `at="connect"`."""
    return Fault(reset)


def reset_after_head() -> Fault:
    """Reset when the head was read, before the body."""
    return Fault(reset, early=True)


def reset_after_request() -> Fault:
    """Reset when all was read: it may have been done, and nobody will say."""
    return Fault(reset)


def close_after_request() -> Fault:
    """The same in good order: an end where an answer should be."""
    return Fault(lambda talk: talk.wire.finish())


def reset_in_head() -> Fault:
    """Reset in the middle of the answer's head."""
    return Fault(lambda talk: _cut(talk.wire, b"HTTP/1.1 200 OK\r\ncontent-ty"))


def reset_in_body(answer: Answer | None = None) -> Fault:
    """Reset when half of the body was sent."""
    return Fault(lambda talk: _cut(talk.wire, _half(_reply(talk, answer))))


def hang() -> Fault:
    """No answer until `ProviderServer.release`; then the good one."""

    def act(talk: Talk) -> None:
        _until_released(talk)
        talk.wire.send(_reply(talk, None).wire())

    return Fault(act)


def hang_in_body(answer: Answer | None = None) -> Fault:
    """Half of the body, and the other half after `ProviderServer.release`."""

    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        half = _half(reply)
        talk.wire.send(half)
        _until_released(talk)
        talk.wire.send(reply.wire()[len(half) :])

    return Fault(act)


def _cut(wire: Wire, data: bytes) -> None:
    wire.send(data)
    wire.reset()


def _half(reply: Reply) -> bytes:
    return reply.head() + reply.body[: len(reply.body) // 2]


def _reply(talk: Talk, answer: Answer | None) -> Reply:
    return talk.render(b64() if answer is None else answer)


def _until_released(talk: Talk) -> None:
    while not talk.server.released.wait(0.02) and not talk.leaving.is_set():
        pass


# ---------------------------------------------------------------- slow


def drip(answer: Answer | None = None, every: float = 0.05, size: int = 1) -> Fault:
    """The head at once, then `size` bytes of the body every so many seconds."""

    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        talk.wire.send(reply.head())
        for start in range(0, len(reply.body), size):
            talk.wire.send(reply.body[start : start + size])
            if talk.leaving.wait(every):
                return

    return Fault(act)


# ---------------------------------------------------------------- lengths and encodings


def wrong_length(by: int, answer: Answer | None = None) -> Fault:
    """A `Content-Length` that says so many bytes more (or fewer, below 0) than come."""

    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        talk.wire.send(reply.head(content_length=str(len(reply.body) + by)) + reply.body)
        talk.wire.finish()

    return Fault(act)


def until_close(answer: Answer | None = None) -> Fault:
    """No length at all: the body ends with the connection. That is allowed."""

    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        talk.wire.send(reply.head(content_length="", connection="close") + reply.body)
        talk.wire.finish()

    return Fault(act)


def chunked(answer: Answer | None = None, size: int = 100, *, cut: bool = False) -> Fault:
    """In chunks. That is allowed; with `cut` the last ones never come."""

    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        body = reply.body[: len(reply.body) // 2] if cut else reply.body
        talk.wire.send(reply.head(content_length="", transfer_encoding="chunked"))
        for start in range(0, len(body), size):
            talk.wire.send(_chunk(body[start : start + size]))
        talk.wire.finish() if cut else talk.wire.send(_chunk(b""))

    return Fault(act)


def zipped(answer: Answer | None = None) -> Answer:
    """Gzip, whatever was asked for."""

    def reply(talk: Talk) -> Reply:
        plain = _reply(talk, answer)
        body = gzip_of(plain.body)
        return Reply(plain.status, body, plain.headers).but(content_encoding="gzip")

    return reply


def bomb(size: int = 320 * MEBIBYTE, content_type: str = "application/json") -> Answer:
    """Some kilobytes of gzip that become `size` zero bytes."""
    return lambda _: Reply(
        200, gzip_zeros(size), {"content-type": content_type, "content-encoding": "gzip"}
    )


def odd_encoding(name: str = "br") -> Answer:
    """An encoding that was never asked for, over bytes that are not in it."""
    return lambda talk: _reply(talk, None).but(content_encoding=name)


def gzip_of(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


@functools.cache
def gzip_zeros(size: int) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    zeros = bytes(MEBIBYTE)
    packed = [packer.compress(zeros) for _ in range(size // MEBIBYTE)]
    return b"".join([*packed, packer.compress(zeros[: size % MEBIBYTE]), packer.flush()])


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


# ---------------------------------------------------------------- without end


def endless(content_type: str = "image/png", begin: bytes = b"\x89PNG\r\n\x1a\n") -> Fault:
    """Chunks without end, as fast as they are taken."""

    def act(talk: Talk) -> None:
        head = Reply(200, b"", {"content-type": content_type})
        talk.wire.send(head.head(content_length="", transfer_encoding="chunked") + _chunk(begin))
        _flood(talk, _chunk(bytes(65536)))

    return Fault(act)


def endless_head() -> Fault:
    """Headers without end."""

    def act(talk: Talk) -> None:
        talk.wire.send(b"HTTP/1.1 200 OK\r\n")
        _flood(talk, b"x-more: " + b"a" * 1000 + b"\r\n")

    return Fault(act)


def no_http() -> Fault:
    """What is no HTTP."""
    return Fault(lambda talk: _say(talk, b"220 mail.example.com ESMTP\r\n\r\n"))


def too_much(extra: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}") -> Fault:
    """A good answer, and right behind it another one that nobody asked for."""
    return Fault(lambda talk: _say(talk, _reply(talk, None).wire() + extra))


def _flood(talk: Talk, data: bytes) -> None:
    while not talk.leaving.is_set():
        talk.wire.send(data)


def _say(talk: Talk, data: bytes) -> None:
    talk.wire.send(data)
    talk.wire.finish()


# ---------------------------------------------------------------- connections that are kept


def then_close(answer: Answer | None = None) -> Fault:
    """An answer that promises to stay, and an end right behind it: what a pool may take for a
    living connection."""
    return _followed(answer, lambda talk: talk.wire.finish())


def then_reset_next(answer: Answer | None = None) -> Fault:
    """An answer that promises to stay, and a reset as soon as the next request begins: the stale
    connection of a pool, which nobody can tell from a lost answer."""

    def act(talk: Talk) -> None:
        if talk.wire.begun():
            talk.wire.reset()

    return _followed(answer, act)


def _followed(answer: Answer | None, after: Callable[[Talk], None]) -> Fault:
    def act(talk: Talk) -> None:
        reply = _reply(talk, answer)
        talk.wire.send(reply.but(connection="keep-alive", keep_alive="timeout=60").wire())
        after(talk)

    return Fault(act)


# ---------------------------------------------------------------- elsewhere


def redirect(to: str, status: int = 302) -> Reply:
    """To another address, or to a path of this server's own."""
    return Reply(status, b"elsewhere", {"location": to, "content-type": "text/plain"})


def circle() -> Answer:
    """A redirect to itself."""
    return lambda talk: redirect(talk.received.path)
