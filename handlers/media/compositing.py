"""Pasting back: a provider's answer where the mask wants it, the untouched source elsewhere.

This is what `keep_outside` promises, and `differing` is its measure: not one pixel is another
where the mask is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media.frames import Box, Size

LIKENESS: Final = 0.02
"""How much the ratio of width to height of an answer may be off, and still be the source's."""
_BAND_PIXELS = 1 << 18

Levels = NDArray[Any]


def pasted_back(
    answer: Image.Image, source: Image.Image, mask: Image.Image
) -> tuple[Image.Image, list[str]]:
    """The answer where the mask is 255, the source where it is 0, and a blend of both in between.

    The result is RGB, or RGBA where the answer or the source can be seen through. A blend weighs
    colours by their alpha, so that nothing dark shows along the rim of what is transparent.

    Args:
        answer: RGB or RGBA; of another size than the source it is resized, as `fitted` does it.
        source: RGB or RGBA.
        mask: as large as the source, mode "L".

    Returns:
        The picture, and what its owner should be told of it.

    Raises:
        HandlerError: `provider_failed`: the answer has another shape than the source.
        ValueError: the mask has another size than the source.
    """
    answer, notes = fitted(answer, source.size)
    mode = "RGBA" if is_transparent(answer) or is_transparent(source) else "RGB"
    above, below = _as(mode, answer), _as(mode, source)
    result = Image.composite(above, below, mask)
    if mode == "RGBA":
        _weigh_by_alpha(result, above, below, mask)
    return result, notes


def fitted(answer: Image.Image, size: Size) -> tuple[Image.Image, list[str]]:
    """A provider's answer in the size of the source, and what its owner should be told.

    Providers answer in sizes of their own. One of the same shape is resized; to force one of
    another shape would move everything in it.

    Args:
        answer: RGB or RGBA.
        size: of the source, in pixels.

    Raises:
        HandlerError: `provider_failed`: width to height is off by more than `LIKENESS`.
    """
    if answer.size == size:
        return answer, []
    across, down = answer.width * size[1], answer.height * size[0]
    if max(across, down) > min(across, down) * (1 + LIKENESS):
        raise HandlerError(
            "provider_failed",
            f"the provider answered with {_by(answer.size)} pixels, which is not the shape of the "
            f"source, {_by(size)}: its answer cannot be pasted back",
            hints=[f'Give a `size` of the source\'s shape, as "{size[0]}x{size[1]}".'],
            retryable=False,
        )
    note = f"the provider's answer of {_by(answer.size)} was resized to the source's {_by(size)}"
    return answer.resize(size, Image.Resampling.LANCZOS), [note]


def differing(one: Image.Image, other: Image.Image, where: Image.Image) -> int:
    """How many pixels differ where a mask is 0: in a colour, even under alpha 0, or in alpha.

    Args:
        one: RGB, which is opaque, or RGBA.
        other: so too, of the same size.
        where: the mask, of the same size, mode "L".

    Raises:
        ValueError: the sizes differ.
    """
    if not one.size == other.size == where.size:
        raise ValueError(f"{one.size}, {other.size} and {where.size} cannot be compared")
    total = 0
    for box in _bands(one.size):
        # Four bytes are compared as one number.
        first, second = (
            np.asarray(picture.crop(box).convert("RGBA")).view(np.uint32)[..., 0]
            for picture in (one, other)
        )
        total += int(np.count_nonzero((first != second) & (np.asarray(where.crop(box)) == 0)))
    return total


def is_transparent(picture: Image.Image) -> bool:
    """Whether any pixel can be seen through; an alpha channel that is full says nothing."""
    if picture.mode != "RGBA":
        return False
    lowest, _ = picture.getchannel("A").getextrema()
    return lowest != 255


def _weigh_by_alpha(
    result: Image.Image, above: Image.Image, below: Image.Image, mask: Image.Image
) -> None:
    """Blend RGBA again, in place, where alpha matters: neither where the mask is 0 or 255, as a
    copy is exact, nor where both are opaque."""
    for box in _bands(result.size):
        upper, lower, weight = (np.asarray(one.crop(box)) for one in (above, below, mask))
        clear = np.minimum(upper[..., 3], lower[..., 3]) < 255
        soft = (weight > 0) & (weight < 255) & clear
        if soft.any():
            levels = np.array(result.crop(box))
            levels[soft] = _blended(upper[soft], lower[soft], weight[soft])
            result.paste(Image.fromarray(levels), box[:2])


def _blended(above: Levels, below: Levels, weight: Levels) -> Levels:
    """Pixels (n, 4) blended by weights (n) of 0 to 255. Products of three bytes are exact in
    float32."""
    over = above[:, 3] * weight.astype(np.float32)
    under = below[:, 3] * (255 - weight.astype(np.float32))
    total, blended = over + under, np.empty_like(above)
    blended[:, 3] = np.rint(total / 255)
    total = np.maximum(total, 1)  # where both are clear, 0 is what is left
    for colour in range(3):
        blended[:, colour] = np.rint((above[:, colour] * over + below[:, colour] * under) / total)
    return blended


def _as(mode: str, picture: Image.Image) -> Image.Image:
    """Without the copy that Pillow makes even where there is nothing to convert."""
    return picture if picture.mode == mode else picture.convert(mode)


def _bands(size: Size) -> Iterator[Box]:
    """A picture cut into bands of whole rows, so that work on it takes little memory."""
    width, height = size
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(height, top + rows)


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
