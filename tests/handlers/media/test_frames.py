"""Where a picture lies in a larger canvas, and what cannot be a canvas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, get_args

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from handlers.contract import HandlerError
from handlers.media.frames import OVERLAP, Anchor, Extension, Frame, frame_of
from tests.examples import examples

PLENTY = 10**9
ANCHORS: tuple[str, ...] = get_args(Anchor)
SIDES = st.integers(1, 300)


def framed(source: tuple[int, int], max_pixels: int = PLENTY, **asked: Any) -> Frame:
    return frame_of(Extension(**asked), source, max_pixels)


def refused(source: tuple[int, int] = (8, 6), **asked: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        framed(source, **asked)
    return caught.value


# ---------------------------------------------------------------- sides


def test_sides_are_added_and_expand_adds_to_each_of_them() -> None:
    frame = framed((8, 6), left=1, top=2, right=3, bottom=4, expand=10)
    assert frame == Frame((8, 6), 11, 12, 13, 14)
    assert (frame.size, frame.box) == ((32, 32), (11, 12, 19, 18))


def test_one_side_alone_is_enough() -> None:
    assert framed((8, 6), top=5) == Frame((8, 6), top=5)
    assert framed((8, 6), top=5, size="auto") == Frame((8, 6), top=5)


@pytest.mark.parametrize("asked", [{}, {"expand": 0, "left": 0}, {"size": "auto"}])
def test_no_pixel_at_all_is_an_error_before_the_source_is_known(asked: dict[str, Any]) -> None:
    with pytest.raises(HandlerError, match="nothing to extend") as caught:
        Extension(**asked)
    assert caught.value.code == "invalid_request"
    assert "expand" in caught.value.hints[0]


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom", "expand"])
def test_a_side_cannot_be_negative(side: str) -> None:
    with pytest.raises(HandlerError, match="negative") as caught:
        Extension(**{"left": 9, side: -1})
    assert [pointer for pointer, _ in caught.value.faults] == [f"/{side}"]


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("anchor", "place"),
    [
        (None, (2, 1, 3, 2)),
        ("center", (2, 1, 3, 2)),
        ("left", (0, 1, 5, 2)),
        ("right", (5, 1, 0, 2)),
        ("top", (2, 0, 3, 3)),
        ("bottom", (2, 3, 3, 0)),
        ("top-left", (0, 0, 5, 3)),
        ("top-right", (5, 0, 0, 3)),
        ("bottom-left", (0, 3, 5, 0)),
        ("bottom-right", (5, 3, 0, 0)),
    ],
)
def test_the_anchor_is_the_place_of_the_source(
    anchor: str | None, place: tuple[int, int, int, int]
) -> None:
    """Left, top, right and bottom of what is new; the odd pixel goes to the right and bottom."""
    assert framed((8, 6), size="13x9", anchor=anchor) == Frame((8, 6), *place)


@pytest.mark.parametrize(
    ("source", "ratio", "canvas"),
    [
        ((100, 100), "16:9", (178, 100)),
        ((100, 100), "9:16", (100, 178)),
        ((300, 100), "1:1", (300, 300)),
        ((1000, 500), "3:2", (1000, 667)),
        ((3, 2), "999:1", (1998, 2)),
        ((1, 1), "1:2", (1, 2)),
        ((5, 5), "2:3", (5, 7)),
    ],
)
def test_a_ratio_makes_the_smallest_canvas_of_it(
    source: tuple[int, int], ratio: str, canvas: tuple[int, int]
) -> None:
    """One side is the source's, the other one is rounded; a half goes down."""
    assert framed(source, aspect_ratio=ratio).size == canvas


@pytest.mark.parametrize(
    ("size", "where"),
    [("7x99", "in width"), ("99x5", "in height"), ("7x5", "in width and height")],
)
def test_a_target_smaller_than_the_source_is_an_error_that_says_where(
    size: str, where: str
) -> None:
    error = refused(size=size)
    assert error.code == "invalid_request"
    assert error.message.endswith(f"is smaller than the source, 8 x 6, {where}")
    assert "neither crops nor scales" in error.hints[0]


