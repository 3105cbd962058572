"""The masks of the tasks, made in a worker thread: of a file, of regions, of a selection.

What `masks`, `regions` and `selection` can do to pixels is put together here, in the order that the
tasks promise, and becomes a medium.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from handlers.contract import Context, Medium
from handlers.media.choices import Selection
from handlers.media.inputs import recipe, tell
from handlers.media.regions import Region

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Masked:
    """A mask that was made, and what should be said about it."""

    mask: Medium
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refinement:
    """How a mask is worked over: grown, shrunk, made soft and turned round, in this order; the
    first three in pixels."""

    expand: int = 0
    shrink: int = 0
    feather: int = 0
    invert: bool = False


PLAIN = Refinement()


async def keep_mask(context: Context, made: Masked) -> Medium:
    """Make an artifact of a mask, and say what is to be said about it.

    Returns:
        The mask, for a call.
    """
    tell(context, made.notes)
    await context.keep("mask", made.mask, prefix="mask", role="mask")
    return made.mask


def mask_of_file(max_pixels: int, how: Refinement, picture: bytes, given: bytes) -> Masked:
    """A mask that the caller gave, at the picture's size. It is inverted first of all.

    Raises:
        HandlerError: one of the two is no picture, or nothing or everything would be changed.
    """
    from handlers.media.masks import check, refined, supplied
    from handlers.media.pictures import open_picture, upright_size

    size = upright_size(picture, max_pixels=max_pixels)
    opened = open_picture(given, max_pixels=max_pixels, name="mask")
    mask, notes = supplied(opened.image, size, invert=how.invert)
    check(mask, "mask")
    mask = refined(mask, expand=how.expand, shrink=how.shrink, feather=how.feather)
    return _made(mask, (*opened.notes, *notes), picture, given)


def mask_of_regions(
    max_pixels: int, how: Refinement, regions: Sequence[Region], at: str | None, picture: bytes
) -> Masked:
    """A mask that is drawn.

    Args:
        max_pixels: of the picture, in all.
        how: the mask is worked over.
        regions: what it is drawn of.
        at: the JSON pointer to them, if they stand in a list.
        picture: the one that it is for.

    Raises:
        HandlerError: it is no picture, a region lies outside of it, or nothing or everything would
            be changed.
    """
    from handlers.media.masks import check, drawn, refined
    from handlers.media.pictures import upright_size

    mask = drawn(regions, upright_size(picture, max_pixels=max_pixels), at=at)
    check(mask, "regions")
    return _made(refined(mask, **asdict(how)), (), picture)


def mask_of_selection(
    max_pixels: int, how: Refinement, selection: Selection, picture: bytes
) -> Masked:
    """The mask of an object, or of its background where it is inverted. Then all of the background
    is to be changed, and the soft edge lies in the object alone: else a rim of the old background
    would stay around it.

    Raises:
        HandlerError: it is no picture, it cannot be selected by that way, or nothing or everything
            was selected.
    """
    from PIL import ImageChops

    from handlers.media.masks import check, refined
    from handlers.media.pictures import open_picture
    from handlers.media.selection import selected

    opened = open_picture(picture, max_pixels=max_pixels)
    mask, notes = selected(opened.image, selection)
    check(mask, "selection")
    soft = refined(mask, **asdict(how))
    if how.invert:
        hard = refined(mask, expand=how.expand, shrink=how.shrink, invert=True)
        soft = ImageChops.lighter(soft, hard)
    return _made(soft, (*opened.notes, *notes), picture)


def _made(mask: Image.Image, notes: tuple[str, ...], *made_of: bytes) -> Masked:
    from handlers.media.pictures import encoded

    medium = Medium(encoded(mask, "png"), media_type="image/png", recipe=recipe("a mask", *made_of))
    return Masked(medium, notes)
