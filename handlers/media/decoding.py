"""What some bytes are: decoded under limits, by their content, never by their name. No files.

Only the formats that darkroom saves are ever handed to a decoder: every other one that Pillow
registers (TIFF, PSD, EPS, ...) is attack surface and nothing else.
"""

from __future__ import annotations

import io
import warnings

from handlers.contract import Description, HandlerError

FORMATS = {
    "PNG": ("image/png", ".png"),
    "JPEG": ("image/jpeg", ".jpg"),
    "WEBP": ("image/webp", ".webp"),
}
"""By Pillow's name: media type and file extension."""


def describe(data: bytes, max_pixels: int, max_bytes: int) -> Description:
    """Decode a picture wholly, and say what it is.

    Args:
        data: its bytes.
        max_pixels: width times height; judged from the header, before anything is decoded.
        max_bytes: of the encoded picture.

    Raises:
        HandlerError: `too_large`, or `unreadable_media` where it is no picture of a known format,
            or is cut short or damaged.
    """
    from PIL import Image, UnidentifiedImageError

    if len(data) > max_bytes:
        raise HandlerError("too_large", f"{len(data)} bytes are more than {max_bytes}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a bomb is judged here, and odd metadata are no matter
            picture = Image.open(io.BytesIO(data), formats=tuple(FORMATS))
            width, height = picture.size
            if width * height > max_pixels:
                raise HandlerError(
                    "too_large", f"{width} x {height} pixels are more than {max_pixels} in all"
                )
            picture.load()
    except UnidentifiedImageError:
        raise _unreadable("it is no PNG, JPEG or WebP") from None
    except Image.DecompressionBombError as error:
        raise HandlerError("too_large", str(error)) from None
    except (OSError, SyntaxError, ValueError) as error:
        raise _unreadable(str(error)) from None
    # A JPEG of several pictures, as cameras make them, calls itself "MPO"; it opens as a JPEG.
    media_type, extension = FORMATS["JPEG" if picture.format == "MPO" else picture.format or ""]
    return Description("image", media_type, extension, width, height)


def _unreadable(why: str) -> HandlerError:
    return HandlerError(
        "unreadable_media",
        f"what the provider sent is no picture that can be decoded: {why}",
        hints=["Retry asks the provider for another one."],
    )
