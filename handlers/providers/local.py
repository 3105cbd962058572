"""`local`: the embedded stand-in. It needs no account, and it is no model.

It paints a composed picture from the prompt, the seed, the size and the picture's number, the same
one every time, so that everything around a provider can be tried, tested and shown offline. It
edits pictures just so: what a mask covers is filled, and what it leaves out stays to the bit. Its
clips are slow moves over a picture, and it takes its time with them, as providers do: it gives a
ticket, and is asked again. Every answer says what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.media.clipjobs import ClipJobs
from handlers.media.edits import MOST_PIXELS, Wish
from handlers.media.shots import Pictures, is_resolution
from handlers.wire import Compute, Effect, Pending, Ticket

if TYPE_CHECKING:
    from handlers.media.rendering import Rendering

MODEL = "stand-in"
NOTICE = "made by the embedded stand-in 'local', which is no AI model: a picture to test with"
CLIP_NOTICE = NOTICE.replace("a picture", "a clip")
DEFAULT_SIZE = (1024, 1024)
LONGEST, SHORTEST = 4096, 16
_ALWAYS = frozenset({"prompt", "size", "n", "seed", "output_format", "reference_images"})
_USED: Mapping[str, frozenset[str]] = {
    "generate_image": _ALWAYS | {"aspect_ratio", "background"},
    "edit_image": _ALWAYS | {"image", "mask"},
    "generate_video": frozenset(
        {
            *("prompt", "size", "aspect_ratio", "resolution", "seconds", "fps", "seed"),
            *("mode", "image", "last_frame", "reference_images"),
        }
    ),
}
"""By operation: the fields and the inputs."""


class Local:
    """The stand-in; free, deterministic, and always there."""

    name = "local"
    paid = False
    idempotent = False
    operations = frozenset(_USED)

    def __init__(self) -> None:
        self._clips = ClipJobs(MODEL)

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome | Ticket]:
        """Paint each picture in a worker thread, as it takes a good part of a second; take a clip
        as a job."""
        if call.operation == "generate_video":
            told = (CLIP_NOTICE, *_unused(call))
            return (yield from self._clips.take(call, _pictures_of_clip(call), told))
        output_format = call.fields.get("output_format", "png")
        render = (_edits if call.operation == "edit_image" else _paintings)(call, output_format)
        media, notes = [], [NOTICE]
        for index in range(call.fields.get("n", 1)):
            rendering: Rendering = yield Compute(partial(render, index))
            media.append(Medium(rendering.data, media_type=f"image/{output_format}"))
            notes += [note for note in rendering.notes if note not in notes]
        return Outcome(tuple(media), model=MODEL, warnings=(*notes, *_unused(call)))

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        """How far a clip is."""
        return (yield from self._clips.look(ticket))


def _unused(call: Call) -> list[str]:
    """What a real provider might have made use of."""
    given = {*call.fields, *(name for name, media in call.inputs.items() if media)}
    if not is_resolution(call.fields.get("resolution", "480p")):
        given.add("resolution (it knows lines only, as 720p)")
    if call.operation == "generate_video" and {"image", "reference_images"} <= given:
        given.add("reference_images (beside a first frame)")
    ignored = sorted(given - _USED[call.operation] | set(call.extra))
    ignored += ["endpoint"] if call.endpoint else []
    ignored += ["model"] if call.model not in (None, MODEL) else []
    return [f"the stand-in makes no use of: {', '.join(ignored)}"] if ignored else []


# ---------------------------------------------------------------- pictures of a prompt


def _paintings(call: Call, output_format: str) -> Callable[[int], Rendering]:
    """What paints the picture of a number."""
    size = dimensions(call.fields)
    transparent = call.fields.get("background") == "transparent"
    if transparent and output_format == "jpeg":
        raise HandlerError(
            "not_supported",
            "a JPEG cannot be transparent",
            hints=["Ask for png or webp, or leave background out."],
        )
    references = _bytes_of(call, "reference_images")

    def render(index: int) -> Rendering:
        from handlers.media.rendering import painting

        return painting(_wish(call, index), size, transparent, references, output_format)

    return render


def dimensions(fields: Mapping[str, Json]) -> tuple[int, int]:
    """Width and height in pixels, of `size`, else of `aspect_ratio` at about a megapixel.

    Raises:
        HandlerError: `not_supported`: a side is too long or too short.
    """
    size, ratio = fields.get("size", "auto"), fields.get("aspect_ratio")
    if size != "auto":
        width, height = map(int, size.split("x"))
    elif ratio is not None:
        across, down = map(int, ratio.split(":"))
        scale = math.sqrt(DEFAULT_SIZE[0] * DEFAULT_SIZE[1] / (across * down))
        width, height = (max(16, round(side * scale / 16) * 16) for side in (across, down))
    else:
        width, height = DEFAULT_SIZE
    if not (SHORTEST <= width <= LONGEST and SHORTEST <= height <= LONGEST):
        raise HandlerError(
            "not_supported",
            f"local paints from {SHORTEST} to {LONGEST} pixels a side, not {width} x {height}",
        )
    return width, height


# ---------------------------------------------------------------- edits


def _edits(call: Call, output_format: str) -> Callable[[int], Rendering]:
    """What makes the edit of a number."""
    images, size = _bytes_of(call, "image"), _size_of_edit(call.fields)
    if not images:
        raise HandlerError("internal", "an edit was asked for, of no picture")
    mask = next(iter(_bytes_of(call, "mask")), None)
    references = _bytes_of(call, "reference_images")

    def render(index: int) -> Rendering:
        from handlers.media.rendering import edit

        return edit(images, mask, references, _wish(call, index), size, output_format)

    return render


def _size_of_edit(fields: Mapping[str, Json]) -> tuple[int, int] | None:
    """The size that an edit is brought to; None: that of the first picture.

    Raises:
        HandlerError: `not_supported`: it has too many pixels.
    """
    if fields.get("size", "auto") == "auto":
        return None
    width, height = map(int, fields["size"].split("x"))
    if width * height > MOST_PIXELS:
        raise HandlerError(
            "not_supported",
            f"local edits up to {MOST_PIXELS} pixels, not {width} x {height}",
            hints=["Ask for a smaller size, or leave it out."],
        )
    return width, height


# ---------------------------------------------------------------- clips


def _pictures_of_clip(call: Call) -> Pictures:
    """The pictures of a clip. One more than it can show is an error of whoever phrased the call."""
    first = (*_bytes_of(call, "input_reference"), *_bytes_of(call, "image"))
    last = _bytes_of(call, "last_frame")
    references = _bytes_of(call, "reference_images")
    if len(first) > 1 or len(last) > 1:
        raise HandlerError("not_supported", "local films one first and one last frame at the most")
    return Pictures(next(iter(first), None), next(iter(last), None), references)


# ---------------------------------------------------------------- a call in parts


def _bytes_of(call: Call, name: str) -> tuple[bytes, ...]:
    """The encoded pictures of an input."""
    media = call.inputs.get(name, ())
    data = tuple(medium.data for medium in media if medium.data is not None)
    if len(data) < len(media):
        raise HandlerError("internal", f"a picture of {name!r} came without its bytes")
    return data


def _wish(call: Call, index: int) -> Wish:
    """What is asked for."""
    return Wish(call.fields.get("prompt", ""), call.fields.get("seed", 0), index)


def provider() -> Local:
    """The provider of this module."""
    return Local()
