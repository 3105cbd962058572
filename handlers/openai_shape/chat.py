"""Pictures asked for in a chat: `POST /chat/completions` with `modalities`.

The form is OpenRouter's and that of the gateways that relay Gemini; a model that makes nothing but
pictures must not be asked for text.
"""

from __future__ import annotations

from collections.abc import Sequence

from handlers.contract import Call, Json
from handlers.openai_shape.asking import Body
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.fields import given, left_out
from handlers.openai_shape.pictures import data_urls, fitted, mask_of, pictures_of

_PICTURES_ONLY = ("black-forest-labs/", "sourceful/")
"""How the names of models begin that make pictures alone."""
_KNOWN = frozenset({"prompt", "aspect_ratio", "seed"})


def chat_body(dialect: Dialect, call: Call) -> Body:
    """The body of a chat that is to make one picture. A mask has no place in it, and is left out.

    Raises:
        HandlerError: `too_large`: a picture cannot be made to fit.
    """
    fields = given(call)
    sent = fitted(dialect, pictures_of(call), as_text=True)
    body: dict[str, Json] = {"model": call.model} if call.model is not None else {}
    body["messages"] = [{"role": "user", "content": _content(call, sent.pictures)}]
    only = (call.model or "").startswith(_PICTURES_ONLY)
    body["modalities"] = ["image"] if only else ["image", "text"]
    if "aspect_ratio" in fields:
        body["image_config"] = {"aspect_ratio": fields["aspect_ratio"]}
    if "seed" in fields:
        body["seed"] = fields["seed"]
    unknown = {name for name in fields.keys() - _KNOWN if (name, fields[name]) != ("n", 1)}
    return Body(
        body,
        pictured=("image_url",) if sent.pictures else (),
        warnings=(*left_out("a chat", unknown), *sent.warnings),
        left_out=("mask",) if mask_of(call) is not None else (),
    )


def _content(call: Call, pictures: Sequence[bytes]) -> Json:
    prompt = call.fields.get("prompt", "")
    if not pictures:
        return prompt
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in data_urls(pictures)]
    return [{"type": "text", "text": prompt}, *parts]
