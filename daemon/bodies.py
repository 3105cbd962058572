"""What is told from the bytes of an answer alone. Pure.

Sources: RFC 9110 §8.4 (content codings), RFC 1950 to 1952 (deflate and gzip).
"""

from __future__ import annotations

import codecs
import zlib

from handlers.contract import Held

_PART = 1 << 16
"""Bytes that are decoded at once."""
_GZIP, _RAW = 16 + zlib.MAX_WBITS, -zlib.MAX_WBITS
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


def is_page(data: Held) -> bool:
    """Whether these bytes begin as HTML, XML or JSON does, and as no picture and no clip: the
    first box of an MP4 may have a length that looks like a bracket."""
    begins = data[:512].lstrip(_BLANKS_AND_MARKS)[:1] in (b"<", b"{", b"[")
    return begins and data[4:8] != b"ftyp"


def is_text(data: Held) -> bool:
    """Whether these bytes are UTF-8 to their end. No medium is; of one little is read."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), _PART):
            decoder.decode(data[start : start + _PART])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
