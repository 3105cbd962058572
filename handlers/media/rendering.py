"""What the stand-in does to whole files: encoded pictures in, an encoded picture out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Final, NamedTuple

from PIL import Image, ImageOps

from handlers.contract import HandlerError
from handlers.media.edits import MOST_PIXELS, Wish
from handlers.media.painting import paint
from handlers.media.restyling import restyled
from handlers.media.retouching import retouched
from handlers.media.swatches import palette_of

_READ: Final = ("PNG", "JPEG", "WEBP")
_ENCODING: Final[Mapping[str, tuple[str, Mapping[str, int]]]] = MappingProxyType(
    {
        "png": ("PNG", {"compress_level": 4}),
        "jpeg": ("JPEG", {"quality": 92}),
        "webp": ("WEBP", {"quality": 90, "method": 2}),
    }
)
Size = tuple[int, int]


class Rendering(NamedTuple):
    """A picture, and what there is to say about it."""

    data: bytes
    notes: tuple[str, ...] = ()


def painting(
    wish: Wish, size: Size, transparent: bool, references: Sequence[bytes], output_format: str
) -> Rendering:
    """A picture of a prompt, in the colours of the references if there are any.

    Raises:
        HandlerError: a reference cannot be read.
    """
    width, height = size
    picture = paint(
        wish.prompt,
        seed=wish.seed,
        index=wish.index,
        width=width,
        height=height,
        transparent=transparent,
        palette=coloured(wish, references).palette,
    )
    return _encoded(picture, output_format)


def edit(
    images: Sequence[bytes],
    mask: bytes | None,
    references: Sequence[bytes],
    wish: Wish,
    size: Size | None,
    output_format: str,
) -> Rendering:
    """The first of `images`, edited: filled where there is a mask, or where it is clear; painted in
    another manner where there is neither. The other images are set in as round prints.

    Raises:
        HandlerError: a picture cannot be read, or the mask has another size.
    """
    picture, *others = map(opened, images)
    wish = coloured(wish, references)
    if mask is None and not _is_clear(picture):
        result = restyled(picture, wish, others)
    else:
        result = retouched(picture, _fitting(mask, picture.size), wish, others)
    edited = result.picture
    if size is not None and size != edited.size:
        edited = ImageOps.fit(edited, size, Image.Resampling.LANCZOS)
    encoded = _encoded(edited, output_format)
    if not result.left_out:
        return encoded
    shown = len(others) - result.left_out
    note = f"of {len(others)} pictures besides the first, {shown} found room in the edit"
    return encoded._replace(notes=(note, *encoded.notes))


def coloured(wish: Wish, references: Sequence[bytes]) -> Wish:
    """A wish in the colours of the references, if there are any.

    Raises:
        HandlerError: one cannot be read.
    """
    return replace(wish, palette=palette_of(list(map(opened, references)))) if references else wish


def opened(data: bytes) -> Image.Image:
    """A picture as RGB, or as RGBA where it has an alpha.

    Raises:
        HandlerError: `unreadable_media`, `too_large`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bomb is judged here
            picture = Image.open(io.BytesIO(data), formats=_READ)
            if picture.width * picture.height > MOST_PIXELS:
                raise HandlerError(
                    "too_large",
                    f"local edits up to {MOST_PIXELS} pixels, not {picture.width} x "
                    f"{picture.height}",
                    hints=["Send a smaller picture."],
                )
            return picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise HandlerError("unreadable_media", f"local cannot read a picture: {error}") from None


def _is_clear(picture: Image.Image) -> bool:
    """Whether anything shows through."""
    return picture.mode == "RGBA" and picture.getchannel("A").getextrema() != (255, 255)


def _fitting(mask: bytes | None, size: Size) -> Image.Image | None:
    """A mask as levels."""
    if mask is None:
        return None
    levels = opened(mask).convert("L")
    if levels.size != size:
        raise HandlerError(
            "internal", f"a mask of {levels.size} does not fit a picture of {size} pixels"
        )
    return levels


def _encoded(picture: Image.Image, output_format: str) -> Rendering:
    """A picture in a format; without its alpha where nothing of it is clear."""
    notes: tuple[str, ...] = ()
    if not _is_clear(picture):
        picture = picture.convert("RGB")
    elif output_format == "jpeg":
        sheet = Image.new("RGB", picture.size, "white")
        sheet.paste(picture, mask=picture.getchannel("A"))
        picture, notes = sheet, ("a JPEG cannot be transparent: what is clear became white",)
    name, options = _ENCODING[output_format]
    encoded = io.BytesIO()
    picture.save(encoded, name, **options)
    return Rendering(encoded.getvalue(), notes)
