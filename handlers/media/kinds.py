"""What a file is, in a word for people: for those that are no pictures that can be read here."""

from __future__ import annotations

import re

from handlers.answers.encoded import sniff

_KNOWN = {
    "image/png": "a PNG",
    "image/jpeg": "a JPEG",
    "image/webp": "a WebP",
    "image/gif": "a GIF",
    "image/avif": "an AVIF",
    "image/heic": "a HEIC",
}
_HEADS = (
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"BM", "a BMP"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL"),
    (b"\xff\x0a", "a JPEG XL"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"PK\3\4", "a ZIP archive"),
)
_SVG = re.compile(r"<svg[\s>]|<!doctype svg", re.IGNORECASE)
_HTML = re.compile(r"<!doctype html|<html[\s>]", re.IGNORECASE)
_LOOK = 2048


def kind_of(data: bytes) -> str:
    """What a file is, by its head: "a TIFF", "an SVG", "text", "empty"."""
    media_type = sniff(data)
    if media_type is not None:
        return _KNOWN.get(media_type, "a video")
    named = next((name for head, name in _HEADS if data.startswith(head)), None)
    return named or _kind_of_text(data[:_LOOK])


def _kind_of_text(head: bytes) -> str:
    if not head:
        return "empty"
    text = head.decode("utf-8", "ignore")
    if _HTML.search(text):
        return "an HTML page"
    if _SVG.search(text):
        return "an SVG"
    printable = sum(sign.isprintable() or sign.isspace() for sign in text)
    whole = len(text.encode()) > len(head) - 4 and printable == len(text)
    return "text" if whole and text else "of no known kind"
