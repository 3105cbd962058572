"""What a clip of the stand-in is, before and after it is filmed."""

import io
import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from handlers.contract import HandlerError
from handlers.media.clips import Limits, describe_clip
from handlers.media.posters import poster_of
from handlers.media.shots import Pictures, Shot, check, filmed, is_resolution, shot_of
from tests.handlers.scenes import plain, png
from tests.support import REPOSITORY

SMALL = Shot("a lighthouse", 3, (64, 48), 1, 8)


def frame(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(poster_of(data, Limits())))


def colour(data: bytes) -> tuple[int, ...]:
    """The mean colour near the beginning of a clip."""
    return frame(data).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))  # type: ignore[return-value]


# ---------------------------------------------------------------- what is asked for


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({}, (854, 480)),
        ({"size": "auto"}, (854, 480)),
        ({"size": "640x360"}, (640, 360)),
        ({"size": "641x361"}, (640, 360)),
        ({"size": "640x360", "aspect_ratio": "1:1", "resolution": "720p"}, (640, 360)),
        ({"aspect_ratio": "9:16"}, (480, 854)),
        ({"aspect_ratio": "1:1"}, (480, 480)),
        ({"resolution": "720p"}, (1280, 720)),
        ({"resolution": "720P", "aspect_ratio": "3:4"}, (720, 960)),
        ({"resolution": "hd"}, (854, 480)),
    ],
)
def test_a_size_is_taken_or_comes_of_shape_and_resolution(fields: Any, size: Any) -> None:
    assert shot_of(fields, None).size == size


def test_without_a_shape_the_clip_has_that_of_its_picture() -> None:
    first = png(plain((30, 20)))
    assert shot_of({}, first).size == (720, 480)
    assert shot_of({"resolution": "100p"}, first).size == (150, 100)
    assert shot_of({"aspect_ratio": "1:1"}, first).size == (480, 480)


def test_what_is_not_given_has_a_default() -> None:
    shot = shot_of({"prompt": "x"}, None)
    assert (shot.seed, shot.seconds, shot.fps) == (0, 4, 24)
    assert shot_of({"seconds": 9, "fps": 12, "seed": 5}, None) == Shot("", 5, (854, 480), 9, 12)


@given(
    st.fixed_dictionaries(
        {"prompt": st.text(max_size=3000)},
        optional={
            "aspect_ratio": st.tuples(st.integers(1, 999), st.integers(1, 999)).map(
                lambda sides: f"{sides[0]}:{sides[1]}"
            ),
            "resolution": st.sampled_from(["240p", "4k", ""]),
            "seconds": st.integers(1, 3600),
        },
    )
)
def test_a_shot_is_small_and_survives_as_json(fields: dict[str, Any]) -> None:
    shot = shot_of(fields, None)
    text = json.dumps(shot.to_json())
    assert Shot.of(json.loads(text)) == shot
    assert len(text) < 30_000
    assert all(side % 2 == 0 for side in shot.size)


@pytest.mark.parametrize(("word", "is_one"), [("720p", True), ("1080P", True), ("hd", False)])
def test_a_resolution_is_told_in_lines(word: str, is_one: bool) -> None:
    assert is_resolution(word) is is_one


@pytest.mark.parametrize(
    "shot",
    [Shot("x", 0, (8, 8), 1, 8), Shot("x", 0, (9000, 64), 1, 8), Shot("x", 0, (64, 64), 600, 60)],
)
def test_what_cannot_be_filmed_is_refused_before_it_is_taken(shot: Shot) -> None:
    with pytest.raises(HandlerError) as caught:
        check(shot)
    assert (caught.value.code, bool(caught.value.hints)) == ("not_supported", True)


def test_without_what_films_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "handlers.media.filming", raising=False)
    with pytest.raises(HandlerError) as caught:
        check(SMALL)
    assert caught.value.code == "not_supported"
    assert 'pip install "darkroomd[video]"' in caught.value.hints[0]


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = "import sys, handlers.providers.local; print({'numpy', 'PIL', 'av'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip() == "set()"


# ---------------------------------------------------------------- what is filmed


def test_a_shot_becomes_a_clip_of_just_that_size_and_length() -> None:
    described = describe_clip(filmed(SMALL, Pictures()), Limits())
    assert (described.width, described.height) == (64, 48)
    assert (described.seconds, described.fps, described.frames) == (1.0, 8.0, 8)


def test_the_same_shot_is_the_same_clip_and_another_seed_another() -> None:
    first = filmed(SMALL, Pictures())
    assert filmed(SMALL, Pictures()) == first
    assert filmed(Shot("a lighthouse", 4, (64, 48), 1, 8), Pictures()) != first


def test_a_given_picture_is_what_is_filmed() -> None:
    red, green, blue = colour(filmed(SMALL, Pictures(png(plain(color="#2040c0")))))
    assert abs(red - 0x20) < 12
    assert abs(green - 0x40) < 12
    assert abs(blue - 0xC0) < 12


def test_a_last_picture_is_what_it_ends_with() -> None:
    black, white = png(plain(color="#300000")), png(plain(color="#00f000"))
    clip = filmed(SMALL, Pictures(black, white))
    import av

    with av.open(io.BytesIO(clip)) as opened:
        frames = [frame.to_image() for frame in opened.decode(video=0)]
    means = [one.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) for one in frames]
    assert means[0][0] > means[0][1]  # type: ignore[index]
    assert means[-1][1] > 0xD0  # type: ignore[index]


def test_references_lend_their_colours() -> None:
    without = frame(filmed(SMALL, Pictures()))
    lent = frame(filmed(SMALL, Pictures(references=(png(plain(color="#00ff40")),))))
    assert ImageChops.difference(without, lent).getbbox() is not None


def test_a_picture_that_cannot_be_read_is_told_of() -> None:
    with pytest.raises(HandlerError) as caught:
        filmed(SMALL, Pictures(b"no picture"))
    assert caught.value.code == "unreadable_media"
