"""The contact sheet: every card has its place, and nothing that goes in brings it down."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.media.contactsheet import MOST_CELLS, WIDEST, Card, _Page, contact_sheet
from handlers.media.lettering import Face, lines_of

RED, BLUE = (200, 30, 40), (20, 60, 200)


def png(size: tuple[int, int] = (90, 60), colour: tuple[int, ...] = RED) -> bytes:
    file = io.BytesIO()
    Image.new("RGBA" if len(colour) == 4 else "RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def sheet(*cards: Card, count: int | None = None, max_pixels: int = 10_000_000) -> Image.Image:
    data = contact_sheet(cards, len(cards) if count is None else count, max_pixels=max_pixels)
    picture = Image.open(io.BytesIO(data))
    assert picture.format == "PNG"
    picture.load()
    return picture


def cell(picture: Image.Image, place: int, count: int) -> Image.Image:
    """The tile of a card."""
    page = _Page.of(count)
    left, top = page.corner(place)
    return picture.crop((left, top, left + page.tile, top + page.tile))


def below(picture: Image.Image, place: int, count: int) -> Image.Image:
    """Where a card's label stands."""
    page = _Page.of(count)
    left, top = page.corner(place)
    bottom = top + page.tile + page.below - page.gap // 2
    return picture.crop(
        (left - page.gap // 2, top + page.tile, left + page.tile + page.gap // 2, bottom)
    )


def tones(picture: Image.Image) -> int:
    return len(picture.getcolors(1 << 24) or ())


def test_pictures_stand_in_order_each_in_the_middle_of_its_tile() -> None:
    picture = sheet(Card(png(), "red"), Card(png((60, 90), BLUE), "blue"))
    for place, colour in enumerate((RED, BLUE)):
        tile = cell(picture, place, 2)
        assert tile.getpixel((tile.width // 2, tile.height // 2)) == colour
        assert tile.getpixel((0, 0)) != colour


@pytest.mark.parametrize("size", [(900, 300), (300, 900), (360, 360), (2000, 10), (3, 4)])
def test_a_picture_is_shown_whole_and_in_its_shape(size: tuple[int, int]) -> None:
    tile = cell(sheet(Card(png(size), "x")), 0, 1)
    box = Image.fromarray((np.array(tile) == RED).all(axis=2)).getbbox()
    assert box is not None
    wide, high = box[2] - box[0], box[3] - box[1]
    scale = min(1, tile.width / max(size))
    assert abs(wide - size[0] * scale) <= 1
    assert abs(high - max(1, size[1] * scale)) <= 1
    assert abs(box[0] + box[2] - tile.width) <= 1


@pytest.mark.parametrize("status", ["failed", "cancelled", "rejected", "succeeded"])
def test_what_has_no_picture_is_grey_and_says_why(status: str) -> None:
    tile = cell(sheet(Card(None, "a cup", status)), 0, 1)
    corner = tile.getpixel((0, 0))
    assert corner == tile.getpixel((tile.width - 1, tile.height - 1))
    assert isinstance(corner, tuple)
    assert max(corner) - min(corner) < 16  # grey
    assert tones(tile) > 10  # letters


def test_the_word_is_that_of_the_status() -> None:
    failed, same, other = (
        cell(sheet(Card(None, "a cup", word)), 0, 1).tobytes()
        for word in ("failed", "failed", "cancelled")
    )
    assert failed == same != other


@pytest.mark.parametrize("data", [b"", b"no picture", png()[:60], png((2000, 2000))])
def test_what_cannot_be_opened_is_a_cell_and_no_failure(data: bytes) -> None:
    picture = sheet(Card(data, "bad"), Card(png(), "good"), max_pixels=1_000_000)
    assert tones(cell(picture, 0, 2)) > 10
    good = cell(picture, 1, 2)
    assert good.getpixel((good.width // 2, good.height // 2)) == RED


def test_what_can_be_seen_through_lies_on_checks() -> None:
    tile = cell(sheet(Card(png((300, 300), (0, 0, 0, 0)), "nothing")), 0, 1)
    assert tones(tile.crop((60, 60, 300, 300))) == 2


def test_a_label_stands_below_its_picture_in_two_lines_at_the_most() -> None:
    short, long = (sheet(Card(png(), text)) for text in ("a cup", "a cup of tea " * 40))
    assert short.size == long.size
    assert tones(below(sheet(Card(png(), "")), 0, 1)) == 1
    assert tones(below(short, 0, 1)) > 10
    ground = long.getpixel((0, 0))
    page = _Page.of(1)
    right = page.corner(0)[0] + page.tile + 1
    outside = long.crop((right, 0, long.width, long.height))
    assert {colour for _, colour in outside.getcolors() or ()} == {ground}


def test_a_label_that_is_cut_ends_in_an_ellipsis() -> None:
    face = Face.at(16)
    lines = lines_of(face, "a cup of tea " * 40, 300, 2)
    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert max(map(face.width, lines)) <= 300
    assert lines_of(face, " \n ", 300, 2) == ()


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(), max_size=60), st.text(max_size=20))
def test_any_label_and_any_status_can_be_drawn(label: str, status: str) -> None:
    sheet(Card(None, label, status))


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 13, 40, 41, 150, 151, 399, MOST_CELLS])
def test_a_page_is_never_too_wide_and_has_room_for_all(count: int) -> None:
    page = _Page.of(count)
    wide, high = page.size(last_line=True)
    assert wide <= WIDEST
    assert wide * high <= 24_000_000
    assert page.tile >= 150
    assert page.columns * page.rows >= count > page.columns * (page.rows - 1)
    left, top = page.corner(count - 1)
    assert left + page.tile + page.margin <= wide
    assert top + page.tile + page.below - page.gap + page.margin <= high


def test_those_that_are_left_out_are_counted_and_never_taken() -> None:
    taken = 0

    def cards() -> Iterator[Card]:
        nonlocal taken
        while True:
            taken += 1
            yield Card(None, "x", "failed")

    data = contact_sheet(cards(), 1234, max_pixels=1_000_000)
    assert taken == MOST_CELLS
    full = Image.open(io.BytesIO(data))
    page = _Page.of(MOST_CELLS)
    assert full.size == page.size(last_line=True)
    line = full.crop((0, full.height - page.margin - page.leading, full.width, full.height))
    assert tones(line) > 10


def test_fewer_cards_than_were_counted_leave_their_places_empty() -> None:
    picture = sheet(Card(png(), "x"), count=3)
    assert tones(cell(picture, 2, 3)) == 1


def test_a_batch_of_nothing_has_a_sheet_that_says_so() -> None:
    assert tones(sheet()) > 10


def test_the_same_cards_make_the_same_sheet() -> None:
    cards = [Card(png(), "a cup"), Card(None, "a bowl", "failed")]
    made = [contact_sheet(cards, 2, max_pixels=10_000) for _ in range(2)]
    assert made[0] == made[1]
