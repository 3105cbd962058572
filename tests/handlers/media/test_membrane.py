"""What is known, spread over what is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from handlers.media.membrane import enlarged, quartered, spread
from tests.examples import examples

Field = NDArray[Any]


def random(shape: tuple[int, ...], seed: int = 0) -> Field:
    return np.random.default_rng(seed).random(shape, np.float32)


def hole(height: int, width: int, box: tuple[int, int, int, int]) -> Field:
    """Known everywhere but in a box (left, top, right, bottom)."""
    known = np.ones((height, width), np.float32)
    known[box[1] : box[3], box[0] : box[2]] = 0
    return known


def test_what_is_known_stays() -> None:
    values, known = random((3, 21, 34)), hole(21, 34, (5, 4, 20, 17))
    assert np.array_equal(spread(values, known) * known, values * known)


def test_what_is_not_known_has_no_say() -> None:
    values, known = random((2, 20, 20)), hole(20, 20, (4, 4, 15, 18))
    other = np.where(known > 0, values, 9e6).astype(np.float32)
    assert np.array_equal(spread(values, known), spread(other, known))


@pytest.mark.parametrize("size", [(64, 64), (63, 41), (200, 90)])
def test_a_slope_goes_on_through_a_gap(size: tuple[int, int]) -> None:
    """A linear slope solves Laplace's equation, and a membrane comes close to it."""
    height, width = size
    rows, columns = np.indices(size, np.float32)
    slope = np.stack([rows / height, columns / width, (rows + columns) / (height + width)])
    known = hole(height, width, (width // 4, height // 4, 3 * width // 4, 3 * height // 4))
    assert np.abs(spread(slope, known) - slope).max() < 0.03


def test_it_has_no_steps_at_the_border_nor_inside() -> None:
    rows, columns = np.indices((96, 96), np.float32) / 96
    smooth = (rows * columns)[None]
    membrane = spread(smooth, hole(96, 96, (20, 20, 76, 76)))[0]
    for axis in (0, 1):
        assert np.abs(np.diff(membrane, axis=axis)).max() < 0.025


def test_one_known_pixel_is_spread_over_everything() -> None:
    known = np.zeros((33, 50), np.float32)
    known[7, 40] = 1
    values = random((3, 33, 50))
    assert np.allclose(spread(values, known), values[:, 7:8, 40:41], atol=1e-5)


def test_nothing_known_is_zero() -> None:
    assert not spread(random((3, 9, 9)), np.zeros((9, 9), np.float32)).any()


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.floats(0, 1))
def test_it_never_leaves_the_range_of_what_is_known(
    height: int, width: int, seed: int, share: float
) -> None:
    values = random((2, height, width), seed)
    known = (random((height, width), seed + 1) < share).astype(np.float32)
    known[seed % height, seed % width] = 1
    membrane = spread(values, known)
    for plane, given_ in zip(membrane, values, strict=True):
        low, high = given_[known > 0].min(), given_[known > 0].max()
        assert low - 1e-5 <= plane.min()
        assert plane.max() <= high + 1e-5


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, 33), st.integers(1, 33))
def test_one_value_stays_that_value_smaller_and_larger(height: int, width: int) -> None:
    field = np.full((2, height, width), 0.7, np.float32)
    small = quartered(field)
    assert small.shape == (2, -(-height // 2), -(-width // 2))
    assert np.allclose(enlarged(small, (height, width)), field)
