"""Connected areas of a mask: holes that are closed and specks that are wiped off.

A row of a mask is a few runs of pixels, and an area is runs that touch. So the work grows with the
number of runs, and no pixel is visited in Python. Areas are merged as in Shiloach and Vishkin, "An
O(log n) parallel connectivity algorithm" (1982): each hooks on to a lower neighbour, all at once,
and pointers are then halved until they end at a root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Levels = NDArray[np.uint8]
Numbers = NDArray[Any]  # of int64


@dataclass(frozen=True)
class _Runs:
    """Runs of pixels in a row, in the order of reading.

    They are counted in a grid with one more column than the mask, which is empty: so no run goes
    over the end of its row, and the run below a pixel lies one `stride` further.
    """

    starts: Numbers
    ends: Numbers
    """One behind the last pixel."""
    width: int
    height: int

    @property
    def stride(self) -> int:
        """From a pixel to the one below it."""
        return self.width + 1

    @classmethod
    def of(cls, chosen: NDArray[np.bool_]) -> _Runs:
        """The runs of `chosen` (height, width)."""
        height, width = chosen.shape
        grid = np.zeros(height * (width + 1) + 1, np.bool_)
        grid[1:].reshape(height, width + 1)[:, :width] = chosen
        changes = np.flatnonzero(grid[1:] != grid[:-1])
        return cls(changes[::2], changes[1::2], width, height)

    def neighbours(self, diagonal: bool) -> tuple[Numbers, Numbers]:
        """All pairs of a run and one that touches it from below, if by a corner only as well."""
        above, below = self.starts + self.stride, self.ends + self.stride
        first = np.searchsorted(self.ends, above, "left" if diagonal else "right")
        behind = np.searchsorted(self.starts, below, "right" if diagonal else "left")
        counts = behind - first
        upper = np.repeat(np.arange(len(counts)), counts)
        # Each run's neighbours are consecutive: `first`, and those after it.
        lower = np.arange(len(upper)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        return upper, lower

    def on_border(self) -> NDArray[np.bool_]:
        """Whether each run reaches the border of the mask."""
        rows, columns = np.divmod(self.starts, self.stride)
        last = self.ends - rows * self.stride == self.width
        return np.asarray((columns == 0) | last | (rows == 0) | (rows == self.height - 1))

    def painted(self, chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Where the `chosen` ones of the runs are, (height, width)."""
        change = np.zeros(self.height * self.stride, np.int8)
        change[self.starts[chosen]] = 1
        change[self.ends[chosen]] = -1
        inside = np.cumsum(change, dtype=np.int8).view(np.bool_)
        return inside.reshape(self.height, self.stride)[:, : self.width]


def cleaned(mask: Image.Image, *, holes: int = 0, specks: int = 0) -> Image.Image:
    """`mask` without small holes and specks; the holes go first, so that a ring counts as a disc.

    Args:
        mask: mode "L"; what is 128 or more is the object.
        holes: background that touches neither the border nor other background with an edge becomes
            object (255) up to so many pixels.
        specks: object that touches other object neither with an edge nor with a corner becomes
            background (0) up to so many pixels.
    """
    levels = np.array(mask)
    if holes:
        runs = _Runs.of(levels < 128)
        levels[runs.painted(_small(runs, holes, diagonal=False, inner=True))] = 255
    if specks:
        runs = _Runs.of(levels >= 128)
        levels[runs.painted(_small(runs, specks, diagonal=True, inner=False))] = 0
    return Image.fromarray(levels)


def _small(runs: _Runs, most: int, *, diagonal: bool, inner: bool) -> NDArray[np.bool_]:
    """Whether each run belongs to an area of at most `most` pixels, and one that does not reach
    the border if `inner`."""
    areas = _merged(len(runs.starts), *runs.neighbours(diagonal))
    small = np.bincount(areas, runs.ends - runs.starts, len(areas)) <= most
    if inner:
        small[areas[runs.on_border()]] = False
    return np.asarray(small[areas])


def _merged(count: int, one: Numbers, other: Numbers) -> Numbers:
    """The lowest number in the area of each of `count` things, of which pairs hang together."""
    root = np.arange(count)
    while len(one):
        # All of them are roots here.  Within two rounds each is hooked, or another is hooked to
        # it: at most half of them are left, so there are few rounds.
        np.minimum.at(root, np.maximum(one, other), np.minimum(one, other))
        while not np.array_equal(root, above := root[root]):
            root = above
        one, other = root[one], root[other]
        apart = one != other
        one, other = one[apart], other[apart]
    return root
