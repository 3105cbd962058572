"""Pictures of users: opened for work, and encoded again for what leaves."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from handlers.contract import HandlerError
from handlers.media.containers import container_of, jpeg_segment, png_chunk, webp_chunk
from handlers.media.pictures import Form, Picture, encoded, open_picture, upload_of
from tests.examples import examples
from tests.handlers.media.making import (
    SMALL,
    after_header,
    after_start,
    display_p3,
    exif,
    file_of,
    png,
    with_chunks,
)

LIMIT = 1_000_000
COLOURS = Image.merge("RGB", (SMALL, SMALL.rotate(180), SMALL.transpose(0)))
FORMS: list[Form] = ["png", "jpeg", "webp"]


def opened(data: bytes, **options: Any) -> Picture:
    return open_picture(data, **{"max_pixels": LIMIT, **options})


def refusal(data: bytes, **options: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        opened(data, **options)
    return caught.value


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).tobytes()


# ---------------------------------------------------------------- what is opened


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("PNG", {"interlace": True})],
)
def test_a_picture_is_opened_with_the_pixels_that_it_has(form: str, options: Any) -> None:
    picture = opened(file_of(COLOURS, form, **options))
    assert picture.image.tobytes() == COLOURS.tobytes()
    assert (picture.image.mode, picture.notes) == ("RGB", ())
    assert picture.media_type == f"image/{form.lower()}"


def test_a_jpeg_is_opened() -> None:
    picture = opened(file_of(COLOURS, "JPEG", quality=100, subsampling=0))
    assert picture.media_type == "image/jpeg"
    assert np.abs(np.subtract(picture.image, COLOURS, dtype=np.int16)).max() <= 4


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_one_pixel_is_a_picture(form: str) -> None:
    assert opened(file_of(Image.new("RGB", (1, 1)), form)).image.size == (1, 1)


def test_a_picture_may_be_very_wide() -> None:
    image = Image.new("RGB", (30_000, 2), "teal")
    for form in ("PNG", "JPEG"):
        assert opened(file_of(image, form)).image.size == (30_000, 2)


def test_what_is_opened_knows_nothing_of_its_file() -> None:
    image = opened(file_of(COLOURS, "JPEG", comment=b"words", dpi=(300, 300))).image
    assert type(image) is Image.Image
    assert image.info == {}


def test_notes_are_sentences_about_the_field() -> None:
    deep = Image.fromarray(np.zeros((2, 2), np.uint16))
    picture = opened(file_of(deep, "PNG"), name="reference_images 2")
    assert picture.notes == ("reference_images 2 has 16 bits a channel; it was taken at 8",)


def test_colours_of_a_profile_are_converted() -> None:
    image = Image.new("RGB", (8, 8), (200, 100, 50))
    for form in ("PNG", "JPEG", "WEBP"):
        picture = opened(file_of(image, form, icc_profile=display_p3(), quality=100))
        red, green, blue = picture.image.getpixel((4, 4))
        assert red > 208
        assert green < 98
        assert blue < 46
        assert picture.notes == ("image was converted to sRGB by its own colour profile",)


def test_a_broken_profile_is_left_out_with_a_note() -> None:
    data = after_header(file_of(COLOURS, "PNG"), png_chunk(b"iCCP", b"n\0\0damaged"))
    picture = opened(data)
    assert picture.image.tobytes() == COLOURS.tobytes()
    assert "profile" in picture.notes[0]


@pytest.mark.parametrize("form", ["PNG", "WEBP", "MPO"])
def test_of_several_frames_the_first_is_taken_with_a_note(form: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue", "green")]
    options: Any = {"PNG": {}, "WEBP": {"lossless": True}, "MPO": {"quality": 100}}[form]
    data = file_of(frames[0], form, save_all=True, append_images=frames[1:], **options)
    picture = opened(data)
    assert np.abs(np.subtract(picture.image.getpixel((8, 8)), (255, 0, 0))).max() <= 2
    assert picture.notes == ("image holds 3 frames; only the first was taken",)


def test_cmyk_is_opened_with_a_note() -> None:
    picture = opened(file_of(Image.new("CMYK", (8, 8), (0, 0, 0, 51)), "JPEG", quality=100))
    assert np.abs(np.subtract(picture.image.getpixel((4, 4)), (204, 204, 204))).max() <= 1
    assert "CMYK" in picture.notes[0]


# ---------------------------------------------------------------- orientation

STORED = {
    1: "AB CD EF",
    2: "BA DC FE",
    3: "FE DC BA",
    4: "EF CD AB",
    5: "ACE BDF",
    6: "BDF ACE",
    7: "FDB ECA",
    8: "ECA FDB",
}
"""How a picture whose rows are AB, CD and EF lies in its file, by orientation (EXIF 2.32 §4.6.4:
where the first row and the first column are to be seen)."""
LEVELS = {letter: 20 + 40 * number for number, letter in enumerate("ABCDEF")}


def of_letters(rows: str) -> Image.Image:
    """Each letter as 16 x 16 pixels of its own grey."""
    levels = np.array([[LEVELS[letter] for letter in row] for row in rows.split()], np.uint8)
    return Image.fromarray(levels.repeat(16, 0).repeat(16, 1)).convert("RGB")


def as_letters(image: Image.Image) -> str:
    levels = np.asarray(image)[8::16, 8::16, 0].astype(int)
    nearest = {level: letter for letter, level in LEVELS.items()}
    rows = [
        [nearest[min(nearest, key=lambda v: abs(v - level))] for level in row] for row in levels
    ]
    return " ".join("".join(row) for row in rows)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_picture_that_lies_in_any_way_is_upright(orientation: int, form: str) -> None:
    block = (b"Exif\0\0" if form == "JPEG" else b"") + exif(orientation)
    data = file_of(of_letters(STORED[orientation]), form, exif=block)
    upright = opened(data)
    assert as_letters(upright.image) == "AB CD EF"
    again = opened(upload_of(upright)[0])
    assert as_letters(again.image) == "AB CD EF"


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("form", ["TIFF", "GIF", "BMP", "AVIF", "PDF"])
def test_other_forms_are_refused_by_name(form: str) -> None:
    error = refusal(file_of(COLOURS, form), name="mask")
    assert error.code == "unreadable_media"
    assert error.message in (
        f"mask is a {form} and cannot be read here",
        f"mask is an {form} and cannot be read here",
    )
    assert error.hints == ("Give a PNG, JPEG or WebP.",)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
            "an SVG",
        ),
        (b"<!doctype html><title>Not found</title>", "an HTML page"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "text"),
        (b"", "empty"),
        (bytes(100), "of no known kind"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(data: bytes, what: str) -> None:
    error = refusal(data)
    assert error.code == "unreadable_media"
    assert error.message == f"image is {what} and cannot be read here"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_is_cut_short_anywhere_is_unreadable(form: str) -> None:
    data = file_of(Image.effect_noise((40, 40), 90).convert("RGB"), form)
    for end in range(16, len(data) - 20, 97):
        error = refusal(data[:end])
        assert error.code == "unreadable_media"
        assert error.message.endswith("that is cut short")


def test_a_progressive_jpeg_that_is_cut_between_its_scans_is_unreadable() -> None:
    data = file_of(Image.effect_noise((64, 64), 90).convert("RGB"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert refusal(data[:last]).message == "image is a JPEG that is cut short"


def test_a_damaged_picture_says_what_is_wrong() -> None:
    data = bytearray(file_of(COLOURS, "PNG"))
    data[23] ^= 1
    message = refusal(bytes(data)).message
    assert message.startswith("image is a PNG that cannot be decoded: ")


def test_a_jpeg_of_12_bits_is_a_jpeg_that_cannot_be_decoded() -> None:
    data = bytearray(file_of(COLOURS, "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    assert refusal(bytes(data)).message.startswith("image is a JPEG that cannot be decoded")


# ---------------------------------------------------------------- limits


def test_as_many_pixels_as_are_allowed_are_opened() -> None:
    data = file_of(COLOURS, "PNG")
    assert opened(data, max_pixels=24 * 16).image.size == (24, 16)
    assert refusal(data, max_pixels=24 * 16 - 1).code == "too_large"


def canvas(side: int) -> bytes:
    """The head of a WebP that claims a square of `side`."""
    sides = (side - 1).to_bytes(3, "little") * 2
    return with_chunks(b"RIFF\4\0\0\0WEBP", webp_chunk(b"VP8X", b"\0\0\0\0" + sides))


def frame(side: int) -> bytes:
    """The head of a JPEG that claims a square of `side`."""
    head = struct.pack(">BHHB9s", 8, side, side, 3, b"\1\x11\0\2\x11\0\3\x11\0")
    scan = jpeg_segment(b"\xda", b"\3\1\0\2\0\3\0\0\x3f\0")
    return b"\xff\xd8" + jpeg_segment(b"\xc0", head) + scan + b"\xff\xd9"


@pytest.mark.parametrize(
    ("data", "claim", "pixels"),
    [
        (png(100_000, 100_000, 8, 2), "100000 x 100000", "10,000,000,000"),
        (canvas(16_000), "16000 x 16000", "256,000,000"),
        (frame(65_000), "65000 x 65000", "4,225,000,000"),
    ],
)
def test_a_tiny_file_that_claims_to_be_huge_is_judged_from_its_head(
    data: bytes, claim: str, pixels: str
) -> None:
    error = refusal(data, max_pixels=40_000_000)
    assert error.code == "too_large"
    assert error.message == (f"image: {claim} pixels are {pixels}; at most 40,000,000 are taken")
    assert "MAX_PIXELS" in error.hints[0]


def test_a_picture_that_really_is_huge_is_never_unpacked() -> None:
    side = 20_000
    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    bomb = png(side, side, 1, 0, png_chunk(b"IDAT", rows))
    assert len(bomb) < 500_000
    assert refusal(bomb, max_pixels=40_000_000).code == "too_large"


@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "eXIf", "iCCP"])
def test_texts_and_tags_of_any_size_are_not_unpacked_and_do_no_harm(kind: str) -> None:
    flood = zlib.compress(bytes(16 << 20), 1)
    bodies = {
        "tEXt": b"k\0" + b"x" * (2 << 20),
        "zTXt": b"k\0\0" + flood,
        "iTXt": b"k\0\1\0\0\0" + flood,
        "eXIf": b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHII", 0x10E, 2, 2**32 - 1, 8) * 4000,
        "iCCP": b"k\0\0" + flood,
    }
    data = after_header(file_of(COLOURS, "PNG"), png_chunk(kind.encode(), bodies[kind]))
    tracemalloc.start()
    try:
        picture = opened(data)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
    assert picture.image.tobytes() == COLOURS.tobytes()


# ---------------------------------------------------------------- what leaves

CANARY = b"canary-4711-do-not-leak"
WORDS = CANARY.decode()


def png_with_canaries() -> bytes:
    """One in every place that a PNG has for words, and in colours that no pixel has."""
    image = Image.new("P", (8, 8), 1)
    image.putpalette((bytes(6) + CANARY).ljust(60, b"\1"))
    info = PngImagePlugin.PngInfo()
    info.add_text("plain", WORDS)
    info.add_text("packed", WORDS, zip=True)
    info.add_itxt("wide", WORDS, lang=WORDS, tkey=WORDS)
    info.add_itxt("XML:com.adobe.xmp", f"<x>{WORDS}</x>")
    info.add(b"prVt", CANARY)
    info.add(b"prAt", CANARY, after_idat=True)
    info.add(b"sPLT", CANARY + b"\0\x08")
    tags = Image.Exif()
    tags[0x010E] = WORDS
    data = file_of(image, "PNG", pnginfo=info, exif=tags, icc_profile=display_p3(WORDS))
    return data + CANARY


def jpeg_with_canaries() -> bytes:
    tags = Image.Exif()
    tags[0x010E] = WORDS
    image = Image.new("RGB", (16, 16), "olive")
    data = file_of(image, "JPEG", exif=tags, comment=CANARY, icc_profile=display_p3(WORDS))
    names = [bytes([code]) for code in (*range(0xE0, 0xEE), 0xEF, 0xFE)]
    heads = [b"", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0", b"JFXX\0\x10"]
    segments = [jpeg_segment(name, head + CANARY) for name in names for head in heads]
    adobe = jpeg_segment(b"\xee", b"Adobe\0\x64\0\0\0\0\1" + CANARY)
    return after_start(data, adobe, *segments, CANARY) + CANARY


def webp_with_canaries(lossless: bool) -> bytes:
    image = Image.new("RGB", (16, 16), "olive")
    data = file_of(
        image,
        "WEBP",
        lossless=lossless,
        exif=exif(1) + CANARY,
        xmp=CANARY,
        icc_profile=display_p3(WORDS),
    )
    return with_chunks(data, webp_chunk(b"prvt", CANARY)) + CANARY


LADEN = {
    "png": png_with_canaries(),
    "jpeg": jpeg_with_canaries(),
    "webp": webp_with_canaries(lossless=False),
    "webp lossless": webp_with_canaries(lossless=True),
}
PLAIN_PARTS = {
    "image/png": {b"IHDR", b"IDAT", b"IEND"},
    "image/jpeg": {b"\xe0", b"\xdb", b"\xc0", b"\xc4", b"\xda"},
    "image/webp": {b"VP8 ", b"VP8L", b"VP8X", b"ALPH"},
}
ENDS = {"image/png": b"IEND\xaeB`\x82", "image/jpeg": b"\xff\xd9", "image/webp": b""}


def assert_plain(data: bytes) -> None:
    """Nothing is in a file that could hold anything but pixels."""
    container = container_of(data)
    assert container is not None
    assert container.whole
    assert {part.name for part in container.parts} <= PLAIN_PARTS[container.media_type]
    assert data.endswith(ENDS[container.media_type])
    assert list(container.bodies(b"\xe0")) in ([], [b"JFIF\0\1\1\0\0\1\0\1\0\0"])
    inside = b"".join(container.bodies(b"IDAT"))
    assert CANARY not in data
    assert CANARY not in (zlib.decompress(inside) if inside else b"")
    assert WORDS.encode("utf-16-be") not in data


@pytest.mark.parametrize("laden", LADEN)
def test_nothing_of_a_file_but_its_pixels_gets_out(laden: str) -> None:
    assert LADEN[laden].count(CANARY) > 3
    picture = opened(LADEN[laden])
    assert_plain(upload_of(picture)[0])
    for form in FORMS:
        assert_plain(encoded(picture.image, form))
    assert_plain(encoded(picture.image, "webp", lossless=True))


def test_what_pillow_remembers_of_a_file_does_not_get_out_either() -> None:
    image = COLOURS.copy()
    image.info = {
        "comment": CANARY,
        "exif": b"Exif\0\0" + exif(6) + CANARY,
        "icc_profile": display_p3(WORDS),
        "xmp": CANARY,
        "XML:com.adobe.xmp": WORDS,
        "transparency": (1, 2, 3),
        "dpi": (300, 300),
    }
    for form in FORMS:
        assert_plain(encoded(image, form))


@pytest.mark.parametrize(
    ("form", "mode", "expected"),
    [
        ("PNG", "RGB", "image/png"),
        ("PNG", "RGBA", "image/png"),
        ("WEBP", "RGB", "image/png"),
        ("JPEG", "RGB", "image/jpeg"),
        ("JPEG", "L", "image/jpeg"),
    ],
)
def test_an_upload_is_a_png_but_for_what_came_as_a_jpeg(
    form: str, mode: str, expected: str
) -> None:
    data, media_type = upload_of(opened(file_of(COLOURS.convert(mode), form)))
    container = container_of(data)
    assert container is not None
    assert media_type == container.media_type == expected


def test_a_picture_that_became_transparent_leaves_as_a_png() -> None:
    picture = Picture(Image.new("RGBA", (2, 2)), "image/jpeg")
    assert upload_of(picture)[1] == "image/png"


def test_an_upload_of_a_png_has_the_very_same_pixels() -> None:
    clear = COLOURS.copy()
    clear.putalpha(SMALL)
    for image in (COLOURS, clear):
        assert pixels(upload_of(opened(file_of(image, "PNG")))[0]) == image.tobytes()


def test_an_upload_of_a_jpeg_keeps_its_colours_at_full_resolution() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[:, ::2, 0] = 255
    picture = opened(file_of(Image.fromarray(red), "JPEG", quality=100, subsampling=0))
    sent = Image.open(io.BytesIO(upload_of(picture)[0]))
    assert np.abs(np.subtract(sent, red, dtype=np.int16)).mean() < 6


@pytest.mark.parametrize("form", FORMS)
def test_the_same_pixels_give_the_same_bytes(form: Form) -> None:
    assert encoded(COLOURS.copy(), form) == encoded(COLOURS.copy(), form)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_without_loss_means_every_pixel(mode: str) -> None:
    image = COLOURS.convert(mode)
    if mode == "RGBA":
        image.putalpha(SMALL.point(lambda level: max(0, level - 128)))
    assert pixels(encoded(image, "png")) == image.tobytes()
    webp = Image.open(io.BytesIO(encoded(image, "webp", lossless=True)))
    assert webp.convert(mode).tobytes() == image.tobytes()


@pytest.mark.parametrize(
    ("image", "form", "lossless", "words"),
    [
        (Image.new("RGBA", (2, 2)), "jpeg", False, "a JPEG cannot be transparent"),
        (Image.new("RGB", (2, 2)), "jpeg", True, "a JPEG cannot be lossless"),
        (Image.new("RGB", (16_384, 1)), "webp", False, "at most 16383 pixels"),
        (Image.new("RGB", (1, 65_501)), "jpeg", False, "at most 65500 pixels"),
    ],
)
def test_what_a_form_cannot_hold_is_refused(
    image: Image.Image, form: Form, lossless: bool, words: str
) -> None:
    with pytest.raises(HandlerError, match=words) as caught:
        encoded(image, form, lossless=lossless)
    assert caught.value.code == "not_supported"


@pytest.mark.parametrize(("form", "side"), [("webp", 16_383), ("jpeg", 65_500), ("png", 70_000)])
def test_the_longest_side_that_a_form_has_is_encoded(form: Form, side: int) -> None:
    assert Image.open(io.BytesIO(encoded(Image.new("RGB", (side, 1)), form))).width == side


# ---------------------------------------------------------------- any bytes


@pytest.mark.parametrize("laden", LADEN)
@settings(max_examples=examples(40), deadline=None)
@given(data=st.data())
def test_a_damaged_picture_is_opened_or_refused_and_nothing_worse(
    laden: str, data: st.DataObject
) -> None:
    damaged = bytearray(LADEN[laden])
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        picture = opened(bytes(damaged))
    except HandlerError as error:
        assert error.code in ("unreadable_media", "too_large")
        assert error.hints
    else:
        assert picture.image.mode in ("RGB", "RGBA")
        assert_plain(upload_of(picture)[0])
