"""What is around a picture in each mode, pixel by pixel; and the source is never touched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from handlers.contract import HandlerError
from handlers.media.canvas import extended, fading_area, new_area
from handlers.media.frames import Extension, Frame, frame_of
from handlers.media.painting import paint
from tests.examples import examples

MODES = ["transparent", "solid", "blur", "edge", "reflect"]
HIDDEN = (200, 100, 50, 0)


def grey(text: str) -> Image.Image:
    """A picture of digits: 1 is the level (1, 1, 1)."""
    rows = [[int(digit) for digit in line] for line in text.split()]
    return Image.fromarray(np.repeat(np.array(rows, np.uint8)[..., None], 3, axis=2))


def digits(picture: Image.Image) -> str:
    """The same backwards; a dot where it is clear."""
    levels = np.asarray(picture.convert("RGBA"))
    rows = ["".join(str(p[0]) if p[3] else "." for p in row) for row in levels]
    return " ".join(rows)


def ascii_of(mask: Image.Image) -> list[str]:
    return ["".join({0: ".", 255: "#"}[v] for v in row) for row in np.asarray(mask).tolist()]


def inner(canvas: Image.Image, frame: Frame) -> NDArray[np.uint8]:
    """The source's region, as RGBA."""
    return np.asarray(canvas.crop(frame.box).convert("RGBA"))


def noise(size: tuple[int, int], mode: str = "RGB", seed: int = 0) -> Image.Image:
    shape = (size[1], size[0], len(mode))
    levels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(levels, mode)


# ---------------------------------------------------------------- golden pictures


def test_transparent_is_clear_around_the_source() -> None:
    canvas = extended(grey("123 456"), Frame((3, 2), 1, 1, 2, 0), "transparent")
    assert canvas.mode == "RGBA"
    assert digits(canvas) == "...... .123.. .456.."
    assert canvas.getpixel((0, 0)) == (0, 0, 0, 0)


def test_solid_is_one_colour() -> None:
    canvas = extended(grey("12"), Frame((2, 1), 1, 1, 1, 1), "solid", bg="#090909")
    assert canvas.mode == "RGB"
    assert digits(canvas) == "9999 9129 9999"


@pytest.mark.parametrize(
    ("bg", "pixel"),
    [("#0a0B0c", (10, 11, 12)), ("#0a0b0cFF", (10, 11, 12)), ("#0a0b0c80", (10, 11, 12, 128))],
)
def test_a_colour_has_six_digits_or_eight(bg: str, pixel: tuple[int, ...]) -> None:
    assert extended(grey("1"), Frame((1, 1), left=1), "solid", bg=bg).getpixel((0, 0)) == pixel


def test_solid_without_a_colour_is_clear() -> None:
    assert digits(extended(grey("1"), Frame((1, 1), left=1), "solid")) == ".1"


@pytest.mark.parametrize("bg", ["", "red", "#fff", "0a0b0c", "#0a0b0c8", "#0a0b0cg0", "#0a0b0c\n"])
def test_what_is_no_colour_is_refused(bg: str) -> None:
    with pytest.raises(HandlerError, match="is no colour") as caught:
        extended(grey("1"), Frame((1, 1), left=1), "solid", bg=bg)
    assert caught.value.code == "invalid_request"


def test_edge_repeats_the_border() -> None:
    canvas = extended(grey("123 456 789"), Frame((3, 3), 2, 1, 3, 2), "edge")
    assert digits(canvas) == "11123333 11123333 44456666 77789999 77789999 77789999"


def test_reflect_is_a_mirror_on_the_rim() -> None:
    canvas = extended(grey("123 456 789"), Frame((3, 3), 2, 1, 3, 2), "reflect")
    assert digits(canvas) == "21123321 21123321 54456654 87789987 87789987 54456654"


def test_reflect_goes_on_where_the_extension_is_longer_than_the_source() -> None:
    canvas = extended(grey("123"), Frame((3, 1), left=7, right=8), "reflect")
    assert digits(canvas) == "112332112332112332"


