"""What a file says of its pixels, and the file without the rest."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.media.containers import container_of, jpeg_segment, png_chunk, webp_chunk
from handlers.media.metadata import Metadata, bare, metadata_of, tiff_number
from tests.examples import examples
from tests.handlers.media.making import (
    SMALL,
    after_header,
    after_start,
    exif,
    file_of,
    png,
    with_chunks,
)

PNG, JPEG = file_of(SMALL, "PNG"), file_of(SMALL.convert("RGB"), "JPEG")
WEBP = file_of(SMALL.convert("RGB"), "WEBP", exif=b"II*\0")


def about(data: bytes) -> Metadata:
    container = container_of(data)
    assert container is not None
    return metadata_of(container)


def bared(data: bytes) -> bytes:
    container = container_of(data)
    assert container is not None
    return bare(container)


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP])
def test_a_plain_file_says_nothing_special(data: bytes) -> None:
    assert about(data) == Metadata()


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_form_says_how_it_is_turned(orientation: int, order: str) -> None:
    block = exif(orientation, order)
    files = [
        after_header(PNG, png_chunk(b"eXIf", block)),
        after_start(JPEG, jpeg_segment(b"\xe1", b"Exif\0\0" + block)),
        file_of(SMALL.convert("RGB"), "WEBP", exif=block),
        file_of(SMALL.convert("RGB"), "WEBP", exif=b"Exif\0\0" + block),
    ]
    assert [about(data).orientation for data in files] == [orientation] * 4


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_a_turn_that_does_not_exist_is_none(orientation: int) -> None:
    assert about(after_header(PNG, png_chunk(b"eXIf", exif(orientation)))).orientation == 1


def test_only_exif_turns_a_picture() -> None:
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'
    assert about(after_start(JPEG, jpeg_segment(b"\xe1", xmp))).orientation == 1


def test_an_absurd_block_of_exif_is_read_in_a_moment() -> None:
    entries = b"".join(struct.pack("<HHII", 1 + n % 200, 7, 2**31, 8) for n in range(65535))
    block = b"II*\0" + struct.pack("<IH", 8, 65535) + entries
    assert tiff_number(block, 0x0112) is None


@settings(max_examples=examples(150))
@given(st.binary(max_size=60), st.sampled_from([b"", b"II*\0", b"MM\0*", exif(3)[:-6]]))
def test_no_block_is_too_odd_to_be_read(rest: bytes, start: bytes) -> None:
    assert (tiff_number(start + rest, 0x0112) or 0) >= 0


# ---------------------------------------------------------------- profiles


def in_pieces(profile: bytes, count: int) -> list[bytes]:
    size = -(-len(profile) // count)
    parts = [profile[at : at + size] for at in range(0, len(profile), size)]
    heads = [b"ICC_PROFILE\0" + bytes([number, count]) for number in range(1, count + 1)]
    return [jpeg_segment(b"\xe2", head + part) for head, part in zip(heads, parts, strict=True)]


def test_the_profile_of_a_png_is_unpacked() -> None:
    chunk = png_chunk(b"iCCP", b"a name\0\0" + zlib.compress(b"profile"))
    assert about(after_header(PNG, chunk)).profile == b"profile"


@pytest.mark.parametrize(
    "body", [b"", b"name", b"name\0", b"name\0\1" + zlib.compress(b"x"), b"name\0\0damaged"]
)
def test_a_profile_that_cannot_be_unpacked_is_empty(body: bytes) -> None:
    assert about(after_header(PNG, png_chunk(b"iCCP", body))).profile == b""


def test_a_profile_that_unpacks_to_a_flood_is_empty_and_takes_no_memory() -> None:
    flood = zlib.compress(bytes(30 << 20), 1)
    data = after_header(PNG, png_chunk(b"iCCP", b"name\0\0" + flood))
    tracemalloc.start()
    try:
        assert about(data).profile == b""
        assert tracemalloc.get_traced_memory()[1] < 15 << 20
    finally:
        tracemalloc.stop()


def test_the_profile_of_a_jpeg_is_put_together_in_order() -> None:
    profile = bytes(range(256)) * 3
    assert about(after_start(JPEG, *in_pieces(profile, 3)[::-1])).profile == profile


def test_a_profile_of_which_a_piece_is_missing_is_empty() -> None:
    pieces = in_pieces(bytes(90), 3)
    assert about(after_start(JPEG, *pieces[:2])).profile == b""
    assert about(after_start(JPEG, *pieces, pieces[0])).profile == b""
    assert about(after_start(JPEG, jpeg_segment(b"\xe2", b"ICC_PROFILE\0"))).profile == b""


def test_the_profile_of_a_webp_is_as_it_stands() -> None:
    assert about(with_chunks(WEBP, webp_chunk(b"ICCP", b"profile"))).profile == b"profile"


# ---------------------------------------------------------------- frames and depth


@pytest.mark.parametrize("form", ["PNG", "WEBP", "MPO"])
def test_frames_are_counted(form: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    data = file_of(frames[0], form, save_all=True, append_images=frames[1:])
    assert about(data).frames == 3


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_depth_of_a_png_is_told(depth: int) -> None:
    assert about(png(1, 1, depth, 0)).depth == depth


# ---------------------------------------------------------------- the bare file


def test_a_bare_png_has_its_pixels_and_nothing_else() -> None:
    aside = [png_chunk(name, b"k\0v") for name in (b"tEXt", b"iTXt", b"eXIf", b"iCCP", b"acTL")]
    assert bared(after_header(PNG, *aside) + b"appended") == PNG


def test_a_bare_jpeg_has_its_pixels_and_what_they_need() -> None:
    adobe = jpeg_segment(b"\xee", b"Adobe\0\x64\0\0\0\0\1")
    aside = [jpeg_segment(name, b"text") for name in (b"\xe1", b"\xe2", b"\xed", b"\xef", b"\xfe")]
    assert bared(after_start(JPEG, *aside, b"junk", adobe)) == after_start(JPEG, adobe)


def test_a_jpeg_that_cannot_be_followed_to_its_pixels_has_none() -> None:
    assert bared(after_start(JPEG, b"\xff\x02")) == b"\xff\xd8"


@pytest.mark.parametrize("data", [PNG, JPEG, WEBP])
def test_a_file_that_is_cut_short_stays_so(data: bytes) -> None:
    assert bared(data[:-20]) == data[:-20]
