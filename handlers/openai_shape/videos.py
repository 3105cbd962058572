"""Calls that make clips, phrased for each kind of server.

Four ways are known in which pictures go along: as one file of a form (OpenAI's own way, when it
made clips), as objects in JSON (xAI), as frames with a role (OpenRouter), and for a server that
nobody knows as the caller says.

Sources: openai-openapi 2.3.0 `/videos`, xai-sdk-python and xai-proto (video.proto), OpenRouter's
guides/overview/multimodal/video-generation, vllm-omni docs/serving/videos_api.md, SGLang
entrypoints/openai/video_api.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from handlers.contract import Call, HandlerError, Json
from handlers.openai_shape.addresses import address_for, own_path
from handlers.openai_shape.asking import Asked, Body, model_of, posted, refuse
from handlers.openai_shape.dialects import Dialect, Videos
from handlers.openai_shape.fields import given, known, pixels, ratio
from handlers.openai_shape.pictures import bytes_of, data_urls, file_part, fitted
from handlers.wire import Entry, HttpCall

_TO_US = ("mode", "image_field", "image_transport", "image_path")
"""What a call for a clip says to this adapter."""
_USUAL = "input_reference"
_FIELD_OF_MODE = {"animate": "first_frame_image", "reference": "reference_images"}
"""Where older scripts put the picture, for a server that nobody knows."""
_LISTS = ("reference_images",)
"""Fields that hold several."""


@dataclass(frozen=True, slots=True)
class Frames:
    """The pictures of a call, by what they are to the clip."""

    first: Sequence[bytes] = ()
    last: Sequence[bytes] = ()
    references: Sequence[bytes] = ()

    @property
    def all(self) -> list[bytes]:
        return [*self.first, *self.last, *self.references]

    def of(self, pictures: Sequence[bytes]) -> Frames:
        """The same frames, of all pictures in this order."""
        first = len(self.first)
        last = first + len(self.last)
        return Frames(pictures[:first], pictures[first:last], pictures[last:])


def video_call(
    entry: Entry, dialect: Dialect, videos: Videos, call: Call
) -> tuple[HttpCall, Asked]:
    """The call that makes a clip.

    Raises:
        HandlerError: `not_supported`: this server cannot do that; `forbidden_path`: it may not be
            sent paths; `too_large`: a picture cannot be made to fit.
    """
    fields, warnings = _fields(dialect, videos, call)
    body = _with_pictures(entry, dialect, videos, call, fields)
    body = replace(body, warnings=(*warnings, *body.warnings))
    path = videos.create if call.endpoint is None else own_path(call.endpoint)
    asked = Asked(
        entry,
        dialect,
        "video",
        model=model_of(call),
        prompt=call.fields.get("prompt"),
        warnings=body.warnings,
        sent=body.sent(call.extra),
        status_path=own_path(call.fields.get("status_endpoint_template", videos.poll)),
    )
    url = address_for(entry, dialect, path, asked.model)
    return posted(entry, call, url, body, "video"), asked


def _fields(dialect: Dialect, videos: Videos, call: Call) -> tuple[dict[str, Json], list[str]]:
    """What goes along beside pictures, and what the caller should be warned of."""
    fields = {name: value for name, value in given(call).items() if name not in _TO_US}
    length = fields.pop("seconds", None) or fields.pop("duration", None)
    fields.pop("duration", None)
    if length is not None:
        fields[videos.length] = str(length) if videos.length_is_text else length
    shape = {"pixels": pixels, "ratio": ratio}.get(dialect.geometry)
    fields, told = shape(fields, call.model) if shape is not None else (fields, [])
    model = {"model": call.model} if call.model is not None else {}
    fields, warnings = known(fields, videos.fields, dialect.title)
    return {**model, **fields}, told + warnings


# ---------------------------------------------------------------- pictures


def _with_pictures(
    entry: Entry, dialect: Dialect, videos: Videos, call: Call, fields: dict[str, Json]
) -> Body:
    """The body of a call, the pictures in it."""
    frames = Frames(
        bytes_of([*call.inputs.get(_USUAL, ()), *call.inputs.get("image", ())]),
        bytes_of(call.inputs.get("last_frame", ())),
        bytes_of(call.inputs.get("reference_images", ())),
    )
    if not frames.all:
        return Body(fields, as_form=videos.form_alone)
    _check(dialect, videos, frames)
    if videos.pictures == "free":
        return _free(entry, dialect, call, fields, frames)
    if videos.pictures == "form":
        body = _form(dialect, fields, frames, _USUAL)
    else:
        sent = fitted(dialect, frames.all, as_text=True)
        phrase = {"xai": _xai, "openrouter": _openrouter}[videos.pictures or "xai"]
        held = phrase(frames.of(sent.pictures))
        body = Body({**fields, **held}, pictured=tuple(held), warnings=sent.warnings)
    return replace(body, warnings=(*body.warnings, *_unheard(dialect, call)))


def _check(dialect: Dialect, videos: Videos, frames: Frames) -> None:
    """Refuse pictures that a server does not take, before anything is sent."""
    if videos.pictures is None:
        raise refuse(dialect, "pictures for a clip")
    if frames.last and videos.pictures != "openrouter":
        raise refuse(dialect, "last frame")
    if len(frames.first) > 1:
        raise refuse(dialect, "more than one first frame", "Give one picture.")
    if frames.first and frames.references and videos.pictures != "openrouter":
        raise refuse(dialect, "references beside a first frame", "Give one or the other.")
    most = videos.most_references
    if most is not None and len(frames.references) > most:
        raise refuse(dialect, f"more than {most} references for a clip", "Give fewer.")


def _unheard(dialect: Dialect, call: Call) -> list[str]:
    """The warning that a server has a way of its own."""
    names = [name for name in ("image_field", "image_transport") if name in call.fields]
    if not names:
        return []
    return [f"not heeded, because {dialect.title} takes pictures its own way: {', '.join(names)}"]


def _form(dialect: Dialect, fields: dict[str, Json], frames: Frames, name: str) -> Body:
    """One picture as a file of a form, as OpenAI had it."""
    picture, warnings = _one_of(dialect, frames)
    sent = fitted(dialect, [picture], as_text=False)
    part = file_part(name, name, sent.pictures[0])
    return Body(
        fields, [part], as_form=True, pictured=(name,), warnings=(*warnings, *sent.warnings)
    )


def _one_of(dialect: Dialect, frames: Frames) -> tuple[bytes, list[str]]:
    """The first picture, for a server that takes no more, and a warning about the others."""
    first, *others = frames.all
    if not others:
        return first, []
    told = f"{dialect.title} takes one picture for a clip: of {len(frames.all)} the first was sent"
    return first, [told]


def _xai(frames: Frames) -> dict[str, Json]:
    held: dict[str, Json] = {}
    if frames.first:
        held["image"] = {"url": data_urls(frames.first)[0]}
    if frames.references:
        held["reference_images"] = [{"url": url} for url in data_urls(frames.references)]
    return held


def _openrouter(frames: Frames) -> dict[str, Json]:
    roles = [(frames.first, "first_frame"), (frames.last, "last_frame")]
    named = [{**_named(url), "frame_type": kind} for at, kind in roles for url in data_urls(at)]
    held: dict[str, Json] = {"frame_images": named} if named else {}
    if frames.references:
        held["input_references"] = [_named(url) for url in data_urls(frames.references)]
    return held


def _named(url: str) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": url}}


# ---------------------------------------------------------------- as the caller says


def _free(
    entry: Entry, dialect: Dialect, call: Call, fields: dict[str, Json], frames: Frames
) -> Body:
    """Pictures for a server that nobody knows: in the field and by the transport that the caller
    names, else where the older scripts put them."""
    named = call.fields.get("image_field", _FIELD_OF_MODE.get(call.fields.get("mode", "")))
    name = named or _USUAL
    transport = call.fields.get("image_transport", "auto")
    if transport == "path":
        held = _path(entry, call.fields.get("image_path"))
        return Body({**fields, name: [held] if name in _LISTS else held}, pictured=(name,))
    if transport == "multipart" or (transport == "auto" and name == _USUAL):
        return _form(dialect, fields, frames, name)
    return _in_json(dialect, fields, frames, name)


def _in_json(dialect: Dialect, fields: dict[str, Json], frames: Frames, name: str) -> Body:
    """Pictures as data URLs, in the form that each field has."""
    pictures, warnings = frames.all, list[str]()
    if name not in _LISTS:
        first, warnings = _one_of(dialect, frames)
        pictures = [first]
    sent = fitted(dialect, pictures, as_text=True)
    urls = data_urls(sent.pictures)
    held: Json = urls if name in _LISTS else {"image_url": urls[0]} if name == _USUAL else urls[0]
    return Body({**fields, name: held}, pictured=(name,), warnings=(*warnings, *sent.warnings))


def _path(entry: Entry, path: Json) -> Json:
    """The path of the picture, for a server that reads files of this machine.

    Raises:
        HandlerError: `forbidden_path`: its entry does not say that it may be sent any.
    """
    if entry.options.get("allow_paths") is not True or not path:
        raise HandlerError(
            "forbidden_path",
            f"the provider {entry.name} is sent no paths",
            hints=[
                "Leave image_transport out: the picture itself goes along then.",
                "Or write options = { allow_paths = true } in its entry, if it may read files.",
            ],
        )
    return path