@pytest.mark.parametrize("mode", ["edge", "reflect", "blur"])
def test_a_single_pixel_fills_its_canvas(mode: Any) -> None:
    assert digits(extended(grey("7"), Frame((1, 1), 2, 1, 3, 0), mode)) == "777777 777777"


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_alpha_is_repeated_with_its_colour(mode: Any) -> None:
    source = Image.new("RGBA", (2, 1), (1, 2, 3, 255))
    source.putpixel((0, 0), HIDDEN)
    canvas = extended(source, Frame((2, 1), left=1, right=1), mode)
    assert list(canvas.get_flattened_data()) == [HIDDEN, HIDDEN, (1, 2, 3, 255), (1, 2, 3, 255)]


# ---------------------------------------------------------------- blur


def test_blur_is_the_source_enlarged_to_cover_and_blurred() -> None:
    """As if it had been done in full size, within what nobody sees."""
    source = paint("harbour", seed=1, width=240, height=160)
    frame = Frame((240, 160), 60, 20, 60, 60)
    canvas = np.asarray(extended(source, frame, "blur", blur_radius=12), int)
    cover = source.resize((360, 240), Image.Resampling.BICUBIC)
    away = np.asarray(cover.filter(ImageFilter.GaussianBlur(12)), int) - canvas
    outside = np.asarray(new_area(frame, 0)) == 255
    assert np.abs(away[outside]).mean() < 1
    assert np.percentile(np.abs(away[outside]), 99) <= 4


@pytest.mark.parametrize("radius", [0, 1, 24, 5000])
def test_blur_lets_nothing_dark_in(radius: float) -> None:
    """A picture of one colour stays one, to the last corner."""
    source = Image.new("RGB", (40, 30), (250, 120, 30))
    canvas = extended(source, Frame((40, 30), 7, 50, 90, 3), "blur", blur_radius=radius)
    assert canvas.getcolors() == [(137 * 83, (250, 120, 30))]


def test_blur_lays_the_cover_as_the_new_pixels_are_shared_out() -> None:
    """Red, green and blue from the top: with nothing new above, the top is at the top."""
    source = Image.new("RGB", (30, 30), (0, 255, 0))
    source.paste((255, 0, 0), (0, 0, 30, 10))
    source.paste((0, 0, 255), (0, 20, 30, 30))
    seen = []
    for above in (0, 10, 20):
        frame = Frame((30, 30), 30, above, 30, 20 - above)
        canvas = extended(source, frame, "blur", blur_radius=0)
        seen.append([canvas.getpixel((2, row)) for row in (2, 47)])
    red, green, blue = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    assert seen == [[red, green], [red, blue], [green, blue]]


def test_blur_weighs_colours_by_their_alpha() -> None:
    """White that is clear does not brighten the red beside it."""
    source = Image.new("RGBA", (40, 40), (255, 255, 255, 0))
    source.paste((200, 0, 0, 255), (10, 10, 30, 30))
    canvas = extended(source, Frame((40, 40), 20, 20, 20, 20), "blur", blur_radius=4)
    levels = np.asarray(canvas).astype(int)
    seen = levels[(np.asarray(new_area(Frame((40, 40), 20, 20, 20, 20), 0)) == 255)]
    seen = seen[seen[:, 3] > 40]
    assert len(seen) > 100
    assert seen[:, 1:3].max() == 0
    assert seen[:, 0].min() > 190


def test_blur_takes_a_source_of_any_shape() -> None:
    for size in ((1, 300), (300, 1), (2, 2)):
        frame = Frame(size, 40, 1, 0, 30)
        assert extended(noise(size), frame, "blur").size == frame.size


# ---------------------------------------------------------------- what holds in every mode

FRAMES = st.builds(
    Frame,
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    *(st.integers(0, 30) for _ in range(4)),
)


@settings(max_examples=examples(80), deadline=None)
@given(
    FRAMES,
    st.sampled_from(MODES),
    st.sampled_from(["RGB", "RGBA"]),
    st.sampled_from(["#00000000", "#102030", "#10203040"]),
    st.integers(0, 40),
)
def test_the_source_is_untouched_in_any_frame(
    frame: Frame, mode: Any, kind: str, bg: str, radius: int
) -> None:
    """Alpha and hidden colours too; and the canvas is exactly as large as its frame."""
    source = noise(frame.source, kind)
    canvas = extended(source, frame, mode, bg=bg, blur_radius=radius)
    assert canvas.size == frame.size
    assert np.array_equal(inner(canvas, frame), np.asarray(source.convert("RGBA")))
    seen_through = mode == "transparent" or (mode == "solid" and len(bg) == 9)
    assert canvas.mode == ("RGBA" if kind == "RGBA" or seen_through else "RGB")


