"""A slight difference in tone is drawn out of an answer; other content is let alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handlers.media.compositing import differing, pasted_back
from handlers.media.painting import paint
from handlers.media.toning import SLIGHT, _filled, toned
from tests.examples import examples

SIZE = (150, 100)


def levels(picture: Image.Image) -> NDArray[np.int_]:
    return np.asarray(picture).astype(int)


def source(mode: str = "RGB") -> Image.Image:
    """A picture without its extremes, so that no shift is cut off."""
    picture = paint("a quiet lake", seed=5, index=2, width=SIZE[0], height=SIZE[1])
    return Image.eval(picture, lambda value: 40 + value * 170 // 255).convert(mode)


def shifted(picture: Image.Image, *by: int) -> Image.Image:
    return Image.fromarray((levels(picture) + np.array(by)).astype(np.uint8))


def hole(hard: bool = True) -> Image.Image:
    mask = Image.new("L", SIZE)
    ImageDraw.Draw(mask).ellipse((40, 25, 110, 75), fill=255)
    return mask if hard else mask.resize((15, 10)).resize(SIZE, Image.Resampling.BICUBIC)


@pytest.mark.parametrize("by", [(9, 3, -7), (-20, -20, -20), (0, SLIGHT - 1, 0)])
def test_a_shift_all_over_is_drawn_out_wholly(by: tuple[int, int, int]) -> None:
    answer = toned(shifted(source(), *by), source(), hole())
    assert np.abs(levels(answer) - levels(source())).max() <= 1


def test_a_shift_that_changes_over_the_picture_leaves_no_seam() -> None:
    """From 12 darker on the left to 12 brighter on the right, as a step along a hard mask."""
    slope = np.rint(np.linspace(-12, 12, SIZE[0]))[None, :, None]
    answer = Image.fromarray((levels(source()) + slope).astype(np.uint8))
    inside = levels(hole()) == 255

    def off(picture: Image.Image) -> NDArray[np.int_]:
        return np.abs(levels(picture) - levels(source()))[inside]

    assert off(answer).max() > 5
    assert off(toned(answer, source(), hole())).max() <= 3


def test_what_is_new_within_the_mask_stays() -> None:
    """Only its tone changes, as that of everything around it."""
    answer = source()
    ImageDraw.Draw(answer).rectangle((60, 40, 90, 60), fill=(230, 20, 20))
    drawn = toned(shifted(answer, 8, 8, 8), source(), hole())
    assert np.abs(levels(drawn) - levels(answer)).max() <= 1


def test_an_answer_of_other_content_is_let_alone() -> None:
    other = Image.eval(source(), lambda value: 255 - value)
    assert toned(other, source(), hole()).tobytes() == other.tobytes()


def test_without_anything_outside_the_mask_nothing_is_changed() -> None:
    answer = shifted(source(), 9, 9, 9)
    everything = Image.new("L", SIZE, 255)
    assert toned(answer, source(), everything).tobytes() == answer.tobytes()


def test_alpha_stays_and_clear_pixels_say_nothing() -> None:
    """The right half of the answer is clear, and hides a colour that is off by more."""
    answer = levels(shifted(source("RGBA"), 9, 9, 9, 0))
    answer[:, 75:] = (*(20, 20, 20), 0)
    drawn = levels(toned(Image.fromarray(answer.astype(np.uint8)), source(), hole()))
    assert np.array_equal(drawn[..., 3], answer[..., 3])
    assert np.abs(drawn[:, :70, :3] - levels(source())[:, :70]).max() <= 1


@pytest.mark.parametrize("hard", [True, False])
def test_what_is_pasted_back_is_as_exact_as_without(hard: bool) -> None:
    mask = hole(hard)
    result, _ = pasted_back(toned(shifted(source(), 9, 3, -7), source(), mask), source(), mask)
    assert differing(result, source(), mask) == 0


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([1, 3, 50]))
def test_what_is_filled_in_lies_between_what_is_known(
    width: int, height: int, seed: int, of: int
) -> None:
    """And what is known stays."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(-20, 20, (height, width, 3)).astype(np.float32)
    known = (rng.integers(0, of, (height, width, 1)) == 0).astype(np.float32)
    known[rng.integers(height), rng.integers(width)] = 1
    filled, told = _filled(values, known), values[known[..., 0] == 1]
    assert np.array_equal(filled[known[..., 0] == 1], told)
    assert (filled >= told.min(axis=0) - 1e-3).all()
    assert (filled <= told.max(axis=0) + 1e-3).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), st.integers(0, 10**6))
def test_an_answer_that_is_the_source_comes_back_as_it_is(
    width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    mask = Image.fromarray(rng.integers(0, 2, (height, width), dtype=np.uint8) * 255)
    assert toned(picture, picture, mask).tobytes() == picture.tobytes()
