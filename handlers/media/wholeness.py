"""Whether a picture or a clip is one, and all there, told from its bytes without decoding it. Pure.

Sources: the PNG specification (IEND), ITU T.81 annex B (the markers of JPEG), the RIFF container
of WebP.
"""

from __future__ import annotations

from handlers.answers.encoded import sniff
from handlers.contract import Held
from handlers.media.clipfiles import looks_cut as clip_looks_cut
from handlers.media.containers import JPEG_SCAN, PNG_HEAD, jpeg_parts

_PNG_END = b"IEND\xaeB`\x82"
_JPEG, _JPEG_END = b"\xff\xd8\xff", b"\xff\xd9"


def is_medium(data: Held) -> bool:
    """Whether some bytes begin as a picture or a clip of a format that is known."""
    return sniff(data) is not None


def looks_cut(data: Held) -> bool:
    """Whether a medium ends before its end: False where its format does not tell."""
    begins = data[:12]
    if begins.startswith(PNG_HEAD):
        return data.rfind(_PNG_END) < 0
    if begins.startswith(_JPEG):
        return data.rfind(_JPEG_END, _scan_of_jpeg(data)) < 0
    if begins.startswith(b"RIFF") and begins[8:] == b"WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    return clip_looks_cut(data)


def _scan_of_jpeg(data: Held) -> int:
    """Where the pixels of a JPEG begin: what stands before may hold a whole small JPEG, with an
    end of its own. Where its parts can be followed no further, if they do not begin."""
    at = 2
    for part in jpeg_parts(data):
        at = part.start if part.name == JPEG_SCAN else part.end
    return at
