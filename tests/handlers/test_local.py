"""The stand-in: honest about what it is, the same every time, in the size that was asked for."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from handlers.contract import Call, HandlerError, Medium, Outcome
from handlers.generate_image import Request
from handlers.providers.local import (
    CLIP_NOTICE,
    DEFAULT_SIZE,
    MODEL,
    NOTICE,
    Local,
    dimensions,
    provider,
)
from handlers.wire import Compute, Ticket
from tests.examples import examples


def ask(operation: str = "generate_image", **fields: Any) -> Outcome:
    """Drive the provider as the daemon does."""
    lower = ("model", "endpoint", "extra", "inputs")
    given_ = {name: fields.pop(name) for name in lower if name in fields}
    call = Call(operation, {"prompt": "a lighthouse", "size": "48x32", **fields}, **given_)
    effects = Local().submit(call)
    reply: Any = None
    while True:
        try:
            effect = effects.send(reply)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        assert isinstance(effect, Compute)
        reply = effect.function()


def medium(picture: Image.Image, form: str = "PNG") -> Medium:
    encoded = io.BytesIO()
    picture.save(encoded, form, lossless=True)
    return Medium(encoded.getvalue())


def edit(
    *images: Image.Image, mask: Image.Image | None = None, references: Any = (), **fields: Any
) -> Outcome:
    """An edit, of the size of its first picture if none is said."""
    inputs = {"image": [medium(image) for image in images]}
    inputs |= {"mask": [medium(mask)]} if mask else {}
    inputs |= {"reference_images": [medium(one) for one in references]} if references else {}
    return ask("edit_image", inputs=inputs, **{"size": "auto", **fields})


def pictures(outcome: Outcome) -> list[Image.Image]:
    opened = [Image.open(io.BytesIO(medium.data or b"")) for medium in outcome.media]
    for picture in opened:
        picture.load()
    return opened


def refusal(**fields: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ask(**fields)
    return caught.value


def scene(size: tuple[int, int] = (96, 64), mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, size, "#3070a0")
    ImageDraw.Draw(picture).rectangle((0, size[1] // 2, *size), "#e0b070")
    return picture


def spot(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """A mask: an ellipse in the middle."""
    mask = Image.new("L", size)
    width, height = size
    ImageDraw.Draw(mask).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), 255)
    return mask


# ---------------------------------------------------------------- what it paints


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [(16, 16), (48, 32), (33, 57)])
def test_a_picture_decodes_in_the_format_and_size_that_was_asked_for(
    form: str, size: tuple[int, int]
) -> None:
    outcome = ask(output_format=form, size=f"{size[0]}x{size[1]}")
    (picture,) = pictures(outcome)
    assert (picture.format, picture.size) == (form.upper(), size)
    assert outcome.media[0].media_type == f"image/{form}"


def test_without_a_format_it_is_a_png() -> None:
    assert pictures(ask())[0].format == "PNG"


@pytest.mark.parametrize("count", [1, 3])
def test_as_many_pictures_come_as_were_asked_for_and_no_two_are_equal(count: int) -> None:
    media = ask(n=count).media
    assert len(media) == count
    assert len({medium.data for medium in media}) == count


def test_the_same_call_gives_the_same_bytes() -> None:
    assert ask(n=2, seed=7).media == ask(n=2, seed=7).media


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"prompt": "another"}, {"size": "32x48"}, {"output_format": "webp"}]
)
def test_another_call_gives_another_picture(other: dict[str, Any]) -> None:
    assert ask().media != ask(**other).media


def test_no_seed_is_seed_0() -> None:
    assert ask().media == ask(seed=0).media


def test_the_largest_seed_is_a_seed() -> None:
    assert ask(seed=18446744073709551615).media != ask(seed=0).media


@pytest.mark.parametrize("prompt", ["x", "漢字 😀\n\tü", "\u202e\u0000", "long " * 5000])
def test_any_prompt_can_be_painted(prompt: str) -> None:
    assert pictures(ask(prompt=prompt))[0].size == (48, 32)


@pytest.mark.parametrize("form", ["png", "webp"])
def test_a_transparent_picture_has_a_transparent_corner(form: str) -> None:
    (picture,) = pictures(ask(background="transparent", output_format=form, size="200x200"))
    assert picture.mode == "RGBA"
    corner = picture.getpixel((0, 0))
    assert isinstance(corner, tuple)
    assert corner[3] == 0


@pytest.mark.parametrize("background", ["opaque", "auto", "anything"])
def test_any_other_background_is_opaque(background: str) -> None:
    assert pictures(ask(background=background))[0].mode == "RGB"


def test_a_jpeg_cannot_be_transparent() -> None:
    error = refusal(background="transparent", output_format="jpeg")
    assert error.code == "not_supported"
    assert error.hints


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, DEFAULT_SIZE),
        ({"size": "auto"}, DEFAULT_SIZE),
        ({"size": "64x32"}, (64, 32)),
        ({"size": "64x32", "aspect_ratio": "1:9"}, (64, 32)),
        ({"size": "auto", "aspect_ratio": "1:1"}, (1024, 1024)),
        ({"aspect_ratio": "16:9"}, (1360, 768)),
        ({"aspect_ratio": "9:16"}, (768, 1360)),
        ({"size": "16x4096"}, (16, 4096)),
    ],
)
def test_the_size_is_that_of_size_or_else_of_the_ratio(
    fields: dict[str, Any], size: tuple[int, int]
) -> None:
    assert dimensions(fields) == size


@pytest.mark.parametrize("size", ["15x16", "16x15", "4097x16", "16x4097", "99999x99999", "1x1"])
def test_a_side_too_long_or_too_short_is_refused(size: str) -> None:
    error = refusal(size=size)
    assert error.code == "not_supported"
    assert "16 to 4096" in error.message


@pytest.mark.parametrize("ratio", ["999:1", "1:999"])
def test_a_ratio_that_makes_a_side_too_long_is_refused(ratio: str) -> None:
    assert refusal(size="auto", aspect_ratio=ratio).code == "not_supported"


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(1, 999), st.integers(1, 999))
def test_a_ratio_comes_out_about_right_at_about_a_megapixel(across: int, down: int) -> None:
    try:
        width, height = dimensions({"aspect_ratio": f"{across}:{down}"})
    except HandlerError:
        assert max(across / down, down / across) > 15
        return
    assert abs(width / height / (across / down) - 1) < 0.06
    assert 0.9 < width * height / 2**20 < 1.1


@settings(max_examples=examples(150), deadline=None)
@given(st.from_regex(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", fullmatch=True))
def test_any_size_that_comes_through_the_door_is_one_or_is_refused(size: str) -> None:
    Request.model_validate({"prompt": "x", "size": size})
    width, height = map(int, size.split("x"))
    try:
        assert dimensions({"size": size}) == (width, height)
    except HandlerError as error:
        assert not (16 <= width <= 4096 and 16 <= height <= 4096), error


# ---------------------------------------------------------------- references


@pytest.mark.parametrize(("colour", "channel"), [("#d01010", 0), ("#1020d0", 2)])
def test_a_picture_takes_its_colours_from_the_references(colour: str, channel: int) -> None:
    inputs = {"reference_images": [medium(Image.new("RGB", (8, 8), colour))]}
    outcome = ask(inputs=inputs, n=5)
    for picture in pictures(outcome):
        levels = np.asarray(picture, np.float64).mean(axis=(0, 1))
        assert levels[channel] > levels[2 - channel] + 10
    assert outcome.warnings == (NOTICE,)


def test_no_references_are_none() -> None:
    assert ask(inputs={"reference_images": []}) == ask()


def test_an_edit_takes_its_colours_from_the_references_too() -> None:
    red, blue = (
        np.asarray(pictures(edit(scene(), references=[Image.new("RGB", (8, 8), colour)]))[0]).mean(
            axis=(0, 1)
        )
        for colour in ("#d01010", "#1020d0")
    )
    assert red[0] > blue[0] + 10
    assert blue[2] > red[2] + 10


# ---------------------------------------------------------------- edits


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("sent", ["PNG", "WEBP"])
def test_an_edit_has_the_size_of_its_picture_and_the_format_that_was_asked_for(
    form: str, sent: str
) -> None:
    inputs = {"image": [medium(scene((37, 53)), sent)], "mask": [medium(spot((37, 53)))]}
    outcome = ask("edit_image", inputs=inputs, size="auto", output_format=form)
    (picture,) = pictures(outcome)
    assert (picture.format, picture.size) == (form.upper(), (37, 53))
    assert outcome.media[0].media_type == f"image/{form}"


def test_outside_of_the_mask_an_edit_changes_nothing() -> None:
    (picture,) = pictures(edit(scene(), mask=spot()))
    kept = np.asarray(spot()) == 0
    assert np.array_equal(np.asarray(picture)[kept], np.asarray(scene())[kept])
    assert picture != scene()


def test_with_neither_a_mask_nor_room_the_whole_picture_is_restyled() -> None:
    (picture,) = pictures(edit(scene()))
    changed = np.asarray(picture) != np.asarray(scene())
    assert changed.any(axis=2).mean() > 0.9


def test_a_clear_canvas_is_filled() -> None:
    canvas = Image.new("RGBA", (96, 64))
    canvas.paste(scene((40, 40)), (30, 12))
    (picture,) = pictures(edit(canvas, prompt=""))
    assert picture.mode == "RGB"
    assert picture.crop((30, 12, 70, 52)) == scene((40, 40))


def test_an_edit_is_brought_to_the_size_that_was_asked_for_and_not_squeezed() -> None:
    picture = Image.new("RGB", (90, 30), "blue")
    picture.paste("red", (30, 0, 60, 30))
    mask = Image.new("L", (90, 30))
    (result,) = pictures(edit(picture, mask=mask, size="60x60"))
    assert result.size == (60, 60)
    levels = np.asarray(result, np.float64).mean(axis=(0, 1))
    assert levels[0] > 200 > 60 > levels[2]


def test_other_pictures_are_seen_in_an_edit() -> None:
    lime = Image.new("RGB", (9, 9), "lime")
    for mask in (None, spot()):
        (result,) = pictures(edit(scene(), lime, mask=mask))
        assert (np.abs(np.asarray(result, int) - (0, 255, 0)).max(axis=2) <= 6).sum() > 20


def test_other_pictures_that_found_no_room_are_counted() -> None:
    mask = Image.new("L", (96, 64))
    mask.putpixel((5, 5), 255)
    outcome = edit(scene(), scene(), scene(), mask=mask, n=2)
    assert outcome.warnings == (NOTICE, "of 2 pictures besides the first, 0 found room in the edit")


@pytest.mark.parametrize("mask", [None, spot()])
def test_as_many_edits_come_as_were_asked_for_always_the_same(mask: Image.Image | None) -> None:
    media = edit(scene(), mask=mask, n=3, seed=5).media
    assert len({medium.data for medium in media}) == 3
    assert media == edit(scene(), mask=mask, n=3, seed=5).media


@pytest.mark.parametrize("other", [{"seed": 1}, {"prompt": "another"}])
def test_another_call_gives_another_edit(other: dict[str, Any]) -> None:
    assert edit(scene(), mask=spot()).media != edit(scene(), mask=spot(), **other).media


def test_what_stays_clear_stays_clear_and_is_white_in_a_jpeg() -> None:
    picture = scene(mode="RGBA")
    picture.paste((0, 0, 0, 0), (0, 0, 20, 20))
    (png,) = pictures(edit(picture, mask=spot()))
    assert png.getpixel((3, 3)) == (0, 0, 0, 0)
    outcome = edit(picture, mask=spot(), output_format="jpeg")
    assert np.asarray(pictures(outcome)[0])[3, 3].min() > 245
    assert outcome.warnings == (NOTICE, "a JPEG cannot be transparent: what is clear became white")


def test_one_pixel_can_be_edited() -> None:
    one = Image.new("RGB", (1, 1), "red")
    for mask in (None, Image.new("L", (1, 1), 255)):
        assert pictures(edit(one, one, mask=mask))[0].size == (1, 1)


def fault(*images: Medium, **fields: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ask("edit_image", inputs={"image": images}, **{"size": "auto", **fields})
    return caught.value


def test_an_edit_of_no_picture_is_an_error() -> None:
    assert fault().code == "internal"
    assert fault(Medium(sha256="0" * 64)).code == "internal"


@pytest.mark.parametrize(
    "data", [b"", b"GIF89a", b"<svg/>", (medium(scene()).data or b"")[:-40], b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_picture_is_an_error(data: bytes) -> None:
    assert fault(Medium(data)).code == "unreadable_media"


def test_a_tiff_is_not_even_tried() -> None:
    tiff = io.BytesIO()
    scene().save(tiff, "TIFF")
    assert fault(Medium(tiff.getvalue())).code == "unreadable_media"


def test_a_picture_of_too_many_pixels_is_refused_by_its_header() -> None:
    huge = bytearray(medium(Image.new("1", (1, 1))).data or b"")
    huge[16:24] = (8000).to_bytes(4, "big") + (5001).to_bytes(4, "big")
    checksum = zlib.crc32(bytes(huge[12:29]))
    huge[29:33] = checksum.to_bytes(4, "big")
    error = fault(Medium(bytes(huge)))
    assert error.code == "too_large"
    assert "8000 x 5001" in error.message


def test_a_size_of_too_many_pixels_is_refused() -> None:
    error = fault(medium(scene()), size="8000x5001")
    assert error.code == "not_supported"
    assert error.hints


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(HandlerError) as caught:
        edit(scene(), mask=spot((10, 10)))
    assert caught.value.code == "internal"


# ---------------------------------------------------------------- what it says


def test_every_answer_says_that_it_is_a_stand_in() -> None:
    outcome = ask()
    assert outcome.model == MODEL == "stand-in"
    assert outcome.warnings == (NOTICE,)
    assert "no AI model" in NOTICE


def test_what_was_not_made_use_of_is_named() -> None:
    outcome = ask(
        quality="high", style="x", nsfw=False, extra={"cfg": 1}, endpoint="/x", model="gpt-image-2"
    )
    assert outcome.warnings == (
        NOTICE,
        "the stand-in makes no use of: cfg, nsfw, quality, style, endpoint, model",
    )


def test_everything_that_is_used_is_not_named() -> None:
    outcome = ask(
        aspect_ratio="1:1",
        n=1,
        seed=1,
        background="opaque",
        output_format="png",
        model="stand-in",
    )
    assert outcome.warnings == (NOTICE,)


def test_what_an_edit_made_no_use_of_is_named() -> None:
    outcome = edit(scene(), mask=spot(), quality="high", background="opaque", aspect_ratio="1:1")
    assert outcome.warnings == (
        NOTICE,
        "the stand-in makes no use of: aspect_ratio, background, quality",
    )


def test_pictures_that_were_made_no_use_of_are_named() -> None:
    outcome = ask(inputs={"image": [medium(scene())], "mask": []})
    assert outcome.warnings == (NOTICE, "the stand-in makes no use of: image")


def test_everything_that_an_edit_uses_is_not_named() -> None:
    outcome = edit(
        scene(), scene(), mask=spot(), references=[scene()], n=1, seed=1, output_format="png"
    )
    assert outcome.warnings == (NOTICE,)


def test_it_is_free() -> None:
    assert provider().paid is False
    assert provider().name == "local"


# ---------------------------------------------------------------- clips


def ticket(**fields: Any) -> Ticket:
    taken: Any = ask("generate_video", **fields)
    assert isinstance(taken, Ticket)
    return taken


def test_a_clip_is_taken_as_a_job_that_says_what_it_will_be() -> None:
    taken = ticket(seconds=2, fps=8)
    assert taken.model == MODEL
    assert taken.state["warnings"] == [CLIP_NOTICE]
    assert "a clip to test with" in CLIP_NOTICE


def test_the_clip_comes_of_what_the_ticket_says() -> None:
    local = Local()
    taken = ticket(seconds=1, fps=8)
    answer: Any = None
    while not isinstance(answer, Outcome):
        effects, reply = local.resume(taken), None
        while True:
            try:
                reply = effects.send(reply).function()  # type: ignore[union-attr]
            except StopIteration as end:
                answer = end.value
                break
    (film,) = answer.media
    assert film.media_type == "video/mp4"


def test_what_a_clip_makes_no_use_of_is_told() -> None:
    fields = {"negative_prompt": "x", "image_field": "image", "resolution": "hd", "mode": "text"}
    (_, told) = ticket(**fields).state["warnings"]
    assert told == (
        "the stand-in makes no use of: image_field, negative_prompt, resolution (it knows lines "
        "only, as 720p)"
    )
    picture = [medium(scene())]
    (_, told) = ticket(inputs={"image": picture, "reference_images": picture}).state["warnings"]
    assert "reference_images (beside a first frame)" in told


@pytest.mark.parametrize("role", ["image", "last_frame"])
def test_there_is_one_first_frame_and_one_last(role: str) -> None:
    error = refusal(operation="generate_video", inputs={role: [medium(scene())] * 2})
    assert error.code == "not_supported"
