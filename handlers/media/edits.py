"""What an edit of the stand-in is asked for by, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 40_000_000
"""Of a picture that is edited."""


@dataclass(frozen=True)
class Wish:
    """What is asked for; the same one always gives the same pixels."""

    prompt: str = ""
    seed: int = 0
    index: int = 0
    """The picture's number in its job."""
    palette: str | None = None
    """Of `handlers.media.swatches`; None is the prompt's own."""


class Edit(NamedTuple):
    """An edited picture."""

    picture: Image.Image
    left_out: int = 0
    """How many of the other pictures found no room in it."""
