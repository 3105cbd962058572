"""`local`: the embedded stand-in. It needs no account, and it is no model.

It paints a composed picture from the prompt, the seed, the size and the picture's number, the same
one every time, so that everything around a provider can be tried, tested and shown offline. Every
answer says what it is.
"""

from __future__ import annotations

import io
import math
from collections.abc import Generator, Mapping
from functools import partial

from handlers.contract import Call, HandlerError, Json, Medium, Outcome
from handlers.wire import AnswersAtOnce, Compute, Effect

MODEL = "stand-in"
NOTICE = "made by the embedded stand-in 'local', which is no AI model: a picture to test with"
DEFAULT_SIZE = (1024, 1024)
LONGEST, SHORTEST = 4096, 16
_USED = frozenset({"prompt", "size", "aspect_ratio", "n", "seed", "background", "output_format"})
_ENCODING: Mapping[str, tuple[str, Mapping[str, int]]] = {
    "png": ("PNG", {"compress_level": 4}),
    "jpeg": ("JPEG", {"quality": 92}),
    "webp": ("WEBP", {"quality": 90, "method": 2}),
}


class Local(AnswersAtOnce):
    """The stand-in; free, deterministic, and always there."""

    name = "local"
    paid = False
    operations = frozenset({"generate_image"})

    def submit(self, call: Call) -> Generator[Effect, Json, Outcome]:
        """Paint each picture in a worker thread."""
        fields = call.fields
        width, height = dimensions(fields)
        transparent = fields.get("background") == "transparent"
        output_format = fields.get("output_format", "png")
        if transparent and output_format == "jpeg":
            raise HandlerError(
                "not_supported",
                "a JPEG cannot be transparent",
                hints=["Ask for png or webp, or leave background out."],
            )
        media = []
        for index in range(fields.get("n", 1)):
            picture = partial(
                render,
                fields["prompt"],
                fields.get("seed", 0),
                index,
                (width, height),
                transparent,
                output_format,
            )
            data = yield Compute(picture)
            media.append(Medium(data, media_type=f"image/{output_format}"))
        return Outcome(tuple(media), model=MODEL, warnings=(NOTICE, *_unused(call)))


def _unused(call: Call) -> list[str]:
    """What a real provider might have made use of."""
    ignored = sorted(set(call.fields) - _USED | set(call.extra))
    ignored += ["endpoint"] if call.endpoint else []
    ignored += ["model"] if call.model not in (None, MODEL) else []
    return [f"the stand-in makes no use of: {', '.join(ignored)}"] if ignored else []


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


def render(
    prompt: str,
    seed: int,
    index: int,
    size: tuple[int, int],
    transparent: bool,
    output_format: str,
) -> bytes:
    """An encoded picture; for a worker thread, as it takes a good part of a second."""
    from handlers.media.painting import paint

    picture = paint(
        prompt, seed=seed, index=index, width=size[0], height=size[1], transparent=transparent
    )
    name, options = _ENCODING[output_format]
    encoded = io.BytesIO()
    picture.save(encoded, name, **options)
    return encoded.getvalue()


def provider() -> Local:
    """The provider of this module."""
    return Local()
