"""The parts of a PNG, a JPEG and a WebP: where each begins and ends, told without decoding. Pure.

Sources: the PNG specification §5 (chunks), ITU T.81 annex B (the markers of JPEG), RFC 9649 (the
RIFF container of WebP).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from handlers.answers.encoded import sniff
from handlers.contract import Held

PNG_HEAD: Final = b"\x89PNG\r\n\x1a\n"
JPEG_SCAN: Final = b"\xda"
_RIFF_HEAD = 12
_MOST_PARTS = 100_000
"""A file of more is not followed: 50 megabytes may hold four million empty ones."""
_JPEG_MARKER = re.compile(rb"\xff[^\xff\x00]")
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""
_JPEG_SEGMENTS = frozenset(
    {*range(0xC0, 0xD0), 0xDA, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE} - {0xC8}
)
_JPEG_FRAMES = frozenset(bytes([code]) for code in {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


class Part(NamedTuple):
    """One part of a file. One that is cut short keeps the end that it should have had."""

    name: bytes
    """Four letters, or in a JPEG the one byte of the marker: b"\\xe1" for APP1. Empty for bytes
    that belong to no part."""
    start: int
    body: slice
    end: int
    """Where the next one begins."""


@dataclass(frozen=True, slots=True)
class Container:
    """A picture's file, taken apart. The parts of a JPEG end where its pixels begin."""

    data: bytes
    media_type: str
    parts: tuple[Part, ...]
    whole: bool
    """Whether the parts are all there, and nothing else is between them."""

    def body(self, part: Part) -> bytes:
        """What a part holds."""
        return self.data[part.body]

    def bodies(self, name: bytes, head: bytes = b"") -> Iterator[bytes]:
        """What the parts of a name hold, those whose body begins with `head`, without it."""
        for part in self.parts:
            if part.name == name and self.data.startswith(head, part.body.start):
                yield self.data[part.body][len(head) :]


def container_of(data: bytes) -> Container | None:
    """The parts of a picture's file; None where it is no PNG, JPEG or WebP."""
    media_type = sniff(data) or ""
    if media_type not in _WALKS:
        return None
    parts = tuple(islice(_WALKS[media_type](data), _MOST_PARTS + 1))
    whole = 0 < len(parts) <= _MOST_PARTS and _WHOLE[media_type](data, parts)
    return Container(data, media_type, parts, whole)


def size_of(data: Held) -> tuple[int, int] | None:
    """Width and height in pixels that a picture's head claims; None where it does not say."""
    if data[:8] == PNG_HEAD:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:2] == b"\xff\xd8":
        frames = (data[part.body] for part in jpeg_parts(data) if part.name in _JPEG_FRAMES)
        head = next(frames, b"")
        return int.from_bytes(head[3:5], "big"), int.from_bytes(head[1:3], "big")
    canvas = webp_canvas(data)
    return canvas and canvas[:2]


# ---------------------------------------------------------------- PNG


def png_parts(data: bytes) -> Iterator[Part]:
    """The chunks of a PNG, to its end or as far as they can be followed."""
    at = len(PNG_HEAD)
    while at + 8 <= len(data) and data[at + 4 : at + 8].isalpha():
        name, size = data[at + 4 : at + 8], int.from_bytes(data[at : at + 4], "big")
        yield Part(name, at, slice(at + 8, at + 8 + size), at + 12 + size)
        if name == b"IEND":
            return
        at += 12 + size


def png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and its checksum."""
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")


def _png_is_whole(data: bytes, parts: tuple[Part, ...]) -> bool:
    first, last = parts[0], parts[-1]
    header = first.name == b"IHDR" and first.end - first.start == 25
    return header and last.name == b"IEND" and last.end <= len(data)


# ---------------------------------------------------------------- JPEG


def jpeg_parts(data: Held) -> Iterator[Part]:
    """The segments of a JPEG up to the head of its first scan, or as far as they can be
    followed."""
    at = 2
    while marker := _JPEG_MARKER.search(data, at):
        start, code = marker.start(), data[marker.start() + 1]
        if start > at:
            yield Part(b"", at, slice(at, start), start)
        size = 0 if code in _JPEG_BARE else int.from_bytes(data[start + 2 : start + 4], "big")
        if code not in _JPEG_BARE and (code not in _JPEG_SEGMENTS or size < 2):
            return
        at = start + 2 + size
        yield Part(bytes([code]), start, slice(min(start + 4, at), at), at)
        if code == JPEG_SCAN[0]:
            return


def jpeg_segment(name: bytes, body: bytes) -> bytes:
    """A segment with its length; the body has at most 65,533 bytes."""
    return b"\xff" + name + (len(body) + 2).to_bytes(2, "big") + body


def _jpeg_is_whole(data: bytes, parts: tuple[Part, ...]) -> bool:
    scan = parts[-1]
    return scan.name == JPEG_SCAN and scan.end <= len(data) and all(part.name for part in parts)


# ---------------------------------------------------------------- WebP


def webp_parts(data: bytes) -> Iterator[Part]:
    """The chunks of a WebP, as far as its container says that it goes."""
    at, end = _RIFF_HEAD, _end_of_riff(data)
    while at + 8 <= min(end, len(data)):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + size + size % 2
        yield Part(data[at : at + 4], at, slice(at + 8, at + 8 + size), after)
        at = after


def webp_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length, filled up to an even one."""
    return name + len(body).to_bytes(4, "little") + body + b"\0" * (len(body) % 2)


def webp_canvas(data: Held) -> tuple[int, int, bool] | None:
    """Width and height in pixels and whether there is transparency, by the head of a WebP; None
    where it does not say, or is none."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    name, body = data[12:16], data[20:30]
    if name == b"VP8X" and len(body) == 10:
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        return width, height, bool(body[0] & 0x10)
    if name == b"VP8L" and body[:1] == b"\x2f":
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, bool(bits >> 28 & 1)
    if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = (int.from_bytes(body[at : at + 2], "little") & 0x3FFF for at in (6, 8))
        return width, height, False
    return None


def _end_of_riff(data: bytes) -> int:
    return 8 + int.from_bytes(data[4:8], "little")


def _webp_is_whole(data: bytes, parts: tuple[Part, ...]) -> bool:
    return parts[-1].end == _end_of_riff(data) <= len(data) and webp_canvas(data) is not None


_WALKS: Mapping[str, Callable[[bytes], Iterator[Part]]] = {
    "image/png": png_parts,
    "image/jpeg": jpeg_parts,
    "image/webp": webp_parts,
}
_WHOLE: Mapping[str, Callable[[bytes, tuple[Part, ...]], bool]] = {
    "image/png": _png_is_whole,
    "image/jpeg": _jpeg_is_whole,
    "image/webp": _webp_is_whole,
}
