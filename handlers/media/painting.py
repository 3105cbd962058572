"""Deterministic generative pictures for the embedded provider `local`.

`local` is a stand-in, not a model: it lets the whole system be tried without an account.  It puts
the prompt on a motif in a curated palette, and a quiet line says that no model made the picture.

All chance comes from SHA-256 of prompt, seed and index.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from PIL import Image

from handlers.media import lettering
from handlers.media.motifs import MOTIFS, PALETTES, Motif, Stage, steepness

SIDES: Final = range(16, 4097)
_FINE, _COARSE = 640, 2048  # art below is oversampled, art above enlarged (square roots of px)


class Choice(NamedTuple):
    """What prompt, seed and index come to."""

    motif: Motif
    calm: bool
    """Whether the motif may fill the whole picture."""
    palette: str
    rng: np.random.Generator


def chosen(prompt: str, seed: int, index: int = 0, palette: str | None = None) -> Choice:
    """The motif, the palette (unless one is given) and the chance of a picture: always the same."""
    digest = hashlib.sha256(prompt.encode("utf-8", "surrogatepass") + b"\0%d" % seed).digest()
    start = int.from_bytes(digest[:8], "big")
    motif, calm = MOTIFS[(start + index) % len(MOTIFS)]
    own = PALETTES[(start // 5 + index * 3) % len(PALETTES)]
    chance = int.from_bytes(hashlib.sha256(digest + b"%d" % index).digest(), "big")
    return Choice(motif, calm, palette or own, np.random.Generator(np.random.PCG64(chance)))


def paint(
    prompt: str,
    *,
    seed: int,
    index: int = 0,
    width: int,
    height: int,
    transparent: bool = False,
    palette: str | None = None,
) -> Image.Image:
    """The stand-in picture of a prompt: the same arguments always give the same pixels.

    `width` and `height` are pixels, 16..4096; the `index` of a picture in its job changes motif
    and palette.  The picture is RGB or, if `transparent`, RGBA: a cut-out and its opaque caption,
    alpha 0 around them.  Lettering that would be too small to read is left out.  A `palette` (of
    `handlers.media.swatches`) takes the place of the curated one.

    Raises:
        ValueError: a side is out of range.
    """
    if width not in SIDES or height not in SIDES:
        raise ValueError(f"sides must be {SIDES[0]}..{SIDES[-1]} px, not {width}x{height}")
    motif, calm, palette, rng = chosen(prompt, seed, index, palette)
    style = "cut-out" if transparent else "bleed" if calm else "print"
    page = lettering.arrange(prompt, _notes(seed, index), (width, height), style)
    left, top, right, bottom = page.art
    art = drawn(motif, (right - left, bottom - top), Stage(0, 0, palette, rng), transparent)
    return lettering.grained(lettering.printed(page, art, *_inks(palette)), rng)


class Scene(NamedTuple):
    """A picture in two layers, to be filmed."""

    art: Image.Image
    """RGB; larger than the clip, as the camera goes nearer."""
    title: Image.Image | None
    """RGBA, of the clip's size: it stays where it is. None where it would be too small to read."""


def scene(
    prompt: str, *, seed: int, size: tuple[int, int], near: float, palette: str | None = None
) -> Scene:
    """The stand-in picture of a prompt in layers; as `paint` otherwise.

    Args:
        prompt: what stands on it, and what the motif comes of.
        seed: another one gives another picture.
        size: of the clip, in pixels.
        near: how many times larger the art is.
        palette: in place of the curated one.
    """
    motif, calm, palette, rng = chosen(prompt, seed, 0, palette)
    page = lettering.arrange(prompt, _notes(seed, 0), size, "bleed" if calm else "print")
    width, height = (min(SIDES[-1], math.ceil(side * near)) for side in size)
    art = drawn(motif, (width, height), Stage(0, 0, palette, rng))
    title = lettering.title(page, art, *_inks(palette))
    return Scene(lettering.grained(art, rng), title)


def _notes(seed: int, index: int) -> tuple[str, ...]:
    """What the quiet line says, the longest first."""
    note = "stand-in · no model"
    origin = f"{note} · seed {seed}" + (f" · image {index + 1}" if index else "")
    return f"darkroom local {origin}", origin, note, "stand-in"


def _inks(palette: str) -> tuple[str, str]:
    """The dark and the light colour of a palette."""
    dark, *_, light, _ = (f"#{code}" for code in palette.split())
    return dark, light


def drawn(motif: Motif, size: tuple[int, int], stage: Stage, cut: bool = False) -> Image.Image:
    """`motif` at `size` (width and height in pixels), cut to the shape of a pebble if `cut`."""
    side = math.sqrt(size[0] * size[1])
    scale = min(max(1.0, min(2.0, _FINE / side)), _COARSE / side)
    width, height = (max(2, round(side * scale)) for side in size)
    stage = replace(stage, width=width, height=height)
    picture = motif(stage)
    if cut:
        x, y, wide, tall = stage.axes()
        rim = 0.83 + 0.1 * stage.noise(1.3) - (2 * x / wide - 1) ** 2 - (2 * y / tall - 1) ** 2
        cover = np.clip(rim / steepness(rim) + 0.5, 0, 1)
        picture = np.concatenate([picture, cover[..., None]], axis=2)
    levels = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC)
