"""The words for a selection, and that they cost nothing to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handlers.contract import HandlerError
from handlers.media.choices import MODES, Selection, box_of


def test_the_modes_can_be_named_without_loading_what_does_the_work() -> None:
    code = "import sys, handlers.media.choices; print({'numpy', 'PIL', 'cv2'} & {*sys.modules})"
    output = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert output.strip() == "set()"


def test_what_the_seed_did_is_what_is_done_unasked() -> None:
    assert Selection() == Selection("corner-bg", 40, 8, None, 0, 0)
    assert MODES == ("corner-bg", "alpha", "grabcut")


@pytest.mark.parametrize(
    ("text", "box"), [("1:2:30:40", (1, 2, 30, 40)), ("-5:-6:7:8", (-5, -6, 7, 8))]
)
def test_a_box_is_left_top_width_and_height(text: str, box: tuple[int, ...]) -> None:
    assert box_of(text) == box


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1:2:3",
        "1:2:3:4:5",
        "1:2:-3:4",
        "1.5:2:3:4",
        "a:b:c:d",
        "1:2:3:4\n",
        "٣:2:3:4",
        "9" * 9999,
    ],
)
def test_what_is_no_box_is_an_error_that_shows_how_one_is_written(text: str) -> None:
    with pytest.raises(HandlerError, match="is no box") as error:
        box_of(text)
    assert error.value.code == "invalid_request"
    assert "x:y:w:h" in error.value.hints[0]
    assert len(error.value.message) < 200
