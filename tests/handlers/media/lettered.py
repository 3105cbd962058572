"""Masks written with characters, so that a test can be read: `.` is 0, `#` is 255, a digit is what
lies between, in tenths of the way."""

from __future__ import annotations

from PIL import Image


def written(mask: Image.Image) -> list[str]:
    """A mask as lines of characters."""
    assert mask.mode == "L"
    (width, height), levels = mask.size, mask.tobytes()
    rows = (levels[row * width : (row + 1) * width] for row in range(height))
    return ["".join(map(_character, row)) for row in rows]


def read(*lines: str) -> Image.Image:
    """The mask of lines of characters."""
    levels = {".": 0, "#": 255} | {str(digit): digit * 256 // 10 + 13 for digit in range(10)}
    data = bytes(levels[character] for line in lines for character in line)
    return Image.frombytes("L", (len(lines[0]), len(lines)), data)


def _character(level: int) -> str:
    return {0: ".", 255: "#"}.get(level, str(level * 10 // 256))
