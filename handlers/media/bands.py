"""Large pictures in bands of rows, so that only a band is ever held in floating point."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from PIL import Image

from handlers.media.motifs import Field

Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""
WORK: Final = 1_700_000
"""Pixels of the scale at which a large picture is worked on."""
_PIXELS: Final = 2**20  # of a band


def bands(box: Box) -> Iterator[Box]:
    """The bands of a box, from the top down."""
    left, top, right, bottom = box
    rows = max(1, _PIXELS // (right - left))
    for start in range(top, bottom, rows):
        yield left, start, right, min(start + rows, bottom)


def part(work: Image.Image, whole: Box, box: Box) -> Field:
    """What of a work lies in `box`, at the picture's scale, in levels of 0 to 255.

    Args:
        work: RGB, of any scale.
        whole: the part of the picture that it shows.
        box: a part of that.
    """
    across, down = work.width / (whole[2] - whole[0]), work.height / (whole[3] - whole[1])
    columns = (box[0] - whole[0]) * across, (box[2] - whole[0]) * across
    rows = (box[1] - whole[1]) * down, (box[3] - whole[1]) * down
    size = box[2] - box[0], box[3] - box[1]
    source = columns[0], rows[0], columns[1], rows[1]
    return np.asarray(work.resize(size, Image.Resampling.BICUBIC, source), np.float32)
