"""What some bytes are: by their content, under limits, and never a traceback."""

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from daemon.testing import tiny_image
from handlers.contract import Description, HandlerError
from handlers.media.decoding import FORMATS, describe
from tests.examples import examples

LIMIT = 10**6


def encoded(form: str, size: tuple[int, int] = (8, 6), mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, form, **options)
    return file.getvalue()


def failure(data: bytes, pixels: int = LIMIT, size: int = LIMIT) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        describe(data, pixels, size)
    return caught.value


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize(
    ("form", "media_type", "extension"),
    [
        ("PNG", "image/png", ".png"),
        ("JPEG", "image/jpeg", ".jpg"),
        ("WEBP", "image/webp", ".webp"),
    ],
)
def test_a_picture_is_known_by_its_bytes(form: str, media_type: str, extension: str) -> None:
    assert describe(encoded(form), LIMIT, LIMIT) == Description(
        "image", media_type, extension, 8, 6
    )


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_is_a_picture(mode: str) -> None:
    assert describe(encoded("PNG", mode=mode), LIMIT, LIMIT).width == 8


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_every_kind_of_jpeg_is_a_picture(mode: str) -> None:
    assert describe(encoded("JPEG", mode=mode), LIMIT, LIMIT).extension == ".jpg"


def test_a_jpeg_of_several_pictures_is_a_jpeg() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(
        file, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6), "red")]
    )
    assert describe(file.getvalue(), LIMIT, LIMIT) == Description(
        "image", "image/jpeg", ".jpg", 8, 6
    )


@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_moving_picture_is_a_picture(form: str) -> None:
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "blue")]
    file = io.BytesIO()
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    assert describe(file.getvalue(), LIMIT, LIMIT).height == 6


def test_odd_metadata_are_no_matter() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    data = encoded("JPEG", exif=exif)
    place = data.index(b"Exif") + 20
    damaged = data[:place] + b"\xff\xff" + data[place + 2 :]
    assert describe(damaged, LIMIT, LIMIT).width == 8


# ---------------------------------------------------------------- limits


def test_too_many_bytes_are_not_looked_at() -> None:
    data = tiny_image()
    assert describe(data, LIMIT, len(data)).width == 8
    assert failure(data, size=len(data) - 1).code == "too_large"


def test_too_many_pixels_are_not_decoded() -> None:
    assert describe(encoded("PNG"), 48, LIMIT).width == 8
    assert failure(encoded("PNG"), pixels=47).code == "too_large"


def png(width: int, height: int) -> bytes:
    """A PNG's header without a picture behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [2000, 12_000, 20_000, 2**31 - 1])
def test_a_bomb_is_judged_from_its_header(side: int) -> None:
    assert failure(png(side, side)).code == "too_large"


# ---------------------------------------------------------------- no pictures


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBP",
        png(0, 0),
    ],
)
def test_what_is_no_picture_is_told_as_unreadable(data: bytes) -> None:
    assert failure(data).code == "unreadable_media"


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF", "ICO", "PPM", "TGA"])
def test_formats_that_we_do_not_save_are_never_decoded(form: str) -> None:
    assert form not in FORMATS
    assert failure(encoded(form)).code == "unreadable_media"


@pytest.mark.parametrize("form", sorted(FORMATS))
def test_a_picture_that_is_cut_short_anywhere_is_unreadable(form: str) -> None:
    data = encoded(form, (40, 40))
    for end in range(0, len(data) - 20, 7):
        assert failure(data[:end]).code == "unreadable_media"


def test_a_text_chunk_that_unpacks_to_a_flood_is_no_danger() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("k", "x" * (80 << 20), zip=True)
    assert failure(encoded("PNG", pnginfo=info)).code == "unreadable_media"


@pytest.mark.parametrize("form", sorted(FORMATS))
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_a_damaged_picture_is_a_picture_or_refused_and_nothing_worse(
    form: str, data: st.DataObject
) -> None:
    picture = bytearray(encoded(form, (16, 16)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(picture) - 1))
        picture[place] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(picture)))
        picture[place:place] = data.draw(st.binary(max_size=30))
    try:
        described = describe(bytes(picture), LIMIT, LIMIT)
    except HandlerError as error:
        code = error.code
    else:
        code = "fine"
        assert described.width * described.height <= LIMIT
    assert code in ("fine", "unreadable_media", "too_large")


@settings(max_examples=examples(100), deadline=None)
@given(st.sampled_from([b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF", b""]), st.binary())
def test_any_bytes_are_a_picture_or_refused(start: bytes, rest: bytes) -> None:
    assert failure(start + rest).code in ("unreadable_media", "too_large")
