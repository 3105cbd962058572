"""Masks: drawn from regions, refined in one order, taken from users, and judged."""

from __future__ import annotations

import io
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from handlers.contract import HandlerError
from handlers.media import growing
from handlers.media.masks import FAINTEST, Maker, check, drawn, hard, refined, supplied
from handlers.media.regions import Region, parse_region, single_region
from tests.examples import examples
from tests.handlers.media.lettered import read, written


def of(*specs: str, size: tuple[int, int]) -> Image.Image:
    return drawn([parse_region(spec) for spec in specs], size)


def same(one: Image.Image, other: Image.Image) -> bool:
    assert one.mode == other.mode == "L"
    return one.size == other.size and one.tobytes() == other.tobytes()


# ---------------------------------------------------------------- drawn


def test_a_mask_is_all_that_any_of_its_regions_covers() -> None:
    mask = of("rect:0:0:4:2", "ellipse:3:0:5:5", "stroke:2:9,4", size=(11, 5))
    assert written(mask) == [
        "#######....",
        "########...",
        "...#####33.",
        "...#######3",
        "....###3##3",
    ]


REGIONS = st.sampled_from(
    [
        "rect:2:1:30:3",
        "box-pct:20:20:90:70",
        "ellipse-pct:-20:0:100:100",
        "polygon-pct:0,0;100,0;0,100",
        "stroke-pct:30:50,50;90,90",
        "stroke:4:-1,-1;9,9",
    ]
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(REGIONS, min_size=2, max_size=3), st.tuples(*[st.integers(4, 31)] * 2))
def test_the_order_of_regions_is_no_matter(specs: list[str], size: tuple[int, int]) -> None:
    first, *others = (of(*order, size=size) for order in permutations(specs))
    assert first.size == size
    assert first.mode == "L"
    assert all(same(first, other) for other in others)


