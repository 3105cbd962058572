"""What a file is, in a word for people."""

from __future__ import annotations

import pytest

from handlers.media.kinds import kind_of
from tests.handlers.media.making import SMALL, file_of


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("PNG", "a PNG"),
        ("JPEG", "a JPEG"),
        ("WEBP", "a WebP"),
        ("GIF", "a GIF"),
        ("TIFF", "a TIFF"),
        ("BMP", "a BMP"),
        ("ICO", "an icon"),
        ("AVIF", "an AVIF"),
        ("PDF", "a PDF"),
        ("JPEG2000", "a JPEG 2000"),
    ],
)
def test_a_file_is_known_by_its_head(form: str, expected: str) -> None:
    assert kind_of(file_of(SMALL, form)) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<svg width='1'/>", "an SVG"),
        (b"<!DOCTYPE html><html><body><svg/></body></html>", "an HTML page"),
        (b"\n <HTML lang='en'>", "an HTML page"),
        (b'{"error": "not found"}', "text"),
        ("Grüße".encode(), "text"),
        ("ü".encode() * 5000, "text"),
        (b"MM\0*\0\0\0\x08", "a TIFF"),
        (b"\0\0\0\x18ftypheic", "a HEIC"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\x1f\x8b\x08", "compressed by gzip"),
        (b"PK\3\4", "a ZIP archive"),
        (b"8BPS", "a Photoshop file"),
        (b"\xff\x0a", "a JPEG XL"),
        (b"\x80\x81\x82\x83\x84", "of no known kind"),
        (bytes(64), "of no known kind"),
        (b"-----BEGIN\0KEY", "of no known kind"),
    ],
)
def test_what_is_no_picture_is_named(data: bytes, expected: str) -> None:
    assert kind_of(data) == expected
