"""What is told from the bytes of an answer alone. Pure.

Sources: RFC 9110 §8.4 (content codings), RFC 1950 to 1952 (deflate and gzip), the PNG
specification (IEND), ITU T.81 annex B (the markers of JPEG), the RIFF container of WebP.
"""

from __future__ import annotations

import zlib

_GZIP, _RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG, _JPEG_END, _JPEG_SCAN = b"\xff\xd8\xff", b"\xff\xd9", 0xDA
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9), 0xFF}
_BLANKS_AND_MARKS = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"
"""White space, and the marks with which texts in UTF-8 and UTF-16 may begin."""


def decoded(body: bytes, coding: str, cap: int) -> bytes:
    """An answer without its content coding.

    Args:
        body: the raw bytes.
        coding: the Content-Encoding header; empty for none.
        cap: bytes that may come out of it.

    Raises:
        ValueError: the coding is none that was asked for or is known, the bytes are broken, or more
            than `cap` come out of them. No more than that is ever unpacked.
    """
    match coding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, _GZIP, cap)
        case "deflate":
            return _inflated(body, _deflate_bits(body), cap)
        case _:
            raise ValueError("is packed in a way that was not asked for")


def _deflate_bits(body: bytes) -> int:
    """Some servers leave out zlib's two bytes of header."""
    wrapped = len(body) > 1 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    return zlib.MAX_WBITS if wrapped else _RAW


def _inflated(body: bytes, bits: int, cap: int) -> bytes:
    parts, size = [], 0
    while body:
        unpacker = zlib.decompressobj(bits)
        try:
            parts.append(unpacker.decompress(body, cap + 1 - size))
        except zlib.error:
            raise ValueError("is packed, and the packing is broken") from None
        size += len(parts[-1])
        if size > cap:
            raise ValueError(f"unpacks to more than {cap} bytes")
        if not unpacker.eof:
            raise ValueError("is packed, and cut short")
        body = unpacker.unused_data if bits == _GZIP else b""  # gzip may have several members
    return b"".join(parts)


def is_page(data: bytes) -> bool:
    """Whether these bytes begin as HTML, XML or JSON does, and as no picture and no clip."""
    return data[:512].lstrip(_BLANKS_AND_MARKS)[:1] in (b"<", b"{", b"[")


def looks_cut(data: bytes) -> bool:
    """Whether a picture ends before its end: False where its format does not tell."""
    if data.startswith(_PNG):
        return _PNG_END not in data
    if data.startswith(_JPEG):
        return data.find(_JPEG_END, _scan_of_jpeg(data)) < 0
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return False


def _scan_of_jpeg(data: bytes) -> int:
    """Where the pixels of a JPEG begin: what stands before may hold a whole small JPEG, with an
    end of its own. Where its parts can be followed no further, if they do not begin."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        if data[at + 1] == _JPEG_SCAN:
            break
        bare = data[at + 1] in _BARE_MARKERS
        at += (1 if data[at + 1] == 0xFF else 2) if bare else 2 + _length(data, at + 2)
    return at


def _length(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")
