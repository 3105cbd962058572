"""Objects by transparency and by the colour of the corners, pixel by pixel."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media.choices import Mode, Selection
from handlers.media.selection import selected
from tests.examples import examples
from tests.handlers.media.sketches import lines, picture_of, sketch_of

WHITE, VEIL, RED, SPOT = (255, 255, 255), (245, 245, 245), (200, 30, 40), (250, 235, 235)
STILL = """
    wwwwwwww
    wwvwwvww
    wwrrrwww
    wrrsrrww
    wwrrrrww
    wwwwwwww
    wwwwwwrw
    wwwwwwww
"""


def still() -> Image.Image:
    """A red object with a light spot before white paper that is not all white."""
    return picture_of(STILL, w=WHITE, v=VEIL, r=RED, s=SPOT)


def pictures(*, alpha: bool) -> st.SearchStrategy[Image.Image]:
    """Small pictures, tiny and odd ones among them, of few colours that lie near and far."""
    levels = st.sampled_from([0, 7, 8, 40, 100, 128, 200, 254, 255])
    shapes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(4 if alpha else 3))
    return arrays.arrays(np.uint8, shapes, elements=levels).map(Image.fromarray)


def chosen(picture: Image.Image, how: Selection) -> NDArray[np.bool_]:
    """Where the mask is 255, after a look at its form."""
    mask, _ = selected(picture, how)
    assert mask.mode == "L"
    assert mask.size == picture.size
    levels = np.asarray(mask)
    assert {*np.unique(levels).tolist()} <= {0, 255}
    return levels == 255


# ---------------------------------------------------------------- corner-bg


def test_an_object_before_paper_is_what_is_far_from_the_colour_of_the_corners() -> None:
    mask, notes = selected(still(), Selection(sample_size=1))
    assert sketch_of(mask) == lines(
        """
        ........
        ........
        ..###...
        .##.##..
        ..####..
        ........
        ......#.
        ........
        """
    )
    assert notes == []


def test_holes_and_specks_are_cleaned_up_afterwards() -> None:
    mask, _ = selected(still(), Selection(sample_size=1, holes=1, specks=1))
    assert sketch_of(mask) == lines(
        """
        ........
        ........
        ..###...
        .#####..
        ..####..
        ........
        ........
        ........
        """
    )


def test_a_lower_threshold_takes_what_is_only_just_different() -> None:
    mask, _ = selected(still(), Selection(sample_size=1, threshold=10))
    assert sketch_of(mask).splitlines()[1] == "..#..#.."


@pytest.mark.parametrize(("threshold", "expected"), [(49, "#"), (50, "#"), (51, ".")])
def test_a_colour_that_is_just_as_far_as_the_threshold_belongs_to_the_object(
    threshold: int, expected: str
) -> None:
    # 30 and 40 make 50.
    picture = picture_of("wwwww wwoww wwwww", w=(0, 0, 0), o=(30, 0, 40))
    mask, _ = selected(picture, Selection(sample_size=1, threshold=threshold))
    assert sketch_of(mask) == lines(f"..... ..{expected}.. .....")


def test_the_backdrop_is_the_mean_of_all_four_corners() -> None:
    greys = {"a": 0, "b": 40, "c": 80, "d": 120, "m": 60, "z": 200}
    picture = picture_of("azzb zmmz czzd", **{name: (v, v, v) for name, v in greys.items()})
    mask, _ = selected(picture, Selection(sample_size=1, threshold=1))
    assert sketch_of(mask) == lines("#### #..# ####")


def test_a_corner_of_another_colour_is_noted_with_the_way_out() -> None:
    picture = picture_of("wwwk wrrw wwww", w=WHITE, r=RED, k=(0, 0, 0))
    _, notes = selected(picture, Selection(sample_size=1))
    assert len(notes) == 1
    assert "not of one colour: 100% of the pixels in the corners" in notes[0]
    assert "grabcut" in notes[0]


def test_a_little_dust_in_the_corners_is_not_noted() -> None:
    levels = np.full((40, 40, 3), 250, np.uint8)
    levels[2:4, 2:4] = 0
    _, notes = selected(Image.fromarray(levels), Selection())
    assert notes == []
    levels[:8, :8] = 0
    _, notes = selected(Image.fromarray(levels), Selection(threshold=150))
    assert "25% of the pixels in the corners" in notes[0]


def test_what_is_transparent_is_backdrop_and_its_colour_counts_for_nothing() -> None:
    """Under the transparent corner lies black, which would make the mean a grey."""
    picture = picture_of(
        "ttwww trrrw wgtrw wwwww", t=(0, 0, 0, 7), w=(*WHITE, 255), r=(*RED, 255), g=(*RED, 8)
    )
    mask, notes = selected(picture, Selection(sample_size=1))
    assert sketch_of(mask) == lines("..... .###. .#.#. .....")
    assert notes == []


def test_before_transparent_corners_all_that_is_visible_is_the_object_and_it_is_noted() -> None:
    picture = picture_of("tttt trwt tttt", t=(255, 255, 255, 0), r=(*RED, 255), w=(*WHITE, 90))
    mask, notes = selected(picture, Selection(sample_size=1))
    assert sketch_of(mask) == lines(".... .##. ....")
    assert notes == ["the corners are transparent, so all that is visible was taken for the object"]


def slowly(picture: Image.Image, threshold: float, sample_size: int) -> NDArray[np.bool_]:
    """The seed's way: a loop over pixels, in floating point."""
    width, height = picture.size
    wide, high = min(sample_size, width), min(sample_size, height)
    rows = np.asarray(picture).tolist()
    corner = [
        rows[top + y][left + x]
        for left in (0, width - wide)
        for top in (0, height - high)
        for y in range(high)
        for x in range(wide)
    ]
    mean = [sum(pixel[band] for pixel in corner) / len(corner) for band in range(3)]
    return np.array([[math.dist(pixel[:3], mean) >= threshold for pixel in row] for row in rows])


