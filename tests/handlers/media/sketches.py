"""Masks that can be read in a test: a row of text for a row of pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image


def mask_of(sketch: str) -> Image.Image:
    """The mask that a sketch shows: `#` is 255, all else 0."""
    rows = sketch.split()
    return Image.fromarray(np.array([[255 * (c == "#") for c in row] for row in rows], np.uint8))


def picture_of(sketch: str, **colours: tuple[int, ...]) -> Image.Image:
    """The picture that a sketch shows, with the colour that each of its letters stands for."""
    rows = sketch.split()
    return Image.fromarray(np.array([[colours[c] for c in row] for row in rows], np.uint8))


def sketch_of(mask: Image.Image) -> str:
    """What `mask_of` reads, indented by nothing; `?` is a level that is neither 0 nor 255."""
    levels = np.asarray(mask)
    return "\n".join(
        "".join({0: ".", 255: "#"}.get(v, "?") for v in row) for row in levels.tolist()
    )


def lines(sketch: str) -> str:
    """A sketch without its indentation, as `sketch_of` draws it."""
    return "\n".join(sketch.split())
