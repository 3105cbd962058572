"""The parts of a picture that a request names: `rect:x:y:w:h` and its kin, as text or as objects.

They are judged at the door, one fault a region, so nothing here needs numpy or Pillow. What is
drawn of them stands in `handlers.media.masks`.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from handlers.contract import Json

MOST_PIXELS_GROWN: Final = 512
"""The most that a mask may be expanded or shrunk by: the work grows with it."""
MOST_PIXELS_FEATHERED: Final = 512
"""The largest standard deviation of a feather."""
MOST_REGIONS: Final = 100
MOST_POINTS: Final = 5_000
"""In one polygon or stroke."""
LARGEST_NUMBER: Final = 1_000_000
"""Of any coordinate, to either side: what lies beyond is a slip of the keyboard."""

Shape = Literal["rect", "ellipse", "polygon", "stroke"]
Point: TypeAlias = tuple[float, float]

_PERCENT = "-pct"
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "rect": ("x", "y", "width", "height"),
        "box": ("x", "y", "x2", "y2"),
        "ellipse": ("x", "y", "width", "height"),
        "polygon": ("points",),
        "stroke": ("radius", "points"),
    }
)
"""What each shape takes, in the order in which a text has it; points come last."""
_FORMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rect": "x:y:width:height",
        "box": "x1:y1:x2:y2",
        "ellipse": "x:y:width:height",
        "polygon": "x,y;x,y;x,y",
        "stroke": "radius:x,y;x,y",
    }
)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)
_SHOWN = 60
"""Characters of a spec in a message."""


@dataclass(frozen=True, slots=True)
class Region:
    """One part of a picture. It may reach beyond the picture's edges.

    x counts from the left edge and y from the top, from edge to edge: the first pixel lies
    between 0 and 1.
    """

    shape: Shape
    points: tuple[Point, ...]
    """Of a rect, and of the box around an ellipse, the upper left corner and the lower right one;
    of a polygon its corners; of a stroke what it follows."""
    radius: float = 0.0
    """Of a stroke: where its soft edge has come to nothing."""
    percent: bool = False
    """Whether the numbers are percent (x of the width, y of the height, the radius of the short
    side) and no pixels."""
    spec: str = field(default="", compare=False)
    """The region as text, as it was given where that was a text."""

    @property
    def shown(self) -> str:
        """The text, shortened for a message."""
        return _short(self.spec)

    def in_pixels(self, size: tuple[int, int]) -> Region:
        """The same region on a picture of `size`, its width and height, in pixels."""
        if not self.percent:
            return self
        width, height = size
        points = tuple((x * width / 100, y * height / 100) for x, y in self.points)
        radius = self.radius * min(size) / 100
        return replace(self, points=points, radius=radius, percent=False)


def parse_region(value: Json) -> Region:
    """A region out of its text, as "rect:10:10:200:80", or out of its object.

    Raises:
        ValueError: it is none; the message says what it must be.
    """
    if isinstance(value, Region):
        return value
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, dict):
        return _of_object(value)
    raise ValueError("must be a text like rect:x:y:width:height, or an object with a shape")


def single_region(
    *,
    x: float | None = None,
    y: float | None = None,
    width: float | None = None,
    height: float | None = None,
    x2: float | None = None,
    y2: float | None = None,
    ellipse: bool = False,
) -> Region:
    """The one region of the older form: a corner, and a size or the opposite corner, in pixels.

    Raises:
        ValueError: there is too little of it, or too much.
    """
    name, sized, cornered = "ellipse" if ellipse else "rect", (width, height), (x2, y2)
    if x is not None and y is not None:
        if width is not None and height is not None and cornered == (None, None):
            return _made(name, [x, y, width, height], [])
        if x2 is not None and y2 is not None and sized == (None, None):
            return _made(name, [min(x, x2), min(y, y2), abs(x2 - x), abs(y2 - y)], [])
    raise ValueError("one region is x and y with width and height, or x and y with x2 and y2")


# ---------------------------------------------------------------- as text


def _of_text(text: str) -> Region:
    name, _, rest = text.strip().partition(":")
    shape, percent = _shape(name)
    fields, like = _FIELDS[shape], _like(shape, percent)
    parts = rest.split(":", len(fields))
    if len(parts) != len(fields):
        raise ValueError(like)
    points = _points_in(parts.pop(), like) if fields[-1] == "points" else []
    return _made(name, [_number_in(part, like) for part in parts], points, "".join(text.split()))


def _shape(name: str) -> tuple[str, bool]:
    """The shape that a name means, and whether it is in percent."""
    shape = name.removesuffix(_PERCENT)
    if shape in _FIELDS:
        return shape, shape != name
    known = [*_FIELDS, *(shape + _PERCENT for shape in _FIELDS)]
    near = difflib.get_close_matches(name[:40], known, 1)
    hint = f"did you mean {near[0]}?" if near else f"there are {_listed(_FIELDS)}"
    raise ValueError(f"there is no shape {_quoted(name)}; {hint}")


def _like(shape: str, percent: bool) -> str:
    suffix = _PERCENT if percent else ""
    unit = "percent of the picture's sides" if percent else "whole or fractional pixels"
    return f"must be like {shape}{suffix}:{_FORMS[shape]}, in {unit}"


def _number_in(text: str, like: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{like}; {_quoted(text)} is no number")
    return float(text)


def _points_in(text: str, like: str) -> list[Point]:
    _count(text.count(";") + 1)
    points = []
    for pair in text.split(";"):
        x, comma, y = pair.partition(",")
        if not comma:
            raise ValueError(f"{like}; {_quoted(pair)} is no point")
        points.append((_number_in(x, like), _number_in(y, like)))
    return points


# ---------------------------------------------------------------- as objects


def _of_object(value: Mapping[str, Json]) -> Region:
    name = value.get("shape")
    if not isinstance(name, str):
        raise ValueError(f"needs a shape, one of {_listed(_FIELDS)}")  # noqa: TRY004
    shape, percent = _shape(name)
    fields = _FIELDS[shape]
    for given in value:
        if given not in ("shape", "unit", *fields):
            raise ValueError(f"has no field {_quoted(given)}; a {shape} has {_listed(fields)}")
    for wanted in fields:
        if wanted not in value:
            raise ValueError(f"needs {wanted}; a {shape} has {_listed(fields)}")
    numbers = [_number_of(wanted, value[wanted]) for wanted in fields if wanted != "points"]
    points = _points_of(value["points"]) if "points" in fields else []
    percent = _unit(value.get("unit"), percent) == "pct"
    return _made(shape + (_PERCENT if percent else ""), numbers, points)


def _unit(unit: Json, percent: bool) -> Json:
    """What the numbers count in, where the shape's name says percent or does not."""
    if unit not in (None, "px", "pct"):
        raise ValueError('unit must be "px" or "pct"')
    if percent and unit == "px":
        raise ValueError(f"is in percent by its shape's name ({_PERCENT}), and in pixels by unit")
    return "pct" if percent else unit


