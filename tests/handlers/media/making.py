"""Files for the tests of media: pictures as Pillow writes them, and parts made by hand."""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image

from handlers.media.containers import PNG_HEAD, png_chunk

SMALL = Image.radial_gradient("L").crop((10, 40, 150, 140)).resize((24, 16))
"""A picture that looks like itself in no other position."""


def file_of(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, kind: int, *chunks: bytes) -> bytes:
    """A PNG of a header, the given chunks and an end."""
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"".join([PNG_HEAD, png_chunk(b"IHDR", header), *chunks, png_chunk(b"IEND", b"")])


def after_header(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def after_start(data: bytes, *segments: bytes) -> bytes:
    """A JPEG with more segments at its beginning."""
    return data[:2] + b"".join(segments) + data[2:]


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A WebP with more chunks at its end."""
    body = data[8:] + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def exif(orientation: int, order: str = "<") -> bytes:
    """An EXIF block that says how a picture is to be turned, and nothing else."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"


# ---------------------------------------------------------------- ICC profiles


def icc(space: bytes, kind: bytes, pcs: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile: header, table and tags (ICC.1:2010 §7)."""
    at, table, bodies = 128 + 4 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        body = tag + b"\0" * (-len(tag) % 4)
        table += name + struct.pack(">II", at + len(bodies), len(tag))
        bodies += body
    white = struct.pack(">3i", *(round(part * 65536) for part in (0.9642, 1, 0.8249)))
    head = b"\0\0\0\0\x04\0\0\0" + kind + space + pcs + b"\0" * 12 + b"acsp" + b"\0" * 28 + white
    profile = head.ljust(124, b"\0") + struct.pack(">I", len(tags)) + table + bodies
    return struct.pack(">I", len(profile) + 4) + profile


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def text(words: str) -> bytes:
    letters = words.encode("utf-16-be")
    return (
        b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(letters), 28) + letters
    )


WHITE = {b"wtpt": xyz(0.9642, 1, 0.8249)}
PAPER = {b"wtpt": xyz(0.8, 0.82, 0.6)}
LINEAR = b"curv\0\0\0\0\0\0\0\0"
CURVE_OF_SRGB = b"para\0\0\0\0\0\3\0\0" + struct.pack(
    ">5i", *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)


def display_p3(words: str = "wide") -> bytes:
    """Display P3: the primaries of a wide screen with the curve of sRGB."""
    columns = {
        b"rXYZ": xyz(0.51512, 0.24120, -0.00105),
        b"gXYZ": xyz(0.29198, 0.69225, 0.04189),
        b"bXYZ": xyz(0.15710, 0.06657, 0.78407),
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), CURVE_OF_SRGB)
    words_of = {b"desc": text(words), b"cprt": text("none")}
    return icc(b"RGB ", b"mntr", b"XYZ ", words_of | WHITE | columns | curves)


def linear_grey() -> bytes:
    """Greys that are stored as light, not as they look."""
    return icc(b"GRAY", b"mntr", b"XYZ ", {b"desc": text("linear")} | WHITE | {b"kTRC": LINEAR})


def grey_inks() -> bytes:
    """Inks of which cyan, magenta and yellow are all the same grey, a third of black each. Their
    paper is yellowish, and their black is not very black."""
    ramp = bytes(range(256))
    nodes = [(c, m, y, k) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    table = b"".join(
        bytes([26 if k else 26 + round(229 * (3 - c - m - y) / 3), 128, 128])
        for c, m, y, k in nodes
    )
    matrix = struct.pack(">9i", *(65536 * (at % 4 == 0) for at in range(9)))
    lut = b"mft1\0\0\0\0\4\3\2\0" + matrix + ramp * 4 + table + ramp * 3
    return icc(
        b"CMYK", b"scnr", b"Lab ", {b"desc": text("inks"), b"A2B0": lut, b"A2B1": lut} | PAPER
    )
