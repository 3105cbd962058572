"""What a mask covers is filled without a seam, and what it leaves out stays to the bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from handlers.media import bands
from handlers.media.edits import Edit, Wish
from handlers.media.marking import room
from handlers.media.retouching import meant, retouched
from tests.examples import examples

Field = NDArray[Any]
WISH = Wish("a garden", seed=1)


def pixels(picture: Image.Image) -> Field:
    return np.asarray(picture, np.int16)


def source(size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A slope from dark blue to light orange, with a little of a wave."""
    rows, columns = np.indices((size[1], size[0])) / max(size)
    planes = [40 + 180 * rows, 90 + 60 * columns, 200 - 150 * rows + 20 * columns]
    return Image.fromarray(np.stack(planes, axis=2).astype(np.uint8))


def drawn(
    size: tuple[int, int],
    draw: Callable[[ImageDraw.ImageDraw], Any],
    soft: float = 0,
    over: int = 0,
) -> Image.Image:
    mask = Image.new("L", size, over)
    draw(ImageDraw.Draw(mask))
    return mask.filter(ImageFilter.GaussianBlur(soft)) if soft else mask


def ellipse(size: tuple[int, int] = (160, 120), soft: float = 0) -> Image.Image:
    width, height = size
    box = width * 0.3, height * 0.3, width * 0.7, height * 0.7
    return drawn(size, lambda pen: pen.ellipse(box, 255), soft)


def canvas(left: int, top: int, right: int, bottom: int) -> Image.Image:
    """A clear canvas with a picture on it."""
    picture = source()
    size = picture.width + left + right, picture.height + top + bottom
    sheet = Image.new("RGBA", size)
    sheet.paste(picture, (left, top))
    return sheet


def steps(picture: Image.Image, mask: Image.Image) -> Field:
    """How much neighbours differ that lie on two sides of a mask's border."""
    levels, inside = pixels(picture)[..., :3], np.asarray(mask) > 0
    found = []
    for axis in (0, 1):
        across = np.diff(inside.astype(np.int8), axis=axis) != 0
        found.append(np.abs(np.diff(levels, axis=axis)).max(axis=2)[across])
    return np.concatenate(found)


# ---------------------------------------------------------------- what a mask means

SHAPES = {
    "gap": """
        ..........
        ..........
        ...####...
        ...####...
        ..........
        ..........
    """,
    "canvas": """
        ......####
        ......####
        ......####
        ......####
        ......####
        ......####
    """,
    "backdrop": """
        ##########
        ####..####
        ###....###
        ###....###
        ####..####
        ##########
    """,
    "scene": """
        ##########
        ##########
    """,
}
ALSO = {
    "canvas": """
        ##########
        ##......##
        ##......##
        ##########
    """,
    "gap": """
        ##........
        ###.......
        #.........
        ..........
    """,
    "backdrop": """
        ##########
        #####.####
        ####..####
        ###....###
    """,
}


@pytest.mark.parametrize("scale", [1, 40])
@pytest.mark.parametrize(("meaning", "art"), [*SHAPES.items(), *ALSO.items()])
def test_a_mask_says_by_its_shape_what_it_means(meaning: str, art: str, scale: int) -> None:
    rows = [[255 * (cell == "#") for cell in row] for row in art.split()]
    mask = Image.fromarray(np.array(rows, np.uint8))
    assert meant(mask.resize((mask.width * scale, mask.height * scale), 0)) == meaning


# ---------------------------------------------------------------- what stays


@pytest.mark.parametrize("soft", [0, 5])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_what_the_mask_leaves_out_stays_to_the_bit(mode: str, soft: float) -> None:
    picture, mask = source().convert(mode), ellipse(soft=soft)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    result = retouched(picture, mask, WISH).picture
    kept = np.asarray(mask) == 0
    assert result.mode == mode
    assert np.array_equal(pixels(result)[kept], pixels(picture)[kept])
    assert (pixels(result)[~kept] != pixels(picture)[~kept]).any()


