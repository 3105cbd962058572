"""The stand-in: honest about what it is, the same every time, in the size that was asked for."""

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from handlers.contract import Call, HandlerError, Outcome
from handlers.generate_image import Request
from handlers.providers.local import DEFAULT_SIZE, MODEL, NOTICE, Local, dimensions, provider
from handlers.wire import Compute


def ask(**fields: Any) -> Outcome:
    """Drive the provider as the daemon does."""
    given_ = {name: fields.pop(name) for name in ("model", "endpoint", "extra") if name in fields}
    call = Call("generate_image", {"prompt": "a lighthouse", "size": "48x32", **fields}, **given_)
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


def pictures(outcome: Outcome) -> list[Image.Image]:
    opened = [Image.open(io.BytesIO(medium.data or b"")) for medium in outcome.media]
    for picture in opened:
        picture.load()
    return opened


def refusal(**fields: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        ask(**fields)
    return caught.value


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


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 999), st.integers(1, 999))
def test_a_ratio_comes_out_about_right_at_about_a_megapixel(across: int, down: int) -> None:
    try:
        width, height = dimensions({"aspect_ratio": f"{across}:{down}"})
    except HandlerError:
        assert max(across / down, down / across) > 15
        return
    assert abs(width / height / (across / down) - 1) < 0.06
    assert 0.9 < width * height / 2**20 < 1.1


@settings(max_examples=150, deadline=None)
@given(st.from_regex(r"[1-9][0-9]{0,4}x[1-9][0-9]{0,4}", fullmatch=True))
def test_any_size_that_comes_through_the_door_is_one_or_is_refused(size: str) -> None:
    Request.model_validate({"prompt": "x", "size": size})
    width, height = map(int, size.split("x"))
    try:
        assert dimensions({"size": size}) == (width, height)
    except HandlerError as error:
        assert not (16 <= width <= 4096 and 16 <= height <= 4096), error


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


def test_it_is_free() -> None:
    assert provider().paid is False
    assert provider().name == "local"
