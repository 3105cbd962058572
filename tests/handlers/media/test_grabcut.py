"""Objects in a box, on drawn scenes of which the truth is known."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from handlers.contract import HandlerError
from handlers.media import grabcut
from handlers.media.choices import Box, Selection
from handlers.media.grabcut import object_in_box
from handlers.media.painting import paint
from handlers.media.selection import selected

BOX = (47, 34, 106, 94)
SCENES = ["gradient", "grain", "blotches"]


@cache
def scene(backdrop: str, scale: int = 1) -> tuple[Image.Image, Image.Image]:
    """A painted pebble that lies in `BOX` times `scale`, before a backdrop of 200 x 150 times
    `scale`, and its true mask."""
    size, rng = (200 * scale, 150 * scale), np.random.default_rng(3)
    down, across = np.mgrid[0 : size[1], 0 : size[0]] / size[1]
    ground = np.stack([235 - 70 * down, 230 - 45 * across, 220 - 30 * down], -1)
    if backdrop == "grain":
        ground = ground - 110 + rng.normal(0, 14, (*size[::-1], 1))
    if backdrop == "blotches":
        coarse = Image.fromarray((rng.random((12, 16, 3)) * 60 + 150).astype(np.uint8))
        ground = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.float64)
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    pebble = paint("", seed=11, index=1, width=90 * scale, height=80 * scale, transparent=True)
    place = 55 * scale, 41 * scale
    picture.paste(pebble, place, pebble)
    truth = Image.new("L", size)
    truth.paste(pebble.getchannel("A").point(lambda alpha: 255 * (alpha > 127)), place)
    return picture, truth


def agreement(mask: Image.Image, truth: Image.Image) -> float:
    """Intersection over union, 0 to 1."""
    one, other = np.asarray(mask) > 0, np.asarray(truth) > 0
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("backdrop", SCENES)
@pytest.mark.parametrize(("scale", "least"), [(1, 0.97), (4, 0.99)])
def test_an_object_is_found_before_a_backdrop_of_many_colours(
    backdrop: str, scale: int, least: float
) -> None:
    picture, truth = scene(backdrop, scale)
    left, top, width, height = BOX
    box = left * scale, top * scale, width * scale, height * scale
    mask, notes = selected(picture, Selection("grabcut", box=box))
    assert mask.mode == "L"
    assert {*np.unique(np.asarray(mask)).tolist()} == {0, 255}
    assert agreement(mask, truth) > least
    assert notes == []
    by_colour, _ = selected(picture, Selection("corner-bg"))
    assert agreement(by_colour, truth) < 0.7


def test_the_same_box_gives_the_same_mask_each_time_and_in_each_thread() -> None:
    picture, _ = scene("grain")

    def once(_: int) -> bytes:
        return object_in_box(picture, BOX)[0].tobytes()

    import cv2

    first = once(0)
    cv2.setRNGSeed(99)
    with ThreadPoolExecutor(3) as pool:
        assert {*pool.map(once, range(3))} == {first}


def test_a_box_that_sticks_out_counts_as_far_as_the_picture_goes() -> None:
    picture, _ = scene("gradient")
    picture = picture.crop((70, 60, 200, 150))
    inside = object_in_box(picture, (0, 0, 90, 70))
    assert object_in_box(picture, (-40, -30, 130, 100)) == inside
    assert inside[0].getbbox()


def test_what_the_box_cuts_ends_there_and_is_noted() -> None:
    """The box holds two thirds of a disc; the rest of it looks like backdrop, but only there."""
    grain = np.random.default_rng(4).integers(100, 156, (500, 600, 3), np.uint8)
    picture = Image.fromarray(grain)
    ImageDraw.Draw(picture).ellipse((150, 150, 350, 350), "red")
    mask, notes = object_in_box(picture, (125, 125, 158, 250))
    assert mask.getbbox() == (150, 150, 283, 351)
    assert len(notes) == 1
    assert "takes up 23% of the edge of the box" in notes[0]


def test_a_side_of_the_picture_is_no_edge_that_cuts() -> None:
    picture, truth = scene("blotches")
    part = (0, 0, 95, 150)
    mask, notes = object_in_box(picture.crop(part), (47, 34, 48, 94))
    assert notes == []
    assert agreement(mask, truth.crop(part)) > 0.98


@pytest.mark.parametrize(
    ("box", "says"),
    [
        (None, "needs a box"),
        ((0, 0, 200, 150), "is the whole picture"),
        ((-9, -9, 999, 999), "-9:-9:999:999 is the whole picture"),
        ((10, 10, 0, 20), "holds nothing of the picture, which is 200 x 150"),
        ((10, 10, 20, -5), "holds nothing"),
        ((200, 0, 10, 10), "holds nothing"),
        ((-50, 0, 50, 10), "holds nothing"),
    ],
)
def test_a_box_that_tells_nothing_is_an_error_that_says_so(box: Box | None, says: str) -> None:
    with pytest.raises(HandlerError, match=says) as error:
        object_in_box(scene("gradient")[0], box)
    assert error.value.code == "invalid_request"
    assert error.value.hints


def cut_out(picture: Image.Image, visible: Box) -> Image.Image:
    """`picture` with alpha 0 over black but for the box `visible` (left, top, right, bottom)."""
    shown = Image.new("RGBA", picture.size, (0, 0, 0, 0))
    shown.paste(picture.convert("RGBA").crop(visible), visible)
    return shown


@pytest.mark.parametrize("colour", [(0, 0, 0), (200, 30, 40)])
def test_the_colour_of_what_is_transparent_tells_nothing_of_the_backdrop(
    colour: tuple[int, int, int],
) -> None:
    """An object of that very colour is found."""
    picture, truth = scene("blotches")
    picture, (width, height) = picture.copy(), picture.size
    picture.paste(colour, mask=truth)
    alpha = Image.new("L", (width, height))
    alpha.paste(255, (38, 28, 163, 135))
    picture.paste(colour, mask=ImageChops.invert(alpha))
    picture.putalpha(alpha)
    assert agreement(object_in_box(picture, BOX)[0], truth) > 0.97


@pytest.mark.parametrize("scale", [1, 4])
def test_what_is_transparent_is_never_selected(scale: int) -> None:
    """Not even where it is finer than a pixel of the small picture."""
    picture, truth = scene("blotches", scale)
    left, top, width, height = (side * scale for side in BOX)
    alpha = np.full(picture.size[::-1], 255, np.uint8)
    alpha[::3] = 7
    picture = picture.copy()
    picture.putalpha(Image.fromarray(alpha))
    mask, _ = object_in_box(picture, (left, top, width, height))
    visible = Image.fromarray(alpha).point(lambda level: 255 * (level > 7))
    assert ImageChops.multiply(mask, visible) == mask
    assert agreement(mask, ImageChops.multiply(truth, visible)) > 0.95


def test_a_box_without_anything_visible_has_an_empty_mask() -> None:
    shown = cut_out(scene("grain")[0], (0, 0, 40, 150))
    assert object_in_box(shown, BOX) == (Image.new("L", shown.size), [])


def test_surroundings_without_anything_visible_tell_nothing() -> None:
    with pytest.raises(HandlerError, match="around the box all is transparent") as error:
        object_in_box(cut_out(scene("grain")[0], (56, 42, 125, 112)), BOX)
    assert "alpha" in error.value.hints[0]


@settings(max_examples=25, deadline=None)
@given(
    wide=st.sampled_from([1, 2, 3, 5, 16, 40]),
    high=st.sampled_from([1, 2, 3, 5, 16]),
    bands=st.sampled_from([3, 4]),
    box=st.tuples(*[st.integers(-2, 30)] * 2, *[st.integers(1, 40)] * 2),
    seed=st.integers(0, 9),
)
def test_any_picture_has_a_mask_within_the_box_or_an_error_with_a_name(
    wide: int, high: int, bands: int, box: Box, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (high, wide, bands), np.uint8))
    try:
        mask, _ = object_in_box(picture, box)
    except HandlerError as error:
        assert error.code == "invalid_request"
        return
    left, top, width, height = box
    inside = Image.new("L", mask.size)
    inside.paste(255, (max(left, 0), max(top, 0), left + width, top + height))
    assert mask.size == picture.size
    assert ImageChops.multiply(mask, inside) == mask


def test_a_box_far_smaller_than_a_pixel_of_the_small_picture_has_the_pixel_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert grabcut._inside((90, 60), (3, 2), (31, 1, 32, 3)).tolist() == [
        [False, True, False],
        [False, False, False],
    ]
    monkeypatch.setattr(grabcut, "ROOM", 20)
    for size in ((70_000, 2), (2, 70_000), (400, 300)):
        assert object_in_box(Image.new("RGB", size, "red"), (1, 1, 1, 1))[0].size == size


def test_without_opencv_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    grabcut._opencv.cache_clear()
    with pytest.raises(HandlerError, match="needs OpenCV") as error:
        selected(scene("gradient")[0], Selection("grabcut", box=BOX))
    assert error.value.code == "not_supported"
    assert 'pip install "darkroomd[vision]"' in error.value.hints[0]
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/lib"


def test_opencv_leaves_no_trace_in_the_process_and_starts_no_threads() -> None:
    """Its import would change LD_LIBRARY_PATH for every program that is started later."""
    code = """if True:
        import os, sys
        from PIL import Image
        from handlers.media.grabcut import object_in_box
        def state():
            return dict(os.environ), list(sys.path), len(os.listdir("/proc/self/task"))
        before = state()
        object_in_box(Image.effect_noise((90, 90), 80).convert("RGB"), (20, 20, 40, 40))
        print("cv2" in sys.modules, before == state())
    """
    environment = {**os.environ, "LD_LIBRARY_PATH": "/opt/lib"}
    environment.pop("OPENBLAS_NUM_THREADS", None)
    output = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert output.split() == ["True", "True"]
