"""The quiet line of an edit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from handlers.media.marking import NOTE, mark, room


def test_it_says_that_no_model_made_the_picture() -> None:
    assert "no model" in NOTE


@pytest.mark.parametrize("size", [(1, 1), (60, 400), (400, 40), (120, 120)])
def test_where_it_would_take_too_much_it_is_left_out(size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size, "gray")
    mark(picture)
    assert room(size) is None
    assert picture == Image.new("RGB", size, "gray")


@pytest.mark.parametrize("colour", ["black", "white", "#8c8c8c", "#900000"])
@pytest.mark.parametrize("size", [(320, 240), (1600, 1200)])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_it_is_read_on_any_colour_and_stays_in_its_place(
    colour: str, size: tuple[int, int], mode: str
) -> None:
    picture = Image.new(mode, size, colour)
    mark(picture)
    place = room(size)
    assert place is not None
    change = np.asarray(picture.convert("L"), int) - np.asarray(
        Image.new("RGB", size, colour).convert("L"), int
    )
    assert np.abs(change).max() > 60
    left, top, right, bottom = place
    change[top:bottom, left:right] = 0
    assert not change.any()
