"""Small things that the stand-in sets into a picture: blossoms, marbles and round prints.

Each is drawn into a circle, in arithmetic that IEEE 754 defines exactly (see `motifs`), in place
on colours (height, width, 3) from 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from handlers.media.motifs import Field, smooth

_GRID: Final = 96  # cells along the longer side, where places are looked for
SMALLEST: Final = 2.0
"""Pixels of a radius; what is smaller is not seen."""
_LIGHT: Final = 0.16  # of what lies there, in the colours of an inlay
_LEAST: Final = 0.25  # of a radius, as a part of the largest
_REACH: Final = 1.45  # of a patch beyond its circle, in radii: the shadow stays within


class Spot(NamedTuple):
    """A circle on a picture, in pixels."""

    x: float
    y: float
    radius: float


class Patch(NamedTuple):
    """The piece of a picture around a spot, and where its pixels lie, in radii from the centre."""

    pixels: Field
    x: Field
    y: Field
    radius: float

    def disc(self, x: float = 0, y: float = 0, size: float = 1) -> Field:
        """How far each pixel lies in a circle, 0 to 1."""
        aside, below = self.x - x, self.y - y
        away = np.sqrt(aside * aside + below * below)
        return np.clip((size - away) * self.radius + 0.5, 0, 1)

    def lay(self, colour: Field | float, cover: Field) -> None:
        """Lay a colour over the pixels, as far as `cover` goes from 0 to 1."""
        self.pixels[...] += (colour - self.pixels) * cover[..., None]

    def part(self, left: float, top: float, right: float, bottom: float) -> Patch:
        """The piece of this patch within a box, in radii."""
        columns = slice(*np.searchsorted(self.x[0], (left, right)))
        rows = slice(*np.searchsorted(self.y[:, 0], (top, bottom)))
        pixels = self.pixels[rows, columns]
        return Patch(pixels, self.x[:, columns], self.y[rows], self.radius)


Form = Callable[[Patch, Field, np.random.Generator], None]


def patch(canvas: Field, spot: Spot) -> Patch:
    """The piece of `canvas` around `spot`; what is drawn on it is drawn on the canvas."""
    reach = spot.radius * _REACH
    left, top = max(0, int(spot.x - reach)), max(0, int(spot.y - reach))
    pixels = canvas[top : int(spot.y + reach) + 1, left : int(spot.x + reach) + 1]
    x = (np.arange(pixels.shape[1], dtype=np.float32) + (left + 0.5 - spot.x)) / spot.radius
    y = (np.arange(pixels.shape[0], dtype=np.float32) + (top + 0.5 - spot.y)) / spot.radius
    return Patch(pixels, x[None, :], y[:, None], spot.radius)


def inlay(canvas: Field, spot: Spot, form: Form, colours: Field, rng: np.random.Generator) -> None:
    """Draw `form` at `spot` of `canvas`, in place, in the seven colours of a palette and in the
    light of the place."""
    there = canvas[min(int(spot.y), len(canvas) - 1), min(int(spot.x), canvas.shape[1] - 1)]
    form(patch(canvas, spot), colours + (there - colours) * np.float32(_LIGHT), rng)


# ---------------------------------------------------------------- forms


def blossom(on: Patch, colours: Field, rng: np.random.Generator) -> None:
    """A flower of three whorls of petals around a heart in the accent."""
    shadow(on, 0.9)
    petals, turn = int(rng.integers(6, 10)), float(rng.uniform(0, 2 * math.pi))
    shade = int(rng.integers(1, 4))
    for whorl, size in enumerate((1.0, 0.72, 0.46)):
        low, high = colours[shade - 1 + whorl // 2], colours[min(shade + 1 + whorl, 5)]
        for petal in range(petals):
            angle = turn + (petal + 0.5 * whorl) * 2 * math.pi / petals
            _petal(on, angle, size, 1.9 / petals, (low, high))
    on.lay(colours[6] * 0.55, on.disc(0.02, 0.03, 0.17))
    on.lay(colours[6], on.disc(0, 0, 0.15))
    on.lay(colours[6] + (1 - colours[6]) * 0.45, on.disc(-0.03, -0.04, 0.07))


def _petal(
    on: Patch, angle: float, size: float, width: float, colours: tuple[Field, Field]
) -> None:
    """One petal: an ellipse from the heart outwards, dark at its foot, light at its tip."""
    along, aside = math.cos(angle), math.sin(angle)
    middle, half, wide = 0.56 * size, 0.44 * size, min(0.5, width) * size
    x, y = middle * along, middle * aside
    reach = half + 0.1 * size
    piece = on.part(x - reach, y - reach, x + reach, y + reach)
    length = (piece.x * along + piece.y * aside - middle) / half
    breadth = (piece.y * along - piece.x * aside) / wide
    # The shape is an egg: broader towards the tip.
    breadth = breadth * (1.25 - 0.25 * length)
    square = length * length + breadth * breadth
    edge = (1 - np.sqrt(square)) * min(half, wide) * on.radius
    piece.lay(colours[0] * 0.35, 0.4 * smooth(square, 1.55, 0.8))
    tone = smooth(length, -1.1, 1.0) * (0.86 + 0.14 * smooth(np.abs(breadth), 0, 0.5))
    body = colours[0] + (colours[1] - colours[0]) * tone[..., None]
    piece.lay(body, np.clip(edge + 0.5, 0, 1))


def marble(on: Patch, colours: Field, rng: np.random.Generator) -> None:
    """A lit sphere with a soft shadow, as those of the motif `orbs`."""
    shadow(on)
    tone = int(rng.integers(0, 5))
    square = np.minimum(on.x * on.x + on.y * on.y, 1)
    front = np.sqrt(1 - square)
    lit = smooth(0.60 * front - 0.50 * on.x - 0.62 * on.y, -0.75, 1.0)
    rim = 0.35 * smooth(on.y + 0.4 * on.x, 0.2, 1.2) * (1 - front)
    dark, light = colours[max(tone - 1, 0)], colours[min(tone + 2, 5)]
    body = dark + (light - dark) * np.clip(lit + rim, 0, 1)[..., None]
    on.lay(body, on.disc())
    glint = ((on.x + 0.36) / 0.22) ** 2 + ((on.y + 0.44) / 0.16) ** 2
    on.lay(1.0, 0.55 * smooth(glint, 1.0, 0.1) * on.disc())


FORMS: Final[tuple[Form, ...]] = (blossom, marble)


def print_of(picture: Image.Image) -> Form:
    """A round print of `picture`, cut square from its middle, in a ring of paper."""

    def medallion(on: Patch, colours: Field, rng: np.random.Generator) -> None:
        del rng
        shadow(on)
        paper = 0.5 + 0.5 * colours[5]
        on.lay(paper, on.disc())
        on.lay(_within(picture, on), on.disc(size=0.92))

    return medallion


def _within(picture: Image.Image, on: Patch) -> Field:
    """`picture`, scaled so that the circle of a patch lies on its middle; clear parts are white."""
    side, size = min(picture.size), max(1, round(2 * on.radius))
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = left, top, left + side, top + side
    shrunk = picture.convert("RGBA").resize((size, size), Image.Resampling.BOX, box)
    sheet = Image.new("RGBA", shrunk.size, "white")
    sheet.alpha_composite(shrunk)
    levels = np.asarray(sheet.convert("RGB"), np.float32) / 255
    # The corners of a patch lie outside of its circle, and get what is nearest.
    rows, columns = (
        np.clip(((at + 1) * on.radius).astype(np.int32), 0, size - 1)
        for at in (on.y[:, 0], on.x[0])
    )
    return np.asarray(levels[rows][:, columns])


def shadow(on: Patch, size: float = 1) -> None:
    """The soft shadow of a circle, below it and a little to its right."""
    aside, below = on.x - 0.10, on.y - 0.16
    away = np.sqrt(aside * aside + below * below)
    on.lay(0.0, 0.42 * smooth(away, 1.22 * size, 0.62 * size) ** 2)


# ---------------------------------------------------------------- places


def places(
    cover: Field, most: int, rng: np.random.Generator, radius: float = math.inf
) -> list[Spot]:
    """Circles that lie apart from one another and well inside what is covered.

    Args:
        cover: (height, width) from 0 to 1; only what is mostly covered counts.
        most: how many.
        rng: where they go, among the places that are good.
        radius: of the largest, in pixels.
    """
    depth, scale = _depth(cover)
    spots: list[Spot] = []
    deepest = float(depth.max())
    # In something round they are of several sizes; along a stroke they fill its width.
    roundness = math.pi * deepest * deepest / max(1, int(np.count_nonzero(depth > 0)))
    largest = min((0.85 - 0.4 * min(1.0, roundness)) * deepest, radius / scale)
    rows, columns = np.indices(depth.shape)
    for _ in range(most):
        good = np.minimum(depth, largest * 1.2) * (0.7 + 0.3 * rng.random(depth.shape))
        row, column = np.unravel_index(int(good.argmax()), depth.shape)
        size = min(largest, 0.8 * float(depth[row, column])) * float(rng.uniform(0.8, 1))
        if size < _LEAST * largest or size * scale < SMALLEST:
            break
        spots.append(Spot((column + 0.5) * scale, (row + 0.5) * scale, size * scale))
        away = np.sqrt((rows - row) ** 2.0 + (columns - column) ** 2.0)
        depth = np.minimum(depth, away - size * 1.05)
    return spots


def _depth(cover: Field) -> tuple[Field, float]:
    """How deep each cell of a coarse grid lies in what is covered, in cells, and a cell's pixels.

    The edge of the picture is a rim too.  It is exact, as the grid is so small.
    """
    height, width = cover.shape
    cell = max(1.0, max(height, width) / _GRID)
    size = max(1, round(width / cell)), max(1, round(height / cell))
    full = Image.fromarray(cover).resize(size, Image.Resampling.BOX)
    inside = np.pad(np.asarray(full) > 0.7, 1)
    far = float(sum(inside.shape))
    down = np.where(inside, far, 0)
    for rows in (range(1, len(down)), range(len(down) - 2, -1, -1)):
        step = 1 if rows.step == 1 else -1
        for row in rows:
            down[row] = np.minimum(down[row], down[row - step] + 1)
    at = np.arange(inside.shape[1])
    apart = (at[:, None] - at[None, :]) ** 2
    depth = np.sqrt((down[:, None, :] ** 2 + apart[None]).min(axis=2))
    return depth[1:-1, 1:-1] - 0.5 * inside[1:-1, 1:-1], cell
