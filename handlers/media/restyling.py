"""A whole picture in another manner: painted in flat dabs, in the palette of a prompt.

The dabs are the filter of Kuwahara, Hachimura, Eiho and Kinoshita (1976): of the four squares that
meet in a pixel, the average of the calmest one. Edges stay, and what lies between them is smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from handlers.media.bands import WORK, bands, part
from handlers.media.edits import Edit, Wish
from handlers.media.fills import levels, lightness, upright
from handlers.media.inlays import SMALLEST, Spot, inlay, print_of
from handlers.media.marking import mark
from handlers.media.motifs import Field, Stage, smooth
from handlers.media.painting import chosen

_DAB: Final = 120  # dabs along the short side
_TINT: Final = 0.72  # of the prompt's palette
_DETAIL: Final = 0.7  # of what is too fine for the work's scale
_PRINT: Final = 0.13  # the radius of another picture that is set in, in short sides


def restyled(picture: Image.Image, wish: Wish, others: Sequence[Image.Image] = ()) -> Edit:
    """`picture`, RGB or RGBA, painted as `wish` says: the same things in the same places, and the
    same alpha. `others` are set into its lower right corner, as round prints."""
    choice = chosen(wish.prompt, wish.seed, wish.index, wish.palette)
    stage = Stage(*picture.size, choice.palette, choice.rng)
    scale = min(1.0, math.sqrt(WORK / (picture.width * picture.height)))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    small = picture.convert("RGB").resize(size, Image.Resampling.BOX)
    painted = Image.fromarray(levels(_painted(np.asarray(small, np.float32) / 255, stage)))
    result = picture.copy()
    for box in bands((0, 0, *picture.size)):
        result.paste(_band(picture, small, painted, box), box)
    missing = _set_in(result, others, stage)
    mark(result)
    return Edit(result, missing)


def _painted(colours: Field, stage: Stage) -> Field:
    """Colours (height, width, 3) of 0 to 1 in dabs, and in the tones of the stage's palette."""
    dabs = upright(_dabs(np.ascontiguousarray(np.moveaxis(colours, 2, 0))))
    light = lightness(dabs)
    low, high = np.quantile(light[:: 1 + light.shape[0] // 256], (0.02, 0.98))
    tone = light + (smooth(light, float(low), float(max(high, low + 0.2))) - light) * 0.6
    tinted = stage.paint(tone)
    # What was vivid keeps more of its own colour.
    own = dabs + (tone - light)[..., None]
    vivid = dabs.max(axis=2) - dabs.min(axis=2)
    return np.asarray(own + (tinted - own) * (_TINT * (1 - 0.5 * vivid))[..., None])


def _dabs(planes: Field) -> Field:
    """The filter of Kuwahara on (3, height, width), in squares of a power of two.

    The calmest square does not win outright, but by its calm to the fourth power: edges would be
    jagged otherwise.
    """
    height, width = planes.shape[1:]
    side = 2 ** max(1, round(math.log2(max(2.0, min(height, width) / _DAB))))
    light = lightness(np.moveaxis(planes, 0, 2))[None]
    stack = np.concatenate([planes, light, light * light])
    rim = side - 1
    mean = _averages(np.pad(stack, ((0, 0), (rim, rim), (rim, rim)), mode="edge"), side)
    calm = 1 / (np.maximum(mean[4] - mean[3] * mean[3], 0) * 1000 + 0.05)
    calm *= calm
    calm *= calm
    total, weights = np.zeros_like(planes), np.zeros((height, width), np.float32)
    for top in (0, rim):
        for left in (0, rim):
            place = slice(top, top + height), slice(left, left + width)
            weights += calm[place]
            total += mean[:3, place[0], place[1]] * calm[place]
    return total / weights


def _averages(planes: Field, side: int) -> Field:
    """The average of each square of `side` pixels, a power of two, by its upper left corner."""
    step = 1
    while step < side:
        planes = planes[:, :-step] + planes[:, step:]
        planes = planes[:, :, :-step] + planes[:, :, step:]
        step *= 2
    return planes / np.float32(side * side)


def _band(
    picture: Image.Image, small: Image.Image, painted: Image.Image, box: tuple[int, int, int, int]
) -> Image.Image:
    """A band of the painting at the picture's scale, with what its own scale was too coarse for."""
    whole = (0, 0, *picture.size)
    own = np.asarray(picture.crop(box))
    fine = own[..., :3].astype(np.float32) - part(small, whole, box)
    mixed = part(painted, whole, box) + fine * np.float32(_DETAIL)
    if own.shape[2] == 3:
        return Image.fromarray((np.clip(mixed, 0, 255) + 0.5).astype(np.uint8))
    pixels = np.concatenate([np.clip(mixed, 0, 255) + 0.5, own[..., 3:]], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


def _set_in(picture: Image.Image, others: Sequence[Image.Image], stage: Stage) -> int:
    """Set the other pictures into the lower right corner, in a row, in place; how many are too
    small to be seen."""
    radius = min(_PRINT * stage.short, 0.4 * picture.width / max(1, len(others)))
    reach = math.ceil(1.5 * radius)
    for number, other in enumerate(reversed(others)):
        x = picture.width - (1.4 + 2.2 * number) * radius
        y = picture.height - 1.4 * radius
        left, top = max(0, int(x) - reach), max(0, int(y) - reach)
        box = left, top, min(picture.width, int(x) + reach), min(picture.height, int(y) + reach)
        canvas = np.asarray(picture.crop(box).convert("RGB"), np.float32) / 255
        inlay(canvas, Spot(x - left, y - top, radius), print_of(other), stage.colours(), stage.rng)
        alpha = picture.crop(box).getchannel("A") if picture.mode == "RGBA" else None
        piece = Image.fromarray(levels(canvas))
        if alpha is not None:
            piece.putalpha(alpha)
        picture.paste(piece, box)
    return len(others) if radius < SMALLEST else 0
