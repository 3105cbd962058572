"""Bytes out of text and text out of bytes: base64, data URLs, and what a medium is by its head."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from handlers.contract import Held, Medium

_HEADS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
    b"msf1": "image/heic",
    b"qt  ": "video/quicktime",
}
EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-msvideo": ".avi",
}
"""The usual ending of a file's name, by media type."""

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_FOLDED = str.maketrans("-_", "+/", " \t\r\n\f\v")


def sniff(data: Held) -> str | None:
    """The media type of a picture or clip, by how it begins; None where it is no known one."""
    begins = data[:12]
    if begins[:4] == b"RIFF" and begins[8:] == b"WEBP":
        return "image/webp"
    if begins[:4] == b"RIFF" and begins[8:] == b"AVI ":
        return "video/x-msvideo"
    if begins[4:8] == b"ftyp":
        return _BRANDS.get(begins[8:], "video/mp4")
    return next((media_type for head, media_type in _HEADS if begins.startswith(head)), None)


def decoded(text: str) -> bytes | None:
    """The bytes of base64, in either alphabet, folded or not, padded or not; None where it is
    nothing of the kind, or empty."""
    plain = text.translate(_FOLDED).rstrip("=")
    if _NOT_BASE64.search(plain) or len(plain) % 4 == 1:
        return None
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)) or None
    except binascii.Error:
        return None


def of_data_url(url: str) -> Medium | None:
    """The medium that a data URL holds (RFC 2397), read loosely; None where it cannot be read."""
    head, comma, body = url.strip()[len("data:") :].partition(",")
    media_type, *parameters = (part.strip().lower() for part in head.split(";"))
    if not comma:
        return None
    text = unquote_to_bytes(body)
    data = decoded(text.decode("latin-1")) if "base64" in parameters else text
    return Medium(data, media_type=media_type or sniff(data) or None) if data else None


def to_data_url(data: bytes) -> str:
    """A medium as a data URL, of the type that its bytes say."""
    media_type = sniff(data) or "application/octet-stream"
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
