"""A whole picture in another manner."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from handlers.media import bands
from handlers.media.edits import Wish
from handlers.media.painting import paint
from handlers.media.restyling import restyled


def pixels(picture: Image.Image) -> NDArray[Any]:
    return np.asarray(picture, np.float64)


def source(size: tuple[int, int] = (160, 120)) -> Image.Image:
    return paint("a source", seed=2, width=size[0], height=size[1])


def likeness(one: Image.Image, other: Image.Image) -> float:
    """The correlation of two pictures' lightness."""
    light = [np.asarray(picture.convert("L"), np.float64).ravel() for picture in (one, other)]
    return float(np.corrcoef(light)[0, 1])


@pytest.mark.parametrize("prompt", ["a garden", "winter", "x"])
def test_it_is_clearly_different_and_clearly_the_same_picture(prompt: str) -> None:
    picture = source()
    result = restyled(picture, Wish(prompt, seed=3)).picture
    assert np.abs(pixels(result) - pixels(picture)).mean() > 8
    assert likeness(result, picture) > 0.8


def test_another_index_or_seed_gives_another_picture() -> None:
    first, second, third = (
        restyled(source(), wish).picture for wish in (Wish("x"), Wish("x", index=1), Wish("x", 5))
    )
    assert np.abs(pixels(first) - pixels(second)).mean() > 4
    assert np.abs(pixels(first) - pixels(third)).mean() > 1


def test_the_same_wish_gives_the_same_pixels() -> None:
    assert restyled(source(), Wish("x")) == restyled(source(), Wish("x"))


def test_an_alpha_stays() -> None:
    picture = source().convert("RGBA")
    alpha = Image.linear_gradient("L").resize(picture.size)
    picture.putalpha(alpha)
    result = restyled(picture, Wish("x"), [source((20, 20))]).picture
    assert result.getchannel("A").tobytes() == alpha.tobytes()


def test_other_pictures_are_seen_in_the_corner() -> None:
    others = [Image.new("RGB", (30, 30), "lime"), Image.new("RGB", (30, 30), "blue")]
    result, left_out = restyled(source(), Wish("x"), others)
    assert left_out == 0
    radius = 0.13 * 120
    places = [(160 - (1.4 + 2.2 * number) * radius, 120 - 1.4 * radius) for number in (1, 0)]
    seen = [result.getpixel((int(x), int(y))) for x, y in places]
    assert seen == [(0, 255, 0), (0, 0, 255)]


def test_where_others_would_be_too_small_to_be_seen_it_says_so() -> None:
    assert restyled(source((16, 16)).resize((4, 4)), Wish("x"), [source()]).left_out == 1


def test_a_picture_larger_than_the_work_keeps_its_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = source((256, 256))
    monkeypatch.setattr("handlers.media.restyling.WORK", 64 * 64)
    monkeypatch.setattr(bands, "_PIXELS", 5000)
    result = restyled(picture, Wish("x")).picture
    assert result.size == (256, 256)
    steep = [np.abs(np.diff(pixels(one.convert("L")), axis=1)) for one in (picture, result)]
    assert np.percentile(steep[1], 99) > 0.4 * np.percentile(steep[0], 99)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 2), (500, 2)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_tiny_picture_can_be_restyled(size: tuple[int, int], mode: str) -> None:
    picture = Image.new(mode, size, "#4080c0")
    result = restyled(picture, Wish("x"), [picture]).picture
    assert (result.mode, result.size) == (mode, size)
