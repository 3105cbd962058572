"""WebM and Matroska files, read from the outside without decoding anything. Pure.

Source: RFC 8794 (EBML: variable-size integers, elements of unknown size) and RFC 9559 (Matroska).
"""

from __future__ import annotations

from dataclasses import dataclass

from handlers.contract import Held

_HEADER, _DOCTYPE, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1F43B675
_LONGEST_HEADER = 4096
_MOST_ELEMENTS, _MOST_BLOCKS = 64, 200_000


@dataclass(frozen=True, slots=True)
class Element:
    """Some bytes that have a number: where its content starts, and where it says that it ends."""

    id: int
    start: int
    end: int | None
    """None: it was not known when it was begun, as in a stream."""


def doctype(data: Held) -> str | None:
    """What kind of EBML it is: "webm" or "matroska"; None where it does not say."""
    header = _element(data, 0)
    if header is None or header.id != _HEADER or header.end is None:
        return None
    at = header.start
    for _ in range(_MOST_ELEMENTS):
        element = _element(data, at) if at < min(header.end, _LONGEST_HEADER) else None
        if element is None or element.end is None:
            return None
        if element.id == _DOCTYPE:
            return data[element.start : element.end].rstrip(b"\0").decode("latin-1")
        at = element.end
    return None


def is_whole(data: Held) -> bool:
    """Whether the segment, which holds all media, is there to its end.

    One of unknown size, as streams have, is followed through its clusters: it looks whole where it
    was cut exactly between two blocks.
    """
    at, segment = 0, False
    for _ in range(_MOST_BLOCKS):
        if at >= len(data):
            return segment and at == len(data)
        element = _element(data, at)
        if element is None:
            return False
        if element.end is not None and element.id == _SEGMENT:
            return element.end <= len(data)
        if element.end is None and element.id not in (_SEGMENT, _CLUSTER):
            return False
        segment = segment or element.id == _SEGMENT
        at = element.start if element.end is None else element.end
    return segment


def _element(data: Held, at: int) -> Element | None:
    """The element that begins there."""
    identity, size_at = _vint(data, at, 4)
    size, start = _vint(data, size_at, 8)
    if identity is None or size is None:
        return None
    length = start - size_at
    unknown = (1 << 7 * length) - 1
    size &= unknown
    return Element(identity, start, None if size == unknown else start + size)


def _vint(data: Held, at: int, longest: int) -> tuple[int | None, int]:
    """A variable-size integer with its marker, and where it ends; None where there is none."""
    length = 9 - data[at].bit_length() if at < len(data) else 9
    if length > longest or at + length > len(data):
        return None, at
    return int.from_bytes(data[at : at + length], "big"), at + length