def refusal(regions: list[Region], size: tuple[int, int], **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        drawn(regions, size, **more)
    assert caught.value.code == "invalid_request"
    assert caught.value.hints
    return caught.value


@pytest.mark.parametrize(
    "spec",
    [
        "rect:640:0:5:5",
        "ellipse:0:-9:5:9",
        "polygon:-1,0;-5,9;-2,5",
        "stroke:5:645,9",
        "rect-pct:100:0:1:1",
    ],
)
def test_a_region_outside_of_the_picture_is_an_error(spec: str) -> None:
    error = refusal([parse_region("rect:0:0:5:5"), parse_region(spec)], (640, 480))
    what = "lies outside of the picture, which is 640 x 480 pixels"
    assert error.message == f"region 2 ({spec}) {what}"
    assert error.faults == (("/regions/1", what),)


@pytest.mark.parametrize(
    "spec",
    [
        "rect:10.1:5:0.2:9",
        "polygon:0,0;5,5;9,9",
        "stroke:0.5:3,3",
        "stroke:3:-2.9,5",
        "rect-pct:1:1:0.01:50",
    ],
)
def test_a_region_of_no_pixel_is_an_error(spec: str) -> None:
    error = refusal([parse_region(spec)], (640, 480))
    what = "covers no pixel of the picture, which is 640 x 480 pixels"
    assert error.message == f"region 1 ({spec}) {what}"
    assert error.faults == (("/regions/0", what),)


def test_the_one_region_of_the_older_form_stands_in_no_list() -> None:
    error = refusal([single_region(x=700, y=0, width=5, height=5)], (640, 480), at=None)
    what = "lies outside of the picture, which is 640 x 480 pixels"
    assert error.message == f"the region rect:700:0:5:5 {what}"
    assert error.faults == (("/x", what),)


def test_a_long_region_is_told_shortened() -> None:
    error = refusal([parse_region("polygon:" + ";".join(["-10,-10"] * 500))], (64, 48))
    assert len(error.message) < 200


# ---------------------------------------------------------------- refined

SPOT = read(
    "...........",
    "...........",
    "...........",
    ".....#.....",
    "...........",
    "...........",
    "...........",
)


def test_a_mask_grows_and_is_turned_around() -> None:
    assert written(refined(SPOT, expand=2, invert=True)) == [
        "###########",
        "#####.#####",
        "####...####",
        "###.....###",
        "####...####",
        "#####.#####",
        "###########",
    ]


def test_a_feather_softens_to_both_sides() -> None:
    step = read(*["......######"] * 5)
    assert written(refined(step, feather=1.5)) == ["..00136899##"] * 5


STEPS = {"expand": st.integers(0, 6), "shrink": st.integers(0, 6), "feather": st.integers(0, 4)}


@st.composite
def masks(draw: st.DrawFn) -> Image.Image:
    width, height = draw(st.integers(1, 30)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    levels = (rng.random((height, width)) < draw(st.sampled_from([0.02, 0.5, 0.95]))) * np.uint8(
        255
    )
    return Image.fromarray(np.asarray(levels, np.uint8))


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(masks(), st.fixed_dictionaries(STEPS), st.booleans())
def test_it_grows_then_shrinks_then_softens_then_turns_around(
    mask: Image.Image, steps: dict[str, int], invert: bool
) -> None:
    levels = growing.grown(np.asarray(mask), steps["expand"])
    levels = growing.feathered(growing.shrunk(levels, steps["shrink"]), steps["feather"])
    expected = Image.fromarray(255 - levels if invert else levels)
    assert same(refined(mask, **steps, invert=invert), expected)


@settings(max_examples=examples(50), deadline=None, derandomize=True)
@given(masks(), st.fixed_dictionaries(STEPS), st.booleans())
def test_a_mask_never_has_another_size_than_it_had(
    mask: Image.Image, steps: dict[str, int], invert: bool
) -> None:
    before = mask.tobytes()
    result = refined(mask, **steps, invert=invert)
    assert (result.size, result.mode) == (mask.size, "L")
    assert mask.tobytes() == before


@settings(max_examples=30, deadline=None, derandomize=True)
@given(masks())
def test_to_turn_around_twice_is_to_do_nothing(mask: Image.Image) -> None:
    assert same(refined(mask), mask)
    assert same(refined(refined(mask, invert=True), invert=True), mask)


def test_the_order_of_the_steps_matters() -> None:
    assert not same(refined(SPOT, expand=2, shrink=2), refined(refined(SPOT, shrink=2), expand=2))
    assert same(refined(SPOT, expand=2, shrink=2), SPOT)


# ---------------------------------------------------------------- supplied

PLAIN = read("..##", ".5##")


MODES = ["L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]


@pytest.mark.parametrize("mode", MODES)
def test_a_mask_of_any_mode_is_white_where_the_picture_is_changed(mode: str) -> None:
    image = PLAIN.convert("RGB") if mode == "RGBa" else PLAIN  # Pillow knows no shorter way
    mask, notes = supplied(image.convert(mode), (4, 2), False)
    assert same(mask, PLAIN)
    assert notes == []


def test_a_mask_of_one_bit_is_black_or_white() -> None:
    mask, _ = supplied(PLAIN.point([0] * 99 + [255] * 157).convert("1"), (4, 2), False)
    assert written(mask) == ["..##", ".###"]


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B", "I;16L"])
def test_a_mask_of_16_bits_is_brought_to_8(mode: str) -> None:
    deep = Image.new(mode, (4, 1))
    for x, level in enumerate((0, 127 * 257, 128 * 257, 65535)):
        deep.putpixel((x, 0), level)
    assert supplied(deep, (4, 1), False)[0].tobytes() == bytes([0, 127, 128, 255])


@pytest.mark.parametrize("mode", ["F", "LAB", "La"])
def test_a_mask_without_an_agreed_white_is_refused(mode: str) -> None:
    with pytest.raises(HandlerError) as caught:
        supplied(Image.new(mode, (4, 2)), (4, 2), False)
    assert caught.value.code == "invalid_request"
    assert mode in caught.value.message


def test_a_mask_that_was_a_file_is_taken_as_it_is_opened() -> None:
    for form in ("PNG", "WEBP", "JPEG"):
        file = io.BytesIO()
        wide = PLAIN.resize((64, 32), Image.Resampling.NEAREST)
        wide.save(file, form, lossless=True, quality=100)
        mask, notes = supplied(Image.open(file), (64, 32), False)
        assert notes == []
        assert np.abs(np.asarray(mask, int) - np.asarray(wide)).max() < 8


def with_alpha(colours: Image.Image, alpha: Image.Image) -> Image.Image:
    picture = colours.convert("RGBA")
    picture.putalpha(alpha)
    return picture


HOLE = read("####", "#.5#")
AS_OPENAI = "the mask was read as OpenAI's are: what is transparent in it is to be changed"


@pytest.mark.parametrize("colour", ["black", "white", "red", "#808080"])
def test_where_only_transparency_differs_what_is_transparent_is_changed(colour: str) -> None:
    image = with_alpha(Image.new("RGB", (4, 2), colour), HOLE)
    mask, notes = supplied(image, (4, 2), False)
    assert written(mask) == ["....", ".#4."]
    assert notes == [AS_OPENAI]


def test_the_colour_of_what_cannot_be_seen_does_not_count() -> None:
    """An eraser leaves black behind, or the colours that were there."""
    image = Image.new("RGBA", (4, 2), "white")
    image.putpixel((1, 1), (0, 0, 0, 0))
    mask, notes = supplied(image, (4, 2), False)
    assert written(mask) == ["....", ".#.."]
    assert notes == [AS_OPENAI]


def test_a_picture_in_colours_with_a_hole_is_a_mask_of_openais_kind() -> None:
    ramp = Image.linear_gradient("L").resize((64, 64))
    picture = Image.merge("RGB", (ramp, ImageChops.invert(ramp), ramp.rotate(90)))
    alpha = of("rect:10:10:30:20", size=(64, 64))
    mask, notes = supplied(with_alpha(picture, ImageChops.invert(alpha)), (64, 64), False)
    assert same(mask, alpha)
    assert notes == [AS_OPENAI]


def test_shades_on_nothing_are_paint() -> None:
    image = with_alpha(read("##..", "##.."), read("#.#.", "#5#."))
    mask, notes = supplied(image, (4, 2), False)
    assert written(mask) == ["#...", "#5.."]
    assert notes == ["the mask was read as paint on nothing: what is white in it is to be changed"]


@pytest.mark.parametrize("alpha", [0, 250, 255])
def test_a_transparency_that_is_the_same_all_over_says_nothing(alpha: int) -> None:
    image = with_alpha(PLAIN, Image.new("L", (4, 2), alpha))
    assert supplied(image, (4, 2), False) == (PLAIN, [])


def test_a_transparent_colour_of_a_palette_is_transparency() -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 1
    mask, notes = supplied(image, (3, 1), False)
    assert written(mask) == [".#."]
    assert notes == [AS_OPENAI]


def test_invert_comes_first() -> None:
    assert written(supplied(PLAIN, (4, 2), True)[0]) == ["##..", "#4.."]
    image = with_alpha(Image.new("RGB", (4, 2)), HOLE)
    mask, notes = supplied(image, (4, 2), True)
    assert same(mask, HOLE)
    assert notes == [f"{AS_OPENAI}; then it was inverted"]


def test_a_mask_of_another_size_is_resized_and_said_so() -> None:
    mask, notes = supplied(PLAIN, (8, 4), False)
    assert written(mask) == ["....####", "....####", "..55####", "..55####"]
    assert notes == ["the mask was 4 x 2 pixels and was resized to the picture's 8 x 4"]


@settings(max_examples=examples(40), deadline=None, derandomize=True)
@given(masks(), st.tuples(*[st.integers(1, 40)] * 2), st.booleans())
def test_a_supplied_mask_has_the_pictures_size_and_no_new_levels(
    image: Image.Image, size: tuple[int, int], invert: bool
) -> None:
    mask, notes = supplied(image, size, invert)
    assert (mask.size, mask.mode) == (size, "L")
    assert set(mask.tobytes()) <= {0, 255}
    assert bool(notes) == (image.size != size)


# ---------------------------------------------------------------- judged


def judged(mask: Image.Image, maker: Maker) -> str:
    with pytest.raises(HandlerError) as caught:
        check(mask, maker)
    assert caught.value.code == "invalid_request"
    assert caught.value.hints
    return caught.value.message


@pytest.mark.parametrize(
    ("maker", "empty", "full"),
    [
        ("regions", "the regions leave nothing to change", "the regions cover the whole picture"),
        (
            "mask",
            "the mask selects nothing: it is black all over",
            "the mask selects the whole picture: it is white all over",
        ),
        ("selection", "the selection found nothing", "the selection took the whole picture"),
    ],
)
def test_a_mask_of_nothing_or_of_everything_is_an_error(
    maker: Maker, empty: str, full: str
) -> None:
    for level in (0, FAINTEST - 1):
        assert judged(Image.new("L", (5, 3), level), maker) == empty
    for level in (255, 256 - FAINTEST):
        assert judged(Image.new("L", (5, 3), level), maker) == full


@pytest.mark.parametrize("lines", [["....", "...1"], ["####", "#8##"], ["5555"], [".#"]])
def test_any_other_mask_is_none(lines: list[str]) -> None:
    check(read(*lines), "mask")


def test_a_hard_mask_has_all_of_the_seam() -> None:
    ramp = Image.frombytes("L", (256, 1), bytes(range(256)))
    mask = hard(ramp)
    assert mask.tobytes() == b"\0" * FAINTEST + b"\xff" * (256 - FAINTEST)
    assert same(hard(mask), mask)
