"""What is pasted back is the answer where the mask wants it, and the source to the last bit where
it does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media.compositing import differing, fitted, is_transparent, pasted_back
from tests.examples import examples

Size = tuple[int, int]


def noise(size: Size, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Random pixels; every third one or so of an RGBA is clear, and hides a colour."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, 256, (size[1], size[0], len(mode)), dtype=np.uint8)
    if mode == "RGBA":
        levels[..., 3] *= rng.random(size[::-1]) > 0.3
    return Image.fromarray(levels, mode)


def some_mask(size: Size, seed: int = 0, hard: bool = False) -> Image.Image:
    """A third of it 0, a third of it 255."""
    levels = np.clip(np.random.default_rng(seed).integers(-255, 511, size[::-1]), 0, 255)
    levels = np.where(levels > 127, 255, 0) if hard else levels
    return Image.fromarray(levels.astype(np.uint8))


def level(*values: int) -> Image.Image:
    """One row of mode "L"."""
    return Image.fromarray(np.array([values], np.uint8))


def row(*values: tuple[int, ...]) -> Image.Image:
    """One row of RGB or RGBA."""
    return Image.fromarray(np.array([values], np.uint8))


def as_rgba(picture: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(picture.convert("RGBA"))


# ---------------------------------------------------------------- the blend


def test_opaque_pictures_are_blended_by_the_mask() -> None:
    answer, source = row(*[(200, 100, 0)] * 5), row(*[(0, 100, 200)] * 5)
    result, notes = pasted_back(answer, source, level(0, 64, 128, 191, 255))
    assert (result.mode, notes) == ("RGB", [])
    assert [list(pixel) for pixel in np.asarray(result)[0]] == [
        [0, 100, 200],
        [50, 100, 150],
        [100, 100, 100],
        [150, 100, 50],
        [200, 100, 0],
    ]


def test_a_blend_weighs_colours_by_their_alpha() -> None:
    """White that fades into nothing stays white: no dark fringe, and none of the hidden colour."""
    answer, source = row(*[(255, 255, 255, 255)] * 3), row(*[(0, 0, 0, 0)] * 3)
    result, _ = pasted_back(answer, source, level(1, 128, 254))
    assert [tuple(pixel) for pixel in np.asarray(result)[0]] == [
        (255, 255, 255, 1),
        (255, 255, 255, 128),
        (255, 255, 255, 254),
    ]


def test_where_both_are_clear_the_blend_is() -> None:
    result, _ = pasted_back(row((9, 9, 9, 0)), row((7, 7, 7, 0)), level(128))
    assert result.getpixel((0, 0)) == (0, 0, 0, 0)


def test_a_composite_of_pillow_is_exact_at_both_ends_for_every_pair_of_levels() -> None:
    """What the promise rests on: all 65,536 pairs, at mask 0 and 255."""
    above, below = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    pictures = [Image.fromarray(np.repeat(one[..., None], 3, axis=2)) for one in (above, below)]
    for weight, expected in ((0, pictures[1]), (255, pictures[0])):
        result = Image.composite(*pictures, Image.new("L", (256, 256), weight))
        assert result.tobytes() == expected.tobytes()


@settings(max_examples=examples(120), deadline=None)
@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.sampled_from(["RGB", "RGBA"]),
    st.sampled_from(["RGB", "RGBA"]),
    st.integers(0, 10**6),
    st.booleans(),
)
def test_both_ends_are_exact_for_any_mask(
    size: Size, first: str, second: str, seed: int, hard: bool
) -> None:
    """Colours under alpha 0 too; and a blend lies between both."""
    answer, source = noise(size, first, seed), noise(size, second, seed + 1)
    mask = some_mask(size, seed, hard)
    before = source.tobytes(), answer.tobytes(), mask.tobytes()
    result, _ = pasted_back(answer, source, mask)
    assert differing(result, source, mask) == 0
    assert differing(result, answer, Image.eval(mask, lambda value: 255 - value)) == 0
    assert (source.tobytes(), answer.tobytes(), mask.tobytes()) == before
    alphas = [as_rgba(picture)[..., 3].astype(int) for picture in (answer, source)]
    alpha = as_rgba(result)[..., 3]
    assert (alpha >= np.minimum(*alphas)).all()
    assert (alpha <= np.maximum(*alphas)).all()


def test_a_blend_is_the_same_in_bands() -> None:
    """A picture of many bands is blended as each of its rows alone."""
    size = (700, 900)
    answer, source, mask = noise(size, "RGBA"), noise(size, "RGBA", 1), some_mask(size)
    result, _ = pasted_back(answer, source, mask)
    for top in (0, 373, 374, 375, 748, 899):
        box = (0, top, 700, top + 1)
        alone, _ = pasted_back(*(one.crop(box) for one in (answer, source, mask)))
        assert np.array_equal(as_rgba(alone), as_rgba(result.crop(box)))


# ---------------------------------------------------------------- modes


@pytest.mark.parametrize("answer", ["RGB", "full", "RGBA"])
@pytest.mark.parametrize("source", ["RGB", "full", "RGBA"])
def test_a_result_is_rgb_unless_one_can_be_seen_through(answer: str, source: str) -> None:
    def made(kind: str) -> Image.Image:
        picture = noise((6, 5), kind if kind != "full" else "RGB")
        return picture.convert("RGBA") if kind == "full" else picture

    result, _ = pasted_back(made(answer), made(source), some_mask((6, 5)))
    assert result.mode == ("RGBA" if "RGBA" in {answer, source} else "RGB")


def test_an_alpha_channel_that_is_full_is_not_seen_through() -> None:
    picture = Image.new("RGBA", (3, 3), (1, 2, 3, 255))
    assert not is_transparent(picture)
    assert not is_transparent(picture.convert("RGB"))
    picture.putpixel((2, 2), (1, 2, 3, 254))
    assert is_transparent(picture)


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="do not match"):
        pasted_back(noise((4, 4)), noise((4, 4)), some_mask((4, 5)))


# ---------------------------------------------------------------- sizes


def test_an_answer_of_the_same_size_is_taken_as_it_is() -> None:
    answer = noise((7, 5))
    assert fitted(answer, (7, 5)) == (answer, [])


def test_an_answer_of_the_same_shape_is_resized_and_it_is_told() -> None:
    answer, source, mask = noise((96, 64)), noise((150, 99)), some_mask((150, 99))
    result, notes = pasted_back(answer, source, mask)
    assert notes == ["the provider's answer of 96 x 64 was resized to the source's 150 x 99"]
    assert result.size == (150, 99)
    assert differing(result, source, mask) == 0
    whole, _ = pasted_back(answer, source, Image.new("L", source.size, 255))
    expected = answer.resize((150, 99), Image.Resampling.LANCZOS)
    assert whole.tobytes() == expected.tobytes()


def test_a_resized_answer_has_no_dark_fringe() -> None:
    """Black that is clear does not darken the white beside it."""
    answer = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
    answer.paste((255, 255, 255, 255), (10, 10, 30, 30))
    levels = np.asarray(fitted(answer, (61, 61))[0])
    assert (levels[levels[..., 3] > 8][:, :3] > 240).all()


@pytest.mark.parametrize("size", [(1020, 1000), (1000, 1020), (510, 500), (2000, 2000), (1, 1)])
def test_two_percent_off_is_the_same_shape(size: Size) -> None:
    assert fitted(Image.new("RGB", size), (1000, 1000))[0].size == (1000, 1000)


@pytest.mark.parametrize("size", [(1021, 1000), (1000, 1021), (512, 500), (1000, 1), (1, 2)])
def test_another_shape_cannot_be_pasted_back(size: Size) -> None:
    with pytest.raises(HandlerError) as caught:
        pasted_back(Image.new("RGB", size), noise((1000, 1000)), some_mask((1000, 1000)))
    error = caught.value
    assert (error.code, error.retryable) == ("provider_failed", False)
    assert f"{size[0]} x {size[1]}" in error.message
    assert "1000 x 1000" in error.message
    assert "`size`" in error.hints[0]


# ---------------------------------------------------------------- the measure


@pytest.mark.parametrize(
    ("one", "other", "count"),
    [
        ([(1, 2, 3)], [(1, 2, 3)], 0),
        ([(1, 2, 3)], [(1, 2, 4)], 1),
        ([(1, 2, 3)], [(1, 2, 3, 255)], 0),
        ([(1, 2, 3)], [(1, 2, 3, 254)], 1),
        ([(1, 2, 3, 0)], [(9, 2, 3, 0)], 1),
    ],
)
def test_a_pixel_differs_in_any_colour_or_in_alpha(one: Any, other: Any, count: int) -> None:
    assert differing(row(*one), row(*other), level(0)) == count


def test_only_pixels_where_the_mask_is_0_count() -> None:
    one, other = row(*[(0, 0, 0)] * 4), row((1, 0, 0), (0, 0, 0), (0, 1, 0), (0, 0, 1))
    assert differing(one, other, level(0, 0, 1, 0)) == 2


def test_every_band_counts() -> None:
    size = (1000, 700)
    one, where = Image.new("RGB", size), Image.new("L", size)
    other = one.copy()
    for place in ((0, 0), (999, 261), (0, 262), (999, 699)):
        other.putpixel(place, (0, 0, 1))
    assert differing(one, other, where) == 4


def test_pictures_of_two_sizes_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        differing(noise((4, 4)), noise((4, 5)), some_mask((4, 4)))
