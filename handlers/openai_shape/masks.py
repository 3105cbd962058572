"""Masks by the rule of each server: what is to be changed is white, or it is transparent. Pure.

Imported when there is a mask: Pillow takes its time.
"""

from __future__ import annotations

import io
import zlib
from typing import Literal

from PIL import Image, ImageChops, UnidentifiedImageError

from handlers.contract import HandlerError
from handlers.media.masks import hard

Rule = Literal["alpha", "white"]

_ALL_OR_NOTHING = [0] * 255 + [255]


def opened(data: bytes) -> Image.Image:
    """A mask, decoded: one channel, 255 where the picture is to be changed.

    Raises:
        HandlerError: `unreadable_media`: it is no picture.
    """
    try:
        picture = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        picture.load()
        return picture if picture.mode == "L" else picture.convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise HandlerError("unreadable_media", f"the mask is no picture: {error}") from None


def by_rule(mask: Image.Image, rule: Rule, size: tuple[int, int]) -> bytes:
    """A mask as a PNG, converted to the rule of a server.

    "white" keeps the grey, for diffusion servers read it as a strength. "alpha" has two values:
    what OpenAI makes of an alpha between them cannot be relied upon.

    Args:
        mask: one channel, 255 where the picture is to be changed.
        rule: "alpha": what is to be changed is transparent; "white": it is white.
        size: of the picture as it is sent, in pixels; smaller where that was scaled down.
    """
    is_scaled = mask.size != size
    if rule == "white":
        return _png(mask.resize(size, Image.Resampling.LANCZOS) if is_scaled else mask)
    alpha = ImageChops.invert(hard(mask))
    if is_scaled:
        # A pixel that holds anything to be changed is changed: taking the nearest one instead
        # would lose thin strokes, and parts of the soft edge.
        alpha = alpha.resize(size, Image.Resampling.BOX).point(_ALL_OR_NOTHING)
    black = Image.new("L", size)  # colours do not count, and plain ones keep the file small
    return _png(Image.merge("RGBA", (black, black, black, alpha)))


def _png(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    # Masks are plain areas: looking for runs alone is twice as fast, and no larger.
    picture.save(encoded, "PNG", compress_type=zlib.Z_RLE)
    return encoded.getvalue()
