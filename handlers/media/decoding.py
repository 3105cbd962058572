"""What some bytes are: decoded under limits, by their content, never by their name. No files.

Only the formats that darkroom saves are ever handed to a decoder: every other one that Pillow
registers (TIFF, PSD, EPS, ...) is attack surface and nothing else.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from handlers.answers.encoded import sniff
from handlers.contract import Description, HandlerError, Held
from handlers.media.containers import size_of

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    "PNG": ("image/png", ".png"),
    "JPEG": ("image/jpeg", ".jpg"),
    "WEBP": ("image/webp", ".webp"),
}
"""By Pillow's name: media type and file extension."""

_MEDIA_TYPES = [media_type for media_type, _ in FORMATS.values()]
_NO_PICTURE = "it is no PNG, JPEG or WebP"


def describe(data: Held, max_pixels: int, max_bytes: int) -> Description:
    """Decode a picture wholly, and say what it is.

    Args:
        data: its bytes.
        max_pixels: width times height; judged from the header, before anything is decoded.
        max_bytes: of the encoded picture.

    Raises:
        HandlerError: `too_large`, or `unreadable_media` where it is no picture of a known format,
            or is cut short or damaged.
    """
    if len(data) > max_bytes:
        raise HandlerError("too_large", f"{len(data)} bytes are more than {max_bytes}")
    try:
        picture = decoded(data, max_pixels)
    except Undecodable as error:
        raise HandlerError(
            "unreadable_media",
            f"what the provider sent is no picture that can be decoded: {error}",
            hints=["Retry asks the provider for another one."],
        ) from None
    # A JPEG of several pictures, as cameras make them, calls itself "MPO"; it opens as a JPEG.
    media_type, extension = FORMATS["JPEG" if picture.format == "MPO" else picture.format or ""]
    return Description("image", media_type, extension, *picture.size)


class Undecodable(Exception):
    """Some bytes are no picture of a known format, or one that is cut short or damaged."""


def decoded(data: Held, max_pixels: int) -> Image.Image:
    """A picture, decoded wholly; the first one, where it holds several.

    Args:
        data: its bytes.
        max_pixels: width times height; judged from the header, before anything is decoded.

    Raises:
        HandlerError: `too_large`.
        Undecodable: its message says why.
    """
    from PIL import Image, UnidentifiedImageError

    if sniff(data) not in _MEDIA_TYPES:  # before all of it is read
        raise Undecodable(_NO_PICTURE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bomb is judged here, and odd metadata are no matter
            _judge(size_of(data) or (0, 0), max_pixels)  # opening a WebP takes its memory already
            picture = Image.open(io.BytesIO(data[:]), formats=tuple(FORMATS))
            _judge(picture.size, max_pixels)
            picture.load()
    except UnidentifiedImageError:
        raise Undecodable(_NO_PICTURE) from None
    except Image.DecompressionBombError as error:
        raise HandlerError("too_large", str(error)) from None
    except (OSError, EOFError, SyntaxError, ValueError) as error:
        raise Undecodable(str(error)) from None
    return picture


def _judge(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise HandlerError(
            "too_large",
            f"{width} x {height} pixels are {width * height:,}; at most {max_pixels:,} are taken",
        )
