"""What answers are made of: pictures, their encodings and addresses, and OpenAI's envelope."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tests.wire.pictures import media_type, wanted
from tests.wire.talking import Reply, Talk, json_reply

USAGE = {
    "total_tokens": 120,
    "input_tokens": 20,
    "output_tokens": 100,
    "input_tokens_details": {"text_tokens": 20, "image_tokens": 0},
}


def pictures(talk: Talk) -> list[bytes]:
    return wanted(talk.received, talk.number)


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes) -> str:
    return f"data:{media_type(data)};base64,{coded(data)}"


def listed(items: Sequence[Mapping[str, Any]], **more: Any) -> Reply:
    """OpenAI's envelope around `data[]`."""
    envelope = {"created": 1700000000, "data": list(items), "usage": USAGE, **more}
    return json_reply(envelope, x_request_id="req-paper-1")


def lay(talk: Talk, elsewhere: Any = None) -> list[str]:
    """Put the pictures of a call where they can be fetched; their addresses."""
    server = elsewhere or talk.server
    return [
        server.media(f"/media/{talk.number}-{index}.png", data)
        for index, data in enumerate(pictures(talk))
    ]
