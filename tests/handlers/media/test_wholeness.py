"""Whether a picture or a clip is one, and all there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.testing import tiny_image
from handlers.media.wholeness import is_medium, looks_cut


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
