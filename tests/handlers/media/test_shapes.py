"""What each shape covers: golden pictures first, then what holds for all of them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handlers.media import shapes
from handlers.media.regions import Point, Region, parse_region
from handlers.media.shapes import Levels, draw
from tests.examples import examples
from tests.handlers.media.lettered import read, written

Size = tuple[int, int]


def blank(size: Size) -> Levels:
    return np.zeros(size[::-1], np.uint8)


def canvas_of(spec: str | Region, size: Size) -> Levels:
    """A canvas with a region on it, whether or not it covers a pixel."""
    canvas = blank(size)
    touched = draw(canvas, parse_region(spec).in_pixels(size))
    assert touched == bool(canvas.any())
    return canvas


def picture(spec: str, size: Size) -> list[str]:
    return written(Image.fromarray(canvas_of(spec, size)))


def levels_of(*lines: str) -> Levels:
    return np.asarray(read(*lines))


def centres(size: Size) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x (1, width) and y (height, 1) of every pixel's centre."""
    return np.arange(size[0])[None, :] + 0.5, np.arange(size[1])[:, None] + 0.5


# ---------------------------------------------------------------- golden pictures


def test_a_rect_covers_its_pixels_and_not_the_one_behind() -> None:
    assert picture("rect:1:1:4:2", (7, 5)) == [
        ".......",
        ".####..",
        ".####..",
        ".......",
        ".......",
    ]


def test_a_box_is_given_by_two_corners_in_any_order() -> None:
    assert picture("box:5:3:1:1", (7, 5)) == picture("rect:1:1:4:2", (7, 5))


def test_sides_are_rounded_to_the_edges_of_pixels() -> None:
    assert picture("rect:0.5:0.49:3:3.01", (6, 5)) == [
        ".###..",
        ".###..",
        ".###..",
        ".###..",
        "......",
    ]


def test_an_ellipse_fills_the_box_around_it() -> None:
    assert picture("ellipse:1:0:9:7", (11, 7)) == [
        "...#####...",
        "..#######..",
        ".#########.",
        ".#########.",
        ".#########.",
        "..#######..",
        "...#####...",
    ]


def test_an_ellipse_of_even_sides_is_even() -> None:
    assert picture("ellipse:0:0:6:4", (6, 4)) == [
        ".####.",
        "######",
        "######",
        ".####.",
    ]


def test_a_polygon_covers_the_pixels_whose_centres_it_holds() -> None:
    assert picture("polygon:0,0;9,0;0,5", (9, 5)) == [
        "########.",
        "######...",
        "#####....",
        "###......",
        "#........",
    ]


def test_a_polygon_that_crosses_itself_has_no_hole() -> None:
    assert picture("polygon:7.5,0;12,13;0.5,5;14.5,5;3,13", (15, 13)) == [
        ".......#.......",
        ".......#.......",
        ".......#.......",
        "......###......",
        "......###......",
        ".#############.",
        "...#########...",
        "....#######....",
        ".....#####.....",
        "....#######....",
        "....###.###....",
        "....#.....#....",
        "...#.......#...",
    ]


def test_a_polygon_has_no_hole_where_it_goes_around_twice() -> None:
    twice = "polygon:0,0;6,0;6,5;0,5;0,0;2,1;5,1;5,4;2,4;2,1"
    assert picture(twice, (7, 5)) == ["######."] * 5


def test_a_stroke_of_one_point_is_a_soft_spot() -> None:
    assert picture("stroke:4.5:4.5,4.5", (9, 9)) == [
        "...010...",
        ".0367630.",
        ".38###83.",
        "06#####60",
        "17#####71",
        "06#####60",
        ".38###83.",
        ".0367630.",
        "...010...",
    ]


