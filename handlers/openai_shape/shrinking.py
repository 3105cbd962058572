"""One picture, made to fit into bounds: scaled down, or encoded so that it has fewer bytes. Pure.

Imported where a picture may be too large: Pillow takes its time.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from handlers.answers.encoded import sniff
from handlers.contract import HandlerError

Size = tuple[int, int]
Way = Callable[[Image.Image], bytes]

SMALLEST = 64
"""Pixels of the longer side of the smallest picture that is made here."""
_WORTH_A_TRY = 4 / 3
"""How many times too large a PNG may be for a WebP without loss: of a photo that saves a fifth."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a picture has to fit into; None: there is no such bound."""

    below: int | None = None
    """Bytes."""
    longest: int | None = None
    """Pixels of the longer side."""
    pixels: int | None = None
    """Width times height."""
    webp: bool = True
    """Whether a picture with alpha may become a WebP."""


def shrunk(data: bytes, bounds: Bounds) -> bytes | None:
    """The picture as it fits; just as it is where it does so already. None where it cannot be made
    to fit.

    Raises:
        HandlerError: `unreadable_media`: it had to be decoded, and is no picture.
    """
    is_light = bounds.below is None or len(data) < bounds.below
    if is_light and bounds.longest is None and bounds.pixels is None:
        return data
    before = size_of(data)
    size = within(before, bounds)
    if is_light and size == before:
        return data
    attempts = _attempts(_opened(data), size, data, bounds)
    below = math.inf if bounds.below is None else bounds.below
    return next((attempt for attempt in attempts if len(attempt) < below), None)


def size_of(data: bytes) -> Size:
    """Width and height in pixels, of a picture's head.

    Raises:
        HandlerError: `unreadable_media`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _unreadable(error) from None


def within(size: Size, bounds: Bounds) -> Size:
    """The largest size of the same shape that has no more pixels than it may."""
    factor = 1.0
    if bounds.longest is not None:
        factor = min(factor, bounds.longest / max(size))
    if bounds.pixels is not None:
        factor = min(factor, math.sqrt(bounds.pixels / (size[0] * size[1])))
    return scaled(size, factor)


def scaled(size: Size, factor: float) -> Size:
    """A size times a factor, rounded down; never nothing, and never larger than it was."""
    if factor >= 1:
        return size
    return max(1, math.floor(size[0] * factor)), max(1, math.floor(size[1] * factor))


def _attempts(picture: Image.Image, size: Size, data: bytes, bounds: Bounds) -> Iterator[bytes]:
    """The picture in one encoding after the other, then smaller and smaller."""
    ways = _ways(picture, size != picture.size, data, bounds)
    while True:
        small = picture if picture.size == size else picture.resize(size, Image.Resampling.LANCZOS)
        encoded = b""
        for way in ways:
            encoded = way(small)
            yield encoded
        ways = ways[-1:]
        # Bytes go with pixels, roughly, so that mostly one step does.
        size = scaled(size, min(0.9, 0.97 * math.sqrt((bounds.below or 0) / len(encoded))))
        if max(size) < SMALLEST:
            return


def _ways(picture: Image.Image, is_scaled: bool, data: bytes, bounds: Bounds) -> list[Way]:
    """The encodings that are worth a try, the best one first."""
    as_before = [_png] if is_scaled and sniff(data) == "image/png" else []
    if picture.mode != "RGBA":
        return [*as_before, _jpeg]
    if not bounds.webp:
        return [_png]
    may_do = bounds.below is None or len(data) < _WORTH_A_TRY * bounds.below
    return [*as_before, *([_webp_without_loss] if may_do else []), _webp]


def _opened(data: bytes) -> Image.Image:
    """A picture, decoded: RGBA where something of it is transparent, else RGB or grey."""
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        picture.load()
        if not picture.has_transparency_data:
            return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
        whole = picture if picture.mode == "RGBA" else picture.convert("RGBA")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise _unreadable(error) from None
    return whole if whole.getchannel("A").getextrema() != (255, 255) else whole.convert("RGB")


def _unreadable(error: Exception) -> HandlerError:
    return HandlerError("unreadable_media", f"a picture cannot be decoded: {error}")


# ---------------------------------------------------------------- encodings


def _png(picture: Image.Image) -> bytes:
    return _encoded(picture, "PNG", compress_level=3)  # of a photo a third of the usual time


def _jpeg(picture: Image.Image) -> bytes:
    return _encoded(picture, "JPEG", quality=95, subsampling=0)


def _webp_without_loss(picture: Image.Image) -> bytes:
    # `exact`: a server that takes no alpha sees the colours below it.
    return _encoded(picture, "WEBP", lossless=True, quality=20, method=1, exact=True)


def _webp(picture: Image.Image) -> bytes:
    return _encoded(picture, "WEBP", quality=95, method=2, exact=True)


def _encoded(picture: Image.Image, form: str, **options: int) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, form, **options)
    return encoded.getvalue()
