"""The motifs of the embedded provider `local`: pictures out of arithmetic and a palette.

All chance comes from the generator that a stage brings along.  Fields over pixels use only
arithmetic that IEEE 754 defines exactly: `sin` or `exp` of arrays may differ between processors.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Field = NDArray[Any]  # of float32
Motif = Callable[["Stage"], Field]
# Six tones, darkest first, and an accent that may break out of them.
PALETTES: Final = (
    "1b1430 4a2350 9b3a5a e0654f f6a65b fde3b0 fff1cf",  # ember dusk
    "0b1d2a 123f52 2a7180 6fa9a8 bcd3c6 f1efe0 f4b860",  # fjord
    "2b1b2e 6a3558 b8587f e68fa3 f5c3c2 fdeee6 d8385e",  # sakura
    "10201a 24483a 4f7a54 93a96b d3c98c f5efd4 f2a65a",  # moss
    "081024 13305a 1d6a7d 2fae93 9be0a8 effbd8 f7c8e0",  # aurora
    "2a1512 6b2d22 b2512f dd8a4f efc08a faeedb 2f7f80",  # terracotta
    "0d1233 23307a 4a62b8 8ea6d8 cfd8ea f7f3ea f26b4f",  # indigo print
    "15302d 1f6156 5fa268 d9cb55 f7e7a0 fffbe6 f0743e",  # citrus
    "07222b 0d5360 1b9aa0 7fd0c3 f6d8b8 fff3e2 ff7f6b",  # tide pool
    "16171c 373a45 6d6f7d b0a6a8 e3cfc8 f8f1ec e4576b",  # graphite rose
    "140f33 3a2478 7a3fb0 c864b8 f5a3a8 ffe3c9 fff3d6",  # violet hour
    "2b1608 7a2f12 c65a16 ef9a26 f9d06c fff4d4 1f6d78",  # saffron
    "070b16 15233b 33507a 7391b5 bccbda f0f3f4 ffd9a0",  # polar night
)


@dataclass(frozen=True)
class Stage:
    """What a motif paints on: a size in pixels, a palette and a source of chance."""

    width: int
    height: int
    palette: str
    rng: np.random.Generator

    @property
    def short(self) -> int:
        """The short side in pixels, the unit of length of every motif."""
        return min(self.width, self.height)

    def axes(self) -> tuple[Field, Field, float, float]:
        """Pixel centres x (1, width) and y (height, 1), then width and height, in short sides."""
        x, y = (np.arange(side, dtype=np.float32) + 0.5 for side in (self.width, self.height))
        extent = self.width / self.short, self.height / self.short
        return x[None, :] / self.short, y[:, None] / self.short, *extent

    def colours(self) -> Field:
        """The palette as (7, 3) in 0..1."""
        return np.array([*bytes.fromhex(self.palette)], np.float32).reshape(7, 3) / 255

    def paint(self, tone: Field | float) -> Field:
        """Colours (..., 3) in 0..1 of tones (...); 0 is the darkest, 1 the lightest."""
        at, stops = np.linspace(0, 5, 1024), self.colours()[:6]
        table = np.stack([np.interp(at, range(6), channel) for channel in stops.T], 1)
        position = np.clip(np.asarray(tone, np.float32), 0, 1) * 1023
        return table.astype(np.float32)[position.astype(np.int32)]

    def noise(self, cells: float, octaves: int = 1, stretch: float = 1, rows: int = 0) -> Field:
        """Smooth noise of about 0..1, (`rows` or height, width), with `cells` per short side."""
        total = np.zeros((rows or self.height, self.width), np.float32)
        for octave in range(octaves):
            step = self.short / (cells * 2**octave)
            across, down = self.width / step / stretch, len(total) / step
            grid = self.rng.random((int(down) + 4, int(across) + 4), dtype=np.float32)
            total += _enlarged(grid, (self.width, len(total)), across, down) / 2**octave
        # Layers lose contrast; it is given back around the middle.
        return np.asarray(total * (1.6 / (2 - 2 ** (1 - octaves))) - 0.3)


def _enlarged(grid: Field, size: tuple[int, int], across: float, down: float) -> Field:
    """`across` by `down` cells of `grid`, enlarged smoothly to `size` (width, height)."""
    box = (1.0, 1.0, 1 + across, 1 + down)
    return np.asarray(Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC, box))


def smooth(values: Field, start: float = 0, end: float = 1) -> Field:
    """Smoothstep from 0 at `start` to 1 at `end`."""
    ratio = np.clip((values - start) / (end - start), 0, 1)
    return ratio * ratio * (3 - 2 * ratio)


def _wave(turns: Field) -> Field:
    """The sine of full `turns`, by a parabola and its correction."""
    phase = turns - np.rint(turns)
    arch = phase * (8 - 16 * np.abs(phase))
    return np.asarray(arch + 0.225 * (arch * np.abs(arch) - arch))


def blend(below: Field, above: Field | float, cover: Field) -> Field:
    """`above` over `below` as far as `cover` (height, width) goes from 0 to 1."""
    return below + (above - below) * (cover[..., None] if below.ndim == 3 else cover)


def steepness(values: Field) -> Field:
    """How much a field changes per pixel, never zero."""
    down, across = np.gradient(values)
    return np.asarray(np.sqrt(down * down + across * across) + 1e-6)


def ridges(stage: Stage) -> Field:
    """Misty mountain ridges, one behind the other, under a low sun or moon."""
    rng, (x, y, wide, tall), layers = stage.rng, stage.axes(), 6
    horizon, radius = rng.uniform(0.40, 0.52) * tall, rng.uniform(0.085, 0.15)
    aside, below = x - rng.uniform(0.2, 0.8) * wide, y - horizon + radius * 1.5
    away = np.sqrt(aside * aside + below * below)
    halo = 1 / (1 + (away / (radius * 1.7)) ** 2)
    tone = 0.55 + 0.4 * smooth(y, 0, horizon) + 0.07 * stage.noise(2.2, 4, 5) + 0.1 * halo
    sky = np.ones_like(tone)
    for layer in range(layers):
        near = layer / (layers - 1)
        profile = stage.noise(1.3 + 1.1 * near, 5 + layer // 3, rows=1)
        line = horizon + (tall - horizon) * near**1.25 * 0.86 - (0.10 + 0.14 * near) * profile
        slope = np.gradient(line[0] * stage.short)
        cover = np.clip((y - line) * stage.short / np.sqrt(1 + slope * slope) + 0.5, 0, 1)
        mist = (0.30 - 0.26 * near) * smooth(y - line, 0, 0.10 + 0.22 * near)
        tone = blend(tone, 0.80 - 0.76 * near**0.75 + mist, cover)
        sky *= 1 - cover
    disc = np.clip((radius - away) * stage.short + 0.5, 0, 1)
    return blend(stage.paint(tone), stage.colours()[6], np.maximum(disc, 0.35 * halo) * sky)


def ribbons(stage: Stage) -> Field:
    """Strokes of many colours that follow one current."""
    rng, (x, y, _, _), angle = stage.rng, stage.axes(), stage.rng.uniform(-0.6, 0.6)
    across = y * math.cos(angle) - x * math.sin(angle) + 0.75 * stage.noise(1.1)
    along = x * math.cos(angle) + y * math.sin(angle) + 0.7 * stage.noise(0.9)
    bands = across * rng.uniform(15, 22)
    bands += 0.42 * _wave(bands * 0.23 + rng.random())
    table, band = rng.random(4096, dtype=np.float32), np.floor(bands)

    def chance(number: Field) -> Field:
        return np.asarray(table[number.astype(np.int32) & 4095])

    steps = along * (0.7 + 1.3 * chance(band * 13)) + chance(band * 7) * 9
    step = np.floor(steps)
    # A stroke is a bar with round ends: distances in pixels to its middle line and to its ends.
    gap, slant = 0.0028 * stage.short + 0.25, steepness(bands)
    half, side = 0.5 / slant - gap, np.abs(bands - band - 0.5) / slant
    end = half + gap - (0.5 - np.abs(steps - step - 0.5)) / steepness(steps)
    cover = np.clip(half - np.sqrt(side * side + np.maximum(end, 0) ** 2) + 0.5, 0, 1)
    tone = 0.18 + 0.16 * np.rint(chance(band * 31 + step * 57) * 5) + 0.1 * (steps - step - 0.5)
    picture = stage.paint(blend(np.full_like(cover, 0.03), tone, cover))
    return blend(picture, stage.colours()[6], cover * (chance(band * 17 + step * 91) > 0.93))


def nebula(stage: Stage) -> Field:
    """Folded clouds of light with dark lanes, among stars."""
    # Clouds have no edges, so that half the resolution is enough for them.
    small = replace(stage, width=-(-stage.width // 2), height=-(-stage.height // 2))
    x, y, wide, tall = small.axes()
    fold, lane = small.noise(1.3, 3), small.noise(1.5, 3)
    cloud = _warped(small, 2.0, fold, lane, 0.5)
    veil = _warped(small, 3.1, lane, cloud, 0.35)
    off = y - tall * 0.42 - (x - wide / 2) * stage.rng.uniform(-0.7, 0.7)
    light = cloud * (0.35 + 0.85 * cloud) + 0.35 * (1 - np.abs(2 * veil - 1)) * cloud
    tone = 0.03 + (0.16 + 0.84 / (1 + (off / 0.42) ** 2)) * light - 0.42 * veil * veil
    size = stage.width, stage.height
    picture = stage.paint(np.asarray(Image.fromarray(tone).resize(size, Image.Resampling.BICUBIC)))
    for cells, share in ((360, 0.0022), (230, 0.0010), (160, 0.0005)):
        across, down = (min(cells, stage.short / 2.8) * side for side in (wide, tall))
        sparks = stage.rng.random((int(down) + 4, int(across) + 4), dtype=np.float32)
        glow = _enlarged(np.maximum((sparks - 1) / share + 1, 0), size, across, down)
        picture = blend(picture, stage.colours()[5], np.clip(glow, 0, 1))
    return picture


def _warped(stage: Stage, cells: float, aside: Field, below: Field, by: float) -> Field:
    """Noise looked up at places that two other noises move by up to `by` short sides."""
    reach, pad = by * stage.short, int(1.3 * by * stage.short) + 2
    source = np.pad(stage.noise(cells, 4), pad, mode="symmetric")
    rows, columns = np.arange(stage.height)[:, None] + pad, np.arange(stage.width) + pad
    row, column = (below - 0.5) * reach + rows, (aside - 0.5) * reach + columns
    return source[row.astype(np.int32), column.astype(np.int32)]


def papercut(stage: Stage) -> Field:
    """Sheets of paper with ever smaller openings, each casting a shadow on the one below."""
    rng, (x, y, wide, tall), sheets = stage.rng, stage.axes(), 8
    aside = (x - wide * rng.uniform(0.36, 0.64)) / wide**0.8
    below = (y - tall * rng.uniform(0.36, 0.56)) / tall**0.8
    away = np.sqrt(aside * aside + below * below) + 0.34 * (stage.noise(1.6) - 0.5)
    inward, drop = rng.random() < 0.5, max(1, round(0.010 * stage.short))
    tone, shade = np.full_like(away, 0.03 if inward else 0.98), np.zeros_like(away)
    for sheet in range(1, sheets + 1):
        rank = sheet / sheets
        over = away + 0.13 * (stage.noise(2.4) - 0.5) - (0.10 + 0.62 * rank * (0.6 + 0.4 * rank))
        cover = np.clip(over / steepness(over) + 0.5, 0, 1)
        thrown = np.pad(over, ((drop, 0), (drop, 0)), mode="edge")[:-drop, :-drop]
        shade = np.maximum(shade, 0.6 * smooth(thrown, -0.06, 0.015) ** 2) * (1 - cover)
        level = 0.03 + 0.93 * (rank if inward else 1 - rank) + 0.03 * smooth(over, 0, 0.5)
        tone = blend(tone, level, cover)
    return blend(stage.paint(tone), stage.paint(tone * 0.35 - 0.1), shade)


def orbs(stage: Stage) -> Field:
    """A still life: spheres on a table before a paper moon, with soft shadows."""
    rng, (x, y, wide, tall), count = stage.rng, stage.axes(), 5
    floor, centre = tall * rng.uniform(0.44, 0.52), wide * rng.uniform(0.44, 0.56)
    moon = rng.uniform(0.25, 0.32)
    wall, table = 0.74 + 0.2 * smooth(y, 0, floor), 0.86 - 0.5 * smooth(y, floor, tall)
    tone = blend(wall, table, smooth(y, floor - 0.03, floor + 0.05))
    disc = moon - np.sqrt((x - centre) ** 2 + (y - floor + moon * 0.75) ** 2)
    behind = np.clip(disc * stage.short + 0.5, 0, 1) * smooth(y, floor + 0.02, floor - 0.03)
    picture = blend(stage.paint(tone + 0 * x), stage.colours()[6], 0.9 * behind)
    bases = np.sort(floor + 0.05 + 0.17 * rng.random(count)).tolist()
    ranks = zip(rng.permutation(count).tolist(), rng.permutation(count).tolist(), strict=True)
    for base, (place, rank) in zip(bases, ranks, strict=True):
        spot = centre + (place / (count - 1) - 0.5) * 0.74 + rng.uniform(-0.04, 0.04)
        _set_orb(stage, picture, spot, base, rng.uniform(0.055, 0.16), 0.04 + 0.18 * rank)
    return picture


def _set_orb(stage: Stage, picture: Field, x: float, base: float, size: float, tone: float) -> None:
    """Add a lit sphere of radius `size` that stands at (x, base), with its shadow, in place."""
    across, down, wide, tall = stage.axes()
    left, right = (int(min(max(x + by * size, 0), wide) * stage.short) for by in (-3, 5))
    top, foot = (int(min(max(base + by * size, 0), tall) * stage.short) for by in (-2.1, 2))
    patch = picture[top:foot, left:right]
    aside, below = (across[:, left:right] - x) / size, (down[top:foot] - base) / size
    far = ((aside - 0.7) * 0.8) ** 2 + (below * 3.2) ** 2
    shadow = 0.75 * np.maximum(1 / (1 + far) ** 2 - 0.01, 0) * smooth(below, -0.9, 0)
    patch += (stage.paint(0.1) - patch) * shadow[..., None]
    below = below + 0.93
    square = aside * aside + below * below
    front = np.sqrt(np.clip(1 - square, 0, 1))
    lit = smooth(0.56 * front - 0.55 * aside - 0.62 * below, -0.75, 1)
    body = stage.paint(tone - 0.16 + 0.42 * lit + 0.16 * smooth(below, 0.2, 1) * (1 - front))
    cover = np.clip((1 - np.sqrt(square)) * size * stage.short + 0.5, 0, 1)
    patch += (body - patch) * cover[..., None]


# A calm motif may fill the whole picture; a busy one leaves a margin for the lettering.
MOTIFS: Final = ((ridges, True), (ribbons, False), (nebula, True), (papercut, False), (orbs, True))
