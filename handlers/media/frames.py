"""Where a picture lies in a larger canvas: geometry alone, no pixels.

A request says an `Extension` before anybody has seen the picture; with the picture's size it
becomes a `Frame`. Nothing is ever cropped or scaled: a canvas holds the whole source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from handlers.contract import HandlerError

Size = tuple[int, int]
"""Width and height in pixels."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels from the upper left corner, the last two exclusive."""

Anchor = Literal[
    "center",
    "left",
    "right",
    "top",
    "bottom",
    "top-left",
    "top-right",
    "bottom-left",
    "bottom-right",
]
"""The place of the source in its canvas: at "left", everything new is to its right, above and
below it."""

OVERLAP: Final = 16
"""How far the area to be changed reaches into the source, unless asked otherwise. Pixels."""
_SIDES = ("left", "top", "right", "bottom")


@dataclass(frozen=True, slots=True)
class Extension:
    """How a picture is to be extended: by sides, or to a target. Pixels.

    Args:
        left, top, right, bottom: how much is added there.
        expand: how much more is added on every side.
        size: the canvas, as "1536x1024"; "auto" is none.
        aspect_ratio: width to height of the canvas, as "16:9".
        anchor: the place of the source in a target; None is its centre.

    Raises:
        HandlerError: `invalid_request`: it extends nothing, or says two things at once.
    """

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0
    expand: int = 0
    size: str | None = None
    aspect_ratio: str | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        for name in (*_SIDES, "expand"):
            if getattr(self, name) < 0:
                raise _refused(name, "pixels are added, so that it cannot be negative")
        targets = [name for name in ("size", "aspect_ratio") if _pair(self, name)]
        if len(targets) == 2:
            raise _refused("aspect_ratio", "size says it already; give one of the two")
        if targets and any(self.added):
            sides = f"{', '.join(_SIDES)} or expand"
            raise _refused(targets[0], f"give either a target or {sides}, not both")
        if not targets and not any(self.added):
            raise _nothing("no side has a pixel, and there is no size or aspect_ratio")
        if self.anchor is not None and not targets:
            raise _refused("anchor", "it goes with size or aspect_ratio alone")
        if self.anchor not in (None, *get_args(Anchor)):
            raise _refused("anchor", f"must be one of {', '.join(get_args(Anchor))}")

    @property
    def added(self) -> Box:
        """What is added on the left, top, right and bottom; all 0 for a target."""
        left, top, right, bottom = (getattr(self, side) + self.expand for side in _SIDES)
        return left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a source lies in its canvas. Pixels."""

    source: Size
    left: int = 0
    """New columns to the left of the source; so with the other three."""
    top: int = 0
    right: int = 0
    bottom: int = 0

    @property
    def size(self) -> Size:
        """The canvas."""
        width, height = self.source
        return self.left + width + self.right, self.top + height + self.bottom

    @property
    def box(self) -> Box:
        """The source's place in the canvas."""
        width, height = self.source
        return self.left, self.top, self.left + width, self.top + height

    def kept(self, overlap: int | None = None) -> Box:
        """What stays of the source, where the area to be changed reaches into it from each side
        that is extended.

        Args:
            overlap: how far, in pixels; None for `OVERLAP`, or a quarter of the source where that
                is less.

        Raises:
            HandlerError: `invalid_request`: nothing would stay.
        """
        across, down = (
            min(OVERLAP, side // 4) if overlap is None else overlap for side in self.source
        )
        left, top, right, bottom = self.box
        left, right = left + across * bool(self.left), right - across * bool(self.right)
        top, bottom = top + down * bool(self.top), bottom - down * bool(self.bottom)
        if left >= right or top >= bottom:
            why = f"{overlap} px from each new side leave nothing of the source, {_by(self.source)}"
            raise _refused("overlap", why)
        return left, top, right, bottom


def frame_of(extension: Extension, source: Size, max_pixels: int) -> Frame:
    """The frame of a source that is extended.

    A target of an aspect ratio is the smallest canvas that holds the source: one side is the
    source's, the other one is rounded to the nearest whole pixel, a half down. Where new pixels
    cannot be halved around the source, the odd one goes to the right or to the bottom.

    Args:
        extension: what was asked for.
        source: width and height of the source.
        max_pixels: width times height of the canvas.

    Raises:
        HandlerError: `invalid_request`: the target is smaller than the source, or just as large;
            `too_large`: the canvas has too many pixels.
    """
    added = extension.added
    frame = Frame(source, *(added if any(added) else _around(extension, source)))
    width, height = frame.size
    if frame.size == source:
        raise _nothing(f"the source has the target's size already, {_by(source)}")
    if width * height > max_pixels:
        raise HandlerError(
            "too_large",
            f"a canvas of {_by(frame.size)} pixels has more than {max_pixels} in all",
            hints=["Extend it less, or give a smaller source."],
        )
    return frame


def _around(extension: Extension, source: Size) -> Box:
    """What a target adds on each side."""
    target = _target(extension, source)
    across, down = (new - old for new, old in zip(target, source, strict=True))
    if across < 0 or down < 0:
        short = " and ".join(["width"] * (across < 0) + ["height"] * (down < 0))
        raise _refused(
            "size",
            f"{_by(target)} is smaller than the source, {_by(source)}, in {short}",
            hints=["Outpainting neither crops nor scales: the target must hold the whole source."],
        )
    places = (extension.anchor or "center").split("-")
    left, top = _before(across, places, "left", "right"), _before(down, places, "top", "bottom")
    return left, top, across - left, down - top


def _target(extension: Extension, source: Size) -> Size:
    size = _pair(extension, "size")
    if size is not None:
        return size
    (width, height), (across, down) = source, _pair(extension, "aspect_ratio") or source
    as_wide = width, _rounded(width * down, across)
    as_tall = _rounded(height * across, down), height
    # The smaller one of those that hold the source.
    return min(as_wide, as_tall, key=lambda size: (size[0] < width or size[1] < height, size))


def _before(new: int, places: list[str], first: str, last: str) -> int:
    """How many of the `new` pixels stand before the source."""
    return 0 if first in places else new if last in places else new // 2


def _pair(extension: Extension, name: Literal["size", "aspect_ratio"]) -> Size | None:
    """Both numbers of a target."""
    text = getattr(extension, name)
    if text is None or (name, text) == ("size", "auto"):
        return None
    sign, example = {"size": ("x", "1536x1024"), "aspect_ratio": (":", "16:9")}[name]
    numbers = re.fullmatch(rf"([1-9][0-9]{{0,5}}){sign}([1-9][0-9]{{0,5}})", text)
    if numbers is None:
        raise _refused(name, f'must be written as "{example}"')
    return int(numbers[1]), int(numbers[2])


def _rounded(numerator: int, denominator: int) -> int:
    """The nearest whole number; halves go down."""
    return (2 * numerator + denominator - 1) // (2 * denominator)


def _nothing(why: str) -> HandlerError:
    return HandlerError(
        "invalid_request",
        f"nothing to extend: {why}",
        hints=["Give left, top, right, bottom or expand in pixels, or a size or an aspect_ratio."],
    )


def _refused(name: str, why: str, hints: tuple[str, ...] | list[str] = ()) -> HandlerError:
    return HandlerError(
        "invalid_request", f"{name}: {why}", hints=hints, faults=[(f"/{name}", why)]
    )


def _by(size: Size) -> str:
    return f"{size[0]} x {size[1]}"