def test_a_stroke_follows_its_points() -> None:
    assert picture("stroke:3:3,3;8,7;8,12", (12, 12)) == [
        ".0220.......",
        "069960......",
        "29###71.....",
        "29####93....",
        "06#####940..",
        ".049#####60.",
        "...39####92.",
        "....17####2.",
        ".....2####2.",
        ".....2####2.",
        ".....2####2.",
        ".....2####2.",
    ]


def test_percent_are_of_the_pictures_own_sides() -> None:
    expected = [
        ".........",
        "..#####..",
        "..#####..",
        "..#####..",
        ".........",
    ]
    assert picture("rect-pct:22.3:20:55.5:60", (9, 5)) == expected
    assert picture("box-pct:22.3:80:77.8:20", (9, 5)) == expected


def test_what_arithmetic_leaves_of_a_half_is_a_half() -> None:
    """0.9 percent of 500 are 4.5 pixels, and 15/11 of 5.5 are 7.5, whatever a float says."""
    assert canvas_of("rect-pct:0.2:0:0.7:100", (500, 1))[0].nonzero()[0].tolist() == [1, 2, 3, 4]
    assert np.count_nonzero(canvas_of("polygon:0,0;15,11;0,11", (15, 11))[5]) == 8


def test_a_centre_on_the_outline_of_an_ellipse_belongs_to_it() -> None:
    circle = canvas_of("ellipse:0.5:0.5:10:10", (11, 11))
    for x, y in ((0, 5), (3, 4), (4, 3), (5, 0)):
        corners = circle[[5 - y, 5 - y, 5 + y, 5 + y], [5 - x, 5 + x, 5 - x, 5 + x]]
        assert (corners == 255).all()


# ---------------------------------------------------------------- what holds for all of them

SIDES = st.integers(1, 25)
SIZES = st.tuples(SIDES, SIDES)
PLACES = st.integers(-1200, 3600).map(lambda hundredths: hundredths / 100)
EXTENTS = st.integers(1, 3600).map(lambda hundredths: hundredths / 100)
POINTS = st.tuples(PLACES, PLACES)


@st.composite
def regions(
    draw: st.DrawFn, shapes: tuple[str, ...] = ("rect", "ellipse", "polygon", "stroke")
) -> Region:
    """Any region, in pixels or percent, often beyond the picture."""
    shape, percent = draw(st.sampled_from(shapes)), draw(st.booleans())
    if shape in ("rect", "ellipse"):
        (x, y), width, height = draw(POINTS), draw(EXTENTS), draw(EXTENTS)
        return Region(shape, ((x, y), (x + width, y + height)), 0, percent)  # type: ignore[arg-type]
    if shape == "polygon":
        return Region("polygon", tuple(draw(st.lists(POINTS, min_size=3, max_size=7))), 0, percent)
    return Region(
        "stroke", tuple(draw(st.lists(POINTS, min_size=1, max_size=4))), draw(EXTENTS), percent
    )


@settings(max_examples=examples(80), deadline=None, derandomize=True)
@given(regions(), SIZES, st.integers(1, 9))
def test_what_lies_beyond_the_picture_changes_nothing_within(
    region: Region, size: Size, by: int
) -> None:
    """A picture is a window on a larger one."""
    region = region.in_pixels(size)
    moved = Region(region.shape, tuple((x + by, y + by) for x, y in region.points), region.radius)
    larger = canvas_of(moved, (size[0] + 2 * by, size[1] + 2 * by))
    assert (larger[by:-by, by:-by] == canvas_of(region, size)).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(), SIZES)
def test_a_picture_turned_on_its_side_has_the_same_region_turned(
    region: Region, size: Size
) -> None:
    turned = Region(
        region.shape, tuple((y, x) for x, y in region.points), region.radius, region.percent
    )
    upright, on_its_side = canvas_of(region, size), canvas_of(turned, size[::-1])
    assert (upright == on_its_side.T).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(), regions(), SIZES)
