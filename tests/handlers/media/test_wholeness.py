"""Whether a picture or a clip is one, and all there."""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.testing import tiny_image
from handlers.media.containers import size_of
from handlers.media.wholeness import is_medium, looks_cut
from tests.handlers.media.clipmaking import KINDS, clip


@pytest.mark.parametrize(
    "data",
    [tiny_image(form="GIF"), b"\x00\x00\x00\x20ftypavif", b"<svg>", b""],
)
def test_where_the_format_does_not_tell_nothing_is_cut(data: bytes) -> None:
    assert not looks_cut(data)


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (tiny_image(), True),
        (tiny_image(form="GIF"), True),
        (b"\x00\x00\x00\x20ftypisom", True),
        (b"\x1a\x45\xdf\xa3", True),
        (b"<html>", False),
        (b"{}", False),
        (b"", False),
    ],
)
def test_a_medium_is_known_by_how_it_begins(data: bytes, known: bool) -> None:
    assert is_medium(data) is known


@given(st.binary(), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF", b""]))
def test_no_bytes_are_too_odd_to_be_judged(data: bytes, beginning: bytes) -> None:
    assert looks_cut(beginning + data) in (True, False)


@pytest.mark.parametrize("kept", [1.0, 0.98, 0.5])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "mp4", "mp4 in fragments", "webm of vp8"])
def test_of_a_file_that_is_mapped_the_same_is_told(kind: str, kept: float, tmp_path: Path) -> None:
    whole = clip(kind) if kind in KINDS else tiny_image(form=kind)
    data = whole[: int(len(whole) * kept)]
    path = tmp_path / "medium"
    path.write_bytes(data)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as held:
        told = is_medium(held), looks_cut(held), size_of(held)
        assert told == (is_medium(data), looks_cut(data), size_of(data))
        assert looks_cut(data) == (kept < 1)
