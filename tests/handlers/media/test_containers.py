"""The parts of a file, followed exactly, and no further than they go."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.media import containers
from handlers.media.containers import (
    container_of,
    jpeg_segment,
    png_chunk,
    size_of,
    webp_canvas,
    webp_chunk,
)
from tests.examples import examples
from tests.handlers.media.making import SMALL, after_header, after_start, file_of, with_chunks

PNG, JPEG = file_of(SMALL, "PNG"), file_of(SMALL.convert("RGB"), "JPEG")
LOSSY = file_of(SMALL.convert("RGB"), "WEBP")
LOSSLESS = file_of(SMALL.convert("RGB"), "WEBP", lossless=True)
CLEAR = file_of(Image.new("RGBA", (24, 16), (9, 9, 9, 9)), "WEBP", lossless=True)
EXTENDED = file_of(SMALL.convert("RGB"), "WEBP", exif=b"II*\0")
FILES = [PNG, JPEG, LOSSY, LOSSLESS, CLEAR, EXTENDED]


def names(data: bytes) -> list[bytes]:
    container = container_of(data)
    assert container is not None
    return [part.name for part in container.parts]


def is_whole(data: bytes) -> bool:
    container = container_of(data)
    return container is not None and container.whole


def test_a_png_is_its_chunks() -> None:
    assert names(PNG) == [b"IHDR", b"IDAT", b"IEND"]


def test_a_jpeg_is_its_segments_up_to_its_pixels() -> None:
    markers = b"\xe0 \xdb \xdb \xc0 \xc4 \xc4 \xc4 \xc4 \xda"
    assert names(JPEG) == markers.split()


def test_a_webp_is_its_chunks() -> None:
    assert names(LOSSY) == [b"VP8 "]
    assert names(LOSSLESS) == [b"VP8L"]
    assert names(EXTENDED) == [b"VP8X", b"VP8 ", b"EXIF"]


@pytest.mark.parametrize("data", FILES)
def test_parts_follow_each_other_without_a_gap(data: bytes) -> None:
    container = container_of(data)
    assert container is not None
    assert container.whole
    starts = [part.start for part in container.parts]
    assert starts[1:] == [part.end for part in container.parts][:-1]


@pytest.mark.parametrize("data", FILES)
def test_a_file_that_is_cut_among_its_parts_is_not_whole(data: bytes) -> None:
    container = container_of(data)
    assert container is not None
    for end in range(16, container.parts[-1].end):
        assert not is_whole(data[:end])


@pytest.mark.parametrize("data", FILES)
def test_what_follows_the_end_is_no_part(data: bytes) -> None:
    assert names(data + b"more") == names(data)
    assert is_whole(data + b"more")


@given(st.binary(max_size=40), st.sampled_from([b"tEXt", b"prVt"]))
def test_a_chunk_of_a_png_is_read_as_it_was_written(body: bytes, name: bytes) -> None:
    container = container_of(after_header(PNG, png_chunk(name, body)))
    assert container is not None
    assert container.whole
    assert [*container.bodies(name)] == [body]


@given(st.binary(max_size=40))
def test_a_segment_of_a_jpeg_is_read_as_it_was_written(body: bytes) -> None:
    container = container_of(after_start(JPEG, jpeg_segment(b"\xe7", body)))
    assert container is not None
    assert container.whole
    assert [*container.bodies(b"\xe7")] == [body]


@given(st.binary(max_size=40))
def test_a_chunk_of_a_webp_is_read_as_it_was_written(body: bytes) -> None:
    container = container_of(with_chunks(EXTENDED, webp_chunk(b"prvt", body)))
    assert container is not None
    assert container.whole
    assert [*container.bodies(b"prvt")] == [body]


def test_bodies_are_found_by_how_they_begin() -> None:
    segments = [jpeg_segment(b"\xe1", body) for body in (b"one: a", b"two: b", b"one: c")]
    container = container_of(after_start(JPEG, *segments))
    assert container is not None
    assert [*container.bodies(b"\xe1", b"one: ")] == [b"a", b"c"]


@pytest.mark.parametrize("junk", [b"\0", b"ab\0", b"\xff\xff", b"\xff\0x"])
def test_bytes_between_the_segments_of_a_jpeg_are_a_part_without_a_name(junk: bytes) -> None:
    first, *rest = names(JPEG)
    data = JPEG[:20] + junk + JPEG[20:]
    assert names(data) == [first, b"", *rest]
    assert not is_whole(data)


@pytest.mark.parametrize("data", [b"\xff\x02", b"\xff\xd9", b"\xff\xe1\0\1"])
def test_a_jpeg_is_followed_up_to_what_is_no_segment(data: bytes) -> None:
    assert names(after_start(JPEG, data)) == []


def test_a_file_of_very_many_parts_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_MOST_PARTS", 20)
    assert is_whole(after_header(PNG, *[png_chunk(b"prVt", b"")] * 17))
    assert not is_whole(after_header(PNG, *[png_chunk(b"prVt", b"")] * 18))


@pytest.mark.parametrize("data", FILES)
def test_a_head_says_how_large_the_picture_is(data: bytes) -> None:
    assert size_of(data) == (24, 16)


@pytest.mark.parametrize(("data", "clear"), [(LOSSLESS, False), (CLEAR, True), (LOSSY, False)])
def test_the_head_of_a_webp_says_whether_there_is_transparency(data: bytes, clear: bool) -> None:
    assert webp_canvas(data) == (24, 16, clear)


def test_the_size_in_a_thumbnail_is_not_the_size_of_the_picture() -> None:
    small = file_of(Image.new("L", (2, 3)), "JPEG")
    assert size_of(after_start(JPEG, jpeg_segment(b"\xe1", b"Exif\0\0" + small))) == (24, 16)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"RIFF\4\0\0\0WEBP", b"RIFF\4\0\0\0WAVEVP8X"])
def test_where_a_head_does_not_say_the_size_is_unknown(data: bytes) -> None:
    assert size_of(data) is None


@settings(max_examples=examples(150))
@given(st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", *FILES]), st.data())
def test_no_bytes_are_too_odd_to_be_followed(start: bytes, data: st.DataObject) -> None:
    cut = start[: data.draw(st.integers(0, len(start)))]
    odd = cut + data.draw(st.binary(max_size=60))
    container = container_of(odd)
    size_of(odd)
    if container is not None:
        assert all(part.start < part.end for part in container.parts)


def test_a_canvas_beyond_all_limits_is_read_as_it_stands() -> None:
    header = webp_chunk(b"VP8X", b"\0\0\0\0" + b"\xff" * 6)
    data = b"RIFF" + struct.pack("<I", 4 + len(header)) + b"WEBP" + header
    assert size_of(data) == (2**24, 2**24)
