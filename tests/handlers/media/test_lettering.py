"""Typesetting: what is shown of any text, how it breaks, how large it becomes, where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageFont, ImageStat

from handlers.media.lettering import (
    COVERED,
    SMALLEST_SIZE,
    Face,
    arrange,
    compose,
    printed,
    readable,
    title,
)
from tests.examples import examples

NOTES = ("darkroom local stand-in · no model · seed 1", "stand-in")
SENTENCE = "An old lighthouse keeper reads letters from the sea by candlelight, wide angle"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a red fox", "a red fox"),
        ("  many \n lines\tand\x00controls ", "many lines and controls"),
        ("Crème brûlée, Łódź, Ærø, Straße", "Creme brulee, Lodz, Aero, Strasse"),
        ("3 × 4 – ½ € “quoted” ﬁne", "3 x 4 - 1⁄2 EUR “quoted” fine"),
        ("Привет, Щука", "Privet, Shchuka"),
        ("Ελληνική", "Elliniki"),
        ("a 🦊 here", "a [fox face] here"),
        ("🦊", "[fox face]"),
        ("中文", "U+4E2D U+6587"),
        ("\ud800", "U+D800"),
        ("a photo of 東京 at night", "a photo of · at night"),
        ("zero\u200bwidth \u202eoverride", "zerowidth override"),
        ("", ""),
    ],
)
def test_text_is_folded_to_what_the_typeface_has(text: str, shown: str) -> None:
    """Accents go, scripts are romanised or named, the rest is marked."""
    assert readable(text) == shown


def test_a_long_uncovered_text_shows_only_its_first_code_points() -> None:
    """A wall of numbers would say nothing more."""
    words = readable("語" * 500).split()
    assert words[-1] == "…"
    assert 10 < len(words) < 40


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(st.text(st.characters(), max_size=80))
def test_no_uncovered_character_is_ever_set(text: str) -> None:
    """Whatever goes in, only characters with a glyph come out, between single spaces."""
    folded = readable(text)
    assert set(folded) <= COVERED | {" "}
    assert folded == " ".join(folded.split())


def test_every_character_called_covered_has_a_glyph() -> None:
    """None of them is drawn as the box that stands for a missing glyph."""
    font = ImageFont.load_default(40)
    missing = bytes(font.getmask("\U0010ffff"))
    assert [c for c in sorted(COVERED) if bytes(font.getmask(c)) == missing] == []


@pytest.mark.parametrize("text", ["a fox", SENTENCE, SENTENCE * 3, SENTENCE * 60, "W" * 5000])
@pytest.mark.parametrize("room", [(80, 60), (200, 90), (880, 320), (400, 1700), (3600, 50)])
def test_a_block_stays_within_its_room(text: str, room: tuple[int, int]) -> None:
    """By the widths that Pillow itself measures, and never smaller than legible."""
    setting = compose(text, NOTES, *room, unit=min(1024, 2 * min(room)))
    font = ImageFont.load_default(setting.size)
    assert max(font.getlength(line) for line in setting.lines) <= room[0]
    assert setting.width <= room[0] + 1
    assert setting.height <= room[1]
    assert setting.size >= SMALLEST_SIZE


def test_a_text_that_does_not_fit_ends_in_an_ellipsis() -> None:
    """It is cut at its end, and nothing in front of the cut is lost."""
    lines = compose(SENTENCE * 60, NOTES, 880, 320, 1024).lines
    shown = " ".join(lines)
    assert shown.endswith("…")
    assert (SENTENCE * 60).startswith(shown[:-1])
    assert len(shown) > 500


def test_a_text_that_fits_is_shown_whole() -> None:
    """Every word, in its order, without an ellipsis."""
    assert " ".join(compose(SENTENCE, NOTES, 880, 320, 1024).lines) == SENTENCE


def test_short_texts_are_set_larger_than_long_ones() -> None:
    """The title leads, and the note is always the smallest."""
    sizes = [
        compose(text, NOTES, 880, 320, 1024).size for text in ("a fox", SENTENCE, SENTENCE * 9)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 80
    assert sizes[-1] >= compose(SENTENCE, NOTES, 880, 320, 1024).note_size


@pytest.mark.parametrize("wide", [500, 640, 880, 1100])
def test_no_line_is_left_an_orphan(wide: int) -> None:
    """The last line of a paragraph is not a lonely word."""
    for count in range(8, 15):
        text = " ".join(SENTENCE.split()[:count])
        setting = compose(text, NOTES, wide, 320, 1024)
        widths = [Face.at(setting.size).width(line) for line in setting.lines]
        assert widths[-1] > 0.4 * max(widths), setting.lines


@pytest.mark.parametrize("room", [(60, 400), (400, 10), (0, 0), (-5, 20)])
def test_a_room_too_small_for_letters_stays_empty(room: tuple[int, int]) -> None:
    """Better nothing than something unreadable."""
    assert compose(SENTENCE, NOTES, *room, unit=100).lines == ()


def test_an_empty_text_is_called_untitled() -> None:
    """Like any picture in a gallery."""
    assert compose(" \n", NOTES, 880, 320, 1024).lines == ("Untitled",)


def test_the_note_falls_back_to_what_fits_and_then_to_nothing() -> None:
    """A narrow block has the short note, a low one has none."""
    assert compose("fox", NOTES, 880, 320, 1024).note == NOTES[0]
    assert compose("fox", NOTES, 120, 320, 120).note == NOTES[1]
    assert compose("fox", NOTES, 120, 40, 120).note == ""


@pytest.mark.parametrize("size", [(1024, 1024), (1536, 640), (600, 1800), (240, 240), (4096, 64)])
@pytest.mark.parametrize("text", ["a fox", SENTENCE * 60])
def test_a_print_keeps_art_and_lettering_apart(size: tuple[int, int], text: str) -> None:
    """Both lie within the page, and neither touches the other."""
    page = arrange(text, NOTES, size, "print")
    left, top, right, bottom = page.art
    (x, y), setting = page.at, page.setting
    assert 0 < left < right < size[0]
    assert 0 < top < bottom < size[1]
    assert x > 0
    assert y > 0
    assert x + setting.width <= size[0]
    assert y + setting.height < size[1]
    assert x + setting.width < left or y > bottom


def test_a_long_text_turns_a_bleed_into_a_print() -> None:
    """It would hide the picture that it stands on."""
    assert arrange("a fox", NOTES, (1024, 1024), "bleed").style == "bleed"
    assert arrange(SENTENCE * 10, NOTES, (1024, 1024), "bleed").style == "print"


@pytest.mark.parametrize("style", ["bleed", "print"])
@pytest.mark.parametrize("art", ["#208080", "#101030", "#f0f0e0"])
def test_a_title_laid_over_art_is_the_printed_page(style: str, art: str) -> None:
    page = arrange("a lighthouse", ("stand-in",), (480, 320), style)
    left, top, right, bottom = page.art
    whole = printed(page, Image.new("RGB", (right - left, bottom - top), art), "#102030", "#f0f0d0")
    laid = Image.new("RGB", page.size, art)
    over = title(page, laid, "#102030", "#f0f0d0")
    assert over is not None
    laid.paste(over, mask=over)
    apart = ImageChops.difference(laid, whole)
    assert max(ImageStat.Stat(apart).mean) < 0.5  # but for the edges of letters
    flat = over.getchannel("A").point(lambda level: 255 * (level in (0, 255)))
    assert max(high for _, high in ImageStat.Stat(apart, flat).extrema) <= 40


def test_a_page_without_lettering_has_no_title() -> None:
    page = arrange("a lighthouse", ("stand-in",), (32, 24), "bleed")
    assert title(page, Image.new("RGB", (32, 24)), "black", "white") is None
