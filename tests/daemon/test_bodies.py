"""What is told from the bytes of an answer."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.bodies import decoded, is_page
from daemon.testing import tiny_image


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = {"gzip": gzip.compress, "deflate": zlib.compress, " X-GZIP ": gzip.compress}


@pytest.mark.parametrize("coding", PACKERS)
def test_what_was_packed_is_unpacked(coding: str) -> None:
    assert decoded(PACKERS[coding](b"said" * 99), coding, 4 * 99) == b"said" * 99


@given(st.binary(), st.binary())
def test_any_bytes_come_back_from_any_packing(one: bytes, two: bytes) -> None:
    assert decoded(gzip.compress(one) + gzip.compress(two), "gzip", 9999) == one + two
    assert decoded(raw_deflate(one), "deflate", 9999) == one
    assert decoded(one, "", 0) == one


@given(st.binary(), st.sampled_from(["gzip", "deflate"]))
def test_broken_packing_is_refused_and_nothing_else(data: bytes, coding: str) -> None:
    try:
        assert len(decoded(data, coding, 50)) <= 50
    except ValueError:
        return


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "gzip,identity", "x"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(ValueError, match="not asked for"):
        decoded(gzip.compress(b"x"), coding, 99)


def test_what_is_cut_short_is_refused() -> None:
    for data in (gzip.compress(b"said" * 99)[:-9], zlib.compress(b"said")[:-1]):
        with pytest.raises(ValueError, match="cut short"):
            decoded(data, "gzip" if data[0] == 0x1F else "deflate", 9999)


def test_a_bomb_is_never_unpacked() -> None:
    bomb = gzip.compress(bytes(20_000_000), 1) * 3
    tracemalloc.start()
    with pytest.raises(ValueError, match="more than 1000 bytes"):
        decoded(bomb, "gzip", 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2_000_000


PAGES = [b"<!doctype html>", b"  \n<html>", b"\xef\xbb\xbf<?xml ?>", b'{"error": 1}', b"[1]"]
PAGES += [b"<svg>", "\ufeff<html>".encode("utf-16-le"), "\ufeff{}".encode("utf-16-be")]


@pytest.mark.parametrize("data", PAGES)
def test_pages_and_messages_are_known_by_their_beginning(data: bytes) -> None:
    assert is_page(data)


MEDIA = [tiny_image(form=form) for form in ("PNG", "JPEG", "WEBP", "GIF")]
MEDIA += [b"\x00\x00\x00\x20ftypisom", b"\x1a\x45\xdf\xa3webm", b""]


@pytest.mark.parametrize("data", MEDIA)
def test_media_are_no_pages(data: bytes) -> None:
    assert not is_page(data)


@given(st.binary())
def test_no_bytes_are_too_odd_to_be_judged(data: bytes) -> None:
    assert is_page(data) in (True, False)
