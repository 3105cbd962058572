"""Drawing the tone of a provider's answer to the source's, so that no seam shows where it is
pasted back.

Many models answer with a picture that is a little warmer, darker or flatter all over. What both
pictures show where the mask is 0 tells by how much; that difference is carried on, smoothly, into
what was to be changed.

The algorithm is the pull-push of Gortler, Grzeszczuk, Szeliski and Cohen, "The Lumigraph" (1996):
a pyramid of averages, from which what is unknown is filled. It takes linear time.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

Field = NDArray[Any]  # of float32

SLIGHT: Final = 24
"""Levels: what is further apart is no difference of tone, but other content."""
_LONGEST = 256  # pixels: tones change slowly, and are compared small


def toned(answer: Image.Image, source: Image.Image, mask: Image.Image) -> Image.Image:
    """The answer in the tone that the source has along the rim of the mask.

    It is meant for `pasted_back`: what it does where the mask is 0 is replaced there. Alpha stays
    as it is. Where most of what lies outside the mask is of other content, or nothing does, the
    answer is returned unchanged.

    Args:
        answer: RGB or RGBA.
        source: RGB or RGBA, of the same size.
        mask: of the same size, mode "L".
    """
    width, height = source.size
    shrink = max(1.0, max(width, height) / _LONGEST)
    small = max(1, round(width / shrink)), max(1, round(height / shrink))
    away, known = _compared(answer, source, mask, small)
    if not known.any():
        return answer
    offset = np.clip(np.rint(_filled(away, known)), -SLIGHT, SLIGHT)
    levels = Image.fromarray((offset + 128).astype(np.uint8))
    levels = levels.resize(source.size, Image.Resampling.BICUBIC)
    drawn = ImageChops.add(_as_rgb(answer), levels, offset=-128)
    if answer.mode == "RGBA":
        drawn.putalpha(answer.getchannel("A"))
    return drawn


def _compared(
    answer: Image.Image, source: Image.Image, mask: Image.Image, size: tuple[int, int]
) -> tuple[Field, Field]:
    """By how much each is off, (height, width, 3) in levels, and whether that is known, 1 or 0,
    (height, width, 1): where both are opaque, show the same, and lie wholly outside the mask."""
    one, other = (
        np.asarray(picture.resize(size, Image.Resampling.BOX).convert("RGBA"), np.float32)
        for picture in (answer, source)
    )
    touched = mask.point([0] + [255] * 255).resize(size, Image.Resampling.BOX)
    outside = (np.asarray(touched) == 0) & (np.minimum(one[..., 3], other[..., 3]) == 255)
    away = other[..., :3] - one[..., :3]
    alike = outside & (np.abs(away).max(axis=2) <= SLIGHT)
    if 2 * np.count_nonzero(alike) < np.count_nonzero(outside):
        alike[:] = False
    return away, alike.astype(np.float32)[..., None]


def _filled(values: Field, known: Field) -> Field:
    """`values` where they are known, and smoothly in between: averages of ever larger squares,
    from which each smaller one takes what it does not know."""
    height, width = values.shape[:2]
    if height == width == 1:
        return values * known
    total, weight = _halved(values * known), _halved(known)
    coarse = _filled(total / np.maximum(weight, 1e-6), np.minimum(1, weight))
    return np.asarray(values * known + _doubled(coarse, (width, height)) * (1 - known))


def _doubled(values: Field, size: tuple[int, int]) -> Field:
    """Twice as large and smooth; `size` is one less where the last row or column was odd."""
    box = (0, 0, size[0] / 2, size[1] / 2)
    return np.stack(
        [
            np.asarray(Image.fromarray(channel).resize(size, Image.Resampling.BILINEAR, box))
            for channel in np.ascontiguousarray(np.moveaxis(values, 2, 0))
        ],
        axis=2,
    )


def _halved(values: Field) -> Field:
    """Sums of two by two; an odd last row or column is on its own."""
    padded = np.pad(values, ((0, len(values) % 2), (0, values.shape[1] % 2), (0, 0)))
    rows = padded[::2] + padded[1::2]
    return np.asarray(rows[:, ::2] + rows[:, 1::2])


def _as_rgb(picture: Image.Image) -> Image.Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")
