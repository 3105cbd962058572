"""A small mask, enlarged so that it follows the edges of the picture that it belongs to.

Near an edge of the mask a guided filter writes it as a linear function of the colours around. That
is fitted at a reduced size and applied at the full one (He, Sun and Tang, "Guided image filtering",
2010; He and Sun, "Fast guided filter", 2015). Both are linear in the number of pixels, and only
tiles with an edge are computed at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, sqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[Any]  # of float64, or float32 where there are many pixels
Tile = tuple[int, int, int, int]
_FINER: Final = 2  # sides of the picture that the filter is fitted to, in those of the small mask
_REACH: Final = 2  # how far it looks twice over, in pixels of the small mask
_FLAT: Final = 1e-3  # a variance of colours of 0..1 that is no edge
_TILE: Final = 256


def enlarged(mask: Image.Image, picture: Image.Image) -> Image.Image:
    """`mask`, with levels of 0 and 255 in mode "L", at the size of `picture` and along its edges.

    An edge is found where it is no more than about two pixels of the small mask away. `picture` is
    of mode "RGB" or "RGBA", and no smaller than `mask`.
    """
    larger = sqrt(picture.width * picture.height / (mask.width * mask.height))
    factor = min(_FINER, larger)
    size = round(mask.width * factor), round(mask.height * factor)
    planes = _fitted(_colours(picture.resize(size, Image.Resampling.BOX)), mask, _REACH * factor)
    large = mask.resize(picture.size, Image.Resampling.NEAREST)
    for tile in _edges(np.asarray(mask), picture.size):
        large.paste(_applied(planes, picture, tile), tile)
    return large


def _colours(picture: Image.Image) -> Field:
    """Red, green and blue from 0 to 1, each (height, width)."""
    return np.moveaxis(np.asarray(picture.convert("RGB"), np.float32) / 255, 2, 0)


def _fitted(colours: Field, mask: Image.Image, reach: float) -> list[Image.Image]:
    """What red, green and blue count for in the mask (0..1), and what is added to them: four
    planes of the size of `colours`."""
    radius, size = max(1, round(reach)), colours.shape[:0:-1]
    wanted = np.asarray(mask.resize(size, Image.Resampling.BILINEAR)) / 255
    centre, level = _mean(colours, radius), _mean(wanted, radius)
    spread = _mean(colours[:, None] * colours, radius) - centre[:, None] * centre
    spread += _FLAT * np.eye(3)[..., None, None]
    shared = _mean(colours * wanted, radius) - centre * level
    # A small system of equations for each pixel.
    slopes = np.linalg.solve(
        np.moveaxis(spread, (0, 1), (2, 3)), np.moveaxis(shared, 0, 2)[..., None]
    )
    slopes = np.moveaxis(slopes[..., 0], 2, 0)
    planes = _mean(np.stack([*slopes, level - (slopes * centre).sum(0)]), radius)
    return [Image.fromarray(plane.astype(np.float32)) for plane in planes]


def _mean(values: Field, radius: int) -> Field:
    """The mean of the square around each pixel of (..., height, width), at a cost that does not
    depend on its radius."""
    for axis in (-1, -2):
        pads = [(0, 0)] * values.ndim
        pads[axis] = (radius + 1, radius)
        sums = np.cumsum(np.pad(values, pads, mode="edge"), axis, dtype=np.float64)
        sums = np.moveaxis(sums, axis, -1)
        side = 2 * radius + 1
        values = np.moveaxis((sums[..., side:] - sums[..., :-side]) / side, -1, axis)
    return values


def _edges(mask: NDArray[np.uint8], size: tuple[int, int]) -> Iterator[Tile]:
    """The tiles of a picture of `size` that may hold an edge of the small `mask`."""
    down, across = mask.shape[0] / size[1], mask.shape[1] / size[0]
    far = 2 * _REACH + 2
    for top in range(0, size[1], _TILE):
        for left in range(0, size[0], _TILE):
            right, bottom = min(left + _TILE, size[0]), min(top + _TILE, size[1])
            near = mask[
                max(0, int(top * down) - far) : ceil(bottom * down) + far,
                max(0, int(left * across) - far) : ceil(right * across) + far,
            ]
            if near.min() != near.max():
                yield left, top, right, bottom


def _applied(planes: list[Image.Image], picture: Image.Image, tile: Tile) -> Image.Image:
    """The mask in one `tile` of the picture."""
    (left, top, right, bottom), (wide, high), small = tile, picture.size, planes[0]
    # Multiplied first, so that the last tile ends exactly where the planes do.
    across = left * small.width / wide, right * small.width / wide
    down = top * small.height / high, bottom * small.height / high
    box, size = (across[0], down[0], across[1], down[1]), (right - left, bottom - top)
    *slopes, level = (
        np.asarray(plane.resize(size, Image.Resampling.BILINEAR, box)) for plane in planes
    )
    for slope, colour in zip(slopes, _colours(picture.crop(tile)), strict=True):
        level = level + slope * colour
    return Image.fromarray((level > 0.5) * np.uint8(255))