@settings(max_examples=examples(60), deadline=None)
@given(FRAMES, st.sampled_from([("edge", "edge"), ("reflect", "symmetric")]))
def test_edge_and_reflect_are_what_numpy_calls_so(frame: Frame, modes: tuple[Any, Any]) -> None:
    source = noise(frame.source, "RGBA")
    around = ((frame.top, frame.bottom), (frame.left, frame.right), (0, 0))
    expected = np.pad(np.asarray(source), around, mode=modes[1])
    assert np.array_equal(np.asarray(extended(source, frame, modes[0])), expected)


def test_a_canvas_of_several_bands_has_no_seam() -> None:
    source = noise((5, 700))
    expected = np.pad(np.asarray(source), ((900, 40), (1, 2), (0, 0)), mode="symmetric")
    assert np.array_equal(
        np.asarray(extended(source, Frame((5, 700), 1, 900, 2, 40), "reflect")), expected
    )


def test_a_frame_of_another_picture_is_an_error() -> None:
    with pytest.raises(ValueError, match="is none for"):
        extended(grey("12"), Frame((1, 2), left=1), "edge")


# ---------------------------------------------------------------- the mask


def test_the_new_area_reaches_into_the_source_where_it_is_extended() -> None:
    frame = Frame((8, 4), left=2, top=1)
    assert ascii_of(new_area(frame)) == [
        "##########",
        "##########",
        "####......",
        "####......",
        "####......",
    ]
    assert ascii_of(new_area(frame, overlap=0)) == [
        "##########",
        "##........",
        "##........",
        "##........",
        "##........",
    ]


@settings(max_examples=examples(60), deadline=None)
@given(FRAMES, st.one_of(st.none(), st.integers(0, 3)))
def test_new_area_and_source_cover_the_canvas(frame: Frame, overlap: int | None) -> None:
    """Nothing new is left out, and something of the source stays, or it is an error."""
    try:
        mask = np.asarray(new_area(frame, overlap))
    except HandlerError as error:
        assert overlap
        assert "leave nothing" in error.message
        return
    left, top, right, bottom = frame.box
    outside = np.ones_like(mask, bool)
    outside[top:bottom, left:right] = False
    assert mask.shape == frame.size[::-1]
    assert (mask[outside] == 255).all()
    assert set(np.unique(mask)) <= {0, 255}
    assert (mask == 0).any()


def test_a_fade_goes_over_the_overlap() -> None:
    fade = np.asarray(fading_area(Frame((8, 2), left=2), overlap=4))
    assert fade.tolist() == [[255, 255, 244, 174, 81, 11, 0, 0, 0, 0]] * 2


@settings(max_examples=examples(60), deadline=None)
@given(FRAMES, st.integers(0, 2))
def test_a_fade_is_whole_in_the_new_area_and_nothing_beyond_the_overlap(
    frame: Frame, overlap: int
) -> None:
    """So that what is around the source shows nowhere, and what stays of it is untouched."""
    try:
        fade = np.asarray(fading_area(frame, overlap))
    except HandlerError:
        with pytest.raises(HandlerError):
            new_area(frame, overlap)
        return
    assert ((fade == 255) >= (np.asarray(new_area(frame, 0)) == 255)).all()
    assert ((fade == 0) >= (np.asarray(new_area(frame, overlap)) == 0)).all()


def test_a_request_becomes_a_canvas_and_its_mask_of_one_size() -> None:
    source = noise((30, 20))
    frame = frame_of(Extension(aspect_ratio="1:1", anchor="bottom"), source.size, 10**6)
    assert extended(source, frame, "edge").size == new_area(frame).size == (30, 30)
    assert frame.box == (0, 10, 30, 30)
