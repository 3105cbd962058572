"""Regions at the door: both forms, what they come to, and what is said of those that are none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from daemon.errors import BadRequest
from daemon.requests import Door
from handlers.contract import Handler, TaskRequest
from handlers.media.regions import (
    LARGEST_NUMBER,
    MOST_POINTS,
    Region,
    RegionField,
    parse_region,
    single_region,
)
from tests.examples import examples
from tests.support import REPOSITORY


class Request(TaskRequest):
    """A request that names regions."""

    task: str = "paint"
    regions: list[RegionField] = Field(description="What to paint.")


def fault(value: Any) -> str:
    with pytest.raises(ValueError) as caught:
        parse_region(value)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250
    return message


# ---------------------------------------------------------------- both forms


@pytest.mark.parametrize(
    ("text", "named", "region"),
    [
        (
            "rect:10:20:30:40",
            {"shape": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
            Region("rect", ((10, 20), (40, 60))),
        ),
        (
            "rect-pct:-5:0.5:50:100",
            {"shape": "rect", "unit": "pct", "x": -5, "y": 0.5, "width": 50, "height": 100},
            Region("rect", ((-5, 0.5), (45, 100.5)), percent=True),
        ),
        (
            "box:10:20:30:40",
            {"shape": "box", "x": 10, "y": 20, "x2": 30, "y2": 40, "unit": "px"},
            Region("rect", ((10, 20), (30, 40))),
        ),
        (
            "box-pct:90:80:10:20",
            {"shape": "box-pct", "x": 90, "y": 80, "x2": 10, "y2": 20},
            Region("rect", ((10, 20), (90, 80)), percent=True),
        ),
        (
            "ellipse:1.5:+2:.5:3.",
            {"shape": "ellipse", "x": 1.5, "y": 2, "width": 0.5, "height": 3},
            Region("ellipse", ((1.5, 2), (2, 5))),
        ),
        (
            "polygon:0,0;9,0;0,-5.5",
            {"shape": "polygon", "points": [[0, 0], [9, 0], [0, -5.5]]},
            Region("polygon", ((0, 0), (9, 0), (0, -5.5))),
        ),
        (
            "stroke:8:1,2",
            {"shape": "stroke", "radius": 8, "points": [[1, 2]]},
            Region("stroke", ((1, 2),), 8),
        ),
        (
            "stroke-pct:2.5:1,2;3,4;5,6",
            {
                "shape": "stroke-pct",
                "unit": "pct",
                "radius": 2.5,
                "points": [[1, 2], [3, 4], [5, 6]],
            },
            Region("stroke", ((1, 2), (3, 4), (5, 6)), 2.5, percent=True),
        ),
    ],
)
def test_a_text_and_an_object_come_to_the_same_region(
    text: str, named: dict[str, Any], region: Region
) -> None:
    assert parse_region(text) == parse_region(named) == region


def test_white_space_around_numbers_is_no_matter() -> None:
    spaced = parse_region(" rect: 1 : 2 :\n3:4 ")
    assert spaced == parse_region("rect:1:2:3:4")
    assert spaced.spec == "rect:1:2:3:4"


def test_a_region_keeps_the_text_it_was_given_as() -> None:
    assert parse_region("box:30:40:10:20").spec == "box:30:40:10:20"
    named = {"shape": "stroke", "unit": "pct", "radius": 2, "points": [[1, 2.5], [3, 4]]}
    assert parse_region(named).spec == "stroke-pct:2:1,2.5;3,4"


def test_a_long_text_is_shortened_for_messages() -> None:
    region = parse_region("polygon:" + ";".join(["10,10", "20,10", "20,20"] * 50))
    assert len(region.shown) == 60
    assert region.shown.endswith("…")
    assert parse_region(region.spec) == region


NUMBERS = st.one_of(
    st.integers(-LARGEST_NUMBER, LARGEST_NUMBER),
    st.floats(-LARGEST_NUMBER, LARGEST_NUMBER, allow_subnormal=False),
)
SIZES = st.one_of(st.integers(1, LARGEST_NUMBER), st.floats(0.001, LARGEST_NUMBER))
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS).map(list), min_size=3, max_size=6)


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    """Any region, as an object."""
    shape = draw(st.sampled_from(["rect", "ellipse", "polygon", "stroke"]))
    value: dict[str, Any] = {"shape": shape, "unit": draw(st.sampled_from(["px", "pct"]))}
    if shape in ("rect", "ellipse"):
        # A width that is lost beside x is a region of no width.
        value |= {"x": draw(st.integers(-1000, 1000)), "y": draw(st.integers(-1000, 1000))}
        return value | {"width": draw(SIZES), "height": draw(SIZES)}
    if shape == "stroke":
        value["radius"] = draw(SIZES)
    return value | {"points": draw(POINTS)}


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(objects())
def test_the_text_of_an_object_is_the_same_region(value: dict[str, Any]) -> None:
    region = parse_region(value)
    assert parse_region(region.spec) == region
    assert parse_region(region) is region


PARTS = st.sampled_from(["rect", "-pct", "stroke", "polygon", ":", ",", ";", "1", "-0", "x", "é"])


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(
    st.one_of(
        st.lists(PARTS, max_size=12).map("".join),
        st.dictionaries(st.sampled_from(["shape", "x", "points", "unit"]), PARTS | NUMBERS),
        st.none() | st.booleans() | NUMBERS | st.lists(NUMBERS, max_size=3),
    )
)
def test_whatever_stands_there_is_a_region_or_a_fault(value: Any) -> None:
    try:
        assert isinstance(parse_region(value), Region)
    except ValueError as error:
        assert str(error)


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("rect:1:2:3", "must be like rect:x:y:width:height, in whole or fractional pixels"),
        ("rect:1:2:3:4:5", "must be like rect:x:y:width:height, in whole or fractional pixels"),
        (
            "box-pct:1:2:3",
            "must be like box-pct:x1:y1:x2:y2, in percent of the picture's sides",
        ),
        (
            "ellipse:1:two:3:4",
            'must be like ellipse:x:y:width:height, in whole or fractional pixels; "two" is no number',
        ),
        (
            "polygon:1,2;3;4,5",
            'must be like polygon:x,y;x,y;x,y, in whole or fractional pixels; "3" is no point',
        ),
        ("stroke:1,2;3,4", "must be like stroke:radius:x,y;x,y, in whole or fractional pixels"),
        ("rectt:1:2:3:4", 'there is no shape "rectt"; did you mean rect?'),
        ("elipse-pct:1:2:3:4", 'there is no shape "elipse-pct"; did you mean ellipse-pct?'),
        (
            "10,10,50,50",
            'there is no shape "10,10,50,50"; there are rect, box, ellipse, polygon and stroke',
        ),
        ("", 'there is no shape ""; there are rect, box, ellipse, polygon and stroke'),
        ("rect:1:2:0:4", "width must be above 0, not 0"),
        ("ellipse:1:2:3:-4.5", "height must be above 0, not -4.5"),
        ("stroke:0:1,2", "radius must be above 0, not 0"),
        ("box:1:2:1:4", "the corners must differ in x and in y"),
        ("polygon:1,2;3,4", "a polygon needs three points or more, not 2"),
        ("rect:1:2:3:1000001", "numbers must lie between -1000000 and 1000000"),
        ("rect:-1e999:2:3:4", "numbers must lie between -1000000 and 1000000"),
        (None, "must be a text like rect:x:y:width:height, or an object with a shape"),
        (
            ["rect", 1, 2, 3, 4],
            "must be a text like rect:x:y:width:height, or an object with a shape",
        ),
        ({"x": 1}, "needs a shape, one of rect, box, ellipse, polygon and stroke"),
        (
            {"shape": "circle"},
            'there is no shape "circle"; there are rect, box, ellipse, polygon and stroke',
        ),
        (
            {"shape": "rect", "x": 1, "y": 1, "width": 2},
            "needs height; a rect has x, y, width and height",
        ),
        ({"shape": "rect", "w": 1}, 'has no field "w"; a rect has x, y, width and height'),
        ({"shape": "polygon", "radius": 1}, 'has no field "radius"; a polygon has points'),
        ({"shape": "box", "x": "1", "y": 1, "x2": 2, "y2": 3}, "x must be a number"),
        ({"shape": "box", "x": True, "y": 1, "x2": 2, "y2": 3}, "x must be a number"),
        (
            {"shape": "box", "x": 10**400, "y": 1, "x2": 2, "y2": 3},
            "numbers must lie between -1000000 and 1000000",
        ),
        (
            {"shape": "box", "x": float("nan"), "y": 1, "x2": 2, "y2": 3},
            "numbers must lie between -1000000 and 1000000",
        ),
        ({"shape": "polygon", "points": "1,2"}, "points must be a list, as [[10, 10], [90, 10]]"),
        (
            {"shape": "stroke", "radius": 2, "points": [[1, 2], [3]]},
            "each of the points must be two numbers, as [10, 10]",
        ),
        ({"shape": "stroke", "radius": 2, "points": [[1, "2"]]}, "y of a point must be a number"),
        ({"shape": "stroke", "radius": 2, "points": []}, "a stroke needs a point or more"),
        (
            {"shape": "rect", "x": 1, "y": 1, "width": 2, "height": 3, "unit": "em"},
            'unit must be "px" or "pct"',
        ),
        (
            {"shape": "rect-pct", "x": 1, "y": 1, "width": 2, "height": 3, "unit": "px"},
            "is in percent by its shape's name (-pct), and in pixels by unit",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(value: Any, message: str) -> None:
    assert fault(value) == message


@pytest.mark.parametrize(
    "odd", ["nan", "inf", "-inf", "1_000", "0x10", "١", "1 0", "", "1.2.3", "--1"]
)
def test_what_only_python_calls_a_number_is_none(odd: str) -> None:
    assert "is no number" in fault(f"rect:{odd}:1:2:3")
    assert "is no number" in fault(f"stroke:2:1,1;{odd},2")


def test_a_shape_may_have_so_many_points_and_no_more() -> None:
    most = ["1,2"] * MOST_POINTS
    assert len(parse_region("stroke:1:" + ";".join(most)).points) == MOST_POINTS
    said = f"has {MOST_POINTS + 1} points, and may have {MOST_POINTS}"
    assert fault("polygon:" + ";".join([*most, "1,2"])) == said
    assert fault({"shape": "polygon", "points": [[1, 2]] * (MOST_POINTS + 1)}) == said


def test_each_region_that_is_wrong_is_one_fault_and_says_where() -> None:
    handler = Handler("paint", Request, None, "Paint.")  # type: ignore[arg-type]
    door = Door({"paint": handler}, PurePosixPath("/root"), PurePosixPath("/root/tmp"))
    regions = ["rect:1:2:3:4", "rekt:1:2:3:4", {"shape": "box"}, {"shape": "stroke"}, 5]
    with pytest.raises(BadRequest) as caught:
        door.validate({"task": "paint", "regions": regions})
    faults = caught.value.problem.faults
    assert [fault.pointer for fault in faults] == [f"/regions/{index}" for index in (1, 2, 3, 4)]
    assert faults[0].message == 'there is no shape "rekt"; did you mean rect?'


# ---------------------------------------------------------------- as fields


def test_a_request_holds_regions_and_gives_their_texts_back() -> None:
    value = {"regions": ["box:9:9:1:1", {"shape": "stroke", "radius": 2, "points": [[1, 2]]}]}
    request = Request.model_validate(value)
    assert request.regions == [parse_region(item) for item in value["regions"]]
    dumped = request.model_dump()
    assert dumped["regions"] == ["box:9:9:1:1", "stroke:2:1,2"]
    assert Request.model_validate(dumped) == request


def items() -> dict[str, Any]:
    schema: dict[str, Any] = Request.model_json_schema()["properties"]["regions"]["items"]
    return schema


def test_the_schema_tells_of_texts() -> None:
    text = items()["anyOf"][0]
    for example in text["examples"]:
        assert re.search(text["pattern"], example)
        assert parse_region(example)
    for shape in ("rect", "box", "ellipse", "polygon", "stroke"):
        assert f"{shape}:" in text["description"]
        assert re.search(text["pattern"], f"{shape}-pct:1")
    assert not re.search(text["pattern"], "circle:1:2:3")


def test_the_schema_of_every_object_is_of_one_that_is_taken() -> None:
    _, *named = items()["anyOf"]
    shapes = [schema["properties"]["shape"]["enum"] for schema in named]
    assert [names[0] for names in shapes] == ["rect", "box", "ellipse", "polygon", "stroke"]
    for schema in named:
        values = {"x": 1, "y": 2, "x2": 3, "y2": 4, "width": 5, "height": 6, "radius": 7}
        values |= {"points": [[1, 2], [3, 4], [5, 0]]}
        for name in schema["properties"]["shape"]["enum"]:
            fields = {field: values[field] for field in schema["required"] if field != "shape"}
            assert parse_region({"shape": name, **fields}).percent == name.endswith("-pct")
        assert set(schema["properties"]) == {*schema["required"], "unit"}


def test_judging_regions_needs_neither_numpy_nor_pillow() -> None:
    code = "import sys, handlers.media.regions; print({'numpy', 'PIL'} & {*sys.modules})"
    output = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=REPOSITORY)
    assert output.strip() == "set()"


# ---------------------------------------------------------------- the older form


def test_a_single_region_is_a_corner_and_a_size_or_two_corners() -> None:
    rect = parse_region("rect:10:20:30:40")
    assert single_region(x=10, y=20, width=30, height=40) == rect
    assert single_region(x=10, y=20, x2=40, y2=60) == rect
    assert single_region(x=40, y=60, x2=10, y2=20) == rect
    ellipse = parse_region("ellipse:10:20:30:40")
    assert single_region(x=10, y=20, width=30, height=40, ellipse=True) == ellipse
    assert single_region(x=10, y=60, x2=40, y2=20, ellipse=True) == ellipse
    assert single_region(x=10, y=20, width=30, height=40).spec == "rect:10:20:30:40"


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"x": 1, "y": 2},
        {"x": 1, "width": 2, "height": 3},
        {"x": 1, "y": 2, "width": 3, "y2": 4},
        {"x": 1, "y": 2, "width": 3, "height": 4, "x2": 5},
        {"x": 1, "y": 2, "width": 3, "height": 4, "x2": 5, "y2": 6},
    ],
)
def test_a_single_region_of_too_little_or_too_much_is_none(fields: dict[str, int]) -> None:
    with pytest.raises(
        ValueError, match="x and y with width and height, or x and y with x2 and y2"
    ):
        single_region(**fields)


def test_a_single_region_without_extent_is_none() -> None:
    with pytest.raises(ValueError, match="width must be above 0"):
        single_region(x=1, y=2, width=0, height=5)
    with pytest.raises(ValueError, match="height must be above 0"):
        single_region(x=1, y=2, x2=5, y2=2)


# ---------------------------------------------------------------- percent


def test_percent_are_of_the_side_they_lie_along() -> None:
    region = parse_region("rect-pct:10:10:50:50").in_pixels((200, 50))
    assert region == Region("rect", ((20, 5), (120, 30)))


def test_a_radius_is_percent_of_the_short_side() -> None:
    for size in ((200, 50), (50, 200)):
        assert parse_region("stroke-pct:10:50,50").in_pixels(size).radius == 5


def test_pixels_stay_as_they_are() -> None:
    region = parse_region("ellipse:1:2:3:4")
    assert region.in_pixels((7, 9)) is region
