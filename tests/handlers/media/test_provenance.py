"""How a picture was made, in its own file, and not a pixel changed."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from handlers.media.containers import (
    Container,
    container_of,
    jpeg_segment,
    png_chunk,
    webp_canvas,
    webp_chunk,
)
from handlers.media.provenance import provenance_of, with_provenance
from handlers.media.xmp import packet_of
from tests.examples import examples
from tests.handlers.media.making import SMALL, after_header, after_start, file_of, with_chunks

FACTS = {"tool": "darkroom 0.1.0", "task": "edit_image", "seed": 7, "prompt": "a <hat> & coat\n"}
READ = {**FACTS, "seed": "7"}
COLOURS = Image.merge("RGB", (SMALL, SMALL.rotate(180), SMALL.transpose(0)))
CLEAR = COLOURS.copy()
CLEAR.putalpha(SMALL)
MOVING = [COLOURS, COLOURS.rotate(180)]
XMP_OF_JPEG = b"http://ns.adobe.com/xap/1.0/\0"


def _files() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x010E] = "words"
    moving: Any = {"save_all": True, "append_images": MOVING[1:]}
    return {
        "png": file_of(COLOURS, "PNG"),
        "png with alpha": file_of(CLEAR, "PNG", exif=exif, dpi=(72, 72)),
        "png of a palette": file_of(COLOURS.quantize(9), "PNG", transparency=2),
        "png with frames": file_of(COLOURS, "PNG", **moving),
        "jpeg": file_of(COLOURS, "JPEG"),
        "jpeg with exif": file_of(COLOURS, "JPEG", exif=exif, comment=b"words"),
        "jpeg, progressive": file_of(COLOURS, "JPEG", progressive=True),
        "jpeg of inks": file_of(COLOURS.convert("CMYK"), "JPEG"),
        "webp": file_of(COLOURS, "WEBP"),
        "webp with alpha": file_of(CLEAR, "WEBP"),
        "webp, lossless": file_of(COLOURS, "WEBP", lossless=True),
        "webp, lossless with alpha": file_of(CLEAR, "WEBP", lossless=True),
        "webp with exif": file_of(COLOURS, "WEBP", exif=exif, icc_profile=b"odd"),
        "webp with frames": file_of(COLOURS, "WEBP", **moving),
    }


FILES = _files()
every_file = pytest.mark.parametrize("data", FILES.values(), ids=FILES)


def decoded(data: bytes) -> tuple[str, tuple[int, int], list[bytes]]:
    """All the pixels of a file, by Pillow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP"))
        if image.width * image.height > 1_000_000:
            raise ValueError("it claims to be large: that would take too long")
        frames = []
        for frame in range(min(4, getattr(image, "n_frames", 1))):
            image.seek(frame)
            frames.append(image.convert("RGBA").tobytes())
    return image.mode, image.size, frames


def taken_apart(data: bytes) -> Container:
    container = container_of(data)
    assert container is not None
    return container


# ---------------------------------------------------------------- what is written


@every_file
def test_a_file_tells_how_it_was_made_and_its_pixels_are_the_same(data: bytes) -> None:
    told = with_provenance(data, FACTS)
    assert provenance_of(told) == READ
    assert decoded(told) == decoded(data)
    assert taken_apart(told).whole


@every_file
def test_pillow_finds_the_packet(data: bytes) -> None:
    image = Image.open(io.BytesIO(with_provenance(data, FACTS)))
    assert image.info["xmp"] == packet_of(FACTS)


@every_file
def test_all_other_parts_are_as_they_were_and_in_order(data: bytes) -> None:
    def others(data: bytes) -> list[tuple[bytes, bytes]]:
        container = taken_apart(data)
        parts = [(part.name, container.body(part)) for part in container.parts]
        return [(name, body) for name, body in parts if name != b"VP8X" and b"xap/1.0" not in body]

    assert others(with_provenance(data, FACTS)) == others(data)


@every_file
def test_a_second_telling_takes_the_place_of_the_first(data: bytes) -> None:
    once = with_provenance(data, FACTS)
    assert with_provenance(with_provenance(data, {"prompt": "old words"}), FACTS) == once
    assert once.count(b"<x:xmpmeta") == 1


@every_file
def test_what_follows_the_end_of_a_file_stays(data: bytes) -> None:
    assert with_provenance(data + b"more", FACTS) == with_provenance(data, FACTS) + b"more"


def test_in_a_png_it_stands_before_the_pixels() -> None:
    names = [part.name for part in taken_apart(with_provenance(FILES["png"], FACTS)).parts]
    assert names == [b"IHDR", b"iTXt", b"IDAT", b"IEND"]


def test_in_a_jpeg_it_stands_behind_jfif_and_exif() -> None:
    names = [
        part.name for part in taken_apart(with_provenance(FILES["jpeg with exif"], FACTS)).parts
    ]
    assert names[:5] == [b"\xe0", b"\xe1", b"\xe1", b"\xfe", b"\xdb"]


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("webp", 0x04),
        ("webp, lossless", 0x04),
        ("webp, lossless with alpha", 0x14),
        ("webp with alpha", 0x14),
        ("webp with exif", 0x2C),
        ("webp with frames", 0x06),
    ],
)
def test_a_webp_says_in_its_header_what_it_holds(name: str, flags: int) -> None:
    told = with_provenance(FILES[name], FACTS)
    container = taken_apart(told)
    assert container.body(container.parts[0])[0] == flags
    assert [container.parts[0].name, container.parts[-1].name] == [b"VP8X", b"XMP "]
    assert (webp_canvas(told) or ())[:2] == COLOURS.size


