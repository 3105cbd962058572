"""Growing, shrinking and feathering: against slow references, and across the seams of tiles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from handlers.media import growing
from handlers.media.growing import Levels, feathered, grown, shrunk
from tests.examples import examples
from tests.handlers.media.lettered import read, written


def slowly_grown(levels: Levels, radius: int) -> Levels:
    """The greatest level within the radius, place by place of the disc."""
    height, width = levels.shape
    padded = np.pad(levels, radius)
    result = np.zeros_like(levels)
    for down in range(-radius, radius + 1):
        for across in range(-radius, radius + 1):
            if down * down + across * across <= radius * radius:
                row, column = radius + down, radius + across
                moved = padded[row : row + height, column : column + width]
                result = np.maximum(result, moved)
    return result


@contextmanager
def tiles_of(side: int) -> Iterator[None]:
    """Tiles small enough for small masks to have several."""
    with patch.object(growing, "_SMALL", side), patch.object(growing, "_LARGE", side):
        yield


@st.composite
def masks(draw: st.DrawFn, grey: bool = True) -> Levels:
    """Small masks: sparse, dense, or grey all over."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    share = draw(st.sampled_from([0.02, 0.5, 0.98]))
    levels = (rng.random((height, width)) < share) * np.uint8(255)
    if grey and draw(st.booleans()):
        levels = levels // 255 * rng.integers(0, 256, levels.shape, dtype=np.uint8)
    return np.asarray(levels, np.uint8)


RADII = st.integers(0, 9)
TILES = st.sampled_from([3, 8, 256])


# ---------------------------------------------------------------- golden pictures


def test_a_pixel_grows_to_a_disc() -> None:
    lone = np.zeros((9, 11), np.uint8)
    lone[4, 5] = 255
    assert written(Image.fromarray(grown(lone, 4))) == [
        ".....#.....",
        "...#####...",
        "..#######..",
        "..#######..",
        ".#########.",
        "..#######..",
        "..#######..",
        "...#####...",
        ".....#.....",
    ]


def test_a_mask_is_eaten_from_its_outline_but_not_from_the_pictures_edge() -> None:
    mask = read(
        "#########..",
        "#########..",
        "####.####..",
        "#########..",
        "#########..",
        "#########..",
        "...........",
    )
    assert written(Image.fromarray(shrunk(np.asarray(mask), 2))) == [
        "####.##....",
        "###...#....",
        "##.........",
        "###...#....",
        "...........",
        "...........",
        "...........",
    ]


# ---------------------------------------------------------------- against slow references


@settings(max_examples=examples(80), deadline=None, derandomize=True)
@given(masks(), RADII, TILES)
def test_growth_is_by_a_disc_exactly(levels: Levels, radius: int, tile: int) -> None:
    with tiles_of(tile):
        assert (grown(levels, radius) == slowly_grown(levels, radius)).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(masks(), RADII, TILES)
def test_shrinking_is_what_growth_does_to_the_rest(levels: Levels, radius: int, tile: int) -> None:
    with tiles_of(tile):
        assert (shrunk(levels, radius) == 255 - slowly_grown(255 - levels, radius)).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(masks(), st.integers(1, 60), st.sampled_from([8, 16, 256]))
def test_a_feather_in_tiles_is_pillows_gaussian(levels: Levels, tenths: int, tile: int) -> None:
    levels = np.pad(levels, ((0, 30), (30, 0)))
    deviation = tenths / 10
    whole = Image.fromarray(levels).filter(ImageFilter.GaussianBlur(deviation))
    # Tiles far smaller than the reach: whatever `feathered` would choose is larger.
    tiles = growing._tiles
    with patch.object(growing, "_tiles", lambda shape, reach, side: tiles(shape, reach, tile)):
        assert (feathered(levels, deviation) == np.asarray(whole)).all()


# ---------------------------------------------------------------- what holds for any mask


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(masks(), RADII, RADII)
def test_growth_contains_the_mask_and_any_lesser_growth(
    levels: Levels, one: int, other: int
) -> None:
    least, most = sorted((one, other))
    assert (grown(levels, least) >= levels).all()
    assert (grown(levels, most) >= grown(levels, least)).all()
    assert (shrunk(levels, most) <= shrunk(levels, least)).all()
    assert (shrunk(levels, least) <= levels).all()


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(masks(), RADII)
def test_closing_loses_nothing_and_opening_adds_nothing(levels: Levels, radius: int) -> None:
    assert (shrunk(grown(levels, radius), radius) >= levels).all()
    assert (grown(shrunk(levels, radius), radius) <= levels).all()


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(masks())
def test_a_radius_of_nothing_changes_nothing(levels: Levels) -> None:
    assert (grown(levels, 0) == levels).all()
    assert (shrunk(levels, 0) == levels).all()
    assert (feathered(levels, 0) == levels).all()


@settings(max_examples=30, deadline=None, derandomize=True)
@given(masks())
def test_what_it_was_given_stays_as_it_was(levels: Levels) -> None:
    before = levels.copy()
    levels.setflags(write=False)
    for result in (grown(levels, 3), shrunk(levels, 3), feathered(levels, 3)):
        assert result.shape == levels.shape
        assert result.dtype == np.uint8
    assert (levels == before).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 3)])
@pytest.mark.parametrize("radius", [1, 5, 300])
def test_a_picture_smaller_than_the_radius_is_no_trouble(
    shape: tuple[int, int], radius: int
) -> None:
    for level in (0, 255):
        levels = np.full(shape, level, np.uint8)
        for change in (grown, shrunk, feathered):
            assert (change(levels, radius) == level).all()
    levels = np.zeros(shape, np.uint8)
    levels[0, 0] = 255
    assert (grown(levels, radius) == slowly_grown(levels, min(radius, 60))).all()


def test_the_work_grows_with_the_radius_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Bytes that go through a comparison are counted, as time says little on a busy machine."""
    done = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

        def maximum(self, one: Levels, other: Levels, **more: Levels) -> Levels:
            done.append(one.size)
            return np.maximum(one, other, **more)

    monkeypatch.setattr(growing, "np", Counting())
    levels = np.zeros((1024, 1024), np.uint8)
    levels[::9, ::200] = 255  # so that no tile can be left out
    work = {}
    for radius in (32, 128):
        grown(levels, radius)
        work[radius] = sum(done) / levels.size
        done.clear()
    assert work[128] < 5 * work[32]


def test_where_nothing_differs_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> Levels:
        raise AssertionError

    monkeypatch.setattr(growing, "_dilated", never)
    for level in (0, 7, 255):
        levels = np.full((600, 700), level, np.uint8)
        assert (grown(levels, 40) == level).all()
        assert (feathered(levels, 40) == level).all()
