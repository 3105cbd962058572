"""Calls that make or edit pictures, phrased for each kind of server."""

from __future__ import annotations

import base64

from handlers.contract import Call, Json
from handlers.openai_shape.addresses import address_for, own_path
from handlers.openai_shape.asking import Asked, Body, model_of, posted, refuse
from handlers.openai_shape.chat import chat_body
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.fields import phrased
from handlers.openai_shape.pictures import (
    data_urls,
    mask_of,
    mask_part,
    picture_parts,
    pictures_of,
)
from handlers.wire import Entry, HttpCall

CHAT = "/chat/completions"


def image_call(entry: Entry, dialect: Dialect, call: Call) -> tuple[HttpCall, Asked]:
    """The call that makes pictures, or edits the ones that go along.

    Raises:
        HandlerError: `not_supported`: this server cannot do that.
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
        status_path=entry.options.get("status_path", dialect.job),
    )
    url = address_for(entry, dialect, path, asked.model)
    return posted(entry, call, url, body, "image"), asked


def _body(entry: Entry, dialect: Dialect, call: Call) -> tuple[str, Body]:
    """Where a call goes, and its body."""
    if is_chat(entry, call):
        return CHAT, chat_body(dialect, call)
    pictures, mask = pictures_of(call), mask_of(call)
    _check(dialect, call, pictures, mask)
    if not pictures:
        return dialect.generate, _generate(dialect, call)
    if call.operation == "generate_image" and not dialect.references_edit:
        return dialect.generate, _with_references(dialect, call, pictures)
    if dialect.edits == "xai":
        return dialect.edit or dialect.generate, _xai(dialect, call, pictures)
    if dialect.edits == "references":
        return dialect.generate, _input_references(dialect, call, pictures)
    if dialect.edits == "localai" and mask is None:
        return dialect.generate, _localai(dialect, call, pictures)
    return dialect.edit or dialect.generate, _form(dialect, call, pictures, mask)


def is_chat(entry: Entry, call: Call) -> bool:
    """Whether pictures are asked for in a chat: the entry says so, or the endpoint does."""
    if call.endpoint is not None:
        return call.endpoint.split("?")[0].endswith(CHAT)
    return entry.options.get("images") == "chat"


def _check(dialect: Dialect, call: Call, pictures: list[bytes], mask: bytes | None) -> None:
    most = dialect.most_pictures
    if pictures and dialect.edits is None:
        raise refuse(dialect, "pictures along with the prompt")
    if mask is not None and dialect.mask is None:
        raise refuse(dialect, "masks")
    if most is not None and len(pictures) > most:
        raise refuse(dialect, f"more than {most} pictures", "Give fewer pictures.")
    if not pictures and (call.operation == "edit_image" or mask is not None):
        raise refuse(dialect, "edit without a picture", "Name the picture to edit.")


def _generate(dialect: Dialect, call: Call) -> Body:
    fields, warnings = phrased(dialect, call)
    return Body(fields, warnings=tuple(warnings))


def _with_references(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    """References as data URLs, under the key that the caller chose."""
    fields, warnings = phrased(dialect, call)
    key = call.fields.get("reference_key", "reference_images")
    return Body({**fields, key: data_urls(pictures)}, warnings=tuple(warnings))


def _xai(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    fields, warnings = phrased(dialect, call)
    named: list[Json] = [{"url": url, "type": "image_url"} for url in data_urls(pictures)]
    held = {"image": named[0]} if len(named) == 1 else {"images": named}
    return Body({**fields, **held}, warnings=tuple(warnings))


def _input_references(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    fields, warnings = phrased(dialect, call)
    held = [{"type": "image_url", "image_url": {"url": url}} for url in data_urls(pictures)]
    return Body({**fields, "input_references": held}, warnings=tuple(warnings))


def _localai(dialect: Dialect, call: Call, pictures: list[bytes]) -> Body:
    """A picture to begin with is `file`, and all others are `ref_images`; as bare base64."""
    fields, warnings = phrased(dialect, call)
    encoded = [base64.b64encode(data).decode() for data in pictures]
    first = encoded[: len(call.inputs.get("image", ()))][:1]
    held: dict[str, Json] = {"file": first[0]} if first else {}
    others = encoded[len(first) :]
    if others:
        held["ref_images"] = others
    return Body({**fields, **held}, warnings=tuple(warnings))


def _form(dialect: Dialect, call: Call, pictures: list[bytes], mask: bytes | None) -> Body:
    """Pictures and mask as files of a form."""
    fields, warnings = phrased(dialect, call)
    if dialect.edits == "localai" and len(pictures) > 1:
        raise refuse(dialect, "mask for several pictures", "Give one picture and its mask.")
    files = picture_parts(pictures, dialect.one_picture)
    if mask is not None and dialect.mask is not None:
        part, told = mask_part(mask, pictures[0], dialect.mask)
        files.append(part)
        warnings += told
    return Body(fields, files, as_form=True, warnings=tuple(warnings))
