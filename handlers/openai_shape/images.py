"""Calls that make or edit pictures, phrased for each kind of server."""

from __future__ import annotations

import base64
from dataclasses import replace

from handlers.contract import Call, Json
from handlers.openai_shape.addresses import address_for, own_path
from handlers.openai_shape.asking import Asked, Body, model_of, posted, refuse
from handlers.openai_shape.chat import chat_body
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.fields import given, known, phrased
from handlers.openai_shape.pictures import (
    data_urls,
    fitted,
    mask_of,
    mask_part,
    picture_parts,
    pictures_of,
)
from handlers.wire import Entry, HttpCall

CHAT = "/chat/completions"
_INPAINTED = frozenset({"prompt"})
"""What LocalAI's inpainting takes beside its files: `core/http/endpoints/openai/inpainting.go`."""


def image_call(entry: Entry, dialect: Dialect, call: Call) -> tuple[HttpCall, Asked]:
    """The call that makes pictures, or edits the ones that go along.

    Raises:
        HandlerError: `not_supported`: this server cannot do that; `too_large`: a picture cannot be
            made to fit.
    """
    path, body = _body(entry, dialect, call)
    if call.endpoint is not None:
        path = own_path(call.endpoint)
    asked = Asked(
        entry,
        dialect,
        "image",
        model=model_of(call),
        prompt=call.fields.get("prompt"),
        wanted=call.fields.get("n", 1),
        warnings=body.warnings,
        left_out=body.left_out,
        sent=body.sent(call.extra),
        status_path=entry.options.get("status_path", dialect.job),
    )
    url = address_for(entry, dialect, path, asked.model)
    return posted(entry, call, url, body, "image"), asked


def _body(entry: Entry, dialect: Dialect, call: Call) -> tuple[str, Body]:
    """Where a call goes, and its body."""
    key = _reference_key(entry, dialect, call)
    if key is not None:
        path, body = _body(entry, dialect, replace(call, inputs={}))
        return path, _with_references(dialect, body, key, pictures_of(call))
    if is_chat(entry, call):
        return CHAT, chat_body(dialect, call)
    pictures, mask = pictures_of(call), mask_of(call)
    _check(dialect, call, pictures, mask)
    if mask is not None and not _reads_mask(dialect, pictures):
        path, body = _edit(dialect, call, pictures, None)
        return path, replace(body, left_out=("mask",))
    return _edit(dialect, call, pictures, mask)


def is_chat(entry: Entry, call: Call) -> bool:
    """Whether pictures are asked for in a chat: the entry says so, or the endpoint does."""
    if call.endpoint is not None:
        return call.endpoint.split("?")[0].endswith(CHAT)
    return entry.options.get("images") == "chat"


def _reference_key(entry: Entry, dialect: Dialect, call: Call) -> str | None:
    """The field in which the references of a generation go along, beside the prompt: the one that
    the caller names, or that of a server of which nobody knows another way. None for a server that
    has its own."""
    if call.operation != "generate_image" or not pictures_of(call):
        return None
    key = call.fields.get("reference_key")
    if isinstance(key, str):
        return key
    has_own = dialect.references_edit or dialect.edits is None or is_chat(entry, call)
    return None if has_own else "reference_images"


def _check(dialect: Dialect, call: Call, pictures: list[bytes], mask: bytes | None) -> None:
    most = dialect.most_pictures
    if pictures and dialect.edits is None:
        raise refuse(dialect, "pictures along with the prompt")
    if most is not None and len(pictures) > most:
        raise refuse(dialect, f"more than {most} pictures", "Give fewer pictures.")
    if not pictures and (call.operation == "edit_image" or mask is not None):
        raise refuse(dialect, "edit without a picture", "Name the picture to edit.")


def _reads_mask(dialect: Dialect, pictures: list[bytes]) -> bool:
    """Whether a mask may go along; LocalAI's inpainting knows one picture only."""
    return dialect.mask is not None and (dialect.edits != "localai" or len(pictures) == 1)


