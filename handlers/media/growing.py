"""Growing, shrinking and feathering a mask: each pixel by those around it.

Nothing here is quadratic in a radius, and tiles of a mask around which nothing differs, which are
most of the usual ones, cost next to nothing. Levels are (height, width) of uint8.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Levels = NDArray[np.uint8]
_Window: TypeAlias = tuple[slice, slice]
_SMALL, _LARGE = 256, 1024
"""Sides of tiles in pixels. Below the first the overhead shows, and beyond the second a tile that
is gone through again and again no longer fits in a processor's cache."""


def grown(levels: Levels, radius: int) -> Levels:
    """The greatest level within `radius` pixels of each pixel, as far as the picture goes.

    Of a mask of two values that is the mask and all pixels whose centres lie within the radius of
    one of its own: growth by a Euclidean disc (a flat dilation). It is exact for grey ones too.
    """
    result = levels.copy()
    side = min(max(_SMALL, 4 * radius), _LARGE)
    for own, around in _tiles(levels.shape, radius, side):
        greatest = levels[around].max()
        if levels[own].min() < greatest:  # else there is nothing to come in
            result[own] = _dilated(_padded(levels, own, around, radius), radius)
    return result


def shrunk(levels: Levels, radius: int) -> Levels:
    """The least level within `radius` pixels: what `grown` does, done to what is kept.

    What lies outside of the picture counts as selected, so its edges do not eat the mask: a mask
    of all white stays all white.
    """
    return 255 - grown(255 - levels, radius)


def feathered(levels: Levels, deviation: float) -> Levels:
    """Blur by a Gaussian of this standard deviation in pixels, as Pillow approximates it: three
    times by a box. At the picture's edges the outermost pixels are repeated."""
    blur = ImageFilter.GaussianBlur(deviation)
    result = levels.copy()
    reach = 3 * (math.ceil(deviation) + 1)  # each of the boxes: one deviation and a pixel
    for own, around in _tiles(levels.shape, reach, max(_SMALL, 8 * reach)):
        if levels[around].min() < levels[around].max():
            blurred = np.asarray(Image.fromarray(levels[around]).filter(blur))
            result[own] = blurred[_within(own, around)]
    return result


# ---------------------------------------------------------------- tiles


def _tiles(shape: tuple[int, ...], reach: int, side: int) -> Iterator[tuple[_Window, _Window]]:
    """Every tile of a picture, each with all of the picture within `reach` pixels of it."""
    height, width = shape
    for top in range(0, height, side):
        for left in range(0, width, side):
            bottom, right = min(top + side, height), min(left + side, width)
            rows = slice(max(top - reach, 0), min(bottom + reach, height))
            columns = slice(max(left - reach, 0), min(right + reach, width))
            yield (slice(top, bottom), slice(left, right)), (rows, columns)


def _within(own: _Window, around: _Window) -> _Window:
    """Where a tile lies in what is around it."""
    rows, columns = (
        slice(inner.start - outer.start, inner.stop - outer.start)
        for inner, outer in zip(own, around, strict=True)
    )
    return rows, columns


def _padded(levels: Levels, own: _Window, around: _Window, reach: int) -> Levels:
    """A tile with `reach` pixels on each side of it: 0 where the picture has none."""
    (rows, columns), (outer_rows, outer_columns) = own, around
    above, below = rows.start - outer_rows.start, outer_rows.stop - rows.stop
    before, behind = columns.start - outer_columns.start, outer_columns.stop - columns.stop
    missing = ((reach - above, reach - below), (reach - before, reach - behind))
    return np.pad(levels[around], missing)


# ---------------------------------------------------------------- the disc


def _dilated(padded: Levels, radius: int) -> Levels:
    """The greatest level of a disc around each pixel that has `radius` pixels on every side.

    A disc is a pile of rows, and the greatest of a row of any length is that of two shorter ones
    that overlap, whose length is a power of two. From the tip of the disc to its middle its rows
    become longer, and the maxima of powers of two are doubled as they do. The picture's rows lie
    end to end, so that each step is one pass over contiguous memory: what runs over the end of a
    row lands in columns that are dropped.
    """
    stride = padded.shape[1]
    height, width = (side - 2 * radius for side in padded.shape)
    length = (height - 1) * stride + width
    result = np.zeros(height * stride, np.uint8)
    disc, maxima, span = result[:length], padded.ravel(), 1
    for distance in range(radius, -1, -1):
        half = math.isqrt(radius * radius - distance * distance)
        while span <= half:
            maxima, span = np.maximum(maxima[:-span], maxima[span:]), 2 * span
        for row in {radius - distance, radius + distance}:
            for column in {radius - half, radius + half + 1 - span}:
                start = row * stride + column
                np.maximum(disc, maxima[start : start + length], out=disc)
    return result.reshape(height, stride)[:, :width]
