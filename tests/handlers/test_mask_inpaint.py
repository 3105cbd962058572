"""mask_inpaint: a mask given or drawn, worked over in the promised order, kept and sent."""

from typing import Any

import pytest
from PIL import Image

from handlers import mask_inpaint
from handlers.media.compositing import differing
from tests.handlers.scenes import (
    TALL,
    WIDE,
    answering,
    faults,
    opened,
    plain,
    png,
    ran,
    refused,
    sent,
    sketch,
    source,
)

FILES = {"photo.png": png(source())}
HARD: dict[str, Any] = {"image": "photo.png", "prompt": "x", "feather": 0}


def mask_of(**request: Any) -> list[str]:
    """The mask of a request, as text."""
    context = ran(mask_inpaint, FILES, **{**HARD, **request})
    kept = sketch(opened(context.kept[0][2]))
    assert context.kept[0][:2] == ("mask", "mask")
    if not request.get("mask_only"):
        assert sketch(sent(context.calls[0], "mask")) == kept
    return kept


BOX = [
    "............",
    "..####......",
    "..####......",
    "..####......",
    "............",
    "............",
    "............",
    "............",
]


@pytest.mark.parametrize(
    "request_",
    [
        {"regions": "rect:2:1:4:3"},
        {"regions": ["rect:2:1:4:3"]},
        {"regions": ["box:2:1:6:4"]},
        {"regions": [{"shape": "rect", "x": 2, "y": 1, "width": 4, "height": 3}]},
        {"regions": ["rect:2:1:2:3", "rect:4:1:2:3"]},
        {"x": 2, "y": 1, "width": 4, "height": 3},
        {"x": 2, "y": 1, "x2": 6, "y2": 4},
    ],
)
def test_every_form_of_a_region_comes_to_the_same_mask(request_: dict[str, Any]) -> None:
    assert mask_of(**request_) == BOX


def test_growing_comes_before_shrinking_and_inverting_is_last() -> None:
    grown = mask_of(regions="rect:2:2:2:2", expand=1)
    assert sum(row.count("#") for row in grown) > 4
    assert mask_of(regions="rect:4:3:4:2", expand=1, shrink=1) == mask_of(regions="rect:4:3:4:2")
    inverted = mask_of(regions="rect:2:1:4:3", invert=True)
    assert inverted == [row.translate(str.maketrans(".#", "#.")) for row in BOX]


def test_the_edge_is_soft_unless_told_otherwise() -> None:
    context = ran(mask_inpaint, FILES, image="photo.png", prompt="x", regions="rect:2:1:4:3")
    assert any("+" in row for row in sketch(opened(context.kept[0][2])))


def test_a_given_mask_is_inverted_first() -> None:
    half = Image.new("L", (WIDE, TALL))
    half.paste(255, (0, 0, 6, TALL))
    files = {**FILES, "mask.png": png(half)}
    context = ran(mask_inpaint, files, **HARD, mask="mask.png", invert=True, expand=1)
    assert sketch(sent(context.calls[0], "mask")) == [".....#######"] * TALL


def test_mask_only_asks_nobody() -> None:
    context = ran(mask_inpaint, FILES, image="photo.png", regions="rect:2:1:4:3", mask_only=True)
    assert context.calls == []
    assert [role for _, role, _ in context.kept] == ["mask"]


def test_the_seeds_flags_are_not_sent_and_the_rest_is() -> None:
    context = ran(mask_inpaint, FILES, **HARD, regions="rect:2:1:4:3", size="auto", quality="low")
    assert context.calls[0].fields == {"prompt": "x", "size": "auto", "quality": "low"}


@pytest.mark.parametrize("feather", [0, 2])
def test_keep_outside_leaves_zero_differing_pixels_where_the_mask_is_zero(feather: int) -> None:
    request = {**HARD, "feather": feather, "regions": "ellipse:3:2:5:4", "keep_outside": True}
    context = ran(mask_inpaint, FILES, answering(plain()), **request)
    mask, made = opened(context.kept[0][2]), opened(context.kept[1][2])
    assert differing(made, source(), mask) == 0
    red = made.getpixel((5, 4))
    assert red == (255, 0, 0) if feather == 0 else red != source().getpixel((5, 4))


def test_a_rotated_photo_is_measured_upright() -> None:
    import io

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    encoded = io.BytesIO()
    source((TALL, WIDE)).save(encoded, "PNG", exif=exif)
    context = ran(mask_inpaint, {"photo.png": encoded.getvalue()}, **HARD, regions="rect:2:1:4:3")
    assert sketch(sent(context.calls[0], "mask")) == BOX
    assert sent(context.calls[0], "image").size == (WIDE, TALL)


@pytest.mark.parametrize("region", ["rect:100:1:4:3", "rect:2:1:0.1:0.1", "rect:-9:-9:4:3"])
def test_a_region_that_comes_to_nothing_is_an_error_that_names_it(region: str) -> None:
    error = refused(mask_inpaint, FILES, **HARD, regions=["rect:2:1:4:3", region])
    assert error.code == "invalid_request"
    assert error.faults[0][0] == "/regions/1"


def test_regions_that_cover_everything_are_an_error() -> None:
    error = refused(mask_inpaint, FILES, **HARD, regions="rect-pct:0:0:100:100")
    assert error.code == "invalid_request"


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({}, ["regions"]),
        ({"mask": "m.png", "regions": "rect:0:0:1:1"}, ["mask"]),
        ({"regions": "rect:0:0:1:1", "x": 1}, ["mask"]),
        ({"x": 1, "y": 1}, ["x"]),
        ({"x": 1, "y": 1, "width": 2, "y2": 3}, ["x"]),
        ({"width": 1}, ["width"]),
        ({"regions": "rect:0:0:1:1", "ellipse": True}, ["ellipse"]),
        ({"mask": "m.png", "prompt": None}, ["prompt"]),
        ({"mask": "m.png", "prompt": None, "mask_only": True}, []),
    ],
)
def test_where_to_change_it_is_said_in_one_way(request_: dict[str, Any], where: list[str]) -> None:
    assert faults(mask_inpaint, **{"image": "a", "prompt": "x", **request_}) == where


def test_a_bad_region_is_one_fault_at_its_place() -> None:
    from daemon.errors import BadRequest
    from tests.builders import door

    with pytest.raises(BadRequest) as caught:
        door().validate(
            {
                "task": "mask_inpaint",
                "image": "a.png",
                "prompt": "x",
                "regions": ["rect:0:0:1:1", "rcet:1:1:1:1", "polygon:1,1", {"shape": "box"}],
            }
        )
    assert [fault.pointer for fault in caught.value.problem.faults] == [
        "/regions/1",
        "/regions/2",
        "/regions/3",
    ]