def _edit(
    dialect: Dialect, call: Call, pictures: list[bytes], mask: bytes | None
) -> tuple[str, Body]:
    """Where a call with these pictures goes, and its body."""
    edit = dialect.edit or dialect.generate
    if not pictures:
        return dialect.generate, _generate(dialect, call)
    if dialect.edits == "xai":
        return edit, _xai(dialect, call, pictures)
    if dialect.edits == "references":
        return edit, _input_references(dialect, call, pictures)
    if dialect.edits == "localai":
        if mask is None:
            return dialect.generate, _localai(dialect, call, pictures)
        return edit, _inpainting(dialect, call, pictures, mask)
    fields, warnings = phrased(dialect, call)
    return edit, _form(dialect, fields, warnings, pictures, mask)


def _generate(dialect: Dialect, call: Call) -> Body:
    fields, warnings = phrased(dialect, call)
    return Body(fields, warnings=tuple(warnings))


def _with_references(dialect: Dialect, body: Body, key: str, pictures: list[bytes]) -> Body:
    """A generation with references beside it, as data URLs."""
    sent = fitted(dialect, pictures, as_text=True)
    return replace(
        body,
        fields={**body.fields, key: data_urls(sent.pictures)},
        pictured=(key,),
        warnings=body.warnings + sent.warnings,
    )


def _xai(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    fields, warnings = phrased(dialect, call)
    sent = fitted(dialect, pictures, as_text=True)
    named: list[Json] = [{"url": url, "type": "image_url"} for url in data_urls(sent.pictures)]
    held = {"image": named[0]} if len(named) == 1 else {"images": named}
    return _with(fields, held, (*warnings, *sent.warnings))


def _input_references(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    fields, warnings = phrased(dialect, call)
    sent = fitted(dialect, pictures, as_text=True)
    held = [{"type": "image_url", "image_url": {"url": url}} for url in data_urls(sent.pictures)]
    return _with(fields, {"input_references": held}, (*warnings, *sent.warnings))


def _localai(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    """A picture to begin with is `file`, and all others are `ref_images`; as bare base64."""
    fields, warnings = phrased(dialect, call)
    sent = fitted(dialect, pictures, as_text=True)
    encoded = [base64.b64encode(data).decode() for data in sent.pictures]
    first = encoded[: len(call.inputs.get("image", ()))][:1]
    held: dict[str, Json] = {"file": first[0]} if first else {}
    others = encoded[len(first) :]
    if others:
        held["ref_images"] = others
    return _with(fields, held, (*warnings, *sent.warnings))


def _inpainting(dialect: Dialect, call: Call, pictures: list[bytes], mask: bytes) -> Body:
    """LocalAI's inpainting, which takes hardly a field, and its prompt as it is."""
    fields, warnings = known(given(call), _INPAINTED, f"the inpainting of {dialect.title}")
    model = {"model": call.model} if call.model is not None else {}
    return _form(dialect, {**model, **fields}, warnings, pictures, mask)


def _form(
    dialect: Dialect,
    fields: dict[str, Json],
    warnings: list[str],
    pictures: list[bytes],
    mask: bytes | None,
) -> Body:
    """Pictures and mask as files of a form."""
    sent = fitted(dialect, pictures, as_text=False, mask=mask)
    files = picture_parts(sent.pictures, dialect.one_picture)
    pictured = (files[0].name,)
    if sent.mask is not None:
        files.append(mask_part(dialect.mask_name, sent.mask))
    return Body(
        fields, files, as_form=True, pictured=pictured, warnings=(*warnings, *sent.warnings)
    )


def _with(fields: dict[str, Json], held: dict[str, Json], warnings: tuple[str, ...]) -> Body:
    """Fields, and those that hold pictures."""
    return Body({**fields, **held}, pictured=tuple(held), warnings=warnings)
