"""outpaint_image: a canvas in every mode, a mask of the new area, a provider's own way."""

from typing import Any

import pytest
from PIL import Image

from handlers import outpaint_image
from handlers.contract import Medium, Outcome
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
    source,
    without_mask,
)

FILES = {"photo.png": png(source())}
MODES = ["transparent", "blur", "solid", "edge", "reflect"]


def test_canvas_and_mask_are_kept_and_sent() -> None:
    context = ran(outpaint_image, FILES, image="photo.png", right=6, prompt="more", quality="low")
    (call,) = context.calls
    assert (call.operation, call.fields) == ("edit_image", {"prompt": "more", "quality": "low"})
    assert [kept[:2] for kept in context.kept] == [
        ("canvas", "prepared_input"),
        ("mask", "mask"),
        ("outpaint", "output"),
    ]
    assert sent(call, "image").size == sent(call, "mask").size == (WIDE + 6, TALL)
    mask = sent(call, "mask")
    assert mask.getpixel((WIDE + 5, 0)) == 255
    assert mask.getpixel((0, 0)) == 0


@pytest.mark.parametrize("mode", MODES)
def test_in_every_mode_the_picture_itself_is_on_the_canvas(mode: str) -> None:
    context = ran(outpaint_image, FILES, image="photo.png", expand=5, mode=mode)
    canvas = sent(context.calls[0], "image").convert("RGB")
    inner = canvas.crop((5, 5, 5 + WIDE, 5 + TALL))
    assert inner.tobytes() == source().tobytes()


def test_the_prompt_may_be_left_out_or_empty() -> None:
    assert "prompt" not in ran(outpaint_image, FILES, image="photo.png", left=4).calls[0].fields
    call = ran(outpaint_image, FILES, image="photo.png", left=4, prompt="").calls[0]
    assert call.fields["prompt"] == ""


def test_a_target_size_goes_along_and_its_anchor_places_the_picture() -> None:
    request: dict[str, Any] = {"image": "photo.png", "size": "20x8", "anchor": "left"}
    call = ran(outpaint_image, FILES, **request, mode="solid", bg="#112233").calls[0]
    canvas = sent(call, "image")
    assert call.fields == {"size": "20x8"}
    assert canvas.size == (20, 8)
    assert canvas.getpixel((19, 0)) == (0x11, 0x22, 0x33)
    assert canvas.getpixel((0, 0)) == source().getpixel((0, 0))


def test_a_ratio_is_a_target_too() -> None:
    call = ran(outpaint_image, FILES, image="photo.png", aspect_ratio="2:1").calls[0]
    assert sent(call, "image").size == (16, 8)


def test_a_provider_that_extends_by_itself_is_asked_for_just_that() -> None:
    context = ran(
        outpaint_image,
        FILES,
        image="photo.png",
        size="20x12",
        prompt="more",
        can=frozenset({"outpaint_image", "edit_image"}),
    )
    (call,) = context.calls
    assert call.operation == "outpaint_image"
    assert call.fields == {"prompt": "more", "left": 4, "right": 4, "top": 2, "bottom": 2}
    assert sent(call, "image").tobytes() == source().tobytes()
    assert "mask" not in call.inputs


@pytest.mark.parametrize("keep", [True, False])
def test_the_picture_stays_what_it_was_where_that_is_asked_for_or_masks_are_not_taken(
    keep: bool,
) -> None:
    big = source((WIDE * 8, TALL * 8))
    red = plain((WIDE * 8 + 40, TALL * 8))
    script = answering(red) if keep else without_mask(red)
    context = ran(
        outpaint_image,
        {"photo.png": png(big)},
        script,
        image="photo.png",
        right=40,
        keep_outside=keep,
        mode="edge",
    )
    made = opened(context.kept[2][2])
    middle = (0, 0, WIDE * 8 - 32, TALL * 8)
    assert made.convert("RGB").crop(middle).tobytes() == big.crop(middle).tobytes()
    assert made.getpixel((WIDE * 8 + 39, 0))[:3] == (255, 0, 0)  # type: ignore[index]


def test_what_a_provider_extended_by_itself_is_not_pasted_into() -> None:
    red = plain((WIDE + 6, TALL))
    context = ran(
        outpaint_image,
        FILES,
        lambda _: Outcome((Medium(png(red)),)),
        image="photo.png",
        right=6,
        can=frozenset({"outpaint_image"}),
    )
    assert context.kept[2][2] == png(red)


def test_an_answer_of_another_shape_serves_unless_the_picture_must_stay() -> None:
    request: dict[str, Any] = {"image": "photo.png", "right": 6}
    context = ran(outpaint_image, FILES, without_mask(plain((9, 9))), **request)
    assert context.kept[2][2] == png(plain((9, 9)))
    assert any("kept as it came" in told for told in context.warnings)
    keep = {**request, "keep_outside": True}
    error = refused(outpaint_image, FILES, answering(plain((9, 9))), **keep)
    assert error.code == "provider_failed"


@pytest.mark.parametrize(
    ("request_", "where"),
    [
        ({}, "expand"),
        ({"left": 1, "size": "9x9"}, "size"),
        ({"size": "9x9", "aspect_ratio": "1:1"}, "aspect_ratio"),
        ({"left": 1, "anchor": "left"}, "anchor"),
        ({"size": "auto"}, "expand"),
    ],
)
def test_an_extension_that_extends_nothing_or_in_two_ways_is_refused_at_the_door(
    request_: dict[str, Any], where: str
) -> None:
    assert faults(outpaint_image, image="a", **request_) == [where]


def test_a_target_smaller_than_the_picture_is_an_error() -> None:
    assert refused(outpaint_image, FILES, image="photo.png", size="4x4").code == "invalid_request"


def test_a_canvas_beyond_the_limit_is_too_large() -> None:
    error = refused(outpaint_image, FILES, image="photo.png", expand=5000)
    assert error.code == "too_large"


def test_transparent_is_what_is_around_it_unless_told_otherwise() -> None:
    canvas = sent(ran(outpaint_image, FILES, image="photo.png", left=4).calls[0], "image")
    assert canvas.mode == "RGBA"
    assert canvas.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert isinstance(canvas, Image.Image)
