"""How the object of a picture is to be selected: the words and numbers of it, and nothing else.

Request models need these, so neither numpy nor Pillow is imported here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from handlers.contract import HandlerError

Mode = Literal["corner-bg", "alpha", "grabcut"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
Box = tuple[int, int, int, int]
"""Left, top, width and height in pixels."""

VISIBLE: Final = 8
"""The alpha from which on a pixel is seen; what is below is backdrop, whatever its colour."""


@dataclass(frozen=True, slots=True)
class Selection:
    """One way to find the object in a picture, and what is tidied up afterwards."""

    mode: Mode = "corner-bg"
    threshold: int = 40
    """`alpha`: the least alpha, 0..255, of the object. `corner-bg`: its least distance from the
    backdrop's colour in RGB, where black and white are 442 apart."""
    sample_size: int = 8
    """The side in pixels, 1 or more, of the four corner squares that show `corner-bg` its backdrop.
    """
    box: Box | None = None
    """The object lies in it: `grabcut` takes what is outside for backdrop."""
    holes: int = 0
    """Background that is closed in by the object is filled up to so many pixels."""
    specks: int = 0
    """Pieces of the object of up to so many pixels are taken away."""


def box_of(text: str) -> Box:
    """The box that `x:y:w:h` stands for.

    Raises:
        HandlerError: `invalid_request`: it is not four whole numbers.
    """
    # Whoever writes more than six digits means no picture; int() would take them for long.
    if not re.fullmatch(r"(-?\d{1,6}:){2}\d{1,6}:\d{1,6}", text, re.ASCII):
        raise HandlerError(
            "invalid_request",
            f"{text[:80]!r} is no box",
            hints=['Write it as "x:y:w:h" in whole pixels: left, top, width and height.'],
        )
    left, top, width, height = map(int, text.split(":"))
    return left, top, width, height
