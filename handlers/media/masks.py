"""Masks: which part of a picture is to be changed.

A mask is a Pillow image of mode "L" of the picture's own size: 255 where the picture is to be
changed, 0 where it is kept, and the levels between for a soft seam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import numpy as np
from PIL import Image, ImageChops

from handlers.contract import HandlerError
from handlers.media import growing, shapes
from handlers.media.regions import Region

FAINTEST: Final = 16
"""The least level that counts. Nobody sees a sixteenth of a change, and below it lies the noise of
a mask that was once a JPEG."""

Maker = Literal["regions", "mask", "selection"]
"""What a mask came of, for what is said of it: regions, a mask of the user's own, or the selection
of an object."""

Size: TypeAlias = tuple[int, int]
"""Width and height in pixels, as Pillow has them."""

_MODES = frozenset(
    {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"}
)
_AS_OPENAI = "the mask was read as OpenAI's are: what is transparent in it is to be changed"
_AS_PAINT = "the mask was read as paint on nothing: what is white in it is to be changed"
_EMPTY: Final[Mapping[Maker, tuple[str, str]]] = MappingProxyType(
    {
        "regions": (
            "the regions leave nothing to change",
            "Give larger regions, or shrink less; with invert the regions are what is kept.",
        ),
        "mask": (
            "the mask selects nothing: it is black all over",
            "White is what is changed; invert takes a mask the other way round.",
        ),
        "selection": ("the selection found nothing", "A lower threshold selects more."),
    }
)
_FULL: Final[Mapping[Maker, tuple[str, str]]] = MappingProxyType(
    {
        "regions": (
            "the regions cover the whole picture",
            "Give smaller regions, or expand less; edit_image changes a whole picture.",
        ),
        "mask": (
            "the mask selects the whole picture: it is white all over",
            "Black is what is kept; edit_image changes a whole picture.",
        ),
        "selection": ("the selection took the whole picture", "A higher threshold selects less."),
    }
)
"""What is said of a mask that is no use, and what to do about it."""


def drawn(regions: Sequence[Region], size: Size, *, at: str | None = "/regions") -> Image.Image:
    """The mask of all that any of the regions covers.

    Args:
        regions: what is to be changed; what lies beyond the picture is left out.
        size: the picture's width and height in pixels.
        at: the JSON pointer to the list in which the request has them; None for the older form,
            whose one region stands in no list.

    Raises:
        HandlerError: `invalid_request`: a region covers no pixel of the picture.
    """
    width, height = size
    canvas = np.zeros((height, width), np.uint8)
    for index, region in enumerate(regions):
        if not shapes.draw(canvas, region.in_pixels(size)):
            raise _nothing_of(region, index, size, at)
    return Image.fromarray(canvas)


def _nothing_of(region: Region, index: int, size: Size, at: str | None) -> HandlerError:
    name = f"the region {region.shown}" if at is None else f"region {index + 1} ({region.shown})"
    picture = f"the picture, which is {size[0]} x {size[1]} pixels"
    if _misses(region.in_pixels(size), size):
        what = f"lies outside of {picture}"
        hint = "x counts from the left edge and y from the top; rect-pct and the like take percent."
    else:
        what = f"covers no pixel of {picture}"
        hint = "Make the region larger: it covers the pixels whose centres lie within it."
    pointer = "/x" if at is None else f"{at}/{index}"
    return HandlerError("invalid_request", f"{name} {what}", hints=[hint], faults=[(pointer, what)])


def _misses(region: Region, size: Size) -> bool:
    return any(
        max(places) + region.radius <= 0 or min(places) - region.radius >= side
        for places, side in zip(zip(*region.points, strict=True), size, strict=True)
    )


def refined(
    mask: Image.Image,
    *,
    expand: int = 0,
    shrink: int = 0,
    feather: float = 0,
    invert: bool = False,
) -> Image.Image:
    """A mask grown, then shrunk, then made soft, then turned around: always in this order.

    Args:
        mask: as above.
        expand: how far it grows, in pixels, by a round brush.
        shrink: how far it is eaten from its outline, in pixels; the picture's edges eat nothing.
        feather: the standard deviation in pixels of the Gaussian that softens it.
        invert: whether what was kept is to be changed, and the other way round.
    """
    levels = np.asarray(mask)
    if expand:
        levels = growing.grown(levels, expand)
    if shrink:
        levels = growing.shrunk(levels, shrink)
    if feather:
        levels = growing.feathered(levels, feather)
    return Image.fromarray(255 - levels if invert else levels)


# ---------------------------------------------------------------- a mask of the user's own


def supplied(image: Image.Image, size: Size, invert: bool) -> tuple[Image.Image, list[str]]:
    """The mask that a user gives, and what the user is to be told of how it was read.

    White is what is to be changed. OpenAI's masks are known by their transparency: where it alone
    differs, or where the rest is a picture in colours, what is transparent is to be changed.

    Args:
        image: as it was decoded, upright; of any mode that a PNG, JPEG or WebP has.
        size: the picture's width and height in pixels.
        invert: whether the mask means the opposite.

    Raises:
        HandlerError: `invalid_request`: the image's levels have no agreed white.
    """
    mask, notes = _read(image)
    if invert:
        mask = ImageChops.invert(mask)
        notes = [f"{note}; then it was inverted" for note in notes]
    if mask.size != tuple(size):
        was, is_now = (f"{width} x {height}" for width, height in (mask.size, size))
        notes.append(f"the mask was {was} pixels and was resized to the picture's {is_now}")
        mask = mask.resize(size, Image.Resampling.NEAREST)
    return mask, notes


def _read(image: Image.Image) -> tuple[Image.Image, list[str]]:
    if image.mode.startswith("I"):  # of 16 bits, as a PNG may be
        deep = np.clip(np.asarray(image), 0, 65535)
        return Image.fromarray((deep >> 8).astype(np.uint8)), []
    if image.mode not in _MODES:
        raise HandlerError(
            "invalid_request",
            f"a mask of mode {image.mode} has no agreed white",
            hints=["Save it as a PNG of 8 bits, white where the picture is to be changed."],
        )
    if not image.has_transparency_data:
        return image.convert("L"), []
    return _read_transparent(image.convert("RGBA"))


def _read_transparent(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """What cannot be seen has no colour that counts: many a program leaves it black, or white."""
    levels, alpha = image.convert("RGB").convert("L"), image.getchannel("A")
    if _flat(alpha.histogram()):
        return levels, []
    visible = hard(alpha)
    if _flat(levels.histogram(visible)) or _colourful(image, visible):
        return ImageChops.invert(alpha), [_AS_OPENAI]
    return ImageChops.multiply(levels, alpha), [_AS_PAINT]


def _flat(histogram: Sequence[int]) -> bool:
    """Whether there is but one level, give or take some noise."""
    levels = [level for level, count in enumerate(histogram) if count]
    return levels[-1] - levels[0] < FAINTEST


def _colourful(image: Image.Image, visible: Image.Image) -> bool:
    """Whether more than a hundredth of what is visible is clearly no grey."""
    red, green, blue, _ = image.split()
    most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    counts = ImageChops.subtract(most, least).histogram(visible)
    return sum(counts[2 * FAINTEST :]) > sum(counts) / 100


# ---------------------------------------------------------------- what came of it


def check(mask: Image.Image, maker: Maker) -> None:
    """Refuse a mask that would change nothing, or everything: neither is ever meant.

    A selection is judged as it was found, before it is turned around for the background, so that
    the advice is right.

    Raises:
        HandlerError: `invalid_request`.
    """
    levels = np.asarray(mask)
    if levels.max() < FAINTEST:
        message, hint = _EMPTY[maker]
    elif levels.min() > 255 - FAINTEST:
        message, hint = _FULL[maker]
    else:
        return
    raise HandlerError("invalid_request", message, hints=[hint])


def hard(mask: Image.Image) -> Image.Image:
    """The mask with two values, for providers that know no others: 255 from `FAINTEST` on.

    All of a soft seam has to be painted anew, or there would be nothing to blend with where the
    mask is faint.
    """
    return mask.point([0] * FAINTEST + [255] * (256 - FAINTEST))
