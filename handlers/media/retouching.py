"""Edits of the embedded stand-in `local`: what a mask covers is filled, with no seam.

It is no model. What lies around is spread over the gap (`membrane`), with grain as strong as the
picture's own, and the prompt's motif is set into it. Behind an object a scene is painted anew. A
canvas goes on as in a mirror, ever softer. What the mask leaves out stays as it is, to the bit.

The work is linear in the pixels. The fill is made of at most `bands.WORK` pixels, and laid over the
picture in bands of rows, so that 40 megapixels take little more memory than the picture itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np
from PIL import Image

from handlers.media.bands import WORK, Box, bands, part
from handlers.media.edits import Edit, Wish
from handlers.media.fills import FILLS, Ground, Meaning, levels
from handlers.media.inlays import FORMS, inlay, places, print_of
from handlers.media.marking import mark, room
from handlers.media.membrane import around
from handlers.media.motifs import Field, Stage
from handlers.media.painting import chosen

_LOOK: Final = 256  # cells of the longer side where it is judged what a mask means
_MARGIN: Final = 0.15  # of a gap's short side, that is looked at around it
# How many pieces of a motif there are at most, and their largest radius in short sides.
_PIECES: Final[Mapping[Meaning, tuple[int, float]]] = MappingProxyType(
    {"gap": (18, 0.3), "canvas": (7, 0.1), "backdrop": (0, 0), "scene": (0, 0)}
)


def retouched(
    picture: Image.Image,
    mask: Image.Image | None,
    wish: Wish,
    others: Sequence[Image.Image] = (),
) -> Edit:
    """`picture` with what `mask` covers filled as `wish` says.

    Args:
        picture: RGB or RGBA.
        mask: L, of the size of `picture`: 255 is filled, 0 stays to the bit, grey lies between.
            None: what is clear is filled.
        wish: what is painted there.
        others: pictures that are set into the fill, as round prints.

    Raises:
        ValueError: the mask has another size.
    """
    if mask is not None and mask.size != picture.size:
        raise ValueError(f"a mask of {mask.size} for a picture of {picture.size}")
    cover = mask or Image.eval(picture.getchannel("A"), lambda level: 255 - level)
    gap = cover.getbbox()
    if gap is None:
        return Edit(picture.copy(), len(others))
    meaning = meant(cover)
    ground = _ground(picture, cover, _area(picture, gap, meaning))
    fill = FILLS[meaning](ground, wish)
    note = room(cover.size)
    if note and cover.crop(note).getextrema() != (255, 255):
        note = None
    missing = _set_into(fill, _free(ground, note), _PIECES[meaning], wish, others)
    # What is clear and has no mask gets the fill behind it, and is clear no more.
    below = picture if mask else picture.convert("RGB")
    filled = _laid(below, fill, ground, cover)
    if note:
        mark(filled)
    return Edit(filled, missing)


# ---------------------------------------------------------------- what a mask means


def meant(cover: Image.Image) -> Meaning:
    """What a mask asks for, by its shape.

    A "canvas" keeps a rectangle at whose side there is room; a "backdrop" is most of the picture
    or of its rim; a "gap" is anything else. Where nothing is kept there is only a "scene".
    """
    scale = min(1.0, _LOOK / max(cover.size))
    size = [max(1, round(side * scale)) for side in cover.size]
    kept = np.asarray(cover.resize((size[0], size[1]), Image.Resampling.BOX)) < 128
    if not kept.any():
        return "scene"
    rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    held = kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if held.shape != kept.shape and held.mean() > 0.97:
        return "canvas"
    rim = np.concatenate([kept[0], kept[-1], kept[:, 0], kept[:, -1]])
    return "backdrop" if rim.mean() < 0.4 or kept.mean() < 0.5 else "gap"


def _area(picture: Image.Image, gap: Box, meaning: Meaning) -> Box:
    """The part of the picture that a fill is made of: the gap and a margin, or all of it."""
    if meaning != "gap":
        return (0, 0, *picture.size)
    margin = 8 + round(_MARGIN * min(gap[2] - gap[0], gap[3] - gap[1]))
    left, top, right, bottom = gap
    return (
        max(0, left - margin),
        max(0, top - margin),
        min(picture.width, right + margin),
        min(picture.height, bottom + margin),
    )


def _ground(picture: Image.Image, cover: Image.Image, box: Box) -> Ground:
    """What a fill is made of, at its scale."""
    across, down = box[2] - box[0], box[3] - box[1]
    scale = min(1.0, math.sqrt(WORK / (across * down)))
    size = max(1, round(across * scale)), max(1, round(down * scale))

    def scaled(image: Image.Image) -> Field:
        shrunk = image.resize(size, Image.Resampling.BOX, box)
        return np.asarray(shrunk, np.float32) / 255

    shown, covered = np.moveaxis(scaled(picture), 2, 0), scaled(cover)
    sound = shown[3] if len(shown) == 4 else np.ones_like(covered)
    colours = np.ascontiguousarray(shown[:3])
    grain = _grain(colours[1], (sound > 0.98) & (covered < 0.5))
    return Ground(box, colours, covered, sound, grain)


def _grain(green: Field, kept: Field) -> float:
    """How strong the grain of what is kept is: the median of what differs from its surroundings."""
    step = max(1, round(math.sqrt(green.size / 65536)))
    apart = np.abs(green - around(green[None])[0])[::step, ::step][kept[::step, ::step]]
    # For noise of a normal distribution the median is 0.67 of its deviation, and the average of
    # four neighbours adds a quarter to its variance.
    return float(np.median(apart)) / 0.67 / 1.12 if apart.size else 0.0


# ---------------------------------------------------------------- the fill in its place


def _free(ground: Ground, note: Box | None) -> Field:
    """What is to be filled, without the place of a note."""
    if note is None:
        return ground.cover
    free, (left, top, right, bottom) = ground.cover.copy(), ground.box
    across, down = ground.size[0] / (right - left), ground.size[1] / (bottom - top)
    # A note lies in the lower left corner.
    free[int((note[1] - top) * down) :, : math.ceil((note[2] - left) * across)] = 0
    return free


def _set_into(
    fill: Field, free: Field, pieces: tuple[int, float], wish: Wish, others: Sequence[Image.Image]
) -> int:
    """Set the other pictures into a fill where it is free, then pieces of the prompt's motif; how
    many of the pictures found no room."""
    choice = chosen(wish.prompt, wish.seed, wish.index, wish.palette)
    colours = Stage(0, 0, choice.palette, choice.rng).colours()
    form, (most, size) = FORMS[int(choice.rng.integers(len(FORMS)))], pieces
    forms = [print_of(picture) for picture in others]
    radius = max(size, 0.16 * bool(others)) * min(free.shape)
    spots = places(free, max(most, len(forms)), choice.rng, radius)
    for number, spot in enumerate(spots):
        inlay(fill, spot, forms[number] if number < len(forms) else form, colours, choice.rng)
    return max(0, len(forms) - len(spots))


def _laid(picture: Image.Image, fill: Field, ground: Ground, cover: Image.Image) -> Image.Image:
    """`fill` over its part of `picture`, as far as `cover` goes, with the picture's grain."""
    laid, art = picture.copy(), Image.fromarray(levels(fill))
    rng = np.random.Generator(np.random.PCG64(0))
    for box in bands(ground.box):
        over = _grained(part(art, ground.box, box), ground.grain, rng)
        weight = np.asarray(cover.crop(box), np.float32)[..., None] / 255
        below = np.asarray(picture.crop(box), np.float32)
        laid.paste(Image.fromarray(_over(below, over, weight)), box)
    return laid


def _grained(colours: Field, grain: float, rng: np.random.Generator) -> Field:
    """`colours` with noise of the deviation `grain`, at least so much that smooth tones show no
    steps; in levels."""
    shape = (*colours.shape[:2], 1)
    noise = rng.random(shape, np.float32) - rng.random(shape, np.float32)
    # The difference of two evenly spread numbers has a deviation of the root of a sixth.
    return np.asarray(colours + noise * np.float32(max(0.8, grain * 255 / 0.408)))


def _over(below: Field, fill: Field, weight: Field) -> Field:
    """A fill over pixels of 3 or 4 channels, as far as `weight` goes, all but that in levels."""
    if below.shape[2] == 3:
        mixed = below + (fill - below) * weight
    else:
        held = below[..., 3:] / 255 * (1 - weight)
        whole = held + weight
        share = np.divide(weight, whole, out=np.zeros_like(whole), where=whole > 0)
        colours = below[..., :3] + (fill - below[..., :3]) * share
        mixed = np.concatenate([colours, whole * 255], axis=2)
    return np.asarray(np.clip(mixed, 0, 255) + 0.5, np.uint8)
