"""Pictures to send, and ways to look at what arrived."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from random import Random
from typing import Any

from PIL import Image

from handlers.openai_shape.table import DIALECTS
from handlers.wire import FilePart, HttpCall
from tests.handlers.driving import call, provider, sent_by

SIZE = (16, 3)


def of(dialect: str, **more: Any) -> Any:
    """A provider that speaks so."""
    return provider(DIALECTS[dialect].example, dialect=dialect, **more)


def edit(dialect: str, inputs: Any, **fields: Any) -> HttpCall:
    """What it sends for an edit."""
    return sent_by(of(dialect), call("edit_image", model="m", inputs=inputs, **fields))


def mask(size: tuple[int, int], values: Sequence[int]) -> bytes:
    """A mask of these values; 255 is to be changed."""
    picture = Image.new("L", size)
    picture.putdata(values)
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def photo(size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """Every pixel of its own colour; of an RGBA the left half is see-through."""
    bands = len(mode)
    values = bytes(
        value
        for number in range(size[0] * size[1])
        for value in (number, 255 - number, 5 * number % 256, 255 * (number % 16 > 7))[:bands]
    )
    return Image.frombytes(mode, size, values)


def png(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def same(data: bytes, picture: Image.Image) -> bool:
    arrived = opened(data)
    return (arrived.mode, arrived.size, arrived.tobytes()) == (
        picture.mode,
        picture.size,
        picture.tobytes(),
    )


def changed(part: FilePart) -> tuple[str, list[int]]:
    """How a mask is encoded, and where it says that the picture is to be changed."""
    arrived = opened(part.data)
    assert (arrived.format, part.filename, part.media_type) == ("PNG", "mask.png", "image/png")
    if arrived.mode == "RGBA":
        return "transparent", [255 - alpha for alpha in arrived.getchannel("A").tobytes()]
    return f"white, {arrived.mode}", list(arrived.tobytes())


def of_url(url: str) -> bytes:
    head, _, text = url.partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(text)


def noise(size: tuple[int, int], mode: str = "RGB") -> bytes:
    """What no encoding makes small."""
    values = Random(1).randbytes(size[0] * size[1] * len(mode))
    return png(Image.frombytes(mode, size, values))