@settings(max_examples=examples(80), deadline=None)
@given(pictures(alpha=False), st.integers(0, 442), st.integers(1, 12))
def test_it_chooses_what_a_loop_over_pixels_chooses(
    picture: Image.Image, threshold: int, sample_size: int
) -> None:
    """But where the distance is within a hundredth of a level of the threshold."""
    fast = chosen(picture, Selection(threshold=threshold, sample_size=sample_size))
    sure = slowly(picture, threshold, sample_size)
    doubtful = slowly(picture, threshold - 0.02, sample_size) != slowly(
        picture, threshold + 0.02, sample_size
    )
    assert not ((fast != sure) & ~doubtful).any()


@settings(max_examples=examples(40), deadline=None)
@given(pictures(alpha=True), st.integers(0, 460), st.integers(0, 460), st.integers(1, 99))
def test_a_higher_threshold_never_selects_more(
    picture: Image.Image, one: int, other: int, sample_size: int
) -> None:
    low, high = sorted((one, other))
    wide = chosen(picture, Selection(threshold=low, sample_size=sample_size))
    narrow = chosen(picture, Selection(threshold=high, sample_size=sample_size))
    assert not (narrow & ~wide).any()


@settings(max_examples=examples(40), deadline=None)
@given(
    pictures(alpha=True),
    st.integers(0, 255),
    st.integers(1, 9),
    st.sampled_from(list(Image.Transpose)),
)
def test_a_turned_picture_has_the_turned_mask(
    picture: Image.Image, threshold: int, sample_size: int, turn: Image.Transpose
) -> None:
    how = Selection(threshold=threshold, sample_size=sample_size, holes=3, specks=2)
    mask, _ = selected(picture, how)
    assert selected(picture.transpose(turn), how)[0] == mask.transpose(turn)


def test_more_rows_than_are_worked_on_at_once_make_no_seam() -> None:
    levels = np.full((200, 3, 3), 255, np.uint8)
    levels[20:180, 1] = 0
    mask, _ = selected(Image.fromarray(levels), Selection(sample_size=1))
    assert np.array_equal(np.asarray(mask) == 255, levels[..., 0] == 0)


# ---------------------------------------------------------------- alpha


def test_the_object_is_what_is_opaque_enough() -> None:
    picture = picture_of(
        "tabc cbat", t=(9, 9, 9, 0), a=(9, 9, 9, 39), b=(9, 9, 9, 40), c=(9, 9, 9, 255)
    )
    assert sketch_of(selected(picture, Selection("alpha"))[0]) == lines("..## ##..")
    half = selected(picture, Selection("alpha", threshold=41))[0]
    assert sketch_of(half) == lines("...# #...")


@pytest.mark.parametrize("picture", [Image.new("RGB", (3, 2)), Image.new("RGBA", (3, 2), "red")])
def test_a_picture_that_is_opaque_all_over_has_nothing_to_select_by(picture: Image.Image) -> None:
    with pytest.raises(HandlerError, match="no transparency to select by") as error:
        selected(picture, Selection("alpha"))
    assert error.value.code == "invalid_request"
    assert "corner-bg" in error.value.hints[0]
    assert "grabcut" in error.value.hints[1]


@settings(max_examples=examples(40), deadline=None)
@given(pictures(alpha=True), st.integers(0, 255))
def test_each_alpha_is_compared_by_itself(picture: Image.Image, threshold: int) -> None:
    alpha = np.asarray(picture)[..., 3]
    if alpha.min() < 255:
        mask = chosen(picture, Selection("alpha", threshold=threshold))
        assert np.array_equal(mask, alpha >= threshold)


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize("mode", ["corner-bg", "alpha"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 2), (7, 5)])
def test_a_tiny_picture_has_a_mask_of_its_size(mode: Mode, size: tuple[int, int]) -> None:
    picture = Image.new("RGBA", size, (10, 20, 30, 128))
    assert chosen(picture, Selection(mode, sample_size=64)).all() == (mode == "alpha")
