"""The object in a picture, as a mask: by transparency, by the colour of the corners, or in a box.

Pictures come as Pillow images of mode "RGB" or "RGBA", upright and of 8 bits. Masks are of mode "L"
and hard: 255 is the object, 0 all else.
"""

from __future__ import annotations

from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media import areas, grabcut
from handlers.media.choices import VISIBLE, Selection

Levels = NDArray[np.uint8]
_ROWS: Final = 64  # at once: what is computed of them fits into the processor's cache
_FINE: Final = 64  # steps in a level of colour, so that distances are exact in whole numbers
_STRAY: Final = 0.1  # the share of the corners that may be off their mean, as dust is


def selected(picture: Image.Image, how: Selection) -> tuple[Image.Image, list[str]]:
    """The mask of the object in `picture`, and what there is to say about it, in sentences.

    Raises:
        HandlerError: `invalid_request`: the picture has nothing to select by in this way;
            `not_supported`: this way needs OpenCV, which is not installed.
    """
    notes: list[str] = []
    if how.mode == "alpha":
        mask = by_alpha(picture, how.threshold)
    elif how.mode == "grabcut":
        mask, notes = grabcut.object_in_box(picture, how.box)
    else:
        mask, notes = by_corners(picture, how.threshold, how.sample_size)
    return areas.cleaned(mask, holes=how.holes, specks=how.specks), notes


def by_alpha(picture: Image.Image, threshold: int) -> Image.Image:
    """What has an alpha of `threshold` (0..255) or more.

    Raises:
        HandlerError: `invalid_request`: nothing of the picture is transparent.
    """
    if picture.mode != "RGBA" or picture.getchannel("A").getextrema()[0] == 255:
        raise HandlerError(
            "invalid_request",
            "the picture has no transparency to select by",
            hints=[
                "Select by corner-bg if its backdrop is of one colour.",
                "Before any other backdrop grabcut finds the object in a box.",
            ],
        )
    return picture.getchannel("A").point([255 * (alpha >= threshold) for alpha in range(256)])


def by_corners(
    picture: Image.Image, threshold: int, sample_size: int
) -> tuple[Image.Image, list[str]]:
    """What differs by `threshold` or more from the mean colour of the four corners.

    The difference is the Euclidean distance in RGB; the mean is taken to 1/64 of a level. What is
    transparent (alpha below 8) is backdrop, and shows no colour.

    Args:
        picture: mode "RGB" or "RGBA".
        threshold: 0 or more; black and white are 442 apart.
        sample_size: the side in pixels of the square in each corner; at most that of the picture.

    Returns:
        The mask, and a note where more than a tenth of the corners is itself so far from their mean
        that it was taken for the object: such a backdrop is not of one colour.
    """
    corners = _corners(picture, sample_size)
    shown = corners[_visible(corners)]
    if not len(shown):
        return _masked(picture, None, 0), [
            "the corners are transparent, so all that is visible was taken for the object"
        ]
    centre = np.rint(shown[:, :3].mean(axis=0) * _FINE).astype(np.int32)
    stray = _distant(shown, centre, threshold).mean()
    notes = []
    if stray > _STRAY:
        notes.append(
            f"the backdrop is not of one colour: {stray:.0%} of the pixels in the corners were "
            "taken for the object; grabcut finds an object in a box before any backdrop"
        )
    return _masked(picture, centre, threshold), notes


def _corners(picture: Image.Image, side: int) -> Levels:
    """The pixels of the four corner squares, one in a row; squares may overlap."""
    wide, high = min(side, picture.width), min(side, picture.height)
    places = product((0, picture.width - wide), (0, picture.height - high))
    squares = [np.asarray(picture.crop((x, y, x + wide, y + high))) for x, y in places]
    return np.concatenate([square.reshape(wide * high, -1) for square in squares])


def _visible(pixels: Levels) -> NDArray[np.bool_]:
    """Which of `pixels` (..., 3 or 4) are not transparent."""
    if pixels.shape[-1] == 3:
        return np.ones(pixels.shape[:-1], np.bool_)
    return np.asarray(pixels[..., 3] >= VISIBLE)


def _distant(pixels: Levels, centre: NDArray[np.int32], threshold: int) -> NDArray[np.bool_]:
    """Which of `pixels` (..., 3 or 4) are `threshold` levels or more from `centre`, which is in
    `_FINE` steps of a level."""
    total = np.zeros(pixels.shape[:-1], np.int32)
    for channel, middle in enumerate(centre):
        difference = pixels[..., channel] * np.int32(_FINE)
        difference -= middle
        difference *= difference
        total += difference
    return np.asarray(total >= (threshold * _FINE) ** 2)


def _masked(picture: Image.Image, centre: NDArray[np.int32] | None, threshold: int) -> Image.Image:
    """What of `picture` is visible, and distant from `centre` if there is one."""
    levels = np.empty((picture.height, picture.width), np.uint8)
    for top in range(0, picture.height, _ROWS):
        bottom = min(top + _ROWS, picture.height)
        pixels = np.asarray(picture.crop((0, top, picture.width, bottom)))
        chosen = _visible(pixels)
        if centre is not None:
            chosen &= _distant(pixels, centre, threshold)
        np.multiply(chosen, 255, levels[top:bottom], dtype=np.uint8, casting="unsafe")
    return Image.fromarray(levels)