# ---------------------------------------------------------------- what was there


PACKET = packet_of({"prompt": "old words"}) or b""
OLD = {
    "png": after_header(
        FILES["png"],
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET),
        png_chunk(b"zTXt", b"Raw profile type xmp\0\0old words"),
    ),
    "png, at its end": FILES["png"][:-12]
    + png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + PACKET)
    + FILES["png"][-12:],
    "jpeg": after_start(
        FILES["jpeg"],
        jpeg_segment(b"\xe1", XMP_OF_JPEG + PACKET),
        jpeg_segment(b"\xe1", b"http://ns.adobe.com/xmp/extension/\0old words"),
    ),
    "webp": with_chunks(FILES["webp with exif"], webp_chunk(b"XMP ", PACKET)),
}


@pytest.mark.parametrize("data", OLD.values(), ids=OLD)
def test_a_packet_of_somebody_else_is_replaced(data: bytes) -> None:
    assert b"old words" in data
    told = with_provenance(data, FACTS)
    assert b"old words" not in told
    assert provenance_of(told) == READ
    assert decoded(told) == decoded(data)


def _signed() -> dict[str, bytes]:
    box = b"JP\0\1\0\0\0\1" + b"\0\0\0\x40jumb\0\0\0\x1ejumdc2pa\0\x11\0\x10" + b"\x80" * 8
    remote = b'<x dcterms:provenance="https://example.com/1.c2pa"/>'
    return {
        "png": after_header(FILES["png"], png_chunk(b"caBX", box)),
        "jpeg": after_start(FILES["jpeg"], jpeg_segment(b"\xeb", box)),
        "webp": with_chunks(FILES["webp with exif"], webp_chunk(b"C2PA", box)),
        "elsewhere": after_start(FILES["jpeg"], jpeg_segment(b"\xe1", XMP_OF_JPEG + remote)),
    }


@pytest.mark.parametrize("data", _signed().values(), ids=_signed())
def test_a_file_with_content_credentials_stays_as_it_is(data: bytes) -> None:
    assert with_provenance(data, FACTS) == data


def test_boxes_of_something_else_are_no_credentials() -> None:
    data = after_start(FILES["jpeg"], jpeg_segment(b"\xeb", b"JP\0\1\0\0\0\1jumb360-degrees"))
    assert provenance_of(with_provenance(data, FACTS)) == READ


def test_a_jpeg_of_several_pictures_stays_as_it_is() -> None:
    data = file_of(COLOURS, "MPO", save_all=True, append_images=MOVING)
    assert with_provenance(data, FACTS) == data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\4\0\0\0WEBP",
        file_of(COLOURS, "GIF"),
        file_of(COLOURS, "TIFF"),
        FILES["png"][:-12],
        FILES["jpeg"][:200],
        FILES["webp"][:-1],
        with_chunks(FILES["webp"], webp_chunk(b"ALPH", b"odd")),
        FILES["jpeg"][:20] + b"junk" + FILES["jpeg"][20:],
    ],
)
def test_what_is_not_understood_stays_as_it_is(data: bytes) -> None:
    assert with_provenance(data, FACTS) == data
    assert provenance_of(data) is None


@every_file
def test_a_file_that_was_not_told_says_nothing(data: bytes) -> None:
    assert provenance_of(data) is None


def test_a_text_that_is_packed_is_none_of_ours() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", PACKET.decode(), zip=True)
    assert provenance_of(file_of(COLOURS, "PNG", pnginfo=info)) is None


# ---------------------------------------------------------------- room


def test_in_a_jpeg_a_long_prompt_is_shortened_and_elsewhere_it_is_whole() -> None:
    facts = {**FACTS, "prompt": "word & " * 20_000}
    for name in ("png", "webp"):
        assert provenance_of(with_provenance(FILES[name], facts)) == {**READ, **facts, "seed": "7"}
    told = with_provenance(FILES["jpeg"], facts)
    read = provenance_of(told) or {}
    assert read["shortened"] == "prompt"
    assert facts["prompt"].startswith(read["prompt"])
    assert len(read["prompt"]) > 15_000
    assert decoded(told) == decoded(FILES["jpeg"])


def test_facts_that_have_no_room_are_left_out_altogether() -> None:
    assert with_provenance(FILES["jpeg"], {"model": "x" * 70_000}) == FILES["jpeg"]


# ---------------------------------------------------------------- any bytes


@settings(max_examples=examples(100))
@given(
    st.binary(),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF\x40\0\0\0WEBP"]),
)
def test_no_bytes_are_too_odd(rest: bytes, start: bytes) -> None:
    provenance_of(with_provenance(start + rest, FACTS))


@every_file
def test_a_file_that_is_cut_anywhere_is_no_trouble(data: bytes) -> None:
    for end in range(0, len(data), 41):
        told = with_provenance(data[:end], FACTS)
        assert told == data[:end] or provenance_of(told) == READ


@settings(max_examples=examples(150), deadline=None)
@given(st.sampled_from([*FILES.values(), *OLD.values()]), st.data())
def test_what_could_be_decoded_before_can_be_decoded_after(
    file: bytes, data: st.DataObject
) -> None:
    odd = bytearray(file)
    for _ in range(data.draw(st.integers(1, 3))):
        odd[data.draw(st.integers(0, min(len(odd) - 1, 300)))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        place = data.draw(st.integers(0, len(odd)))
        odd[place:place] = data.draw(st.binary(max_size=12))
    told = with_provenance(bytes(odd), FACTS)
    try:
        before = decoded(bytes(odd))
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return
    assert decoded(told) == before
