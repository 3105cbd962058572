"""The pictures that go along with a call: as files of a form or as data URLs, and masks by the
rule of the server."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from handlers.answers.encoded import EXTENSIONS, sniff, to_data_url
from handlers.contract import Call, HandlerError, Medium
from handlers.wire import FilePart

if TYPE_CHECKING:
    from PIL import Image


def bytes_of(media: Sequence[Medium]) -> list[bytes]:
    """The bytes of a call's pictures.

    Raises:
        HandlerError: `internal`: one came without.
    """
    if any(medium.data is None for medium in media):
        raise HandlerError("internal", "a picture of the call came without its bytes")
    return [medium.data for medium in media if medium.data is not None]


def pictures_of(call: Call) -> list[bytes]:
    """What is to be edited or referred to, in the order in which a mask counts: for the first."""
    names = ("image", "input_reference", "reference_images")
    return [data for name in names for data in bytes_of(call.inputs.get(name, ()))]


def mask_of(call: Call) -> bytes | None:
    """The mask of a call; 255 where the picture is to be changed."""
    return next(iter(bytes_of(call.inputs.get("mask", ()))), None)


def data_urls(pictures: Sequence[bytes]) -> list[str]:
    """Pictures as they stand in JSON."""
    return [to_data_url(data) for data in pictures]


def file_part(name: str, stem: str, data: bytes) -> FilePart:
    """One file of a form. Its name and type are those of its content: some servers go by them.

    Args:
        name: of the form's field.
        stem: the file's name without its ending.
        data: the picture.
    """
    media_type = sniff(data) or "application/octet-stream"
    return FilePart(name, stem + EXTENSIONS.get(media_type, ".bin"), media_type, data)


def picture_parts(pictures: Sequence[bytes], single: str = "image") -> list[FilePart]:
    """Pictures as files of a form: `image[]`, unless it is a single one.

    Args:
        pictures: in order.
        single: the field's name for a single one.
    """
    name = single if len(pictures) == 1 else "image[]"
    return [file_part(name, f"image-{number}", data) for number, data in enumerate(pictures, 1)]


def mask_part(
    mask: bytes, picture: bytes, rule: Literal["alpha", "white"]
) -> tuple[FilePart, list[str]]:
    """A mask as a file of a form, converted to the server's rule, and what should be warned of.

    Args:
        mask: 255 where the picture is to be changed.
        picture: the one that it is for; the mask gets its size.
        rule: "alpha": what is to be changed is transparent; "white": it is white.

    Raises:
        HandlerError: `unreadable_media`: one of the two is no picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as opened:
            size = opened.size
        with Image.open(io.BytesIO(mask)) as opened:
            grey = opened.convert("L")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise HandlerError("unreadable_media", f"the mask cannot be made: {error}") from None
    warnings = []
    if grey.size != size:
        warnings.append(f"the mask of {_by(grey.size)} was resized to the picture's {_by(size)}")
        grey = grey.resize(size, Image.Resampling.NEAREST)
    return FilePart("mask", "mask.png", "image/png", _png(_by_rule(grey, rule))), warnings


def _by_rule(grey: Image.Image, rule: Literal["alpha", "white"]) -> Image.Image:
    from PIL import Image, ImageChops

    if rule == "white":
        return grey
    black = Image.new("L", grey.size)  # colours do not count, and plain ones keep the file small
    return Image.merge("RGBA", (black, black, black, ImageChops.invert(grey)))


def _png(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    return encoded.getvalue()


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
