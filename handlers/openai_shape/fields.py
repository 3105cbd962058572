"""A call's fields as one server knows them: renamed, reshaped, or left out with a warning.

Only what the caller gave is sent, and the prompt is never changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from handlers.contract import Call, Json
from handlers.openai_shape.dialects import Dialect

_TO_US = frozenset({"reference_key", "status_endpoint_template"})
"""What is said to this adapter, which reads it where it is meant."""

_SIZES = {(1, 1): "1024x1024", (3, 2): "1536x1024", (2, 3): "1024x1536"}
"""The sizes that every GPT image model makes, by their shape."""
_FREE = "gpt-image-2"
"""Models that begin so make any size within bounds."""
_STEP, _PIXELS, _LONGEST = 16, 1536 * 1024, 3840
_XAI_RATIOS = frozenset(
    {
        *("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2"),
        *("19.5:9", "9:19.5", "20:9", "9:20"),
    }
)


def phrased(dialect: Dialect, call: Call) -> tuple[dict[str, Json], list[str]]:
    """The body of a call that makes pictures, without the caller's `extra`, and what the caller
    should be warned of."""
    fields = given(call)
    warnings = [text for name, text in dialect.unless_given.items() if name not in fields]
    fields, told = _GEOMETRY[dialect.geometry](fields, call.model)
    warnings += told
    fields, told = known(fields, dialect.fields, dialect.title)
    warnings += told
    fields, told = _PROMPTS[dialect.prompts](fields)
    model = {"model": call.model} if call.model is not None else {}
    return {**model, **dialect.defaults, **fields}, warnings + told


def given(call: Call) -> dict[str, Json]:
    """The fields of a call that are for its provider.

    A handler puts no others in: only it knows which of its fields speak to darkroom. No list here
    could tell its `left`, in pixels of a canvas, from one that a server has.
    """
    return {name: value for name, value in call.fields.items() if name not in _TO_US}


def known(
    fields: Mapping[str, Json], names: frozenset[str] | None, title: str
) -> tuple[dict[str, Json], list[str]]:
    """Only the fields that a server knows, and a warning that names the others."""
    if names is None:
        return dict(fields), []
    return {name: fields[name] for name in fields if name in names}, left_out(
        title, fields.keys() - names
    )


def left_out(title: str, names: Iterable[str]) -> list[str]:
    """The warning that fields were not sent, if there are any."""
    named = ", ".join(sorted(names))
    return [f"not sent, because {title} does not take it: {named}"] if named else []


# ---------------------------------------------------------------- the shape of a picture

Told = tuple[dict[str, Json], list[str]]


def as_given(fields: dict[str, Json], _: str | None) -> Told:
    """The server takes `size` and `aspect_ratio`, or says what it does not take."""
    return fields, []


def openai_size(fields: dict[str, Json], model: str | None) -> Told:
    """A `size` in place of an `aspect_ratio`, where one has just that shape."""
    rest = {name: value for name, value in fields.items() if name != "aspect_ratio"}
    ratio, size = fields.get("aspect_ratio"), fields.get("size", "auto")
    if ratio is None or size != "auto":
        told = ["not sent, because size says it already: aspect_ratio"] if ratio else []
        return rest, told
    derived = size_of_shape(_shape(ratio), model)
    if derived is None:
        return rest, [
            f"not sent, because the model has no size of this shape: aspect_ratio {ratio}"
        ]
    return {**rest, "size": derived}, []


def size_of_shape(shape: tuple[int, int], model: str | None) -> str | None:
    """A size that a GPT image model makes and that has exactly this shape; None without one.

    Of those that a model may choose from, the largest of at most a megapixel and a half is taken.
    """
    across, down = shape
    if shape in _SIZES:
        return _SIZES[shape]
    if not (model or "").startswith(_FREE) or not Fraction(1, 3) <= Fraction(across, down) <= 3:
        return None
    times = math.isqrt(_PIXELS // (across * down)) // _STEP
    width, height = across * times * _STEP, down * times * _STEP
    return f"{width}x{height}" if times and max(width, height) <= _LONGEST else None


def pixels(fields: dict[str, Json], _: str | None) -> Told:
    """`width` and `height` in place of a `size`."""
    rest = {name: value for name, value in fields.items() if name != "size"}
    size = fields.get("size", "auto")
    if size == "auto":
        return rest, []
    width, height = map(int, size.split("x"))
    return {**rest, "width": width, "height": height}, []


def ratio(fields: dict[str, Json], _: str | None) -> Told:
    """An `aspect_ratio` in place of a `size`, where the server has just that shape."""
    rest = {name: value for name, value in fields.items() if name != "size"}
    size = fields.get("size", "auto")
    if size == "auto":
        return rest, []
    across, down = _shape(size.replace("x", ":"))
    named = f"{across}:{down}"
    if "aspect_ratio" in fields or named not in _XAI_RATIOS:
        return rest, [f"not sent, because the server chooses the pixels itself: size {size}"]
    return {**rest, "aspect_ratio": named}, [
        f"size {size} was sent as its shape, {named}: the server chooses the pixels itself"
    ]


def _shape(ratio: str) -> tuple[int, int]:
    across, down = map(int, ratio.split(":"))
    reduced = Fraction(across, down)
    return reduced.numerator, reduced.denominator


# ---------------------------------------------------------------- the prompt


def plain(fields: dict[str, Json]) -> Told:
    """A prompt that is nothing else."""
    return fields, []


def sdcpp_prompt(fields: dict[str, Json]) -> Told:
    """stable-diffusion.cpp takes its controls in a tag behind the prompt, and takes it off again
    (`examples/server/api.md`, "sd_cpp_extra_args")."""
    extra = {name: fields[name] for name in ("seed", "negative_prompt") if name in fields}
    rest = {name: value for name, value in fields.items() if name not in extra}
    if not extra:
        return rest, []
    tag = f"<sd_cpp_extra_args>{json.dumps(extra)}</sd_cpp_extra_args>"
    return {**rest, "prompt": f"{rest.get('prompt', '')} {tag}"}, []


def localai_prompt(fields: dict[str, Json]) -> Told:
    """LocalAI reads what stands behind a bar as what should not be in the picture."""
    rest = {name: value for name, value in fields.items() if name != "negative_prompt"}
    prompt, negative = rest.get("prompt", ""), fields.get("negative_prompt")
    if "|" in prompt:
        told = ["LocalAI takes what stands behind the first | of the prompt as a negative prompt"]
        return rest, told + (left_out("LocalAI", ["negative_prompt"]) if negative else [])
    return ({**rest, "prompt": f"{prompt}|{negative}"} if negative else rest), []


_GEOMETRY = {"as_given": as_given, "openai": openai_size, "pixels": pixels, "ratio": ratio}
_PROMPTS = {"plain": plain, "sdcpp": sdcpp_prompt, "localai": localai_prompt}