def _number_of(name: str, value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number")  # noqa: TRY004
    return value


def _points_of(value: Json) -> list[Point]:
    if not isinstance(value, list):
        raise ValueError("points must be a list, as [[10, 10], [90, 10]]")  # noqa: TRY004
    _count(len(value))
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise ValueError("each of the points must be two numbers, as [10, 10]")
    return [(_number_of("x of a point", x), _number_of("y of a point", y)) for x, y in value]


# ---------------------------------------------------------------- what both come to


def _made(name: str, numbers: Sequence[float], points: Sequence[Point], spec: str = "") -> Region:
    """The region of a shape's name, its numbers in the order of a text, and its points."""
    for number in chain(numbers, *points):
        if not abs(number) <= LARGEST_NUMBER:  # what is no number at all lies nowhere
            raise ValueError(f"numbers must lie between -{LARGEST_NUMBER} and {LARGEST_NUMBER}")
    shape, percent = _shape(name)
    spec = spec or _spelled(name, numbers, points)
    if shape == "polygon":
        if len(points) < 3:
            raise ValueError(f"a polygon needs three points or more, not {len(points)}")
        return Region("polygon", tuple(points), percent=percent, spec=spec)
    if shape == "stroke":
        if not points:
            raise ValueError("a stroke needs a point or more")
        _above_zero("radius", numbers[0])
        return Region("stroke", tuple(points), numbers[0], percent, spec)
    corners = _corners(numbers, opposite=shape == "box")
    return Region("ellipse" if shape == "ellipse" else "rect", corners, 0.0, percent, spec)


def _corners(numbers: Sequence[float], *, opposite: bool) -> tuple[Point, Point]:
    """Upper left and lower right, of any corner and its opposite one, or of x, y and a size."""
    x, y, across, down = numbers
    if not opposite:
        across, down = x + _above_zero("width", across), y + _above_zero("height", down)
    (left, right), (top, bottom) = sorted((x, across)), sorted((y, down))
    if left == right or top == bottom:
        raise ValueError("the corners must differ in x and in y")
    return (left, top), (right, bottom)


def _above_zero(name: str, number: float) -> float:
    if number <= 0:
        raise ValueError(f"{name} must be above 0, not {number:g}")
    return number


def _count(points: int) -> None:
    if points > MOST_POINTS:
        raise ValueError(f"has {points} points, and may have {MOST_POINTS}")


def _spelled(name: str, numbers: Sequence[float], points: Sequence[Point]) -> str:
    """A region as text."""
    places = ";".join(f"{x},{y}" for x, y in points)
    return ":".join([name, *map(str, numbers), *([places] if places else [])])


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _quoted(text: str) -> str:
    return json.dumps(_short(text))


def _listed(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


# ---------------------------------------------------------------- at the door


def _schema() -> dict[str, Json]:
    forms = ", ".join(f"{shape}:{form}" for shape, form in _FORMS.items())
    text = {
        "type": "string",
        "pattern": rf"^\s*({'|'.join(_FIELDS)})({_PERCENT})?:",
        "description": f"One of {forms}; in pixels, or with {_PERCENT} behind the shape's name in "
        "percent of the picture's width and height (a radius: of its short side).",
        "examples": ["rect:40:40:320:200", "ellipse-pct:25:25:50:50", "stroke:24:10,10;90,40"],
    }
    return {"anyOf": [text, *(_schema_of(shape) for shape in _FIELDS)]}


def _schema_of(shape: str) -> dict[str, Json]:
    number, positive = {"type": "number"}, {"type": "number", "exclusiveMinimum": 0}
    point = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    bounds = {"minItems": 3 if shape == "polygon" else 1, "maxItems": MOST_POINTS}
    special: dict[str, Json] = dict.fromkeys(("width", "height", "radius"), positive)
    special["points"] = {"type": "array", "items": point, **bounds}
    properties = {
        "shape": {"enum": [shape, shape + _PERCENT]},
        **{name: special.get(name, number) for name in _FIELDS[shape]},
        "unit": {"enum": ["px", "pct"], "description": "Pixels, if it is left out."},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["shape", *_FIELDS[shape]],
        "additionalProperties": False,
    }


RegionField = Annotated[
    Region,
    PlainValidator(parse_region),
    PlainSerializer(lambda region: region.spec, return_type=str),
    WithJsonSchema(_schema()),
]
"""A region as a field of a request, or as an item of one: each that is wrong is one fault."""