def test_grey_is_changed_in_part() -> None:
    picture = source()
    full, half = (
        retouched(picture, Image.eval(ellipse(), lambda level, by=by: level // by), WISH).picture
        for by in (1, 2)
    )
    assert full != half
    whole = np.abs(pixels(full) - pixels(picture)).mean()
    assert np.abs(pixels(half) - pixels(picture)).mean() < whole


def test_an_empty_mask_changes_nothing() -> None:
    picture = source()
    result, left_out = retouched(picture, Image.new("L", picture.size), WISH, [picture])
    assert (result, left_out) == (picture, 1)


def test_a_mask_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="a mask of"):
        retouched(source(), Image.new("L", (3, 3)), WISH)


def test_what_came_in_is_not_changed() -> None:
    picture, mask = source(), ellipse()
    before = picture.tobytes(), mask.tobytes()
    retouched(picture, mask, WISH, [picture])
    assert (picture.tobytes(), mask.tobytes()) == before


@settings(max_examples=examples(40), deadline=None)
@given(
    st.integers(1, 48),
    st.integers(1, 48),
    st.sampled_from(["RGB", "RGBA"]),
    st.sampled_from([0, 0.03, 0.5, 0.97]),
    st.integers(0, 10**6),
)
def test_any_mask_on_any_picture(
    width: int, height: int, mode: str, share: float, seed: int
) -> None:
    """Pixels, masks and sizes may be anything: nothing fails, and nothing else changes."""
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, len(mode)), np.uint8))
    mask = rng.integers(0, 256, (height, width)) * (rng.random((height, width)) < share)
    wish = Wish("x", seed, seed % 7)
    result = retouched(picture, Image.fromarray(mask.astype(np.uint8)), wish, [picture]).picture
    assert (result.size, result.mode) == (picture.size, mode)
    assert np.array_equal(pixels(result)[mask == 0], pixels(picture)[mask == 0])
    assert mode == "RGB" or retouched(picture, None, wish).picture.size == picture.size


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2)])
def test_a_tiny_picture_can_be_filled(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "red")
    assert retouched(picture, Image.new("L", size, 255), WISH).picture.size == size
    assert retouched(Image.new("RGBA", size), None, WISH).picture.mode == "RGB"


# ---------------------------------------------------------------- what is seen


@pytest.mark.parametrize("seed", range(4))
def test_a_gap_has_no_seam(seed: int) -> None:
    """At the border neighbours differ no more than the picture and its grain do anyway."""
    mask = ellipse()
    result = retouched(source(), mask, Wish("x", seed)).picture
    assert np.percentile(steps(result, mask), 95) <= 6


@pytest.mark.parametrize("seed", range(4))
def test_something_is_seen_in_a_gap(seed: int) -> None:
    result = retouched(source(), ellipse(), Wish("x", seed)).picture
    inside = np.asarray(ellipse()) > 0
    change = np.abs(pixels(result) - pixels(source())).max(axis=2)[inside]
    assert (change > 30).mean() > 0.2


def test_the_object_in_a_gap_leaves_no_trace() -> None:
    """What stood under the mask has no say in what is painted there."""
    picture, mask = source(), ellipse()
    with_object = picture.copy()
    with_object.paste("lime", mask=mask)
    assert retouched(picture, mask, WISH) == retouched(with_object, mask, WISH)


def test_the_fill_has_the_grain_of_the_picture() -> None:
    levels = pixels(source()) + np.random.default_rng(0).normal(0, 10, (120, 160, 1))
    noisy = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
    inside = np.asarray(ellipse()) > 0

    def unrest(picture: Image.Image) -> float:
        green = pixels(picture)[..., 1]
        return float(np.median(np.abs(np.diff(green, axis=1))[inside[:, 1:]]))

    smooth, grained = (retouched(one, ellipse(), WISH).picture for one in (source(), noisy))
    assert 0.6 < unrest(grained) / unrest(noisy) < 1.6
    assert unrest(smooth) <= 2


def test_a_backdrop_is_new_up_to_the_object() -> None:
    picture = Image.new("RGB", (160, 120), "white")
    ImageDraw.Draw(picture).ellipse((50, 30, 110, 90), "red")
    mask = drawn(picture.size, lambda pen: pen.ellipse((50, 30, 110, 90), 0), over=255)
    result = retouched(picture, mask, WISH).picture
    assert np.abs(pixels(result) - pixels(picture))[np.asarray(mask) > 0].mean() > 20
    # The rim is painted as the scene is everywhere: nothing of the white shines around it.
    other = retouched(
        Image.composite(picture, Image.new("RGB", picture.size), ImageOps.invert(mask)), mask, WISH
    )
    assert np.abs(pixels(result) - pixels(other.picture)).max() <= 4


def test_something_cut_out_keeps_its_tones_where_nothing_lies_around_it() -> None:
    picture = Image.new("RGBA", (160, 120))
    ImageDraw.Draw(picture).ellipse((50, 30, 110, 90), (200, 60, 20, 255))
    mask = picture.getchannel("A")
    result = retouched(picture, mask, WISH).picture
    inside = pixels(result)[np.asarray(mask) == 255][:, :3]
    assert np.median(np.abs(inside - [200, 60, 20]).max(axis=1)) < 40


def test_an_object_cut_out_gets_a_backdrop_with_no_mask() -> None:
    picture = Image.new("RGBA", (160, 120))
    ImageDraw.Draw(picture).ellipse((50, 30, 110, 90), (255, 0, 0, 255))
    result = retouched(picture, None, WISH).picture
    assert result.mode == "RGB"
    assert result.getpixel((80, 60)) == (255, 0, 0)
    assert np.asarray(result).std() > 10


