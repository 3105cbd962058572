"""Pixels of every kind, as RGB or RGBA in sRGB."""

from __future__ import annotations

import io
import struct
import zlib
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from handlers.media.colours import in_srgb
from handlers.media.containers import png_chunk
from tests.examples import examples
from tests.handlers.media.making import display_p3, file_of, grey_inks, icc, linear_grey, png

DEEP = "has 16 bits a channel; it was taken at 8"
CONVERTED = "was converted to sRGB by its own colour profile"
MISFIT = "has a colour profile that is broken or of another colour space; it was left out"
GUESSED = "is CMYK without a profile that fits; its colours in RGB are an estimate"


def of_png(width: int, depth: int, kind: int, row: bytes, *chunks: bytes) -> Image.Image:
    """One row of a PNG, as Pillow decodes it."""
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" + row))
    image = Image.open(io.BytesIO(png(width, 1, depth, kind, *chunks, pixels)))
    image.load()
    return image


def pixels(image: Image.Image) -> list[tuple[int, ...]]:
    return [tuple(pixel) for pixel in np.asarray(image).reshape(-1, len(image.getbands())).tolist()]


def plainly(image: Image.Image, depth: int = 8) -> list[tuple[int, ...]]:
    """The pixels of a picture that has no profile."""
    return pixels(in_srgb(image, None, depth)[0])


# ---------------------------------------------------------------- kinds of pixels


def test_colours_of_8_bits_stay_as_they_are() -> None:
    image = Image.effect_noise((9, 7), 90).convert("RGB")
    same, notes = in_srgb(image.copy())
    assert (same.mode, same.tobytes(), notes) == ("RGB", image.tobytes(), [])


def test_black_and_white_are_black_and_white() -> None:
    assert plainly(of_png(3, 1, 0, b"\x40"), 1) == [(0, 0, 0), (255, 255, 255), (0, 0, 0)]


def test_four_greys_are_spread_over_the_whole_range() -> None:
    grey = plainly(of_png(4, 2, 0, b"\x1b"), 2)
    assert grey == [(v, v, v) for v in (0, 85, 170, 255)]


@pytest.mark.parametrize(("depth", "clear"), [(1, 1), (2, 3), (4, 15), (8, 255), (16, 65535)])
def test_the_transparent_grey_is_transparent_at_every_depth(depth: int, clear: int) -> None:
    row = b"\xff" * 2 if depth == 16 else b"\xff"
    image = of_png(1, depth, 0, row, png_chunk(b"tRNS", struct.pack(">H", clear)))
    assert plainly(image, depth) == [(255, 255, 255, 0)]


def test_a_grey_that_is_not_the_transparent_one_is_opaque() -> None:
    image = of_png(4, 2, 0, b"\x1b", png_chunk(b"tRNS", b"\0\2"))
    assert [alpha for *_, alpha in plainly(image, 2)] == [255, 255, 0, 255]


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_is_transparent(depth: int) -> None:
    samples = [(1, 2, 3), (4, 5, 6)]
    wide = [tuple(v * 257 for v in colour) for colour in samples] if depth == 16 else samples
    form = ">3H" if depth == 16 else ">3B"
    row = b"".join(struct.pack(form, *colour) for colour in wide)
    image = of_png(2, depth, 2, row, png_chunk(b"tRNS", struct.pack(">3H", *wide[1])))
    assert plainly(image, depth) == [(1, 2, 3, 255), (4, 5, 6, 0)]


@pytest.mark.parametrize(
    ("alphas", "expected"),
    [
        (None, [(1, 2, 3), (4, 5, 6)]),
        (b"\xff\x80", [(1, 2, 3, 255), (4, 5, 6, 128)]),
        (b"\xff\0", [(1, 2, 3, 255), (4, 5, 6, 0)]),
        (b"\xff\xff", [(1, 2, 3), (4, 5, 6)]),
    ],
)
def test_a_palette_is_spelled_out_with_what_is_transparent_of_it(
    alphas: bytes | None, expected: list[tuple[int, ...]]
) -> None:
    chunks = [png_chunk(b"PLTE", bytes(range(1, 7)))]
    chunks += [png_chunk(b"tRNS", alphas)] if alphas else []
    assert plainly(of_png(2, 8, 3, b"\0\1", *chunks)) == expected


def test_grey_of_16_bits_is_scaled_to_the_nearest_of_8() -> None:
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image, notes = in_srgb(Image.fromarray(samples), None, 16)
    exact = np.floor(samples / 257 + 0.5).astype(np.uint8)
    assert np.array_equal(np.asarray(image)[..., 1], exact)
    assert notes == [DEEP]


def test_colours_of_16_bits_are_taken_with_a_note() -> None:
    image, notes = in_srgb(of_png(1, 16, 2, struct.pack(">3H", 257, 514, 65535)), None, 16)
    assert (pixels(image), notes) == ([(1, 2, 255)], [DEEP])


@pytest.mark.parametrize(("depth", "row"), [(8, b"\x07\x80"), (16, b"\x07\0\x80\0")])
def test_grey_with_alpha_is_rgba(depth: int, row: bytes) -> None:
    assert plainly(of_png(1, depth, 4, row), depth) == [(7, 7, 7, 128)]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_that_says_nothing_is_left_out(mode: str) -> None:
    image = Image.new(mode, (3, 2), (9,) * (len(mode) - 1) + (255,))
    assert plainly(image) == [(9, 9, 9)] * 6


def test_what_is_transparent_keeps_its_colour() -> None:
    assert plainly(Image.new("RGBA", (1, 1), (9, 8, 7, 0))) == [(9, 8, 7, 0)]


