"""The object in a box, before any backdrop: GrabCut, with the edge drawn anew at full size.

What is outside of the box shows what the backdrop looks like, and GrabCut (Rother, Kolmogorov and
Blake, "GrabCut: interactive foreground extraction using iterated graph cuts", 2004) looks for more
of it inside. It is OpenCV's, an optional extra. It takes many seconds for a megapixel and decides
no better for it, so it works on a small picture; `edges` then follows the large one.

The same picture and box give the same mask: OpenCV's chance starts from one seed.
"""

from __future__ import annotations

import os
from functools import cache
from math import sqrt
from types import ModuleType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media import edges
from handlers.media.choices import VISIBLE, Box

ROOM: Final = 65_536
"""Pixels of the small picture that is decided on."""
_ROUNDS: Final = 5  # of learning the colours and cutting anew; more change next to nothing
_CUT: Final = 0.1
_CUT_NOTE: Final = (
    "the object takes up {:.0%} of the edge of the box: the box cuts it off, or holds backdrop "
    "that is not seen outside of it; a box close around the object tells grabcut more"
)


def object_in_box(picture: Image.Image, box: Box | None) -> tuple[Image.Image, list[str]]:
    """The mask of the object that lies in `box`, and a note where the box seems to cut it.

    Args:
        picture: mode "RGB" or "RGBA"; pixels of alpha below 8 are backdrop.
        box: left, top, width and height in pixels; what sticks out of the picture does not count.

    Returns:
        A mask of mode "L": 255 is the object, 0 all else. A note where the mask takes up more than
        a tenth of those sides of the box that are not sides of the picture.

    Raises:
        HandlerError: `invalid_request`: there is no box, or nothing in it or outside of it;
            `not_supported`: OpenCV is not there.
    """
    inner = _clamped(box, picture.size)
    cv2 = _opencv()
    outer = _surroundings(inner, picture.size)
    part = picture.crop(outer)
    within = _moved(inner, outer)
    found = _decided(cv2, part, within)
    if found.size != part.size:
        found = edges.enlarged(found, part)
    mask, shown = Image.new("L", picture.size), Image.fromarray(_visible(part))
    mask.paste(found.crop(within), inner, shown.crop(within))
    cut = _cut(mask, inner)
    return mask, [_CUT_NOTE.format(cut)] if cut > _CUT else []


def _clamped(box: Box | None, size: tuple[int, int]) -> Box:
    """Left, top, right and bottom of `box`, within a picture of `size`."""
    if box is None:
        raise _refused("grabcut needs a box around the object", 'Add "box": "x:y:w:h" in pixels.')
    (wide, high), (x, y, width, height) = size, box
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, wide), min(y + height, high)
    name = "{}:{}:{}:{}".format(*box)
    if left >= right or top >= bottom:
        raise _refused(
            f"the box {name} holds nothing of the picture, which is {wide} x {high} pixels",
            "A box is x:y:w:h in pixels, from the upper left corner.",
        )
    if (left, top, right, bottom) == (0, 0, wide, high):
        raise _refused(
            f"the box {name} is the whole picture: nothing is left to tell the backdrop by",
            "Draw the box around the object, with some backdrop outside of it.",
        )
    return left, top, right, bottom


def _refused(message: str, hint: str) -> HandlerError:
    return HandlerError("invalid_request", message, hints=[hint])


@cache
def _opencv() -> ModuleType:
    """OpenCV on one thread, imported without a trace in the environment."""
    # The import adds its own folder, and the current one, to where programs that are started later
    # look for their libraries; and its BLAS, which nobody needs here, would start its threads.
    before = {name: os.environ.get(name) for name in ("LD_LIBRARY_PATH", "OPENBLAS_NUM_THREADS")}
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        import cv2
    except ImportError as error:
        raise _without_opencv(error) from None
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ |= {} if value is None else {name: value}
    cv2.setNumThreads(1)
    return cv2


def _without_opencv(error: ImportError) -> HandlerError:
    return HandlerError(
        "not_supported",
        f"grabcut needs OpenCV, which cannot be imported: {error}",
        hints=[
            'Install it: pip install "darkroomd[vision]"',
            "Or select by alpha or corner-bg, which need nothing more.",
        ],
    )


def _surroundings(box: Box, size: tuple[int, int]) -> Box:
    """`box` and half as much again on each side, within a picture of `size`: what is farther away
    says little about the backdrop here, and would cost resolution."""
    left, top, right, bottom = box
    aside, above = max((right - left) // 2, 16), max((bottom - top) // 2, 16)
    return (
        max(left - aside, 0),
        max(top - above, 0),
        min(right + aside, size[0]),
        min(bottom + above, size[1]),
    )


def _moved(box: Box, origin: Box) -> Box:
    """`box` as seen from the upper left corner of `origin`."""
    left, top, right, bottom = box
    return left - origin[0], top - origin[1], right - origin[0], bottom - origin[1]


def _cut(mask: Image.Image, box: Box) -> float:
    """How much of the edge of `box` is object, 0..1; the edge of the mask itself does not count."""
    left, top, right, bottom = box
    sides = [
        (left > 0, (left, top, left + 1, bottom)),
        (right < mask.width, (right - 1, top, right, bottom)),
        (top > 0, (left, top, right, top + 1)),
        (bottom < mask.height, (left, bottom - 1, right, bottom)),
    ]
    lines = [np.asarray(mask.crop(side)).ravel() for counts, side in sides if counts]
    return float(np.concatenate(lines).mean()) / 255


def _decided(cv2: ModuleType, picture: Image.Image, box: Box) -> Image.Image:
    """The mask, 0 or 255, of `picture` reduced to `ROOM`."""
    scale = min(1.0, sqrt(ROOM / (picture.width * picture.height)))
    small = picture.resize(_scaled(picture.size, scale), Image.Resampling.BOX)
    pixels = np.array(small.convert("RGB"))
    inside = _inside(picture.size, small.size, box)
    visible = _visible(small)
    if not (inside & visible).any():
        return Image.new("L", small.size)
    if not (visible & ~inside).any():
        raise _refused(
            "around the box all is transparent, and no backdrop to tell the object from",
            "The mode alpha selects by transparency.",
        )
    pixels[~visible] = pixels[visible & ~inside].mean(axis=0).round()
    labels = np.where(inside & visible, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(pixels, labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return Image.fromarray((labels & 1) * np.uint8(255))


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _inside(size: tuple[int, int], small: tuple[int, int], box: Box) -> NDArray[np.bool_]:
    """Which pixels of the `small` picture lie wholly in the `box` of one of `size`; the most
    covered ones, where the box is smaller than a pixel."""
    whole = Image.new("L", size)
    whole.paste(255, box)
    cover = np.asarray(whole.resize(small, Image.Resampling.BOX))
    return np.asarray(cover == cover.max())


def _visible(picture: Image.Image) -> NDArray[np.bool_]:
    """Which pixels are not transparent."""
    if picture.mode == "RGB":
        return np.ones((picture.height, picture.width), np.bool_)
    return np.asarray(np.asarray(picture.getchannel("A")) >= VISIBLE)
