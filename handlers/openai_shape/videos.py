"""Calls that make clips, phrased for each kind of server."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.contract import Call, Json
from handlers.openai_shape.addresses import address_for, own_path
from handlers.openai_shape.asking import Asked, Body, model_of, posted, refuse
from handlers.openai_shape.dialects import Dialect, Videos
from handlers.openai_shape.fields import given, known, pixels
from handlers.openai_shape.pictures import bytes_of, data_urls, file_part, fitted
from handlers.wire import Entry, HttpCall


def video_call(
    entry: Entry, dialect: Dialect, videos: Videos, call: Call
) -> tuple[HttpCall, Asked]:
    """The call that makes a clip.

    Raises:
        HandlerError: `not_supported`: this server cannot do that.
    """
    fields, warnings = _fields(dialect, videos, call)
    body = _with_pictures(dialect, videos, call, fields, tuple(warnings))
    path = videos.create if call.endpoint is None else own_path(call.endpoint)
    asked = Asked(
        entry,
        dialect,
        "video",
        model=model_of(call),
        prompt=call.fields.get("prompt"),
        warnings=body.warnings,
        status_path=own_path(call.fields.get("status_endpoint_template", videos.poll)),
    )
    url = address_for(entry, dialect, path, asked.model)
    return posted(entry, call, url, body, "video"), asked


def _fields(dialect: Dialect, videos: Videos, call: Call) -> tuple[dict[str, Json], list[str]]:
    fields = given(call)
    length = fields.pop("seconds", None) or fields.pop("duration", None)
    fields.pop("duration", None)
    if length is not None:
        fields[videos.length] = str(length) if videos.length_is_text else length
    if dialect.geometry == "pixels":
        fields, _ = pixels(fields, call.model)
    model = {"model": call.model} if call.model is not None else {}
    fields, warnings = known(fields, videos.fields, dialect.title)
    return {**model, **fields}, warnings


def _with_pictures(
    dialect: Dialect,
    videos: Videos,
    call: Call,
    fields: dict[str, Json],
    warnings: tuple[str, ...],
) -> Body:
    first = bytes_of([*call.inputs.get("input_reference", ()), *call.inputs.get("image", ())])
    last = bytes_of(call.inputs.get("last_frame", ()))
    references = bytes_of(call.inputs.get("reference_images", ()))
    if not (first or last or references):
        return Body(fields, warnings=warnings)
    if videos.pictures is None:
        raise refuse(dialect, "pictures for a clip")
    if last and videos.pictures != "openrouter":
        raise refuse(dialect, "last frame")
    if videos.pictures == "form" and len(first) + len(references) > 1:
        raise refuse(dialect, "more than one picture for a clip", "Give one picture.")
    sent = fitted(dialect, [*first, *last, *references], as_text=videos.pictures != "form")
    warnings += sent.warnings
    first, last, references = _apart(sent.pictures, len(first), len(last))
    if videos.pictures == "xai":
        return Body({**fields, **_xai(first, references)}, warnings=warnings)
    if videos.pictures == "openrouter":
        return Body({**fields, **_openrouter(first, last, references)}, warnings=warnings)
    part = file_part("input_reference", "input_reference", sent.pictures[0])
    return Body(fields, [part], as_form=True, warnings=warnings)


def _apart(
    pictures: Sequence[bytes], firsts: int, lasts: int
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """First frames, last frames and references, of all pictures in this order."""
    rest = firsts + lasts
    return list(pictures[:firsts]), list(pictures[firsts:rest]), list(pictures[rest:])


def _xai(first: Sequence[bytes], references: Sequence[bytes]) -> dict[str, Json]:
    held: dict[str, Json] = {"image": {"url": data_urls(first)[0]}} if first else {}
    if references:
        held["reference_images"] = [{"url": url} for url in data_urls(references)]
    return held


def _openrouter(
    first: Sequence[bytes], last: Sequence[bytes], references: Sequence[bytes]
) -> dict[str, Json]:
    frames = [(first, "first_frame"), (last, "last_frame")]
    named = [{**_named(url), "frame_type": kind} for at, kind in frames for url in data_urls(at)]
    held: dict[str, Json] = {"frame_images": named} if named else {}
    if references:
        held["input_references"] = [_named(url) for url in data_urls(references)]
    return held


def _named(url: str) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": url}}
