"""Regions, drawn: a rect, an ellipse, a polygon or a soft stroke on a canvas of levels.

A canvas is (height, width) of uint8, and is drawn on in place; what lies beyond it is left out.
A pixel belongs to a shape when its centre does; for a rect that is the same as rounding its sides
to the nearest edges of pixels. So shapes that meet leave no gap, and none covers a pixel twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.media.regions import Point, Region

Levels = NDArray[np.uint8]
_FINE: Final = 32.0
"""The radius in pixels up to which a stroke is drawn pixel by pixel. A wider one is so soft that
it is drawn smaller and enlarged: its work does not grow with the radius, and a level is off by less
than 2 of 255, but for the crease on the inner side of a bend, which is rounded a little."""
_MOST_BRUSHED: Final = 20_000_000
"""How many pixels of one stroke are looked at, about: a second's work. A scribble that goes over a
picture dozens of times is drawn more coarsely, too."""
_MARGIN: Final = 2
_STEPS: Final = 1024


def draw(canvas: Levels, region: Region) -> bool:
    """Draw a region, whose numbers are pixels, and say whether a pixel came of it."""
    if region.shape == "rect":
        return _rect(canvas, region.points)
    if region.shape == "ellipse":
        return _ellipse(canvas, region.points)
    if region.shape == "polygon":
        return _polygon(canvas, region.points)
    return _stroke(canvas, region.points, region.radius)


def _edge(place: float) -> int:
    """The nearest edge between pixels. What arithmetic left of a half still counts as one."""
    return math.floor(round(place, 6) + 0.5)


def _span(low: float, high: float, side: int) -> slice:
    """The pixels whose centres lie between two places, on a canvas of `side` pixels."""
    start = min(max(_edge(low), 0), side)
    return slice(start, max(min(_edge(high), side), start))


def _rect(canvas: Levels, corners: Sequence[Point]) -> bool:
    (left, top), (right, bottom) = corners
    height, width = canvas.shape
    patch = canvas[_span(top, bottom, height), _span(left, right, width)]
    patch[:] = 255
    return patch.size > 0


def _ellipse(canvas: Levels, corners: Sequence[Point]) -> bool:
    (left, top), (right, bottom) = corners
    height, width = canvas.shape
    # A centre on the outline is within, on every side alike.
    rows = _span(math.floor(top), math.ceil(bottom), height)
    columns = _span(math.floor(left), math.ceil(right), width)
    down, across = _from_centre(rows, top, bottom), _from_centre(columns, left, right)
    inside = across * across <= (1 + 1e-9 - down * down)[:, None]
    canvas[rows, columns][inside] = 255
    return bool(inside.any())


def _from_centre(pixels: slice, low: float, high: float) -> NDArray[np.float64]:
    """How far pixels lie from the middle of two places; these are at -1 and 1."""
    return (np.arange(pixels.start, pixels.stop) + 0.5 - (low + high) / 2) / ((high - low) / 2)


def _polygon(canvas: Levels, points: Sequence[Point]) -> bool:
    """Fill what the outline goes around, however often, so that crossings make no holes.

    Each side adds its direction where it crosses the middle of a row; summed up from the left
    that is how often the outline goes around a pixel (the winding number).
    """
    xs, ys = zip(*points, strict=True)
    height, width = canvas.shape
    rows, columns = _span(min(ys), max(ys), height), _span(min(xs), max(xs), width)
    turns = np.zeros((rows.stop - rows.start, columns.stop - columns.start + 1), np.int16)
    for (x1, y1), (x2, y2) in zip(points, [*points[1:], points[0]], strict=True):
        crossed = _span(min(y1, y2), max(y1, y2), height)
        row = np.arange(crossed.start, crossed.stop)
        if row.size:
            crossings = x1 + (row + 0.5 - y1) * ((x2 - x1) / (y2 - y1))
            column = np.floor(np.round(crossings, 6) + 0.5).astype(np.intp)
            column = np.clip(column, columns.start, columns.stop) - columns.start
            turns[row - rows.start, column] += 1 if y2 > y1 else -1
    np.cumsum(turns, axis=1, out=turns)
    inside = turns[:, :-1] != 0
    canvas[rows, columns][inside] = 255
    return bool(inside.any())


# ---------------------------------------------------------------- the soft brush


def _falloff() -> Levels:
    """The level by the square of the distance, from 0 to the radius in `_STEPS` steps: 255 within
    half of the radius, then half a wave of a cosine down to 0."""
    waves = (min(max(2 * math.sqrt(step / _STEPS) - 1, 0), 1) for step in range(_STEPS + 1))
    return np.array([round(127.5 * (1 + math.cos(math.pi * wave))) for wave in waves], np.uint8)


_FALLOFF: Final = _falloff()


def _stroke(canvas: Levels, points: Sequence[Point], radius: float) -> bool:
    length = sum(map(math.dist, points, points[1:]))
    step = max(radius / _FINE, math.sqrt(2 * math.sqrt(2) * radius * length / _MOST_BRUSHED))
    if step <= 1:
        return _brush(canvas, points, radius)
    height, width = canvas.shape
    across, down = width / step, height / step
    small = np.zeros([math.ceil(side) + 2 * _MARGIN for side in (down, across)], np.uint8)
    _brush(small, [(x / step + _MARGIN, y / step + _MARGIN) for x, y in points], radius / step)
    box = (_MARGIN, _MARGIN, _MARGIN + across, _MARGIN + down)
    whole = Image.fromarray(small).resize((width, height), Image.Resampling.BILINEAR, box)
    np.maximum(canvas, np.asarray(whole), out=canvas)
    return whole.getbbox() is not None


def _brush(canvas: Levels, points: Sequence[Point], radius: float) -> bool:
    touched = False
    ends = points[1:] or points  # a single point is a line to itself
    for (x1, y1), (x2, y2) in zip(points, ends, strict=False):
        if abs(y2 - y1) >= abs(x2 - x1):
            touched |= _line(canvas, (x1, y1), (x2, y2), radius)
        else:
            touched |= _line(canvas.T, (y1, x1), (y2, x2), radius)
    return touched


def _line(canvas: Levels, start: Point, end: Point, radius: float) -> bool:
    """A soft line that is no flatter than 45 degrees: what it reaches of each row lies within
    `radius` times the root of 2 of where it crosses that row, so only so much is looked at."""
    (x1, y1), (x2, y2), (height, width) = start, end, canvas.shape
    top, bottom = math.floor(min(y1, y2) - radius), math.ceil(max(y1, y2) + radius)
    rows = np.arange(max(top, 0), min(bottom, height))
    aside, below, reach = x2 - x1, y2 - y1, radius * math.sqrt(2)
    down = rows + 0.5 - y1
    crossing = x1 + aside * (np.clip(down / below, 0, 1) if below else 0 * down)
    columns = np.floor(crossing - reach).astype(np.intp)[:, None] + np.arange(int(2 * reach) + 2)
    columns = np.clip(columns, 0, width - 1)  # one that comes up again has the same level again
    square = _square_distance(columns + 0.5 - x1, down[:, None], aside, below)
    step = np.minimum(square * (_STEPS / radius**2), _STEPS).astype(np.intp)
    levels, place = _FALLOFF[step], (rows[:, None], columns)
    canvas[place] = np.maximum(canvas[place], levels)
    return bool(levels.any())


def _square_distance(
    x: NDArray[np.float64], y: NDArray[np.float64], aside: float, below: float
) -> NDArray[Any]:
    """Of places to the line from the origin to (aside, below), squared, in pixels."""
    length = aside * aside + below * below
    along = np.clip((x * aside + y * below) / length, 0, 1) if length else 0.0
    return np.asarray((x - along * aside) ** 2 + (y - along * below) ** 2)
