"""Calls to a service as its entry says: the fields as they were given, and pictures beside them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from handlers.answers.encoded import to_data_url
from handlers.contract import Call, HandlerError, Json, Kind
from handlers.generic_shape.plan import Form, Plan
from handlers.openai_shape.addresses import own_path
from handlers.openai_shape.asking import Asked, Body, model_of, posted, refuse
from handlers.openai_shape.fields import given
from handlers.openai_shape.pictures import file_part, fitted, mask_of, mask_part, pictures_of
from handlers.openai_shape.room import Fitted
from handlers.wire import HttpCall

_TO_US = ("mode", "image_field", "image_transport", "image_path")
"""What a call for a clip says to whoever phrases it."""
_FORMS: dict[str, Form] = {"data-url": "data-url", "multipart": "multipart"}


@dataclass(frozen=True, slots=True)
class _Way:
    """How the pictures of one call go along."""

    form: Form
    field: str


def phrased(plan: Plan, call: Call) -> tuple[HttpCall, Asked]:
    """The call that creates, and what was asked for.

    Raises:
        HandlerError: `not_supported`: the entry does not say how that is done; `config_missing`:
            a model is needed, and none is known; `forbidden_path`, `too_large`.
    """
    kind: Kind = "video" if call.operation == "generate_video" else "image"
    path = _path(plan, call)
    body = _body(plan, call, with_model="{model}" not in path)
    template = call.fields.get("status_endpoint_template")
    asked = Asked(
        plan.entry,
        plan.dialect,
        kind,
        model=model_of(call),
        prompt=call.fields.get("prompt"),
        wanted=call.fields.get("n", 1) if kind == "image" else 1,
        warnings=body.warnings,
        left_out=body.left_out,
        sent=body.sent(call.extra),
        status_path=own_path(template) if template is not None else None,
    )
    url = plan.address(_with_model(plan, path, asked.model))
    return posted(plan.entry, call, url, body, kind), asked


def _path(plan: Plan, call: Call) -> str:
    path = call.endpoint if call.endpoint is not None else plan.endpoints.get(call.operation)
    if path is None:
        what = "request for clips" if call.operation == "generate_video" else "such request"
        raise refuse(plan.dialect, what, "Its entry names no endpoint for that.")
    return path if path.startswith("/") or not path else f"/{own_path(path)}"


def _with_model(plan: Plan, path: str, model: str | None) -> str:
    """A path with the model in it, where it has a place for one."""
    if "{model}" not in path:
        return path
    if not model:
        raise HandlerError(
            "config_missing",
            f"the provider {plan.entry.name} needs a model, for its endpoint names one",
            hints=["Name it in the request, or as image_model in the provider's entry."],
        )
    return path.replace("{model}", quote(model, safe="/"))


def _body(plan: Plan, call: Call, *, with_model: bool) -> Body:
    """The body of a call, before the caller's `extra`."""
    fields = {name: value for name, value in given(call).items() if name not in _TO_US}
    if with_model and call.model is not None:
        fields = {"model": call.model, **fields}
    pictures, mask = pictures_of(call), mask_of(call)
    if call.inputs.get("last_frame"):
        raise refuse(plan.dialect, "last frame")
    if not pictures and (call.operation == "edit_image" or mask is not None):
        raise refuse(plan.dialect, "edit without a picture", "Name the picture to edit.")
    if not pictures:
        return Body(fields)
    way = _way(plan, call)
    known = mask if plan.mask_field is not None else None
    sent = fitted(plan.dialect, pictures, as_text=way.form != "multipart", mask=known)
    phrase = _as_form if way.form == "multipart" else _as_json
    left_out = ("mask",) if mask is not None and known is None else ()
    return replace(phrase(plan, way, fields, sent), warnings=sent.warnings, left_out=left_out)


def _way(plan: Plan, call: Call) -> _Way:
    """How the pictures of a call go along: as the call says, else as the entry does."""
    transport = call.fields.get("image_transport")
    if transport == "path":
        raise HandlerError(
            "forbidden_path",
            f"the provider {plan.entry.name} is sent no paths",
            hints=["Leave image_transport out: the picture itself goes along then."],
        )
    named = call.fields.get("image_field", call.fields.get("reference_key"))
    return _Way(_FORMS.get(transport or "", plan.pictures), named or plan.image_field)


def _as_json(plan: Plan, way: _Way, fields: dict[str, Json], sent: Fitted) -> Body:
    """Pictures as text: one by itself, several as a list."""
    encode = to_data_url if way.form == "data-url" else _base64
    name = way.field.removesuffix("[]")
    texts = [encode(data) for data in sent.pictures]
    held: dict[str, Json] = {name: texts if name != way.field or len(texts) > 1 else texts[0]}
    if plan.mask_field is not None and sent.mask is not None:
        held[plan.mask_field] = encode(sent.mask)
    return Body({**fields, **held}, pictured=(name,))


def _as_form(plan: Plan, way: _Way, fields: dict[str, Json], sent: Fitted) -> Body:
    """Pictures as files of a form, each under the same name."""
    files = [file_part(way.field, stem, data) for stem, data in _stems(sent.pictures)]
    if plan.mask_field is not None and sent.mask is not None:
        files.append(mask_part(plan.mask_field, sent.mask))
    return Body(fields, files, as_form=True, pictured=(way.field,))


def _stems(pictures: Sequence[bytes]) -> list[tuple[str, bytes]]:
    return [(f"image-{number}", data) for number, data in enumerate(pictures, 1)]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
