"""Pictures inside of chat completions: answers for `ProviderServer.script`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.wire.envelopes import data_url, lay, pictures
from tests.wire.talking import Answer, Reply, Talk, json_reply


def chat(message: Mapping[str, Any]) -> Reply:
    """A chat completion with one message."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return json_reply({
        "id": "gen-1", "object": "chat.completion", "created": 1700000000, "model": "paper-1",
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30},
    })  # fmt: skip


def image_part(address: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": address}}


def chat_images() -> Answer:
    """`message.images[]` with data URLs (row 14)."""
    return lambda talk: chat({
        "content": "Here you are.",
        "images": [image_part(data_url(data)) for data in pictures(talk)],
    })  # fmt: skip


def chat_image_strings() -> Answer:
    """The same with `image_url` as plain text (row 14)."""
    return lambda talk: chat({
        "content": "", "images": [
            {"type": "image_url", "image_url": data_url(data)} for data in pictures(talk)
        ],
    })  # fmt: skip


def chat_parts() -> Answer:
    """`content` as a list of parts (row 15)."""
    return lambda talk: chat({
        "content": [
            {"type": "text", "text": "Here you are."},
            *(image_part(data_url(data)) for data in pictures(talk)),
        ]
    })  # fmt: skip


def chat_markdown() -> Answer:
    """Addresses in Markdown, with a title and an escaped look (row 16)."""
    return lambda talk: chat({
        "content": "\n\n".join(f'![a fox (red)]({url} "a fox")' for url in lay(talk))
    })  # fmt: skip


def chat_markdown_data() -> Answer:
    """Data URLs in Markdown (row 16)."""
    return lambda talk: chat({
        "content": "\n".join(f"![fox]({data_url(data)})" for data in pictures(talk))
    })  # fmt: skip


def chat_html() -> Answer:
    """Pictures in HTML (row 17)."""
    return lambda talk: chat({
        "content": "".join(f'<p><img src="{url}?a=1&amp;b=2" alt="fox"></p>' for url in lay(talk))
    })  # fmt: skip


def chat_bare() -> Answer:
    """An address in a sentence, with a full stop behind it (row 18)."""
    return lambda talk: chat({"content": f"Your picture is at {lay(talk)[0]}."})


def chat_json() -> Answer:
    """JSON in a fence in text (row 19)."""

    def reply(talk: Talk) -> Reply:
        inner = json.dumps({"data": [{"url": address} for address in lay(talk)]})
        return chat({"content": f"Done:\n```json\n{inner}\n```\n"})

    return reply


def chat_refusal() -> Answer:
    """Text only: the model would not."""
    return chat({"content": "I can't make that picture."})
