"""The picture that stands for a clip: not black where there is another, upright, the same twice."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest
from PIL import Image

from handlers.contract import HandlerError
from handlers.media import posters
from handlers.media.clips import Limits
from handlers.media.filming import film
from handlers.media.posters import poster_of
from tests.handlers.media.clipmaking import KINDS, SIZE, TURNS, brightening, clip, turned

LIMITS = Limits()


def shown(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(poster_of(data, LIMITS)))
    assert picture.format == "JPEG"
    return picture


def level(data: bytes) -> int:
    """How bright the poster is."""
    return round(float(np.asarray(shown(data).convert("L")).mean()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_clip_has_one_of_its_size(kind: str) -> None:
    assert shown(clip(kind)).size == SIZE


def test_it_is_taken_at_a_tenth_of_the_length() -> None:
    assert level(brightening((250, 200, *[120] * 18))) == pytest.approx(120, abs=3)
    assert level(brightening((250, 200, 150, *[120] * 17))) == pytest.approx(150, abs=3)


def test_it_is_the_first_after_that_which_is_not_black() -> None:
    assert level(brightening((0, 0, 0, 0, 5, 10, 90, 200, 200, 200))) == pytest.approx(90, abs=3)


def test_of_a_black_clip_it_is_black() -> None:
    assert level(brightening((0,) * 10)) < 5


def test_not_all_of_a_long_black_clip_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posters, "_MOST_LOOKED_AT", 3)
    assert level(brightening((0, 0, 0, 0, 0, 200))) < 5


def test_of_a_clip_of_one_frame_it_is_that() -> None:
    assert level(brightening((77,))) == pytest.approx(77, abs=3)


def test_a_little_light_is_enough() -> None:
    night = np.zeros((360, 640, 3), np.uint8)
    assert posters._is_black(av.VideoFrame.from_ndarray(night))
    night[:, 600:] = 200
    assert not posters._is_black(av.VideoFrame.from_ndarray(night))


@pytest.mark.parametrize("turn", TURNS)
def test_it_stands_upright(turn: str) -> None:
    plain = shown(clip())
    how = {
        "clockwise": Image.Transpose.ROTATE_270,
        "against it": Image.Transpose.ROTATE_90,
        "head down": Image.Transpose.ROTATE_180,
    }[turn]
    expected = np.asarray(plain.transpose(how), np.int16)
    difference = np.abs(np.asarray(shown(turned(clip(), TURNS[turn])), np.int16) - expected)
    assert difference.mean() < 12  # it is another JPEG


def test_its_colours_are_those_of_the_clip() -> None:
    data = film(Image.new("RGB", SIZE, (200, 30, 40)), size=SIZE, seconds=0.2, fps=10, seed=1)
    assert np.abs(np.asarray(shown(data), np.int16) - (200, 30, 40)).max() <= 6


def test_it_is_the_same_one_each_time() -> None:
    assert poster_of(clip("webm of vp9"), LIMITS) == poster_of(clip("webm of vp9"), LIMITS)


@pytest.mark.parametrize(
    ("data", "limits", "code"),
    [
        (b"nothing", LIMITS, "unreadable_media"),
        (clip()[:-40], LIMITS, "unreadable_media"),
        (clip(), Limits(pixels=100), "too_large"),
    ],
)
def test_what_cannot_be_described_has_none(data: bytes, limits: Limits, code: str) -> None:
    with pytest.raises(HandlerError) as caught:
        poster_of(data, limits)
    assert caught.value.code == code
