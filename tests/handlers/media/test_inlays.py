"""Blossoms, marbles and round prints, and where they go."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handlers.media.inlays import FORMS, Form, Spot, inlay, places, print_of
from handlers.media.motifs import PALETTES, Stage
from tests.examples import examples

Field = NDArray[Any]
COLOURS = Stage(0, 0, PALETTES[0], np.random.default_rng(0)).colours()


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def disc(side: int, radius: float) -> Field:
    rows, columns = np.indices((side, side)) - side / 2 + 0.5
    return (np.sqrt(rows**2 + columns**2) < radius).astype(np.float32)


# ---------------------------------------------------------------- places


@pytest.mark.parametrize("side", [40, 300])
def test_all_of_a_piece_lies_in_what_is_covered(side: int) -> None:
    cover = disc(side, 0.4 * side)
    spots = places(cover, 12, rng())
    assert len(spots) > 3
    for x, y, radius in spots:
        assert math.hypot(x - side / 2, y - side / 2) + radius < 0.42 * side


def test_no_two_pieces_lie_on_one_another() -> None:
    spots = places(disc(200, 90), 18, rng())
    for one, other in combinations(spots, 2):
        assert math.dist(one[:2], other[:2]) > 0.9 * (one.radius + other.radius)


def test_no_piece_is_cut_by_the_edge_of_the_picture() -> None:
    for x, y, radius in places(np.ones((60, 120), np.float32), 12, rng()):
        assert radius <= min(x, y, 120 - x, 60 - y)


def test_there_are_no_more_than_asked_for_and_none_larger() -> None:
    spots = places(np.ones((100, 100), np.float32), 5, rng(), radius=7)
    assert len(spots) == 5
    assert max(spot.radius for spot in spots) <= 7


def test_along_a_stroke_they_fill_its_width() -> None:
    cover = np.zeros((60, 200), np.float32)
    cover[20:40, 10:190] = 1
    assert places(cover, 20, rng())[0].radius > 0.6 * 10


@pytest.mark.parametrize("value", [0, 0.5])
def test_what_is_hardly_covered_holds_none(value: float) -> None:
    assert places(np.full((50, 50), value, np.float32), 9, rng()) == []


def test_another_chance_gives_other_places() -> None:
    cover = disc(100, 45)
    assert places(cover, 5, rng(1)) == places(cover, 5, rng(1)) != places(cover, 5, rng(2))


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize("form", FORMS)
def test_a_piece_is_seen_and_stays_in_its_patch(form: Form) -> None:
    canvas = np.full((80, 80, 3), 0.5, np.float32)
    inlay(canvas, Spot(40, 40, 20), form, COLOURS, rng())
    changed = np.abs(canvas - 0.5).max(axis=2) > 0.004
    away = np.hypot(*(np.indices((80, 80)) - 39.5))
    assert changed[away < 10].mean() > 0.9
    assert not changed[away > 20 * 1.45].any()


@pytest.mark.parametrize("form", FORMS)
def test_a_piece_has_no_edge_in_steps(form: Form) -> None:
    """Half covered pixels lie between a piece and its ground."""
    canvas = np.ones((120, 120, 3), np.float32)
    inlay(canvas, Spot(60.3, 60.1, 40), form, np.zeros_like(COLOURS), rng())
    tones = canvas[60, :, 0]
    assert ((tones > 0.1) & (tones < 0.9)).sum() >= 2


def test_a_print_shows_the_middle_of_its_picture() -> None:
    picture = Image.new("RGB", (90, 30), "red")
    picture.paste("blue", (30, 0, 60, 30))
    canvas = np.zeros((64, 64, 3), np.float32)
    inlay(canvas, Spot(32, 32, 20), print_of(picture), COLOURS, rng())
    inner = canvas[np.hypot(*(np.indices((64, 64)) - 31.5)) < 17]
    assert np.allclose(inner, (0, 0, 1), atol=0.01)


def test_what_is_clear_in_a_print_is_white() -> None:
    canvas = np.zeros((64, 64, 3), np.float32)
    clear = Image.new("RGBA", (9, 9), (255, 0, 0, 0))
    inlay(canvas, Spot(32, 32, 20), print_of(clear), COLOURS, rng())
    assert np.allclose(canvas[32, 32], 1)


@settings(max_examples=examples(60), deadline=None)
@given(
    st.floats(0, 19.99),
    st.floats(0, 11.99),
    st.floats(0.05, 30),
    st.integers(0, len(FORMS)),
    st.integers(0, 99),
)
def test_any_spot_can_be_drawn(x: float, y: float, radius: float, form: int, seed: int) -> None:
    canvas = rng(seed).random((12, 20, 3), np.float32)
    forms = (*FORMS, print_of(Image.new("RGB", (3, 2), "red")))
    inlay(canvas, Spot(x, y, radius), forms[form], COLOURS, rng(seed))
    assert np.isfinite(canvas).all()
    assert canvas.min() >= -0.01
    assert canvas.max() <= 1.01
