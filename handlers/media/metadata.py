"""What a picture's file says besides its pixels, as far as it matters for them; and the file
without all of that. Read under limits, and nothing raises. Pure.

Sources: EXIF 2.32 §4.6 (orientation), ICC.1 annex B (profiles in PNG and JPEG), CIPA DC-007 (the
JPEG of several pictures).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from handlers.media.containers import JPEG_SCAN, PNG_HEAD, Container

_PROFILE_BYTES = 4 << 20
"""The largest profile that is unpacked; the tables of a printer take one or two megabytes."""
_EXIF = {
    "image/png": (b"eXIf", b""),
    "image/jpeg": (b"\xe1", b"Exif\0\0"),
    "image/webp": (b"EXIF", b""),
}
_ORIENTATION, _PICTURES = 0x0112, 0xB001
_NUMBERS = {1: 1, 3: 2, 4: 4}
"""Bytes of a number, by its TIFF type: BYTE, SHORT, LONG."""
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_JPEG_ASIDE = frozenset(bytes([code]) for code in (*range(0xE1, 0xEE), 0xEF, 0xFE)) | {b""}
"""APP1 to APP13, APP15, comments, and bytes that are no part. APP14 says how colours are stored."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What matters for the pixels."""

    orientation: int = 1
    """1 to 8: how the picture is to be turned."""
    profile: bytes | None = None
    """The ICC profile; empty where there is one that cannot be read."""
    frames: int = 1
    depth: int = 8
    """Bits of a channel."""


def metadata_of(container: Container) -> Metadata:
    """What a picture's file says of its pixels."""
    name, head = _EXIF[container.media_type]
    exif = next(container.bodies(name, head), b"").removeprefix(b"Exif\0\0")
    orientation = tiff_number(exif, _ORIENTATION) or 1
    header = next(container.bodies(b"IHDR"), b"")
    return Metadata(
        orientation if 1 <= orientation <= 8 else 1,
        _profile(container),
        max(1, _frames(container)),
        header[8] if len(header) > 8 else 8,
    )


def bare(container: Container) -> bytes:
    """A picture's file with nothing but what its pixels need: a decoder that sees no texts cannot
    stumble over them, and Pillow refuses a PNG for a text or a profile that is large or broken.

    A WebP stays as it is: of its metadata Pillow takes a copy, and looks no further.
    """
    view, parts = memoryview(container.data), container.parts
    if container.media_type == "image/png":
        kept = [view[part.start : part.end] for part in parts if part.name in _PNG_PIXELS]
        return b"".join([PNG_HEAD, *kept])
    if container.media_type == "image/jpeg":
        kept = [view[part.start : part.end] for part in parts if part.name not in _JPEG_ASIDE]
        pixels = view[parts[-1].end :] if parts and parts[-1].name == JPEG_SCAN else b""
        return b"".join([view[:2], *kept, pixels])
    return container.data


def tiff_number(block: bytes, tag: int) -> int | None:
    """A number out of the first directory of a TIFF structure, which is what EXIF is.

    Pillow's reader copies whatever each entry points at, and takes an orientation from other
    places too; what shows pictures to people goes by EXIF alone.
    """
    order: Literal["little", "big"] = "little" if block[:4] == b"II*\0" else "big"
    if block[:4] not in (b"II*\0", b"MM\0*"):
        return None

    def number(at: int, size: int) -> int:
        return int.from_bytes(block[at : at + size], order)

    start = number(4, 4) + 2
    end = min(start + 12 * number(start - 2, 2), len(block) - 11)
    for entry in range(start, end, 12):
        if number(entry, 2) == tag:
            size = _NUMBERS.get(number(entry + 2, 2))
            return number(entry + 8, size) if size else None
    return None


def _frames(container: Container) -> int:
    if container.media_type == "image/jpeg":
        return tiff_number(next(container.bodies(b"\xe2", b"MPF\0"), b""), _PICTURES) or 1
    return sum(part.name in (b"fcTL", b"ANMF") for part in container.parts)


def _profile(container: Container) -> bytes | None:
    if container.media_type == "image/jpeg":
        return _profile_of_jpeg(container)
    if container.media_type == "image/png":
        packed = next(container.bodies(b"iCCP"), None)
        return None if packed is None else _unpacked(packed.partition(b"\0")[2])
    return next(container.bodies(b"ICCP"), None)


def _profile_of_jpeg(container: Container) -> bytes | None:
    """A profile in pieces: each begins with its number and how many there are."""
    pieces = sorted(container.bodies(b"\xe2", b"ICC_PROFILE\0"))
    if not pieces:
        return None
    numbers, total = [piece[0] for piece in pieces if piece], pieces[0][1:2]
    whole = numbers == [*range(1, len(pieces) + 1)] and total == bytes([len(pieces)])
    return b"".join(piece[2:] for piece in pieces) if whole else b""


def _unpacked(packed: bytes) -> bytes:
    """A profile as it is in a PNG: the method, which is 0, and a zlib stream."""
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], _PROFILE_BYTES)
    except zlib.error:
        return b""
    return profile if packed[:1] == b"\0" and not unpacker.unconsumed_tail else b""
