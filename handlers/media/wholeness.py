"""Whether a picture or a clip is all there, told from its bytes without decoding it. Pure.

Sources: the PNG specification (IEND), ITU T.81 annex B (the markers of JPEG), the RIFF container
of WebP.
"""

from __future__ import annotations

from handlers.media import clipfiles

_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_JPEG, _JPEG_END, _JPEG_SCAN = b"\xff\xd8\xff", b"\xff\xd9", 0xDA
_BARE_MARKERS = {0x01, *range(0xD0, 0xD9), 0xFF}


def looks_cut(data: bytes) -> bool:
    """Whether a medium ends before its end: False where its format does not tell."""
    if data.startswith(_PNG):
        return _PNG_END not in data
    if data.startswith(_JPEG):
        return data.find(_JPEG_END, _scan_of_jpeg(data)) < 0
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return clipfiles.looks_cut(data)


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
