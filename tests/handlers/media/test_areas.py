"""Holes and specks: which go, which stay, on masks of any shape."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from handlers.media.areas import cleaned
from tests.examples import examples
from tests.handlers.media.sketches import lines, mask_of, sketch_of

WORN = """
    ..........#
    .#####.....
    .#...#..##.
    .#.#.#..##.
    .#...#.....
    .#####.#...
    ......#...#
    ....#######
    #...#.#.###
    ....#######
"""


def flooded(chosen: NDArray[np.bool_], steps: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """The areas of `chosen`, found by walking from pixel to pixel."""
    left = {(int(y), int(x)) for y, x in np.argwhere(chosen)}
    areas = []
    while left:
        area = [left.pop()]
        for y, x in area:
            near = {(y + down, x + across) for down, across in steps} & left
            left -= near
            area += near
        areas.append(area)
    return areas


def slowly_cleaned(mask: NDArray[np.bool_], holes: int, specks: int) -> NDArray[np.bool_]:
    """What `cleaned` promises, in the plainest way."""
    mask, (height, width) = mask.copy(), mask.shape
    straight = [(0, 1), (1, 0), (0, -1), (-1, 0)]
    around = [*straight, (1, 1), (1, -1), (-1, 1), (-1, -1)]
    for area in flooded(~mask, straight):
        inner = all(0 < y < height - 1 and 0 < x < width - 1 for y, x in area)
        if inner and len(area) <= holes:
            mask[tuple(zip(*area, strict=True))] = True
    for area in flooded(mask, around):
        if len(area) <= specks:
            mask[tuple(zip(*area, strict=True))] = False
    return mask


@pytest.mark.parametrize(
    ("holes", "specks", "expected"),
    [
        (
            # The ring's hole is of 8 pixels, the plate's of one; the open bay on the right of it
            # is closed, the one at the border is not.
            1,
            0,
            """
            ..........#
            .#####.....
            .#...#..##.
            .#.#.#..##.
            .#...#.....
            .#####.#...
            ......#...#
            ....#######
            #...#######
            ....#######
            """,
        ),
        (
            8,
            0,
            """
            ..........#
            .#####.....
            .#####..##.
            .#####..##.
            .#####.....
            .#####.#...
            ......#...#
            ....#######
            #...#######
            ....#######
            """,
        ),
        (
            # What touches by a corner hangs together: the ring, the diagonal and the plate.
            0,
            4,
            """
            ...........
            .#####.....
            .#...#.....
            .#...#.....
            .#...#.....
            .#####.#...
            ......#...#
            ....#######
            ....#.#.###
            ....#######
            """,
        ),
        (
            0,
            3,
            """
            ...........
            .#####.....
            .#...#..##.
            .#...#..##.
            .#...#.....
            .#####.#...
            ......#...#
            ....#######
            ....#.#.###
            ....#######
            """,
        ),
    ],
)
def test_holes_are_filled_and_specks_taken_away_up_to_a_size(
    holes: int, specks: int, expected: str
) -> None:
    assert sketch_of(cleaned(mask_of(WORN), holes=holes, specks=specks)) == lines(expected)


def test_nothing_is_cleaned_unless_it_is_asked_for() -> None:
    assert sketch_of(cleaned(mask_of(WORN))) == lines(WORN)


def test_a_bay_at_the_border_is_no_hole() -> None:
    bays = """
        #.###
        #.#.#
        ###..
        ..###
        #.#.#
    """
    assert sketch_of(cleaned(mask_of(bays), holes=99)) == lines(bays)


def test_background_does_not_leak_out_of_a_hole_by_a_corner() -> None:
    closed = cleaned(mask_of("..... .##.. .#.#. ..##. ....."), holes=1)
    assert sketch_of(closed) == lines("..... .##.. .###. ..##. .....")


def test_a_ring_is_as_large_as_the_disc_it_becomes() -> None:
    ring = mask_of("..... .###. .#.#. .###. .....")
    assert sketch_of(cleaned(ring, holes=1, specks=8)) == lines("..... .###. .###. .###. .....")
    assert sketch_of(cleaned(ring, specks=8)) == lines("..... " * 5)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2)])
def test_a_mask_without_an_inside_has_no_holes(size: tuple[int, int]) -> None:
    full, empty = Image.new("L", size, 255), Image.new("L", size, 0)
    assert cleaned(empty, holes=99, specks=99) == empty
    assert cleaned(full, holes=99) == full
    assert cleaned(full, specks=99) == empty


def test_the_mask_that_is_handed_in_stays_as_it_is() -> None:
    mask = mask_of(WORN)
    cleaned(mask, holes=9, specks=9)
    assert sketch_of(mask) == lines(WORN)


@settings(max_examples=examples(60), deadline=None)
@given(
    noise=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 9)
    ),
    density=st.integers(1, 9),
    holes=st.integers(0, 12),
    specks=st.integers(0, 12),
)
def test_any_mask_is_cleaned_as_a_flood_fill_would(
    noise: NDArray[np.uint8], density: int, holes: int, specks: int
) -> None:
    chosen = noise < density
    fast = cleaned(Image.fromarray(chosen * np.uint8(255)), holes=holes, specks=specks)
    assert np.array_equal(np.asarray(fast) > 0, slowly_cleaned(chosen, holes, specks))


@pytest.mark.parametrize("turned", [False, True])
def test_an_area_that_winds_through_the_whole_mask_is_one(turned: bool) -> None:
    """A snake of 8450 pixels, and combs in it: the longest way that numbers have to go."""
    snake = np.zeros((129, 129), np.uint8)
    snake[::2] = 255
    snake[1::4, -1] = snake[3::4, 0] = 255
    mask = Image.fromarray(snake.T.copy() if turned else snake)
    size = np.count_nonzero(snake)
    assert cleaned(mask, specks=size - 1) == mask
    assert cleaned(mask, specks=size).getextrema() == (0, 0)


def test_two_hundred_thousand_specks_take_no_two_hundred_thousand_steps() -> None:
    """Of one pixel each on four megapixels; measured at 0.1 s."""
    levels = np.zeros((2000, 2000), np.uint8)
    levels[1::6, 1::6] = 255
    levels[3::6, 4::8] = 255
    levels[1900:, :] = 255
    began = time.process_time()
    left = np.asarray(cleaned(Image.fromarray(levels), holes=4, specks=4))
    assert time.process_time() - began < 2
    assert not left[:1899].any()
    assert left[1900:].all()
