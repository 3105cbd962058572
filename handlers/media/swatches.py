"""Palettes out of pictures: their own colours, in the form that motifs are painted from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PIL import Image

_SIDE, _COLOURS = 64, 16
# How light the six tones of a palette are, darkest first. The first and the last carry lettering.
_LIGHTNESS: Final = (0.09, 0.24, 0.41, 0.58, 0.76, 0.94)
_WEIGHTS: Final = (0.2126, 0.7152, 0.0722)
Colour = tuple[float, float, float]


def palette_of(pictures: Sequence[Image.Image]) -> str:
    """Six tones, darkest first, and an accent, as `motifs.PALETTES` has them.

    Each tone is the colour of the pictures that comes nearest to it in lightness, made as light or
    dark as a palette needs it; the accent is their most vivid colour.
    """
    counted = [pair for picture in pictures for pair in _dominant(picture)]
    tones = [_lit(_nearest(counted, target), target) for target in _LIGHTNESS]
    accent = max(counted, key=lambda pair: (_vividness(pair[1]) * pair[0] ** 0.25, pair[1]))[1]
    return " ".join(_hexadecimal(colour) for colour in (*tones, accent))


def _dominant(picture: Image.Image) -> list[tuple[float, Colour]]:
    """The colours of a picture, each with its share of it; what is clear has no say."""
    small = picture.convert("RGBA")
    small = small.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    shown = [pixel[:3] for pixel in _pixels(small) if pixel[3] > 127] or [(128, 128, 128)]
    strip = Image.new("RGB", (len(shown), 1))
    strip.putdata(shown)
    few = strip.quantize(_COLOURS, Image.Quantize.MEDIANCUT)
    found = few.convert("RGB").getcolors(_COLOURS) or []
    return [(count / len(shown), _unit(colour)) for count, colour in sorted(found, key=str)]


def _pixels(picture: Image.Image) -> list[tuple[int, int, int, int]]:
    data = picture.tobytes()
    return list(zip(data[0::4], data[1::4], data[2::4], data[3::4], strict=True))


def _unit(colour: object) -> Colour:
    assert isinstance(colour, tuple)
    red, green, blue = (level / 255 for level in colour)
    return red, green, blue


def _lightness(colour: Colour) -> float:
    return sum(weight * level for weight, level in zip(_WEIGHTS, colour, strict=True))


def _vividness(colour: Colour) -> float:
    return max(colour) - min(colour)


def _nearest(counted: Sequence[tuple[float, Colour]], target: float) -> Colour:
    """The colour nearest to a lightness; a rare or a dull one has to come nearer."""

    def distance(pair: tuple[float, Colour]) -> tuple[float, Colour]:
        share, colour = pair
        gap = abs(_lightness(colour) - target)
        return (gap + 0.02) / ((share + 0.02) ** 0.25 * (0.5 + _vividness(colour))), colour

    return min(counted, key=distance)[1]


def _lit(colour: Colour, target: float) -> Colour:
    """`colour`, mixed with black or white until it has a lightness."""
    own = _lightness(colour)
    if own >= target:
        red, green, blue = (level * target / own for level in colour)
    else:
        part = (target - own) / (1 - own)
        red, green, blue = (level + (1 - level) * part for level in colour)
    return red, green, blue


def _hexadecimal(colour: Colour) -> str:
    return "".join(f"{round(min(max(level, 0), 1) * 255):02x}" for level in colour)
