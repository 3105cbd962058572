"""Pixels of every kind that a file may hold, as RGB or RGBA of 8 bits a channel, in sRGB.

A profile does not survive an upload, and few servers would heed it: the colours themselves are
converted, by LittleCMS, which Pillow brings along. Sources: ICC.1 (profiles), the PNG
specification §11.3.1 (transparent colours) and §13.12 (scaling of samples).
"""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageCms

_FITTING: Final = {"RGB ": ("L", "LA", "RGB", "RGBA"), "GRAY": ("L", "LA"), "CMYK": ("CMYK",)}
"""The modes that a profile fits, by the colour space that it is of."""
_FLAT: Final = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""The mode in which pixels are converted, without their alpha."""
_SAME = 2
"""Levels of 255: a profile that moves no colour by more is one of the many of sRGB."""

_DEEP = "has 16 bits a channel; it was taken at 8"
_CONVERTED = "was converted to sRGB by its own colour profile"
_MISFIT = "has a colour profile that is broken or of another colour space; it was left out"
_GUESSED = "is CMYK without a profile that fits; its colours in RGB are an estimate"


class _Misfit(Exception):
    pass


def in_srgb(
    image: Image.Image, profile: bytes | None = None, depth: int = 8
) -> tuple[Image.Image, list[str]]:
    """A picture as RGB, or as RGBA where some pixel is not opaque.

    Args:
        image: as Pillow decodes a PNG, JPEG or WebP; not to be used any more.
        profile: its ICC profile; empty where there is one that cannot be read.
        depth: bits of a channel in its file.

    Returns:
        The picture, and what is to be said of it: sentences without their subject.
    """
    notes = [_DEEP] if depth == 16 else []
    image = _spelled_out(image, depth)
    try:
        transform = None if profile is None else _transform(image.mode, profile)
    except _Misfit:
        transform = None
        notes.append(_MISFIT)
    if transform is not None and not _is_srgb(transform):
        image = _converted(image, transform)
        notes.append(_CONVERTED)
    elif image.mode == "CMYK":
        notes.append(_GUESSED)
    return _opaque_as_rgb(image), notes


# ---------------------------------------------------------------- kinds of pixels


def _spelled_out(image: Image.Image, depth: int) -> Image.Image:
    """Without a palette, a transparent colour, and samples of more or fewer than 8 bits."""
    if image.mode == "P":
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    clear = image.info.get("transparency")
    if image.mode == "I;16":
        image = _eight_bits(image)
    elif image.mode == "1":
        image = image.convert("L")
    if clear is None or image.mode not in ("L", "RGB"):
        return image
    image.info["transparency"] = _as_decoded(clear, depth)
    return image.convert("LA" if image.mode == "L" else "RGBA")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Samples of 0..65535 as the nearest of 0..255; the high byte alone would darken them."""
    samples = np.array(image, np.uint32)
    samples *= 255
    samples += 32895  # round(v / 257), exactly and in integers, as libpng does it
    samples >>= 16
    return Image.fromarray(samples.astype(np.uint8))


def _as_decoded(clear: int | tuple[int, ...], depth: int) -> int | tuple[int, ...]:
    """A transparent colour as the decoder scales the pixels; Pillow gives it as the file has it.

    With 16 bits, what rounds to the same 8 is transparent too.
    """
    if isinstance(clear, tuple):
        return tuple(sample >> 8 for sample in clear) if depth == 16 else clear
    if depth == 16:
        return (clear * 255 + 32895) >> 16
    return clear * 255 // (2**depth - 1) if depth in (2, 4) else clear


def _opaque_as_rgb(image: Image.Image) -> Image.Image:
    """RGBA only where some pixel is not opaque: half of all alpha channels say nothing."""
    clear = image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() != (255, 255)
    mode = "RGBA" if clear else "RGB"
    return image if image.mode == mode else image.convert(mode)


# ---------------------------------------------------------------- profiles


def _transform(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform:
    """From the colours of a profile to those of sRGB.

    Raises:
        _Misfit: it is broken, or is not one for such pixels.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space
        if mode not in _FITTING.get(space, ()):
            raise _Misfit
        return ImageCms.ImageCmsTransform(
            source,
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            _FLAT[space],
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        raise _Misfit from None


def _is_srgb(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether a transform leaves a cube of colours, or a ramp of greys, as good as it is."""
    if transform.input_mode == "CMYK":
        return False
    ramp = np.arange(0, 256, 15).astype(np.uint8)
    cube = np.stack(np.meshgrid(ramp, ramp, ramp), -1).reshape(1, -1, 3)
    probe = Image.fromarray(ramp[None] if transform.input_mode == "L" else cube)
    moved = ImageChops.difference(probe.convert("RGB"), transform.apply(probe))
    return int(np.asarray(moved).max()) <= _SAME


def _converted(image: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    """A picture in sRGB; alpha stays as it is."""
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    mode = transform.input_mode
    flat = image if image.mode == mode else image.convert(mode)
    turned = transform.apply(flat, flat if mode == "RGB" else None)  # in place: it saves the memory
    if alpha is not None:
        turned.putalpha(alpha)
    return turned
