"""What a clip of the stand-in is, before it is filmed: everything about it but its pictures.

Filming takes numpy, Pillow and PyAV, which are imported when it comes to that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from handlers.contract import HandlerError, Json
from handlers.media.containers import size_of
from handlers.media.edits import Wish

SECONDS, FPS = 4, 24
SHORTER = 480
"""Pixels of the shorter side, where neither `size` nor `resolution` says another."""
_WIDE = 16, 9
_NEAR = 4 / 3  # as far as the camera goes, so that what is painted stays sharp
_MOST_PROMPT = 2000
"""Characters of a prompt: more would not be readable on a picture, and tickets are small."""
_LINES = re.compile(r"(\d{2,4})p", re.IGNORECASE)

Size = tuple[int, int]


class Pictures(NamedTuple):
    """The encoded pictures of a clip."""

    first: bytes | None = None
    last: bytes | None = None
    references: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Shot:
    """One clip; the same shot of the same pictures always gives the same clip."""

    prompt: str
    seed: int
    size: Size
    """Width and height in pixels."""
    seconds: int
    fps: int

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "size": list(self.size)}

    @classmethod
    def of(cls, value: Mapping[str, Json]) -> Shot:
        """The inverse of `to_json`."""
        return cls(**{**value, "size": tuple(value["size"])})


def shot_of(fields: Mapping[str, Json], first: bytes | None) -> Shot:
    """The shot that a call asks for.

    Args:
        fields: of the call.
        first: the picture that it begins with, if there is one: its shape is taken where no other
            is asked for.
    """
    return Shot(
        prompt=fields.get("prompt", "")[:_MOST_PROMPT],
        seed=fields.get("seed", 0),
        size=_size(fields, first),
        seconds=fields.get("seconds", SECONDS),
        fps=fields.get("fps", FPS),
    )


def is_resolution(word: Json) -> bool:
    """Whether a word for how fine a clip is to be says how many lines it has."""
    return isinstance(word, str) and _LINES.fullmatch(word) is not None


def _size(fields: Mapping[str, Json], first: bytes | None) -> Size:
    """Width and height, both even, as video wants them."""
    size, ratio = fields.get("size", "auto"), fields.get("aspect_ratio")
    if size != "auto":
        width, height = map(int, size.split("x"))
        return width - width % 2, height - height % 2
    shape = tuple(map(int, ratio.split(":"))) if ratio is not None else None
    across, down = shape or (size_of(first) if first is not None else None) or _WIDE
    found = _LINES.fullmatch(fields.get("resolution", ""))
    scale = (int(found[1]) if found else SHORTER) / min(across, down)
    return 2 * round(across * scale / 2), 2 * round(down * scale / 2)


def check(shot: Shot) -> None:
    """Whether it can be filmed here.

    Raises:
        HandlerError: `not_supported`: nothing films here, or no such clip.
    """
    try:
        from handlers.media.filming import frames_of
    except ImportError as error:
        raise HandlerError(
            "not_supported",
            f"local films nothing here: {error}",
            hints=['Install what films: pip install "darkroomd[video]"; then use retry.'],
        ) from None
    frames_of(shot.size, shot.seconds, shot.fps)


def filmed(shot: Shot, pictures: Pictures) -> bytes:
    """The clip, as an MP4: a slow move over its picture, or over one that is painted.

    Raises:
        HandlerError: a picture cannot be read, or such a clip is not made here.
    """
    from handlers.media.filming import film
    from handlers.media.painting import scene
    from handlers.media.rendering import coloured, opened

    title = None
    if pictures.first is not None:
        first = opened(pictures.first)
    else:
        palette = coloured(Wish(shot.prompt), pictures.references).palette
        first, title = scene(
            shot.prompt, seed=shot.seed, size=shot.size, near=_NEAR, palette=palette
        )
    last = opened(pictures.last) if pictures.last is not None else None
    return film(
        first,
        size=shot.size,
        seconds=shot.seconds,
        fps=shot.fps,
        seed=shot.seed,
        last=last,
        title=title if last is None else None,
    )
