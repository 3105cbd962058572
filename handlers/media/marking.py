"""The quiet line by which a picture of the stand-in says that no model made it."""

from __future__ import annotations

from typing import Final

from PIL import Image, ImageDraw, ImageFilter, ImageStat

from handlers.media.lettering import SMALLEST_SIZE, Face

NOTE: Final = "stand-in · no model"
_TRACKING: Final = 0.06
_OPACITY: Final = 190  # of 255


Box = tuple[int, int, int, int]


def room(size: tuple[int, int]) -> Box | None:
    """The place of the line in a picture of `size`, in pixels; None: it would take too much."""
    letters, (width, height) = _letters(size), size
    wide = round(Face.at(letters, _TRACKING).width(NOTE))
    box = letters, height - 4 * letters, wide + 3 * letters, height - letters
    return box if box[2] < 0.6 * width and box[1] > 0.8 * height else None


def mark(picture: Image.Image) -> None:
    """Set the line into the lower left corner, in place, if there is room for it."""
    box = room(picture.size)
    if box is None:
        return
    letters = _letters(picture.size)
    face, place = Face.at(letters, _TRACKING), float(letters)
    line = Image.new("L", (box[2] - box[0], box[3] - box[1]))
    pen = ImageDraw.Draw(line)
    for character in NOTE:
        pen.text((place, 2 * letters), character, _OPACITY, face.font, "ls")
        place += face.advances[character]
    light = ImageStat.Stat(picture.crop(box).convert("L")).mean[0]
    ink, halo = ("black", "white") if light > 140 else ("white", "black")
    # Over something restless the letters keep a little distance.
    soft = line.filter(ImageFilter.GaussianBlur(letters / 5))
    picture.paste(halo, box, Image.eval(soft, lambda level: min(level, 90)))
    picture.paste(ink, box, line)


def _letters(size: tuple[int, int]) -> int:
    return max(SMALLEST_SIZE, round(min(size) * 0.0165))
