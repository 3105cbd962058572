"""A membrane: what is known of a picture, spread smoothly over what is not.

It is the pull-push of Gortler, Grzeszczuk, Szeliski and Cohen (The Lumigraph, SIGGRAPH 1996,
section 3.6): averages of what is known go down a pyramid, and come up where nothing is known.  On
the way up a few rounds of relaxation on each level bring it close to Laplace's equation, as
multigrid does; so it has neither steps nor creases.  The work is linear in the pixels.

Fields are planar, (channels, height, width), for the sake of long rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]  # of float32
_ONE_ROUND, _MOST_ROUNDS = 2**20, 32  # the pixels of a level that is relaxed once; rounds


def spread(values: Field, known: Field) -> Field:
    """`values` where they are known, and a membrane between them.

    Args:
        values: (channels, height, width); what stands where nothing is known does not count.
        known: (height, width) from 0 to 1: how far each pixel is to be believed.

    Returns:
        The membrane, of the shape of `values`; zero where nothing at all is known.
    """
    given = values * known
    if known.size == 1:
        return given
    membrane, free = enlarged(spread(*_pulled(given, known)), known.shape), 1 - known
    # A level of a quarter of the pixels has twice the rounds, so all cost twice the first.
    for turn in range(1 + min(math.isqrt(_ONE_ROUND // known.size), _MOST_ROUNDS)):
        membrane = around(membrane) if turn else membrane
        membrane *= free
        membrane += given
    return membrane


def _pulled(given: Field, known: Field) -> tuple[Field, Field]:
    """One level down: averages of 2 by 2 pixels, each by how far it is known."""
    weight, sums = quartered(known), quartered(given)
    np.divide(sums, weight, out=sums, where=weight > 0)
    # One pixel that is known says nearly as much about its place as four.
    return sums, np.minimum(weight * 4, 1)


def quartered(field: Field) -> Field:
    """`field` (..., height, width) at half its size; an odd last row or column counts double."""
    height, width = field.shape[-2:]
    if height % 2 or width % 2:
        pads = [(0, 0)] * (field.ndim - 2) + [(0, height % 2), (0, width % 2)]
        field = np.pad(field, pads, mode="edge")
    rows = field[..., 0::2, :] + field[..., 1::2, :]
    return np.asarray((rows[..., 0::2] + rows[..., 1::2]) * np.float32(0.25))


def enlarged(field: Field, shape: tuple[int, ...]) -> Field:
    """`field` (channels, height, width) at twice its size, cut to `shape` (height, width)."""
    height, width = shape
    tall = _doubled(field, 1)[:, :height]
    return _doubled(tall, 2)[:, :, :width]


def _doubled(field: Field, axis: int) -> Field:
    """Each row (axis 1) or column (2) twice, each a quarter of the way towards its neighbour."""
    size = list(field.shape)
    size[axis] *= 2
    doubled = np.empty(size, np.float32)
    place = np.moveaxis(doubled, axis, 0)
    near, far = np.moveaxis(field * np.float32(0.75), axis, 0), np.moveaxis(field, axis, 0) / 4
    place[0], place[-1] = near[0] + far[0], near[-1] + far[-1]
    np.add(near[1:], far[:-1], out=place[2::2])
    np.add(near[:-1], far[1:], out=place[1:-1:2])
    return doubled


def around(field: Field) -> Field:
    """The average of the four neighbours of each pixel; beyond the edge lies the pixel itself."""
    total = np.empty_like(field)
    total[:, 1:], total[:, :1] = field[:, :-1], field[:, :1]
    total[:, :-1] += field[:, 1:]
    total[:, -1:] += field[:, -1:]
    total[:, :, 1:] += field[:, :, :-1]
    total[:, :, :1] += field[:, :, :1]
    total[:, :, :-1] += field[:, :, 1:]
    total[:, :, -1:] += field[:, :, -1:]
    total *= np.float32(0.25)
    return total
