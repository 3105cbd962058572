"""Answers in several parts (`multipart/…`): the parts, each with its type.

The boundary splits the bytes, so that no medium passes through a parser of lines; the standard
library reads the heads. Parts within parts are left alone. Source: RFC 2046, 5.1.
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from handlers.answers.encoded import decoded

_MOST = 100
"""Parts that are looked at."""
_LONGEST_HEAD = 1 << 14
"""Bytes of a part's head."""
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an answer."""

    content_type: str
    """With its parameters; "" where it has none."""
    data: bytes


def parts_of(body: bytes, content_type: str) -> Iterator[Part]:
    """The parts of a body; none where the type names no boundary.

    Args:
        body: all of it.
        content_type: the header, with the boundary.
    """
    boundary = _boundary(content_type)
    if not boundary:
        return
    delimiter = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|$)")
    start: int | None = None
    for count, match in enumerate(delimiter.finditer(b"\n" + body)):
        if start is not None:
            yield _part(body[start : max(start, match.start() - 1)])
        if match[1] or count == _MOST:
            return
        start = match.end() - 1
    if start is not None:  # the end is missing: what came of the last part is judged by others
        yield _part(body[start:])


def _boundary(content_type: str) -> bytes:
    header = Message()
    header["Content-Type"] = " ".join(content_type.split())
    boundary = header.get_boundary()
    return boundary[:200].encode("utf-8", "replace") if boundary else b""


def _part(data: bytes) -> Part:
    if data.startswith((b"\n", b"\r\n")):  # no head at all
        return Part("", data.partition(b"\n")[2])
    end = _HEAD_ENDS.search(data, 0, _LONGEST_HEAD)
    if end is None:
        return Part("", b"")
    head = BytesHeaderParser().parsebytes(data[: end.end()])
    return Part(
        str(head.get("content-type", "")),
        _decoded(data[end.end() :], str(head.get("content-transfer-encoding", ""))),
    )


def _decoded(data: bytes, encoding: str) -> bytes:
    match encoding.strip().lower():
        case "base64":
            return decoded(data.decode("latin-1")) or b""
        case "quoted-printable":
            return quopri.decodestring(data)
        case _:
            return data
