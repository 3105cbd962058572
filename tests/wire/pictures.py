"""The media that the tests' provider makes: small, real, and each distinct."""

from __future__ import annotations

import functools
import re

from PIL import Image

from daemon.testing import tiny_image
from tests.wire.received import Received

USUAL_SIZE = (64, 48)
"""In pixels, of a picture for which no size was asked, and of every clip."""
CLIP_FPS = 8


@functools.cache
def picture(number: int, index: int = 0, size: tuple[int, int] = USUAL_SIZE) -> bytes:
    """A PNG. Its colour says for which call it was made, and which of that call's it is."""
    colour = (number * 40503 + index * 2654435) % 0x1000000
    return tiny_image(f"#{colour:06x}", size)


@functools.cache
def clip(number: int) -> bytes:
    """An MP4 of half a second. Its colour says for which call it was made."""
    from handlers.media.filming import film

    colour = (number * 40503) % 0x1000000
    return film(
        Image.new("RGB", USUAL_SIZE, f"#{colour:06x}"),
        size=USUAL_SIZE,
        seconds=0.5,
        fps=CLIP_FPS,
        seed=number,
    )


def wanted_size(received: Received) -> tuple[int, int]:
    """The size that a request asks for, in pixels."""
    fields = received.fields
    found = re.fullmatch(r"(\d+)x(\d+)", str(fields.get("size")))
    if found:
        return int(found[1]), int(found[2])
    if fields.get("width") and fields.get("height"):
        return int(fields["width"]), int(fields["height"])
    return USUAL_SIZE


def wanted(received: Received, number: int) -> list[bytes]:
    """As many pictures as a request asks for, of the size that it asks for."""
    size = wanted_size(received)
    return [picture(number, index, size) for index in range(int(received.fields.get("n") or 1))]


def media_type(data: bytes) -> str:
    """What some bytes are, by how they begin."""
    kinds = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}
    for signature, name in kinds.items():
        if data.startswith(signature):
            return name
    return "video/mp4" if data[4:8] == b"ftyp" else "application/octet-stream"
