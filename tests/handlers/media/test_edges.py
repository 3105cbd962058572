"""A small mask, enlarged along the edges of a large picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from handlers.media import edges
from handlers.media.edges import enlarged


def drawn(side: int) -> tuple[Image.Image, Image.Image]:
    """A picture of a leaf before a gradient with grain, and its true mask."""
    truth = Image.new("L", (side * 5, side * 4))
    pen, unit = ImageDraw.Draw(truth), side / 100
    pen.ellipse([round(v * unit) for v in (120, 80, 390, 310)], fill=255)
    pen.polygon([round(v * unit) for v in (150, 90, 40, 40, 100, 210)], fill=255)
    down, across = np.mgrid[0 : side * 4, 0 : side * 5] / side
    backdrop = np.stack([150 + 20 * across, 140 + 15 * down, 90 + 10 * across], -1)
    grain = np.random.default_rng(1).normal(0, 6, (*truth.size[::-1], 1))
    colours = np.where(np.asarray(truth)[..., None] > 0, (60, 90, 40), backdrop) + grain
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8)), truth


def wrong(mask: Image.Image, truth: Image.Image) -> int:
    """How many pixels differ."""
    return int(np.count_nonzero(np.asarray(mask) != np.asarray(truth)))


@pytest.mark.parametrize("factor", [3, 5.3, 10])
def test_steps_of_many_pixels_become_the_edge_of_the_picture(factor: float) -> None:
    picture, truth = drawn(100)
    size = round(truth.width / factor), round(truth.height / factor)
    small = truth.resize(size, Image.Resampling.NEAREST)
    steps = wrong(small.resize(truth.size, Image.Resampling.NEAREST), truth)
    smooth = small.resize(truth.size, Image.Resampling.BICUBIC).point(lambda v: 255 * (v > 127))
    mask = enlarged(small, picture)
    assert mask.mode == "L"
    assert {*np.unique(np.asarray(mask)).tolist()} == {0, 255}
    assert wrong(mask, truth) < 0.15 * steps
    assert wrong(mask, truth) < 0.3 * wrong(smooth, truth)


def test_a_mask_that_is_a_pixel_off_is_put_right() -> None:
    picture, truth = drawn(100)
    small = truth.resize((50, 40), Image.Resampling.NEAREST)
    moved = Image.new("L", small.size)
    moved.paste(small, (1, 0))
    off = wrong(moved.resize(truth.size, Image.Resampling.NEAREST), truth)
    assert wrong(enlarged(moved, picture), truth) < 0.2 * off


def test_tiles_make_no_seams_and_those_without_an_edge_are_rightly_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tiles of any size give the same mask as one that is as large as the picture."""
    picture, truth = drawn(40)
    small = truth.resize((50, 40), Image.Resampling.NEAREST)
    whole = (0, 0, *picture.size)
    found = []
    for tile in (10, 16, 33, 256):
        monkeypatch.setattr(edges, "_TILE", tile)
        found.append(enlarged(small, picture))
    monkeypatch.setattr(edges, "_edges", lambda *_: [whole])
    assert all(mask == enlarged(small, picture) for mask in found)


@pytest.mark.parametrize("level", [0, 255])
def test_a_mask_without_an_edge_stays_one(level: int) -> None:
    picture, _ = drawn(20)
    assert enlarged(Image.new("L", (5, 4), level), picture) == Image.new("L", picture.size, level)


@pytest.mark.parametrize(
    ("small", "large"), [((1, 1), (2, 3)), ((7, 1), (31, 2)), ((3, 9), (3, 11))]
)
def test_any_sizes_go_together(small: tuple[int, int], large: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    mask = Image.fromarray(rng.integers(0, 2, small[::-1], np.uint8) * np.uint8(255))
    picture = Image.fromarray(rng.integers(0, 256, (*large[::-1], 4), np.uint8))
    assert enlarged(mask, picture).size == large
