"""A clip of a still picture: whole at its beginning, moving without a jump, the same twice."""

from __future__ import annotations

import io
import itertools
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from handlers.contract import HandlerError
from handlers.media import boxes, filming
from handlers.media.clips import Limits, describe_clip
from handlers.media.filming import film
from tests.examples import examples

SIZE = (96, 64)


def gradient(width: int = 150, height: int = 100, blue: int = 40) -> Image.Image:
    """Red from left to right, green from top to bottom."""
    pixels = np.full((height, width, 3), blue, np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


def shot(image: Image.Image | None = None, **changes: Any) -> bytes:
    call: dict[str, Any] = {"size": SIZE, "seconds": 1.0, "fps": 8, "seed": 1, **changes}
    return film(image or gradient(), **call)


def frames(data: bytes) -> list[NDArray[np.float64]]:
    """Every frame, in RGB from 0 to 255."""
    with av.open(io.BytesIO(data), format="mp4") as container:
        return [
            np.asarray(frame.to_ndarray(format="rgb24"), np.float64)
            for frame in container.decode(video=0)
        ]


def difference(frame: NDArray[np.float64], image: Image.Image) -> float:
    expected = np.asarray(image.convert("RGB").resize(SIZE, Image.Resampling.BICUBIC), np.float64)
    return float(np.abs(frame - expected).mean())


# ---------------------------------------------------------------- the file


def test_it_is_an_mp4_of_the_size_and_length_that_was_asked_for() -> None:
    told = describe_clip(shot(seconds=1.5, fps=8), Limits())
    assert (told.width, told.height, told.frames, told.fps, told.seconds) == (96, 64, 12, 8, 1.5)
    assert (told.media_type, told.codec, told.has_audio) == ("video/mp4", "h264", False)


def test_its_index_comes_first_so_that_it_plays_before_it_is_there() -> None:
    data = shot()
    assert boxes.is_whole(data)
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_call_gives_the_same_bytes_and_another_seed_others() -> None:
    assert shot() == shot()
    assert shot(last=gradient(blue=200)) == shot(last=gradient(blue=200))
    assert shot() != shot(seed=2)


def test_it_holds_no_time() -> None:
    data = shot()
    for header in (b"mvhd", b"tkhd", b"mdhd"):
        at = data.index(header) + 4
        assert data[at : at + 12] in (bytes(12), bytes(3) + b"\3" + bytes(8))
    assert b"creation_time" not in data


def test_without_x264_it_is_mpeg4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filming, "_ENCODERS", {"absent": {}, "mpeg4": filming._ENCODERS["mpeg4"]})
    data = shot()
    assert describe_clip(data, Limits()).codec == "mpeg4"
    assert difference(frames(data)[0], gradient()) < 6
    assert data == shot()


# ---------------------------------------------------------------- what is seen


def test_it_begins_with_the_whole_picture() -> None:
    assert difference(frames(shot())[0], gradient()) < 3


def test_it_comes_nearer_and_goes_aside() -> None:
    first, *_, last = frames(shot())
    assert np.ptp(last[..., 0]) < 0.9 * np.ptp(first[..., 0])  # less of the gradient is seen
    assert abs(last.mean() - first.mean()) > 1


def test_it_moves_slowly_at_both_ends_and_never_jumps() -> None:
    shown = frames(shot(seconds=3))
    steps = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(shown)]
    assert max(steps[0], steps[-1]) < 0.5 * max(steps)
    assert max(steps) < 3


def test_with_a_last_picture_it_ends_with_the_whole_of_that() -> None:
    last = gradient(blue=220).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    shown = frames(shot(last=last))
    assert difference(shown[0], gradient()) < 3
    assert difference(shown[-1], last) < 3
    blues = [float(frame[..., 2].mean()) for frame in shown]
    assert all(a <= b + 1 for a, b in itertools.pairwise(blues))


def test_a_title_stays_where_it_is_in_its_own_colours() -> None:
    title = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    title.paste("#d02020", (8, 8, 24, 16))
    for one, bare in zip(frames(shot(title=title)), frames(shot()), strict=True):
        assert np.abs(one[10:14, 11:21].mean((0, 1)) - (0xD0, 0x20, 0x20)).max() < 16
        assert np.abs(one[24:, 32:] - bare[24:, 32:]).mean() < 3


def test_colours_are_those_of_the_picture() -> None:
    for colour in ((200, 30, 40), (20, 180, 60), (10, 20, 230), (255, 255, 255), (0, 0, 0)):
        shown = frames(shot(Image.new("RGB", (70, 50), colour), seconds=0.2))[0]
        assert np.abs(shown - np.array(colour)).max() <= 5


def test_what_is_transparent_lies_on_white() -> None:
    shown = frames(shot(Image.new("RGBA", (80, 60), (255, 0, 0, 0)), seconds=0.2))[0]
    assert shown.min() > 250


@pytest.mark.parametrize("mode", ["L", "P", "LA", "CMYK", "1"])
def test_pictures_of_every_mode_can_be_filmed(mode: str) -> None:
    picture = gradient().convert(mode)
    assert difference(frames(shot(picture, seconds=0.2))[0], picture) < 12


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (300, 7), (4000, 30)])
def test_pictures_of_every_shape_fill_the_clip(size: tuple[int, int]) -> None:
    shown = frames(shot(Image.new("RGB", size, (90, 120, 150)), seconds=0.4))
    assert all(np.abs(frame - np.array((90, 120, 150))).max() <= 5 for frame in shown)


@settings(max_examples=examples(60))
@given(
    st.tuples(st.integers(2, 5000), st.integers(2, 5000)),
    st.tuples(st.integers(16, 4096), st.integers(16, 4096)),
    st.text(max_size=8),
)
def test_the_camera_never_looks_beyond_the_picture(
    picture: tuple[int, int], size: tuple[int, int], chance: str
) -> None:
    whole = filming._widest(picture, size)
    goal = filming._goal(whole, picture, chance)
    for left, top, right, bottom in (whole, goal):
        assert -1e-6 <= left < right <= picture[0] + 1e-6
        assert -1e-6 <= top < bottom <= picture[1] + 1e-6
        assert (right - left) / (bottom - top) == pytest.approx(size[0] / size[1])


# ---------------------------------------------------------------- the work


def test_it_tells_how_far_it_is() -> None:
    told: list[float] = []
    shot(progress=told.append)
    assert told == sorted(told)
    assert len(told) == 9
    assert 0 < told[0] < 0.2
    assert told[-1] == 1.0


def test_what_the_progress_raises_ends_it() -> None:
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        if len(told) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        shot(progress=stop)
    assert len(told) == 3


@pytest.mark.parametrize("size", [(97, 64), (96, 63), (0, 64), (14, 64), (96, 4098)])
def test_sides_that_no_player_shows_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(HandlerError, match="even sides from 16 to 4096") as caught:
        shot(size=size)
    assert caught.value.code == "not_supported"


@pytest.mark.parametrize(
    ("seconds", "fps"), [(0, 24), (-1, 24), (151, 24), (float("nan"), 24), (5, 0), (1e300, 24)]
)
def test_a_length_that_is_none_is_refused(seconds: float, fps: int) -> None:
    with pytest.raises(HandlerError, match="up to 3600 frames") as caught:
        shot(seconds=seconds, fps=fps)
    assert caught.value.code == "not_supported"


def test_a_moment_is_one_frame() -> None:
    data = shot(seconds=0.001)
    assert describe_clip(data, Limits()).frames == 1
    assert difference(frames(data)[0], gradient()) < 3
