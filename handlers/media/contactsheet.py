"""A contact sheet: all pictures of a batch, small, each above its label, on one PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from math import ceil, sqrt
from typing import Final, NamedTuple

from PIL import Image, ImageDraw

from handlers.contract import HandlerError
from handlers.media.lettering import SMALLEST_SIZE, Face, lines_of
from handlers.media.pictures import open_picture

MOST_CELLS: Final = 400
"""How many cells a sheet has at most; a last line says how many are left out."""
WIDEST: Final = 4096
"""Pixels; how high it is follows from the number of cells."""

_TILES: Final = ((6, 360, 28), (12, 264, 20), (MOST_CELLS, 200, 12))
"""For up to so many columns, the side of a tile at most, and what is between two, in pixels."""
_WIDE: Final = 1.25  # columns for each row, about
_ROW: Final = 4  # as many stand in a single row
_LINES: Final = 2

_GROUND, _MAT, _GREY = "#fbfaf8", "#f1efeb", "#dddad5"
_INK, _MUTED = "#33312d", "#76726b"
_CHECKS: Final = ((255, 255, 255), (229, 227, 223))


class Card(NamedTuple):
    """One cell of a sheet."""

    picture: bytes | None
    """A PNG, JPEG or WebP; of a clip its poster. None where there is none."""
    label: str
    """What stands below it, as its prompt; two lines of it are shown."""
    status: str = "succeeded"
    """What became of it; this word stands in the cell where there is no picture to show."""


def contact_sheet(cards: Iterable[Card], count: int, *, max_pixels: int) -> bytes:
    """Draw a sheet, as a PNG.

    Args:
        cards: what to show, in order. They are taken one at a time, and none that is not shown.
        count: how many cards there are.
        max_pixels: width times height of the largest picture that may be decoded; one that has
            more gets a cell that says so.
    """
    shown = min(count, MOST_CELLS)
    page = _Page.of(shown)
    sheet = Image.new("RGB", page.size(bool(count - shown) or not count), _GROUND)
    pen = ImageDraw.Draw(sheet)
    for place, card in enumerate(islice(cards, shown)):
        _draw(sheet, pen, page, page.corner(place), card, max_pixels)
    if count > shown:
        _last_line(sheet, pen, page, f"and {count - shown:,} more that are not shown")
    elif not count:
        _last_line(sheet, pen, page, "nothing to show")
    file = io.BytesIO()
    sheet.save(file, "PNG", compress_level=6)
    return file.getvalue()


# ---------------------------------------------------------------- where things stand


@dataclass(frozen=True)
class _Page:
    """Measures of a sheet, in pixels."""

    columns: int
    rows: int
    tile: int
    """The side of the square in which a picture stands."""
    gap: int
    margin: int
    face: Face

    @classmethod
    def of(cls, cells: int) -> _Page:
        """The page on which so many cells are as large as they may be."""
        columns = max(1, cells) if cells <= _ROW else ceil(sqrt(cells * _WIDE))
        largest, gap = next((tile, gap) for most, tile, gap in _TILES if columns <= most)
        margin = 2 * gap
        tile = min(largest, (WIDEST - 2 * margin - (columns - 1) * gap) // columns)
        face = Face.at(max(SMALLEST_SIZE, round(tile / 22)))
        return cls(columns, ceil(cells / columns), tile, gap, margin, face)

    @property
    def leading(self) -> int:
        return round(1.36 * self.face.size)

    @property
    def below(self) -> int:
        """From one picture's lower edge to the next one's upper edge."""
        return round(0.7 * self.face.size) + _LINES * self.leading + self.gap

    def corner(self, place: int) -> tuple[int, int]:
        """The upper left corner of a tile."""
        row, column = divmod(place, self.columns)
        return (
            self.margin + column * (self.tile + self.gap),
            self.margin + row * (self.tile + self.below),
        )

    def size(self, last_line: bool) -> tuple[int, int]:
        wide = 2 * self.margin + self.columns * (self.tile + self.gap) - self.gap
        high = 2 * self.margin + self.rows * (self.tile + self.below) - self.gap
        return wide, high + (self.gap + self.leading if last_line else 0)


# ---------------------------------------------------------------- drawing


def _draw(
    sheet: Image.Image,
    pen: ImageDraw.ImageDraw,
    page: _Page,
    corner: tuple[int, int],
    card: Card,
    max_pixels: int,
) -> None:
    """A card: its picture or its status, and below it its label."""
    left, top = corner
    picture, word = _small(card, page.tile, max_pixels)
    box = left, top, left + page.tile - 1, top + page.tile - 1
    pen.rectangle(box, _GREY if picture is None else _MAT)
    if picture is None:
        middle = left + page.tile / 2, top + page.tile / 2
        (word,) = lines_of(page.face, word, 0.9 * page.tile, 1) or ("no picture",)
        pen.text(middle, word, _MUTED, page.face.font, "mm")
    else:
        at = left + (page.tile - picture.width) // 2, top + (page.tile - picture.height) // 2
        sheet.paste(picture, at)
    baseline = top + page.tile + round(0.7 * page.face.size) + page.face.size
    for number, line in enumerate(lines_of(page.face, card.label, page.tile, _LINES)):
        place = left, baseline + number * page.leading
        pen.text(place, line, _INK if picture else _MUTED, page.face.font, "ls")


def _small(card: Card, tile: int, max_pixels: int) -> tuple[Image.Image | None, str]:
    """A card's picture within a tile, or the word for there being none."""
    if card.picture is None:
        return None, "no picture" if card.status == "succeeded" else card.status
    try:
        image = open_picture(card.picture, max_pixels=max_pixels).image
    except HandlerError as error:
        return None, "too large" if error.code == "too_large" else "unreadable"
    image.thumbnail((tile, tile), Image.Resampling.LANCZOS, reducing_gap=3)
    return (_on_checks(image) if image.mode == "RGBA" else image.convert("RGB")), ""


def _on_checks(picture: Image.Image) -> Image.Image:
    """A picture with what lies behind where it can be seen through."""
    side = max(4, max(picture.size) // 24)
    ground = Image.new("RGB", picture.size, _CHECKS[0])
    pen = ImageDraw.Draw(ground)
    for top in range(0, picture.height, side):
        for left in range(top // side % 2 * side, picture.width, 2 * side):
            pen.rectangle((left, top, left + side - 1, top + side - 1), _CHECKS[1])
    ground.paste(picture, (0, 0), picture)
    return ground


def _last_line(sheet: Image.Image, pen: ImageDraw.ImageDraw, page: _Page, text: str) -> None:
    (line,) = lines_of(page.face, text, sheet.width - 2 * page.margin, 1)
    place = page.margin, sheet.height - page.margin
    pen.text(place, line, _MUTED, page.face.font, "ls")
