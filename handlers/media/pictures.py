"""Pictures that users give, opened for work, and encoded again for what leaves.

What comes in is PNG, JPEG or WebP by its content; what goes out holds its pixels and nothing else
of it: no EXIF with a place, no comment, nothing that was appended.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from PIL import Image

from handlers.contract import HandlerError, Json
from handlers.media.colours import in_srgb
from handlers.media.containers import container_of, size_of
from handlers.media.decoding import Undecodable, decoded
from handlers.media.kinds import kind_of
from handlers.media.metadata import bare, metadata_of
from handlers.media.wholeness import looks_cut

Form = Literal["png", "jpeg", "webp"]

_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by its EXIF orientation."""
_ON_ITS_SIDE: Final = frozenset({5, 6, 7, 8})
_BARE: Final = {"icc_profile": None, "transparency": None, "comment": b"", "exif": b"", "xmp": b""}
"""Nothing of what Pillow would carry over from `Image.info`."""
_ENCODING: Final[Mapping[str, tuple[int, Mapping[str, Json]]]] = {
    "png": (2**31 - 1, {"compress_level": 4}),
    "jpeg": (65_500, {"quality": 95, "subsampling": "4:4:4"}),
    "webp": (16_383, {"quality": 90, "method": 4}),
}
"""The longest side that a form can have, and how it is encoded."""
_SMALLER: Final = "Scale it down, or raise $DARKROOM_MAX_PIXELS."


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that a user gave."""

    image: Image.Image
    """RGB, or RGBA where some pixel is not opaque; 8 bits, upright, sRGB, and no metadata."""
    media_type: str
    """Of the file that it came in."""
    notes: tuple[str, ...] = ()
    """What was made of it that its owner should know: sentences for the result's warnings."""


def open_picture(data: bytes, *, max_pixels: int, name: str = "image") -> Picture:
    """Decode a picture that a user gave, and bring it into the one form that all work is done in.

    Args:
        data: the file's bytes.
        max_pixels: width times height; judged from the header, before anything is decoded.
        name: of the field, for messages: "image", "mask", "reference_images 2".

    Raises:
        HandlerError: `unreadable_media`: it is no PNG, JPEG or WebP, or is cut short or damaged;
            `too_large`: it has too many pixels.
    """
    container = container_of(data)
    if container is None:
        raise _unreadable(f"{name} is {kind_of(data)} and cannot be read here")
    about = metadata_of(container)
    try:
        image = decoded(bare(container), max_pixels)
    except Undecodable as error:
        why = "is cut short" if looks_cut(data) else f"cannot be decoded: {error}"
        raise _unreadable(f"{name} is {kind_of(data)} that {why}") from None
    except HandlerError as error:
        raise HandlerError(error.code, f"{name}: {error.message}", hints=[_SMALLER]) from None
    image, notes = in_srgb(image, about.profile, about.depth)
    if about.frames > 1:
        notes.append(f"holds {about.frames} frames; only the first was taken")
    upright = _plain(image, about.orientation)
    return Picture(upright, container.media_type, tuple(f"{name} {note}" for note in notes))


def upright_size(data: bytes, *, max_pixels: int, name: str = "image") -> tuple[int, int]:
    """Width and height that a picture has when it is opened, as far as its header tells; whether
    the rest of it is sound shows when it is.

    Args:
        data: the file's bytes.
        max_pixels: width times height.
        name: of the field, for messages.

    Raises:
        HandlerError: as `open_picture`.
    """
    container, size = container_of(data), size_of(data)
    if container is None or size is None or size[0] * size[1] > max_pixels:
        return open_picture(data, max_pixels=max_pixels, name=name).image.size
    return size[::-1] if metadata_of(container).orientation in _ON_ITS_SIDE else size


def mask_in(data: bytes) -> Image.Image:
    """A mask that was made here, of its PNG."""
    mask = Image.open(io.BytesIO(data), formats=["PNG"])
    return mask if mask.mode == "L" else mask.convert("L")


def encoded(image: Image.Image, form: Form, *, lossless: bool = False) -> bytes:
    """A picture as the bytes of a file that holds its pixels and nothing else; the same pixels
    always give the same bytes.

    Args:
        image: RGB, RGBA or L.
        form: a PNG is always without loss, a JPEG never.
        lossless: whether a WebP is.

    Raises:
        HandlerError: `not_supported`: the form cannot hold such a picture.
    """
    longest, options = _ENCODING[form]
    if form == "jpeg" and (lossless or image.mode == "RGBA"):
        raise _impossible(f"a JPEG cannot be {'lossless' if lossless else 'transparent'}")
    if max(image.size) > longest:
        size = f"{image.width} x {image.height}"
        raise _impossible(f"a side of a {form} has at most {longest} pixels; this is {size}")
    if lossless:  # even what nobody sees, below what is transparent
        options = {**options, "lossless": True, "exact": True}
    file = io.BytesIO()
    image.save(file, form, **options, **_BARE)
    return file.getvalue()


def holds(form: Form, size: tuple[int, int]) -> bool:
    """Whether a form can hold a picture of a size, in pixels."""
    return max(size) <= _ENCODING[form][0]


def upload_of(picture: Picture) -> tuple[bytes, str]:
    """What leaves of a picture: its pixels, encoded again, and their media type.

    A PNG, unless it came as a JPEG, which would get ten times as large for nothing.
    """
    photo = picture.media_type == "image/jpeg" and picture.image.mode == "RGB"
    form: Form = "jpeg" if photo else "png"
    return encoded(picture.image, form), f"image/{form}"


def _plain(image: Image.Image, orientation: int) -> Image.Image:
    """An upright picture that knows nothing of the file that it came from."""
    if orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    elif type(image) is not Image.Image:
        image = image.copy()
    image.info = {}
    return image


def _unreadable(message: str) -> HandlerError:
    return HandlerError("unreadable_media", message, hints=["Give a PNG, JPEG or WebP."])


def _impossible(message: str) -> HandlerError:
    return HandlerError("not_supported", message, hints=["Ask for png or webp."])