@pytest.mark.parametrize(
    "asked", [{"size": "8x6"}, {"aspect_ratio": "4:3"}, {"aspect_ratio": "8:6"}]
)
def test_a_target_that_the_source_fills_is_an_error(asked: dict[str, Any]) -> None:
    assert "nothing to extend: the source has the target's size" in refused(**asked).message


@pytest.mark.parametrize(
    ("source", "ratio"), [((1000, 667), "3:2"), ((667, 1000), "2:3"), ((1001, 667), "3:2")]
)
def test_a_ratio_that_the_source_has_but_for_rounding_extends_nothing(
    source: tuple[int, int], ratio: str
) -> None:
    assert "nothing to extend" in refused(source, aspect_ratio=ratio).message


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("aspect_ratio", {"size": "9x9", "aspect_ratio": "1:1"}),
        ("size", {"size": "99x99", "left": 1}),
        ("aspect_ratio", {"aspect_ratio": "1:1", "expand": 1}),
        ("anchor", {"left": 4, "anchor": "left"}),
        ("anchor", {"size": "99x99", "anchor": "middle"}),
        ("size", {"size": "99*99"}),
        ("size", {"size": "0x99"}),
        ("size", {"size": "9999999x1"}),
        ("size", {"size": "９x９"}),
        ("aspect_ratio", {"aspect_ratio": "16x9"}),
        ("aspect_ratio", {"aspect_ratio": "auto"}),
    ],
)
def test_what_says_two_things_or_none_is_refused_by_its_field(
    field: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(HandlerError) as caught:
        Extension(**asked)
    assert caught.value.code == "invalid_request"
    assert caught.value.message.startswith(f"{field}: ")
    assert [pointer for pointer, _ in caught.value.faults] == [f"/{field}"]


@pytest.mark.parametrize(
    "asked", [{"expand": 50_000}, {"size": "40001x1000"}, {"aspect_ratio": "1:999999"}]
)
def test_a_canvas_of_too_many_pixels_is_an_error(asked: dict[str, Any]) -> None:
    error = refused((1000, 1000), max_pixels=40_000_000, **asked)
    assert error.code == "too_large"
    assert "40000000" in error.message
    assert framed((1000, 1000), max_pixels=40_000_000, size="40000x1000").size == (40_000, 1000)


@settings(max_examples=examples(60), deadline=None)
@given(SIDES, SIDES, SIDES, SIDES, st.sampled_from(ANCHORS))
@example(1, 1, 999, 1, "center")
def test_any_ratio_holds_the_source_and_is_the_ratio_within_half_a_pixel(
    width: int, height: int, across: int, down: int, anchor: str
) -> None:
    try:
        frame = framed((width, height), aspect_ratio=f"{across}:{down}", anchor=anchor)
    except HandlerError as error:
        assume("nothing to extend" not in error.message)
        raise
    wide, tall = frame.size
    assert min(frame.left, frame.top, frame.right, frame.bottom) >= 0
    assert wide == width or tall == height
    assert min(abs(wide - tall * across / down), abs(tall - wide * down / across)) <= 0.5


# ---------------------------------------------------------------- what stays


def test_the_overlap_counts_on_extended_sides_alone() -> None:
    frame = Frame((100, 80), left=10, bottom=5)
    assert frame.kept() == (10 + OVERLAP, 0, 110, 80 - OVERLAP)
    assert frame.kept(0) == frame.box
    assert frame.kept(7) == (17, 0, 110, 73)


@pytest.mark.parametrize(
    ("side", "overlap"), [(1, 0), (3, 0), (4, 1), (40, 10), (64, 16), (99, 16)]
)
def test_unless_asked_at_most_a_quarter_of_the_source_is_overlapped(
    side: int, overlap: int
) -> None:
    kept = Frame((side, 500), 1, 1, 1, 1).kept()
    assert kept == (1 + overlap, 1 + OVERLAP, 1 + side - overlap, 501 - OVERLAP)


def test_an_overlap_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(HandlerError, match="leave nothing of the source, 8 x 6") as caught:
        Frame((8, 6), top=1, bottom=1).kept(3)
    assert caught.value.code == "invalid_request"


def test_geometry_loads_neither_numpy_nor_pillow() -> None:
    """Request models use it, and commands start fast."""
    code = "import sys, handlers.media.frames; print({'numpy', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
