"""Pictures that are too large: what becomes of them, by a stated rule, and what is told."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from daemon.testing import tiny_image
from handlers.contract import HandlerError
from handlers.openai_shape.fitting import fit
from handlers.openai_shape.room import UNKNOWN, Room, amount
from handlers.openai_shape.shrinking import Bounds, shrunk, within
from handlers.openai_shape.table import DIALECTS
from handlers.providers import openai
from tests.handlers.driving import GOOD, call, drive, reply
from tests.handlers.openai_shape.looking import edit, mask, noise, of, opened, png

SIZE = (200, 100)


def smooth(size: tuple[int, int] = SIZE, mode: str = "RGB", form: str = "PNG") -> bytes:
    """What a JPEG makes small and a PNG does not, as a photo is: soft, with a little grain."""
    soft = opened(noise((8, 4), mode)).resize(size, Image.Resampling.BICUBIC)
    picture = Image.blend(soft, opened(noise(size, mode)), 0.05)
    encoded = io.BytesIO()
    picture.save(encoded, form)
    return encoded.getvalue()


PHOTO, GLASS, CAMERA = smooth(), smooth(mode="RGBA"), smooth(form="JPEG")
NOISE, HAZE = noise(SIZE), noise(SIZE, "RGBA")


def sent(data: bytes, **room: Any) -> tuple[str, tuple[int, int], list[str]]:
    """The format and the size that a picture gets, and what is told."""
    fitted = fit([data], Room(**room), "Paper")
    picture = opened(fitted.pictures[0])
    return picture.format or "", picture.size, list(fitted.warnings)


# ---------------------------------------------------------------- what fits


@pytest.mark.parametrize(
    "room",
    [
        UNKNOWN,
        Room(picture=len(PHOTO) + 1),
        Room(longest=200),
        Room(pixels=20_000),
        Room(url=len("data:image/png;base64,") + 4 * len(PHOTO) // 3 + 8),
        Room(body=len(PHOTO) + (1 << 18)),
    ],
)
def test_what_fits_goes_along_as_it_is(room: Room) -> None:
    fitted = fit([PHOTO], room, "Paper")
    assert fitted.pictures[0] is PHOTO
    assert fitted.warnings == ()


def test_what_fits_is_not_even_decoded() -> None:
    room = Room(picture=100, body=1 << 20, url=1000)
    assert fit([b"no picture"], room, "Paper", as_text=True).pictures == (b"no picture",)


# ---------------------------------------------------------------- what does not

TABLE: dict[str, tuple[bytes, dict[str, int], str, tuple[int, int], str]] = {
    "too many pixels a side": (
        PHOTO,
        {"longest": 100},
        "PNG",
        (100, 50),
        (
            "the picture was scaled down from 200 x 100 to 100 x 50 pixels: "
            "Paper takes at most 100 pixels a side"
        ),
    ),
    "too many pixels": (
        PHOTO,
        {"pixels": 5000},
        "PNG",
        (100, 50),
        (
            "the picture was scaled down from 200 x 100 to 100 x 50 pixels: "
            "Paper takes at most 5,000 pixels a picture"
        ),
    ),
    "too many pixels of a JPEG": (
        CAMERA,
        {"longest": 100},
        "JPEG",
        (100, 50),
        (
            "the picture was scaled down from 200 x 100 to 100 x 50 pixels: "
            "Paper takes at most 100 pixels a side"
        ),
    ),
    "too many bytes": (
        PHOTO,
        {"picture": 30_000},
        "JPEG",
        SIZE,
        (
            "the picture was sent as a JPEG: Paper takes pictures below 30,000 bytes, "
            f"and it had {len(PHOTO):,} bytes"
        ),
    ),
    "too many bytes, with alpha, by a little": (
        GLASS,
        {"picture": len(GLASS) - 100},
        "WEBP",
        SIZE,
        (
            f"the picture was sent as a WebP: Paper takes pictures below {len(GLASS) - 100:,} bytes, "
            f"and it had {len(GLASS):,} bytes"
        ),
    ),
    "too many bytes, with alpha": (
        GLASS,
        {"picture": len(GLASS) // 2},
        "WEBP",
        SIZE,
        (
            f"the picture was sent as a WebP: Paper takes pictures below {len(GLASS) // 2:,} bytes, "
            f"and it had {len(GLASS):,} bytes"
        ),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_does_not_fit_is_made_to_by_the_rule_and_told(name: str) -> None:
    data, room, form, size, told = TABLE[name]
    assert sent(data, **room) == (form, size, [told])


def test_a_webp_without_loss_is_tried_first() -> None:
    (made,) = fit([GLASS], Room(picture=len(GLASS) - 100), "Paper").pictures
    assert opened(made).convert("RGBA").tobytes() == opened(GLASS).tobytes()


def test_a_jpeg_keeps_the_colour_of_every_pixel() -> None:
    (made,) = fit([PHOTO], Room(picture=30_000), "Paper").pictures
    layers = opened(made).layer  # type: ignore[attr-defined]
    assert {(across, down) for _, across, down, _ in layers} == {(1, 1)}


def test_an_alpha_that_hides_nothing_does_not_keep_a_picture_from_being_a_jpeg() -> None:
    whole = opened(PHOTO).convert("RGBA")
    assert sent(png(whole), picture=30_000)[0] == "JPEG"


def test_the_colours_below_the_transparent_stay() -> None:
    hidden = Image.merge("RGBA", [*opened(NOISE).split(), Image.new("L", SIZE)])
    data = png(hidden)
    (made,) = fit([data], Room(picture=len(data) - 10), "Paper").pictures
    assert opened(made).format == "WEBP"
    assert opened(made).convert("RGB").tobytes() == opened(NOISE).tobytes()


@pytest.mark.parametrize(("data", "form"), [(NOISE, "JPEG"), (HAZE, "WEBP")])
def test_what_no_encoding_makes_fit_is_scaled_down_until_it_does(data: bytes, form: str) -> None:
    limit = 8_000
    fitted = fit([data], Room(picture=limit), "Paper")
    (made,) = fitted.pictures
    width, height = opened(made).size
    assert limit / 2 < len(made) < limit
    assert (opened(made).format, width // height) == (form, 2)
    (told,) = fitted.warnings
    name = "WebP" if form == "WEBP" else form
    assert told == (
        f"the picture was scaled down from 200 x 100 to {width} x {height} pixels and sent as a "
        f"{name}: Paper takes pictures below 8,000 bytes"
    )


def test_a_server_without_webp_gets_a_smaller_png() -> None:
    form, size, (told,) = sent(HAZE, picture=30_000, webp=False)
    assert (form, size < SIZE, "sent as" in told) == ("PNG", True, False)


@pytest.mark.parametrize("data", [NOISE, HAZE])
def test_what_cannot_be_made_to_fit_is_an_error_that_says_the_limit(data: bytes) -> None:
    with pytest.raises(HandlerError) as caught:
        fit([data], Room(picture=300), "Paper")
    assert caught.value.code == "too_large"
    assert caught.value.message == (
        "the picture, of 200 x 100 pixels, cannot be made to fit: "
        "Paper takes pictures below 300 bytes"
    )
    assert caught.value.hints


def test_what_has_to_be_decoded_and_cannot_is_unreadable() -> None:
    for data in (b"no picture", NOISE[:2000]):
        with pytest.raises(HandlerError) as caught:
            fit([data], Room(picture=5), "Paper")
        assert caught.value.code == "unreadable_media"


# ---------------------------------------------------------------- several, and their text


def test_a_data_url_is_counted_in_characters() -> None:
    url = len("data:image/jpeg;base64,") + 4 * len(NOISE) // 3
    assert fit([NOISE], Room(url=url - 8), "Paper", as_text=True).warnings
    assert not fit([NOISE], Room(url=url - 8), "Paper").warnings
    (made,) = fit([NOISE], Room(url=20_000), "Paper", as_text=True).pictures
    assert len("data:image/jpeg;base64," + base64.b64encode(made).decode()) < 20_000


@pytest.mark.parametrize("as_text", [True, False])
def test_pictures_share_the_room_of_a_request_and_small_ones_stay_as_they_are(
    as_text: bool,
) -> None:
    tiny = tiny_image()
    room = Room(body=(1 << 17) + 60_000)
    fitted = fit([NOISE, tiny, NOISE], room, "Paper", as_text=as_text)
    whole = sum(map(len, fitted.pictures))
    assert 30_000 < whole * (4 / 3 if as_text else 1) < 60_000
    assert fitted.pictures[1] is tiny
    first, third = fitted.warnings
    assert first.startswith("picture 1 was")
    assert third.startswith("picture 3 was")
    assert "Paper takes requests below" in first


def test_a_request_with_no_room_for_pictures_is_an_error() -> None:
    with pytest.raises(HandlerError, match="requests below"):
        fit([NOISE], Room(body=1000), "Paper")


# ---------------------------------------------------------------- the mask


def test_a_mask_that_is_too_large_makes_both_smaller() -> None:
    grain = mask(SIZE, [255 * (value > 127) for value in opened(noise(SIZE, "L")).tobytes()])
    room = Room(mask=1500)
    fitted = fit([PHOTO], room, "Paper", mask=grain)
    assert fitted.mask is not None
    assert len(fitted.mask) < 1500
    assert opened(fitted.mask).size == opened(fitted.pictures[0]).size < SIZE
    (told,) = fitted.warnings
    assert told.endswith("Paper takes masks below 1,500 bytes")


def test_a_mask_that_cannot_be_made_to_fit_is_an_error() -> None:
    with pytest.raises(HandlerError) as caught:
        fit([PHOTO], Room(mask=40), "Paper", mask=mask(SIZE, [255] * 20_000))
    assert (caught.value.code, "masks below 40 bytes" in caught.value.message) == (
        "too_large",
        True,
    )


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(400, 9000),
    st.none() | st.integers(10, 90),
    st.sampled_from(["RGB", "RGBA"]),
)
def test_whatever_comes_fits_or_is_too_large(
    width: int, height: int, below: int, longest: int | None, mode: str
) -> None:
    bounds = Bounds(below=below, longest=longest)
    data = noise((width, height), mode)
    made = shrunk(data, bounds)
    if made is None:
        assert len(data) >= below
    else:
        assert len(made) < below
        assert max(opened(made).size) <= (longest or 90)


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 10**5), st.integers(1, 10**9))
def test_a_size_within_bounds_has_no_more_pixels_and_is_never_nothing(
    width: int, height: int, longest: int, pixels: int
) -> None:
    across, down = within((width, height), Bounds(longest=longest, pixels=pixels))
    assert 1 <= across <= width
    assert 1 <= down <= height
    assert max(across, down) <= longest or 1 in (across, down)
    assert across * down <= pixels or 1 in (across, down)


# ---------------------------------------------------------------- in words


def test_an_amount_is_written_as_documentations_write_it() -> None:
    assert [amount(count) for count in (50 * 10**6, 10 << 20, 1500, 0)] == [
        "50 MB",
        "10 MiB",
        "1,500 bytes",
        "0 bytes",
    ]


# ---------------------------------------------------------------- of a call


def narrowed(monkeypatch: pytest.MonkeyPatch, dialect: str, **room: Any) -> None:
    """A server with less room, so that small pictures are too large for it."""
    row = replace(DIALECTS[dialect], room=Room(**room))
    monkeypatch.setattr(openai, "dialect_of", lambda entry: row)


@pytest.mark.parametrize("dialect", ["openai", "xai", "openrouter", "localai", "compatible"])
def test_a_picture_that_is_too_large_is_made_to_fit_in_every_form_and_told(
    monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    narrowed(monkeypatch, dialect, picture=20_000)
    asked = call("edit_image", inputs={"image": noise((200, 100))})
    outcome, (sent,) = drive(of(dialect).submit(asked), [reply(GOOD)])
    text = json.dumps(sent.json) + "".join(base64.b64encode(f.data).decode() for f in sent.files)
    assert len(text) < 30_000
    (told,) = outcome.warnings
    assert "from 200 x 100 to" in told
    assert "takes pictures below 20,000 bytes" in told


def test_references_under_a_key_and_first_frames_are_made_to_fit_as_well(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    narrowed(monkeypatch, "xai", picture=20_000)
    large = noise((200, 100))
    asked = call(inputs={"reference_images": large}, reference_key="refs")
    outcome, _ = drive(of("xai").submit(asked), [reply(GOOD)])
    assert "scaled down" in outcome.warnings[0]
    clip = call("generate_video", inputs={"image": large})
    outcome, (sent,) = drive(of("xai").submit(clip), [reply({"video": {"url": "https://x.ai/v"}})])
    assert "scaled down" in outcome.warnings[0]
    assert len(sent.json["image"]["url"]) < 30_000


def test_a_mask_becomes_smaller_with_its_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    narrowed(monkeypatch, "openai", picture=20_000)
    inputs = {"image": noise((200, 100)), "mask": mask((200, 100), [255] * 10_000 + [0] * 10_000)}
    sent = edit("openai", inputs)
    picture, its_mask = (opened(part.data) for part in sent.files)
    assert picture.size == its_mask.size != (200, 100)
    alpha = its_mask.getchannel("A").tobytes()
    assert alpha == bytes(len(alpha) // 2) + b"\xff" * (len(alpha) - len(alpha) // 2)