@pytest.mark.parametrize(
    "margins", [(0, 0, 80, 0), (40, 40, 40, 40), (0, 60, 0, 0), (9, 0, 300, 1)]
)
def test_a_canvas_goes_on_without_a_seam(margins: tuple[int, int, int, int]) -> None:
    sheet = canvas(*margins)
    result = retouched(sheet, None, WISH).picture
    assert (result.mode, result.size) == ("RGB", sheet.size)
    left, top = margins[:2]
    middle = result.crop((left, top, left + 160, top + 120))
    assert middle == source()
    beyond = Image.eval(sheet.getchannel("A"), lambda level: 255 - level)
    assert np.percentile(steps(result, beyond), 90) <= 6


def test_where_a_mask_overlaps_the_picture_on_a_canvas_the_picture_goes_on() -> None:
    sheet = canvas(40, 0, 40, 0)
    mask = drawn(sheet.size, lambda pen: pen.rectangle((48, 0, 191, 119), 0), 3, 255)
    result = retouched(sheet, mask, WISH).picture
    assert np.abs(pixels(result)[..., :3] - pixels(sheet)[..., :3])[4:-4, 44:60].max() <= 12
    assert result.getchannel("A").getextrema() == (255, 255)


def test_with_nothing_kept_it_is_a_scene_of_its_own() -> None:
    full = Image.new("L", (160, 120), 255)
    black = Image.new("RGB", (160, 120))
    assert retouched(source(), full, WISH) == retouched(black, full, WISH)


def test_other_pictures_are_set_into_the_fill() -> None:
    others = [Image.new("RGB", (40, 40), "lime"), Image.new("RGB", (40, 40), "magenta")]
    result, left_out = retouched(source(), ellipse(), WISH, others)
    seen = dict((colour, count) for count, colour in result.getcolors(2**20) or [])
    assert left_out == 0
    levels = pixels(result)
    for colour in ((0, 255, 0), (255, 0, 255)):
        assert (np.abs(levels - colour).max(axis=2) <= 6).sum() > 60, seen


def test_it_is_said_how_many_found_no_room() -> None:
    mask = drawn((160, 120), lambda pen: pen.rectangle((80, 60, 82, 62), 255))
    assert retouched(source(), mask, WISH, [source(), source()]).left_out == 2


def test_a_note_stands_only_where_all_was_filled() -> None:
    size = 400, 300
    place = room(size)
    assert place is not None
    full, result = Image.new("L", size, 255), source(size)
    noted = [retouched(result, mask, WISH).picture for mask in (full, ellipse(size))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("handlers.media.retouching.mark", lambda _: None)
        bare = [retouched(result, mask, WISH).picture for mask in (full, ellipse(size))]
    assert noted[1] == bare[1]
    difference = np.abs(pixels(noted[0]) - pixels(bare[0])).max(axis=2)
    assert difference[place[1] : place[3], place[0] : place[2]].max() > 40
    assert np.count_nonzero(difference) < (place[2] - place[0]) * (place[3] - place[1])


def test_a_palette_colours_the_fill() -> None:
    red = Wish(
        "x",
        palette="200000 500000 800000 c00000 e06060 ffe0e0 ff0000",
    )
    full = Image.new("L", (120, 90), 255)
    levels = pixels(retouched(source((120, 90)), full, red).picture).mean(axis=(0, 1))
    assert levels[0] > levels[2] + 40


# ---------------------------------------------------------------- the same and another


@pytest.mark.parametrize("mask", [ellipse(), Image.new("L", (160, 120), 255)])
def test_the_same_wish_gives_the_same_pixels_and_another_gives_others(mask: Image.Image) -> None:
    def one(*wish: Any) -> Edit:
        return retouched(source(), mask, Wish(*wish))

    assert one("x", 3, 1) == one("x", 3, 1)
    assert (
        len({one(*wish).picture.tobytes() for wish in (("x",), ("y",), ("x", 1), ("x", 0, 1))}) == 4
    )


# ---------------------------------------------------------------- large pictures


def test_bands_cover_a_box_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bands, "_PIXELS", 100)
    seen = np.zeros((37, 20), int)
    for left, top, right, bottom in bands.bands((3, 2, 15, 35)):
        seen[top:bottom, left:right] += 1
        assert (right - left) * (bottom - top) <= 100
    assert seen[2:35, 3:15].all()
    assert seen.max() == 1
    assert seen.sum() == 33 * 12


def test_a_work_in_bands_is_the_work_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    work = source((30, 20))
    whole = 0, 0, 200, 100
    once = bands.part(work, whole, whole)
    monkeypatch.setattr(bands, "_PIXELS", 1700)
    pieces = [bands.part(work, whole, box) for box in bands.bands(whole)]
    assert len(pieces) > 5
    assert np.abs(np.concatenate(pieces) - once).max() <= 1


def test_a_fill_smaller_than_its_place_is_enlarged_without_a_seam(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("handlers.media.retouching.WORK", 60 * 60)
    monkeypatch.setattr(bands, "_PIXELS", 4000)
    cover = ellipse((320, 240))
    picture = source((320, 240))
    result = retouched(picture, cover, WISH).picture
    kept = np.asarray(cover) == 0
    assert np.array_equal(pixels(result)[kept], pixels(picture)[kept])
    assert np.percentile(steps(result, cover), 90) <= 8