def test_cmyk_without_a_profile_is_an_estimate_and_says_so() -> None:
    inks = Image.new("CMYK", (1, 1), (255, 0, 0, 0))
    image, notes = in_srgb(inks)
    assert (pixels(image), notes) == ([(0, 255, 255)], [GUESSED])


@pytest.mark.parametrize(
    ("transform", "expected"),
    [
        (0, (204, 204, 204)),
        # Y, Cb and Cr of 255 are a red and blue of 255 and a green of 121, which are the inks
        (2, (0, 107, 0)),
    ],
)
def test_the_inverted_inks_of_adobe_are_read_as_they_are_meant(
    transform: int, expected: tuple[int, ...]
) -> None:
    data = file_of(Image.new("CMYK", (8, 8), (0, 0, 0, 51)), "JPEG", quality=100)
    marker = data.index(b"Adobe")
    data = data[: marker + 11] + bytes([transform]) + data[marker + 12 :]
    colour = plainly(Image.open(io.BytesIO(data)))[0]
    assert np.abs(np.subtract(colour, expected)).max() <= 1


# ---------------------------------------------------------------- profiles


def linear(level: float) -> float:
    level /= 255
    return level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4


def curved(light: float) -> float:
    light = min(1, max(0, light))
    return 255 * (12.92 * light if light <= 0.0031308 else 1.055 * light ** (1 / 2.4) - 0.055)


def p3_as_srgb(colour: tuple[int, ...]) -> list[float]:
    """By the published matrix between the two, independent of ICC and D50."""
    red, green, blue = map(linear, colour)
    return [
        curved(1.2249402 * red - 0.2249402 * green),
        curved(-0.0420570 * red + 1.0420570 * green),
        curved(-0.0196376 * red - 0.0786361 * green + 1.0982737 * blue),
    ]


def test_wide_colours_are_converted_to_srgb() -> None:
    ramp = [0, 1, 20, 60, 100, 140, 200, 254, 255]
    cube = list(product(ramp, ramp, ramp))
    image = Image.fromarray(np.array([cube], np.uint8))
    converted, notes = in_srgb(image, display_p3())
    exact = [p3_as_srgb(colour) for colour in cube]
    assert np.abs(np.subtract(pixels(converted), exact)).max() < 2
    assert notes == [CONVERTED]


def test_alpha_stays_as_it_is_under_a_conversion() -> None:
    image, _ = in_srgb(Image.new("RGBA", (1, 1), (200, 100, 50, 77)), display_p3())
    (*colour, alpha) = pixels(image)[0]
    assert alpha == 77
    assert np.abs(np.subtract(colour, p3_as_srgb((200, 100, 50)))).max() < 3


def test_a_palette_is_converted_too() -> None:
    image = of_png(1, 8, 3, b"\0", png_chunk(b"PLTE", bytes([200, 100, 50])))
    converted = pixels(in_srgb(image, display_p3())[0])[0]
    assert np.abs(np.subtract(converted, p3_as_srgb((200, 100, 50)))).max() < 3


def test_a_profile_of_srgb_changes_nothing_and_is_not_worth_a_word() -> None:
    image = Image.effect_noise((9, 7), 90).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same, notes = in_srgb(image.copy(), profile)
    assert (same.tobytes(), notes) == (image.tobytes(), [])


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_greys_converts_greys(mode: str) -> None:
    image = Image.new(mode, (1, 1), 55 if mode == "L" else (55, 9))
    converted, notes = in_srgb(image, linear_grey())
    grey = pixels(converted)[0]
    assert grey[:3] == (128, 128, 128)
    assert grey[3:] == ((9,) if mode == "LA" else ())
    assert notes == [CONVERTED]


@pytest.mark.parametrize(
    ("inks", "expected"),
    [
        ((0, 0, 0, 0), 255),  # the paper is white, whatever its colour
        ((0, 0, 0, 255), 0),  # and the blackest that it prints is black
        # L* of 70 is 41 % of light; without the 1.1 % of the black they are 40 %
        ((255, 0, 0, 0), 170),
        ((0, 0, 255, 0), 170),
    ],
)
def test_a_profile_of_inks_converts_inks(inks: tuple[int, ...], expected: int) -> None:
    image, notes = in_srgb(Image.new("CMYK", (1, 1), inks), grey_inks())
    assert np.abs(np.subtract(pixels(image)[0], expected)).max() <= 2
    assert notes == [CONVERTED]


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"no profile",
        display_p3()[:200],
        icc(b"RGB ", b"mntr", b"XYZ ", {}),
        linear_grey(),
        grey_inks(),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ],
    ids=["empty", "text", "cut", "bare", "greys", "inks", "lab"],
)
def test_a_profile_that_is_broken_or_does_not_fit_is_left_out(profile: bytes) -> None:
    image, notes = in_srgb(Image.new("RGB", (1, 1), (9, 8, 7)), profile)
    assert (pixels(image), notes) == ([(9, 8, 7)], [MISFIT])


def test_inks_with_a_profile_of_something_else_are_an_estimate() -> None:
    _, notes = in_srgb(Image.new("CMYK", (1, 1)), display_p3())
    assert notes == [MISFIT, GUESSED]


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_no_damage_to_a_profile_is_more_than_a_note(data: st.DataObject) -> None:
    profile = bytearray(data.draw(st.sampled_from([display_p3(), linear_grey(), grey_inks()])))
    for _ in range(data.draw(st.integers(1, 6))):
        profile[data.draw(st.integers(0, len(profile) - 1))] = data.draw(st.integers(0, 255))
    image, _ = in_srgb(Image.new("RGB", (2, 2), (9, 8, 7)), bytes(profile))
    assert (image.mode, image.size) == ("RGB", (2, 2))