def test_drawing_adds_and_takes_nothing_away(one: Region, other: Region, size: Size) -> None:
    canvas = canvas_of(one, size)
    draw(canvas, other.in_pixels(size))
    assert (canvas == np.maximum(canvas_of(one, size), canvas_of(other, size))).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(
    st.sampled_from(["rect", "ellipse"]),
    SIZES,
    st.tuples(*[st.integers(-200, 1400)] * 2, *[st.integers(1, 1400)] * 2),
)
def test_percent_of_any_side_equal_the_pixels_they_come_to(
    shape: str, size: Size, tenths: tuple[int, int, int, int]
) -> None:
    percent = ":".join(str(value / 10) for value in tenths)
    sides = (*size, *size)
    pixels = [
        float(Fraction(value * side, 1000)) for value, side in zip(tenths, sides, strict=True)
    ]
    spec = f"{shape}:" + ":".join(map(repr, pixels))
    assert (canvas_of(f"{shape}-pct:{percent}", size) == canvas_of(spec, size)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (101, 7), (33, 33)])
@pytest.mark.parametrize(
    "spec",
    [
        "rect-pct:0:0:100:100",
        "box-pct:100:100:0:0",
        "polygon-pct:0,0;100,0;100,100;0,100",
        "rect:-5:-5:1000:1000",
        "ellipse-pct:-50:-50:200:200",
        "stroke-pct:2000:50,50",
        "stroke:400:0,0;101,33",
    ],
)
def test_the_whole_of_a_picture_is_all_of_its_pixels(spec: str, size: Size) -> None:
    assert (canvas_of(spec, size) == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 5), (101, 7), (33, 33)])
@pytest.mark.parametrize(
    "spec",
    ["ellipse-pct:0:0:100:100", "stroke-pct:50:50,50", "polygon-pct:50,0;100,50;50,100;0,50"],
)
def test_what_is_even_is_drawn_evenly_on_odd_sides(spec: str, size: Size) -> None:
    canvas = canvas_of(spec, size)
    assert canvas[size[1] // 2, size[0] // 2] == 255
    assert (canvas == canvas[::-1]).all()
    assert (canvas == canvas[:, ::-1]).all()


@pytest.mark.parametrize(
    "spec",
    [
        "rect:0.6:0:0.3:5",
        "rect:9:0:5:5",
        "rect:-5:-5:5:50",
        "ellipse:0:0:0.4:0.4",
        "ellipse:-9:-9:10:10",
        "polygon:0,0;4,4;8,8",
        "polygon:0,2;8,2;3,2",
        "polygon:-1,-1;-1,20;-5,3",
        "stroke:0.5:2,2;4,2",
        "stroke:3:-3,-3;-3,20",
        "stroke:100:-300,4",
    ],
)
def test_a_region_that_covers_no_pixel_is_known(spec: str) -> None:
    assert not canvas_of(spec, (9, 9)).any()


# ---------------------------------------------------------------- each against its definition


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(("rect",)), SIZES, st.booleans())
def test_a_polygon_around_a_rect_is_the_rect(region: Region, size: Size, left_handed: bool) -> None:
    (left, top), (right, bottom) = region.points
    corners: tuple[Point, ...] = ((left, top), (right, top), (right, bottom), (left, bottom))
    polygon = Region("polygon", corners[:: -1 if left_handed else 1], 0, region.percent)
    assert (canvas_of(polygon, size) == canvas_of(region, size)).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(("rect",)), SIZES)
