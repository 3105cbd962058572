"""What holds a clip, told without decoding: how it is called, whether it is whole, what it says."""

from __future__ import annotations

import dataclasses
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.testing import tiny_image
from handlers.contract import HandlerError
from handlers.media import boxes, ebml
from handlers.media.clipfiles import container_of, described_by_container, is_clip, looks_cut
from handlers.media.clips import Limits, describe_clip
from handlers.media.wholeness import looks_cut as medium_looks_cut
from tests.examples import examples
from tests.handlers.media.clipmaking import KINDS, SIZE, TURNS, clip, turned

PLAIN = ("mp4", "mp4, index in front", "mp4 of hevc", "mov")
"""Kinds that say everything in their boxes."""


def box(kind: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


# ---------------------------------------------------------------- whether it is whole


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_whole_and_cut_anywhere_it_is_not(kind: str) -> None:
    data = clip(kind)
    assert not looks_cut(data)
    # Of a clip in pieces one may be missing, and nothing tells.
    if kind not in ("mp4 in fragments", "webm as a stream"):
        assert all(looks_cut(data[:end]) for end in range(12, len(data), len(data) // 97))
    assert looks_cut(data[:-1])


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([box(b"moov"), box(b"mdat", b"x")], True),
        ([box(b"mdat", b"x"), box(b"free"), box(b"moov")], True),
        ([box(b"moov"), b"\0\0\0\1mdat" + struct.pack(">Q", 17) + b"x"], True),
        ([box(b"moov"), b"\0\0\0\1mdat" + struct.pack(">Q", 18) + b"x"], False),
        ([box(b"moov"), b"\0\0\0\0mdat goes on to the end"], True),
        ([box(b"moov"), box(b"moof"), box(b"mdat"), box(b"moof"), box(b"mdat")], True),
        ([box(b"moov"), box(b"moof"), box(b"mdat"), box(b"moof")], False),
        ([box(b"mdat", b"x")], False),
        ([box(b"moov")], False),
        ([box(b"moov"), box(b"mdat"), b"\0\0\0\3no box"], True),
        ([], False),
    ],
)
def test_a_file_of_boxes_is_whole_with_its_index_and_its_media(
    parts: list[bytes], whole: bool
) -> None:
    assert boxes.is_whole(box(b"ftyp", b"isom") + b"".join(parts)) is whole


def test_millions_of_boxes_are_not_all_looked_at() -> None:
    data = box(b"ftyp", b"isom") + box(b"free") * (boxes.MOST_BOXES + 5) + box(b"mdat")
    assert sum(1 for _ in boxes.boxes(data, 0, len(data))) == boxes.MOST_BOXES


@pytest.mark.parametrize("kind", KINDS)
def test_downloads_are_told_of_clips_that_are_cut(kind: str) -> None:
    assert not medium_looks_cut(clip(kind))
    assert medium_looks_cut(clip(kind)[:-9])


@given(st.binary(), st.sampled_from([b"\0\0\0\x08ftypisom", b"\x1a\x45\xdf\xa3", b""]))
def test_no_bytes_are_too_odd_to_be_judged(data: bytes, beginning: bytes) -> None:
    assert looks_cut(beginning + data) in (True, False)
    try:
        described_by_container(beginning + data)
    except HandlerError as error:
        assert error.code in ("unreadable_media", "not_supported")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x8b\x42\x86\x81\x01\x42\x82\x84webm", "webm"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x0c\x42\x82\x89matroska\0", "matroska"),
        (b"\x1a\x45\xdf\xa3\x84\x42\x86\x81\x01\x42\x82\x84webm", None),  # outside of the header
        (b"\x1a\x45\xdf\xa3\x87\x42", None),
        (b"\x1a\x45\xdf\xa3\xff\x42\x82\x84webm", None),
        (b"\x1a\x45\xdf\xa3", None),
        (b"", None),
    ],
)
def test_the_kind_of_ebml_is_read_from_its_header(data: bytes, said: str | None) -> None:
    assert ebml.doctype(data) == said


# ---------------------------------------------------------------- what it says of itself


@pytest.mark.parametrize("kind", PLAIN)
def test_boxes_say_what_decoding_finds(kind: str) -> None:
    data = clip(kind, sound=kind == "mp4")
    assert described_by_container(data) == describe_clip(data, Limits())


@pytest.mark.parametrize("turn", TURNS)
def test_boxes_say_how_the_picture_is_turned(turn: str) -> None:
    told = described_by_container(turned(clip(), TURNS[turn]))
    assert (told.width, told.height) == (SIZE if turn == "head down" else SIZE[::-1])


def test_frames_that_an_edit_list_hides_are_counted_without_decoding() -> None:
    assert described_by_container(clip(shift=5)).frames == 12


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - set(PLAIN)))
def test_where_the_container_does_not_say_all_nothing_is_made_up(kind: str) -> None:
    with pytest.raises(HandlerError, match="cannot be looked into") as caught:
        described_by_container(clip(kind))
    assert caught.value.code == "not_supported"
    assert 'pip install "darkroomd[video]"' in caught.value.hints[0]


def test_what_is_cut_is_described_by_nobody() -> None:
    with pytest.raises(HandlerError, match="cut short") as caught:
        described_by_container(clip()[:-30])
    assert caught.value.code == "unreadable_media"


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 255)), min_size=1, max_size=9))
def test_damaged_boxes_are_read_or_refused(damage: list[tuple[int, int]]) -> None:
    data = bytearray(clip("mp4, index in front"))
    for at, value in damage:
        data[32 + at % 900] = value  # in its index
    told = boxes.described(bytes(data), "video/mp4", ".mp4")
    assert told is None or min(told.width, told.height, told.frames) > 0


def test_a_table_of_endless_rows_is_not_read() -> None:
    data = bytearray(clip("mp4, index in front"))
    at = data.index(b"stts") + 8
    data[at : at + 4] = b"\xff\xff\xff\xff"
    assert boxes.described(bytes(data), "video/mp4", ".mp4") is None


def test_the_name_of_a_container_comes_from_the_bytes() -> None:
    names = {kind: container_of(clip(kind)).extension for kind in KINDS}
    assert names["mp4 of hevc"] == ".mp4"
    assert names["mov"] == ".mov"
    assert names["webm as a stream"] == names["webm of vp9"] == ".webm"
    assert names["mkv"] == ".mkv"
    assert dataclasses.asdict(container_of(clip("mkv")))["media_type"] == "video/x-matroska"


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_told_by_its_first_bytes(kind: str) -> None:
    assert is_clip(clip(kind)[:16])


@pytest.mark.parametrize(
    "data", [tiny_image(), tiny_image(form="WEBP"), b"\0\0\0 ftypavif", b"", b"\0\0\0 ft"]
)
def test_what_is_no_clip_is_told_too(data: bytes) -> None:
    assert not is_clip(data)
