"""Palettes out of pictures."""

from __future__ import annotations

import colorsys
import re

import numpy as np
import pytest
from PIL import Image

from handlers.media.painting import paint
from handlers.media.swatches import palette_of


def tones(*pictures: Image.Image) -> list[tuple[float, float, float]]:
    codes = palette_of(pictures).split()
    assert all(re.fullmatch("[0-9a-f]{6}", code) for code in codes)
    red_green_blue = [tuple(level / 255 for level in bytes.fromhex(code)) for code in codes]
    return [(red, green, blue) for red, green, blue in red_green_blue]


def lightness(colour: tuple[float, float, float]) -> float:
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]


def plain(colour: str, size: tuple[int, int] = (9, 7)) -> Image.Image:
    return Image.new("RGB", size, colour)


@pytest.mark.parametrize("colour", ["black", "white", "gray", "red", "#123456", "yellow"])
def test_a_palette_goes_from_dark_to_light_whatever_it_is_of(colour: str) -> None:
    light = [lightness(tone) for tone in tones(plain(colour))[:6]]
    assert light == sorted(light)
    assert light[0] < 0.12
    assert light[5] > 0.9


@pytest.mark.parametrize("colour", ["red", "#2266cc", "#11aa44", "#cc8800"])
def test_the_tones_have_the_hue_of_the_picture(colour: str) -> None:
    level = plain(colour).getpixel((0, 0))
    assert isinstance(level, tuple)
    hue = colorsys.rgb_to_hsv(*(value / 255 for value in level))[0]
    for tone in tones(plain(colour)):
        assert abs((colorsys.rgb_to_hsv(*tone)[0] - hue + 0.5) % 1 - 0.5) < 0.03


def test_the_accent_is_the_most_vivid_colour() -> None:
    picture = plain("#808890", (40, 40))
    picture.paste("#ff2200", (0, 0, 12, 12))
    red, _, blue = tones(picture)[6]
    assert red > 0.9 > 0.2 > blue


def test_several_pictures_all_have_a_say() -> None:
    both = tones(plain("#200000"), plain("#c0d8ff"))
    assert both[0][0] > both[0][2]
    assert both[5][2] > both[5][0]


def test_what_is_clear_has_no_say() -> None:
    picture = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 10, 20))
    assert tones(picture) == tones(plain("blue"))
    assert tones(Image.new("RGBA", (3, 3))) == tones(plain("#808080"))


def test_a_picture_painted_from_it_has_its_hue() -> None:
    palette = palette_of([plain("#1040d0")])
    for index in range(5):
        picture = paint("x", seed=0, index=index, width=96, height=96, palette=palette)
        red, _, blue = np.asarray(picture, np.float64).mean(axis=(0, 1))
        assert blue > red + 10