def test_halves_of_a_rect_leave_no_gap_and_share_no_pixel(region: Region, size: Size) -> None:
    (left, top), (right, bottom) = region.in_pixels(size).points
    upper = canvas_of(Region("polygon", ((left, top), (right, top), (left, bottom))), size)
    lower = canvas_of(Region("polygon", ((right, bottom), (right, top), (left, bottom))), size)
    assert (upper.astype(int) + lower == canvas_of(region, size)).all()


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(("ellipse",)), SIZES)
def test_an_ellipse_holds_the_centres_that_its_equation_holds(region: Region, size: Size) -> None:
    ((left, top), (right, bottom)), (x, y) = region.in_pixels(size).points, centres(size)
    off = ((2 * x - left - right) / (right - left)) ** 2 + (
        (2 * y - top - bottom) / (bottom - top)
    ) ** 2
    canvas = canvas_of(region, size)
    assert (canvas[off < 1 - 1e-6] == 255).all()
    assert (canvas[off > 1 + 1e-6] == 0).all()


def brush(points: tuple[Point, ...], radius: float, size: Size) -> NDArray[np.float64]:
    """The soft brush as it is defined, pixel by pixel."""
    x, y = centres(size)
    distance = np.full((size[1], size[0]), math.inf)
    for (x1, y1), (x2, y2) in zip(points, points[1:] or points, strict=False):
        length = max((x2 - x1) ** 2 + (y2 - y1) ** 2, 1e-30)
        along = np.clip(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0, 1)
        here = np.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1))
        distance = np.minimum(distance, here)
    return 127.5 * (1 + np.cos(np.pi * np.clip(2 * distance / radius - 1, 0, 1)))


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(regions(("stroke",)), SIZES)
def test_a_stroke_falls_from_half_of_its_radius_to_nothing(region: Region, size: Size) -> None:
    region = region.in_pixels(size)
    if region.radius <= 32:
        expected = brush(region.points, region.radius, size)
        assert np.abs(canvas_of(region, size) - expected).max() < 1.5


@pytest.mark.parametrize("radius", [33, 50, 77.7, 200])
def test_a_wide_stroke_is_drawn_smaller_and_nobody_sees_it(radius: float) -> None:
    points, size = ((-20.0, 30.0), (250.0, 160.0)), (301, 203)
    canvas, expected = (
        canvas_of(Region("stroke", points, radius), size),
        brush(points, radius, size),
    )
    assert np.abs(canvas - expected).max() < 2
    assert canvas[expected == 0].max(initial=0) <= 1


@pytest.mark.parametrize("radius", [33, 50, 77.7, 200])
def test_only_the_crease_within_a_bend_is_rounded(radius: float) -> None:
    points, size = ((-20.0, 30.0), (250.0, 60.0), (140.0, 190.0)), (301, 203)
    canvas, expected = (
        canvas_of(Region("stroke", points, radius), size),
        brush(points, radius, size),
    )
    off = np.abs(canvas - expected)
    assert off.max() < 12
    assert (off > 2).mean() < 0.01


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pixels each line of a stroke looked at: time says little on a busy machine."""
    counts: list[int] = []
    original = shapes._square_distance

    def counted(x: NDArray[np.float64], *rest: object) -> NDArray[np.float64]:
        counts.append(x.size)
        return original(x, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(shapes, "_square_distance", counted)
    return counts


def test_a_stroke_costs_no_more_for_being_wide(looked: list[int]) -> None:
    points = tuple((float(x), 500.0) for x in range(0, 1000, 20))
    canvas_of(Region("stroke", points, 32), (1000, 1000))
    narrow = sum(looked)
    looked.clear()
    canvas_of(Region("stroke", points, 320), (1000, 1000))
    assert sum(looked) < narrow


def test_an_endless_scribble_is_drawn_more_coarsely(
    looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    places = np.random.default_rng(1).integers(20, 180, (400, 2)).tolist()
    scribble = Region("stroke", tuple((float(x), float(y)) for x, y in places), 8)
    fine = canvas_of(scribble, (200, 200))
    needed = sum(looked)
    looked.clear()
    monkeypatch.setattr(shapes, "_MOST_BRUSHED", needed // 8)
    coarse = canvas_of(scribble, (200, 200))
    assert sum(looked) < needed / 4
    assert np.abs(fine.astype(int) - coarse).mean() < 2
