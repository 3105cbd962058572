"""What the stand-in fills with: a gap, the backdrop of an object, the rest of a canvas.

Fills are colours (height, width, 3) from 0 to 1, of the size of the ground that they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from handlers.media.edits import Wish
from handlers.media.membrane import spread
from handlers.media.motifs import Field, Stage, smooth
from handlers.media.painting import chosen, drawn

Meaning = Literal["gap", "backdrop", "canvas", "scene"]
"""What a mask asks for: see `retouching.meant`."""
_EDGE: Final = 0.01  # the width of a backdrop's seam, in short sides
_GLOW: Final = 0.07  # how far what was there shines into a new backdrop, in short sides


class Ground(NamedTuple):
    """The part of a picture that a fill is made of, at the fill's scale."""

    box: tuple[int, int, int, int]
    """Where it lies in the picture, in pixels."""
    colours: Field
    """(3, height, width) from 0 to 1."""
    cover: Field
    """(height, width): how far each pixel is to be filled, from 0 to 1."""
    sound: Field
    """(height, width): how far there is a picture at all; 0 is clear."""
    grain: float
    """The standard deviation of the picture's own noise."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.cover.shape[1], self.cover.shape[0]


def gap(ground: Ground, wish: Wish) -> Field:
    """What lies around, spread over the gap; around something that was cut out lies nothing, and
    it keeps its own tones."""
    del wish
    known = np.where(ground.cover == 0, ground.sound, 0)
    known = known if known.any() else ground.sound
    return upright(spread(ground.colours, known))


def scene(ground: Ground, wish: Wish) -> Field:
    """The prompt's motif, in colours of its own."""
    choice = chosen(wish.prompt, wish.seed, wish.index, wish.palette)
    art = drawn(choice.motif, ground.size, Stage(0, 0, choice.palette, choice.rng))
    return np.asarray(art, np.float32) / 255


def canvas(ground: Ground, wish: Wish) -> Field:
    """The kept rectangle as in mirrors at its sides: softer and more in the prompt's colours the
    farther it lies."""
    (top, bottom), (left, right) = _held(ground)
    rows, down = _mirror(ground.size[1], top, bottom)
    columns, across = _mirror(ground.size[0], left, right)
    near = Image.fromarray(levels(upright(ground.colours[:, rows][:, :, columns])))
    short = min(bottom - top, right - left)
    away = np.sqrt(down[:, None] ** 2 + across[None, :] ** 2) / np.float32(short)
    fill = np.asarray(near, np.float32) / 255
    for radius, start, end in ((0.012, 0.04, 0.3), (0.05, 0.2, 0.7), (0.16, 0.5, 1.2)):
        soft = near.filter(ImageFilter.GaussianBlur(radius * short))
        fill += (np.asarray(soft, np.float32) / 255 - fill) * smooth(away, start, end)[..., None]
    choice = chosen(wish.prompt, wish.seed, wish.index, wish.palette)
    glaze = Stage(0, 0, choice.palette, choice.rng).paint(lightness(fill))
    return fill + (glaze - fill) * (0.6 * smooth(away, 0.05, 0.9))[..., None]


FILLS: Final[Mapping[Meaning, Callable[[Ground, Wish], Field]]] = MappingProxyType(
    {"gap": gap, "backdrop": scene, "canvas": canvas, "scene": scene}
)


# ---------------------------------------------------------------- parts


def _held(ground: Ground) -> tuple[tuple[int, int], tuple[int, int]]:
    """The rows and the columns of the picture that lies on a canvas: start and end.

    Where the canvas is clear that is all of the picture, also what the mask overlaps.
    """
    shown = ground.sound > 0.5
    held = ground.cover < 0.5 if shown.all() or not shown.any() else shown
    rows, columns = np.flatnonzero(held.any(axis=1)), np.flatnonzero(held.any(axis=0))
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def _mirror(length: int, start: int, end: int) -> tuple[Field, Field]:
    """For each of `length` places: which of those from `start` to `end` it mirrors, and how far it
    lies from them."""
    at, count = np.arange(length) - start, end - start
    turn = at % (2 * count)
    place = np.minimum(turn, 2 * count - 1 - turn) + start
    return place, np.maximum(np.maximum(-at, at - count + 1), 0).astype(np.float32)


def _blurred(field: Field, radius: float) -> Field:
    """A field of 0 to 1, blurred by a radius in pixels, in 256 levels."""
    image = Image.fromarray((field * 255 + 0.5).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255


def upright(planes: Field) -> Field:
    """(3, height, width) as (height, width, 3)."""
    return np.ascontiguousarray(np.moveaxis(planes, 0, 2))


def levels(colours: Field) -> Field:
    """Colours of 0 to 1 as bytes."""
    return (np.clip(colours, 0, 1) * 255 + 0.5).astype(np.uint8)


def lightness(colours: Field) -> Field:
    """How light colours (..., 3) are, from 0 to 1: their luma (ITU-R BT.709)."""
    red, green, blue = (colours[..., channel] for channel in range(3))
    return np.asarray(0.2126 * red + 0.7152 * green + 0.0722 * blue, np.float32)
