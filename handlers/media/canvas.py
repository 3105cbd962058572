"""The canvas of an outpainting: the source at its place, and something around it to begin with.

In every mode the source's own pixels are copied as they are, alpha and what hides under alpha 0
too. A canvas is RGB, unless the source is RGBA or what is around it can be seen through.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter

from handlers.contract import HandlerError
from handlers.media.frames import Frame

Mode = Literal["transparent", "solid", "blur", "edge", "reflect"]
Fill = tuple[int, int, int, int]
CLEAR: Final = "#00000000"
_SMOOTH = 6.0  # pixels: a blur of so many is smooth still when it is enlarged
_SMALLEST, _COARSE = 32, 0.25  # pixels a side; of the canvas, where the source is coarser than that
_BAND = 256  # rows


def extended(
    image: Image.Image, frame: Frame, mode: Mode, *, bg: str = CLEAR, blur_radius: float = 24
) -> Image.Image:
    """A picture on its canvas.

    Around it there is, by `mode`:

    - transparent: nothing, alpha 0 and no colour;
    - solid: one colour;
    - blur: the picture once more, enlarged to cover the canvas, and blurred;
    - edge: the pixels of its border, repeated;
    - reflect: its mirror image, and the mirror image of that one, as often as it takes.

    Where the source is transparent, it stays so in every mode: `solid` is not laid under it. `edge`
    and `reflect` repeat alpha with the colours; `blur` blurs both, weighing each colour by its
    alpha, so that what nobody sees does not bleed into what is seen.

    Args:
        image: RGB or RGBA.
        frame: its place.
        mode: what is around it.
        bg: the colour of `solid`, "#rrggbb" or "#rrggbbaa".
        blur_radius: the standard deviation of `blur` in pixels of the canvas, 0 or more.

    Raises:
        HandlerError: `invalid_request`: `bg` is no colour.
        ValueError: the frame is one of another picture.
    """
    if image.size != frame.source:
        raise ValueError(f"a frame for {frame.source} is none for a picture of {image.size}")
    canvas = _surroundings(image, frame, mode, bg, blur_radius)
    canvas.paste(image, frame.box[:2])
    return canvas


def new_area(frame: Frame, overlap: int | None = None) -> Image.Image:
    """The mask of what an outpainting is to paint: 255 there and 0 elsewhere, as large as the
    canvas, mode "L".

    Args:
        frame: the source's place.
        overlap: how far it reaches into the source, in pixels, from each side that is extended,
            so that the provider can blend; None for what `Frame.kept` finds sensible.

    Raises:
        HandlerError: `invalid_request`: nothing of the source would stay.
    """
    mask = Image.new("L", frame.size, 255)
    mask.paste(0, frame.kept(overlap))
    return mask


def fading_area(frame: Frame, overlap: int | None = None) -> Image.Image:
    """The mask by which the answer to an outpainting is pasted back: 255 where it is new, and going
    down to 0 over the overlap.

    A `new_area` that is feathered would let what is around the source show through along its rim.

    Args:
        frame: the source's place.
        overlap: as for `new_area`; where that is 0, this is.

    Raises:
        HandlerError: `invalid_request`: nothing of the source would stay.
    """
    left, top, right, bottom = frame.box
    inner_left, inner_top, inner_right, inner_bottom = frame.kept(overlap)
    across = _fade(frame.size[0], (left, inner_left, inner_right, right))
    down = _fade(frame.size[1], (top, inner_top, inner_bottom, bottom))
    columns, rows = (
        Image.fromarray(levels).resize(frame.size, Image.Resampling.NEAREST)
        for levels in (across[None, :], down[:, None])
    )
    return ImageChops.invert(ImageChops.multiply(columns, rows))


def _fade(length: int, stops: tuple[int, int, int, int]) -> NDArray[Any]:
    """How much of the source stays at each of `length` pixels: 0 up to the first stop, all from the
    second to the third, 0 from the last."""
    share = np.interp(np.arange(length) + 0.5, stops, (0, 1, 1, 0))
    return np.asarray(np.rint(share * share * (3 - 2 * share) * 255), np.uint8)


def _surroundings(
    image: Image.Image, frame: Frame, mode: Mode, bg: str, blur_radius: float
) -> Image.Image:
    if mode == "blur":
        return _blurred(image, frame, blur_radius)
    if mode in {"edge", "reflect"}:
        return _repeated(image, frame, mirrored=mode == "reflect")
    fill = _fill_of(bg if mode == "solid" else CLEAR)
    if fill[3] == 255 and image.mode == "RGB":
        return Image.new("RGB", frame.size, fill[:3])
    return Image.new("RGBA", frame.size, fill)


def _fill_of(bg: str) -> Fill:
    if not re.fullmatch("#([0-9a-fA-F]{6}|[0-9a-fA-F]{8})", bg):
        raise HandlerError(
            "invalid_request",
            f"bg: {bg[:40]!r} is no colour",
            hints=['Write it as "#rrggbb", or as "#rrggbbaa" with its alpha.'],
            faults=[("/bg", "must be #rrggbb or #rrggbbaa")],
        )
    red, green, blue, alpha = bytes.fromhex(f"{bg[1:]}ff")[:4]
    return red, green, blue, alpha


def _repeated(image: Image.Image, frame: Frame, *, mirrored: bool) -> Image.Image:
    """The whole canvas of pixels of the picture; in bands, as a canvas may be large."""
    (width, height), (across, down) = frame.source, frame.size
    columns = _sources(across, frame.left, width, mirrored=mirrored)
    rows = _sources(down, frame.top, height, mirrored=mirrored)
    canvas, pixels = Image.new(image.mode, frame.size), np.asarray(image)
    for top in range(0, down, _BAND):
        band = pixels.take(rows[top : top + _BAND], axis=0).take(columns, axis=1)
        canvas.paste(Image.fromarray(band), (0, top))
    return canvas


def _sources(length: int, before: int, side: int, *, mirrored: bool) -> NDArray[Any]:
    """Which pixel of the source each of `length` pixels of the canvas repeats.

    The mirror stands on the picture's rim, so that the pixel at the rim meets itself: that has a
    meaning for a single pixel as well.
    """
    place = np.arange(length) - before
    if not mirrored:
        return np.clip(place, 0, side - 1)
    turn = place % (2 * side)  # there and back
    return np.minimum(turn, 2 * side - 1 - turn)


def _blurred(image: Image.Image, frame: Frame, radius: float) -> Image.Image:
    """The picture enlarged to cover the canvas, and blurred.

    It is blurred small, and enlarged then: hardly finer than the source is, and no finer than what
    the blur leaves of it, so that a larger radius takes no more time. Pillow blurs as if the rim
    went on beyond the rim, so that nothing dark gets in.
    """
    zoom = max(new / old for new, old in zip(frame.size, frame.source, strict=True))
    finest, coarsest = max(1 / zoom, _COARSE), _SMALLEST / min(frame.size)
    scale = min(finest, max(_SMOOTH / max(radius, _SMOOTH), coarsest))
    across, down = (max(1, round(side * scale)) for side in frame.size)
    whole = image.convert("RGBa") if image.mode == "RGBA" else image
    small = whole.resize((across, down), Image.Resampling.BICUBIC, _covering(frame, zoom))
    small = small.filter(ImageFilter.GaussianBlur(radius * scale))
    canvas = small.resize(frame.size, Image.Resampling.BICUBIC)
    return canvas.convert("RGBA") if image.mode == "RGBA" else canvas


def _covering(frame: Frame, zoom: float) -> tuple[float, float, float, float]:
    """The part of the source that covers the canvas when it is enlarged by `zoom`.

    What has to be left out is left out as the new pixels are shared out: above the source nothing
    of its top, where there is nothing new above it. So what lies near an edge continues it best.
    """
    (width, height), (across, down) = frame.source, frame.size
    wide, tall = min(width, across / zoom), min(height, down / zoom)
    left = (width - wide) * _share(frame.left, frame.right)
    top = (height - tall) * _share(frame.top, frame.bottom)
    return left, top, min(width, left + wide), min(height, top + tall)


def _share(before: int, after: int) -> float:
    return before / (before + after) if before + after else 0.5
