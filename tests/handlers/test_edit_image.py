"""edit_image: pictures encoded anew, a mask where there is one, everything given goes along."""

import pytest
from PIL import Image
from pydantic import ValidationError

from handlers import edit_image
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
    without_mask,
)

FILES = {"photo.png": png(source())}
HALF = Image.new("L", (WIDE, TALL))
HALF.paste(255, (0, 0, WIDE // 2, TALL))


def test_the_picture_and_everything_that_was_given_goes_along() -> None:
    context = ran(
        edit_image,
        FILES,
        image="photo.png",
        prompt=" old {brass} ",
        size="1024x1024",
        quality="high",
        background="opaque",
        n=2,
        output_format="webp",
        seed=0,
    )
    (call,) = context.calls
    assert call.operation == "edit_image"
    assert call.fields == {
        "prompt": " old {brass} ",
        "size": "1024x1024",
        "quality": "high",
        "background": "opaque",
        "n": 2,
        "output_format": "webp",
        "seed": 0,
    }
    assert list(call.inputs) == ["image"]
    assert sent(call, "image").tobytes() == source().tobytes()


def test_nothing_that_was_not_given_goes_along() -> None:
    (call,) = ran(edit_image, FILES, image="photo.png", prompt="x").calls
    assert call.fields == {"prompt": "x"}


def test_nothing_of_the_file_leaves_but_its_pixels() -> None:
    hidden = png(source()) + b"-----BEGIN OPENSSH PRIVATE KEY-----"
    (call,) = ran(edit_image, {"photo.png": hidden}, image="photo.png", prompt="x").calls
    (medium,) = call.inputs["image"]
    assert medium.data is not None
    assert b"OPENSSH" not in medium.data


def test_several_pictures_keep_their_order() -> None:
    files = {"a.png": png(plain(color="red")), "b.png": png(plain(color="blue"))}
    (call,) = ran(edit_image, files, image=["b.png", "a.png"], prompt="x").calls
    colours = [opened(one.data or b"").getpixel((0, 0)) for one in call.inputs["image"]]
    assert colours == [(0, 0, 255), (255, 0, 0)]


def test_what_is_no_picture_is_refused_before_anybody_is_asked() -> None:
    error = refused(edit_image, {"notes.txt": b"a secret"}, image="notes.txt", prompt="x")
    assert error.code == "unreadable_media"
    assert "a secret" not in error.message


def test_a_data_url_is_a_picture_too() -> None:
    import base64

    url = f"data:image/png;base64,{base64.b64encode(png(source())).decode()}"
    context = ran(edit_image, {}, image=url, prompt="x")
    assert sent(context.calls[0], "image").tobytes() == source().tobytes()
    assert "image" not in context.steps


@pytest.mark.parametrize("url", ["data:", "data:,", "data:image/png;base64,%%%", "data:image/png"])
def test_a_data_url_that_cannot_be_read_is_told_so(url: str) -> None:
    assert refused(edit_image, {}, image=url, prompt="x").code == "unreadable_media"


def test_each_answer_is_kept_as_it_came() -> None:
    red, blue = plain(color="red"), plain(color="blue")
    context = ran(edit_image, FILES, answering(red, blue), image="photo.png", prompt="x")
    assert context.kept == [("edited", "output", png(red)), ("edited", "output", png(blue))]


# ---------------------------------------------------------------- with a mask


def test_the_mask_goes_along_and_is_kept() -> None:
    files = {**FILES, "mask.png": png(HALF)}
    context = ran(edit_image, files, image="photo.png", mask="mask.png", prompt="x")
    assert sketch(sent(context.calls[0], "mask")) == ["######......"] * TALL
    assert [role for _, role, _ in context.kept] == ["mask", "output"]


def test_a_mask_of_another_size_is_resized_with_a_warning() -> None:
    files = {**FILES, "mask.png": png(HALF.resize((WIDE * 2, TALL * 2), Image.Resampling.NEAREST))}
    context = ran(edit_image, files, image="photo.png", mask="mask.png", prompt="x")
    assert sketch(sent(context.calls[0], "mask")) == ["######......"] * TALL
    assert any("24 x 16" in told and "12 x 8" in told for told in context.warnings)


@pytest.mark.parametrize("grey", [0, 255])
def test_a_mask_that_says_nothing_or_everything_is_an_error(grey: int) -> None:
    files = {**FILES, "mask.png": png(Image.new("L", (WIDE, TALL), grey))}
    error = refused(edit_image, files, image="photo.png", mask="mask.png", prompt="x")
    assert error.code == "invalid_request"
    assert error.hints


def test_keep_outside_changes_not_one_pixel_outside_of_the_mask() -> None:
    context = ran(
        edit_image,
        {**FILES, "mask.png": png(HALF)},
        answering(plain(color="red")),
        image="photo.png",
        mask="mask.png",
        keep_outside=True,
        prompt="x",
    )
    made = opened(context.kept[1][2])
    assert differing(made, source(), HALF) == 0
    assert made.getpixel((0, 0)) != source().getpixel((0, 0))


def test_without_masks_at_the_provider_the_rest_is_put_back_and_the_result_says_so() -> None:
    context = ran(
        edit_image,
        {**FILES, "mask.png": png(HALF)},
        without_mask(plain(color="red")),
        image="photo.png",
        mask="mask.png",
        prompt="x",
    )
    assert differing(opened(context.kept[1][2]), source(), HALF) == 0
    assert any("takes no mask" in told for told in context.warnings)


def test_an_answer_of_another_shape_is_kept_as_it_came_and_the_job_fails() -> None:
    from daemon.testing import ScriptedContext

    files = {**FILES, "mask.png": png(HALF)}
    context = ScriptedContext(files, [answering(plain((TALL, WIDE)))])
    request = edit_image.Request.model_validate(
        {"image": "photo.png", "mask": "mask.png", "keep_outside": True, "prompt": "x"}
    )
    import asyncio

    from handlers.contract import HandlerError

    with pytest.raises(HandlerError) as caught:
        asyncio.run(edit_image.run(request, context))
    assert caught.value.code == "provider_failed"
    assert context.kept[-1] == ("edited", "output", png(plain((TALL, WIDE))))


def test_a_jpeg_could_not_keep_pixels_so_it_becomes_a_png_with_a_warning() -> None:
    context = ran(
        edit_image,
        {**FILES, "mask.png": png(HALF)},
        answering(plain()),
        image="photo.png",
        mask="mask.png",
        keep_outside=True,
        output_format="jpeg",
        prompt="x",
    )
    assert opened(context.kept[1][2]).format == "PNG"
    assert any("saved as PNG" in told for told in context.warnings)


def test_a_webp_keeps_them() -> None:
    context = ran(
        edit_image,
        {**FILES, "mask.png": png(HALF)},
        answering(plain()),
        image="photo.png",
        mask="mask.png",
        keep_outside=True,
        output_format="webp",
        prompt="x",
    )
    made = opened(context.kept[1][2])
    assert made.format == "WEBP"
    assert differing(made, source(), HALF) == 0


def test_a_picture_that_no_webp_holds_becomes_a_png_with_a_warning() -> None:
    size = (16_400, 2)
    mask = Image.new("L", size)
    mask.paste(255, (0, 0, 99, 2))
    context = ran(
        edit_image,
        {"photo.png": png(plain(size, "navy")), "mask.png": png(mask)},
        answering(plain(size)),
        image="photo.png",
        mask="mask.png",
        keep_outside=True,
        output_format="webp",
        prompt="x",
    )
    assert opened(context.kept[1][2]).format == "PNG"
    assert any("saved as PNG" in told for told in context.warnings)


def test_keep_outside_without_a_mask_makes_no_sense() -> None:
    assert faults(edit_image, image="a", prompt="x", keep_outside=True) == ["keep_outside"]


@pytest.mark.parametrize("image", ["", " ", 3, None, [], ["a", ""], {"form": "x"}, {"from": ""}])
def test_what_names_no_input_is_refused_at_the_door(image: object) -> None:
    with pytest.raises(ValidationError):
        edit_image.Request.model_validate({"image": image, "prompt": "x"})
