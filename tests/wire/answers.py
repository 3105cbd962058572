"""The shapes in which media come back: each function gives an answer for `ProviderServer.script`.

The rows are those of the reference's table of return shapes; `GOOD` and `BAD` list them by name,
for tests that go through all.
"""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_from_bytes

from tests.wire import chats
from tests.wire.envelopes import USAGE, coded, data_url, lay, listed, pictures
from tests.wire.jobs import job
from tests.wire.talking import Answer, Reply, Talk, json_reply


def usual(path: str) -> Answer:
    """What a good server answers to a creating call at a path."""
    if path.endswith("/chat/completions"):
        return chats.chat_images()
    if "/videos" in path:
        return job("queued", "in_progress", "completed", style="openai")
    return b64()


# ---------------------------------------------------------------- data[]


def b64(**more: Any) -> Answer:
    """`b64_json` for each picture (row 8). `more` stands in each item."""
    return lambda talk: listed([{"b64_json": coded(data), **more} for data in pictures(talk)])


def b64_loose() -> Answer:
    """Base64 with line breaks, the alphabet of addresses and no padding (row 8)."""

    def reply(talk: Talk) -> Reply:
        loose = [
            base64.encodebytes(data).decode().rstrip("=\n").replace("+", "-").replace("/", "_")
            for data in pictures(talk)
        ]
        return listed([{"b64_json": text} for text in loose])

    return reply


def b64_data_url() -> Answer:
    """`b64_json` that holds a whole data URL (row 8)."""
    return lambda talk: listed([{"b64_json": data_url(data)} for data in pictures(talk)])


def out_of_order() -> Answer:
    """Items with an `index`, the last one first, as Together sends them (row 10)."""

    def reply(talk: Talk) -> Reply:
        items = [
            {"index": index, "type": "b64_json", "b64_json": coded(data)}
            for index, data in enumerate(pictures(talk))
        ]
        return listed(items[::-1])

    return reply


def revised(prompt: str = "a fox, revised") -> Answer:
    """With the prompt that was really used (row 10)."""
    return b64(revised_prompt=prompt)


def fewer() -> Answer:
    """One picture less than was asked for (row 10)."""
    return lambda talk: listed([{"b64_json": coded(data)} for data in pictures(talk)[:-1]])


def url(elsewhere: Any = None) -> Answer:
    """Addresses, on this server or on another one (rows 1, 2 and 4)."""
    return lambda talk: listed([{"url": address} for address in lay(talk, elsewhere)])


def url_to(*addresses: str) -> Answer:
    """These very addresses, whatever they are."""
    return lambda _: listed([{"url": address} for address in addresses])


def relative() -> Answer:
    """Paths of this server's own (row 3)."""

    def reply(talk: Talk) -> Reply:
        paths = [address.removeprefix(talk.server.origin) for address in lay(talk)]
        return listed([{"url": path} for path in paths])

    return reply


def schemeless() -> Answer:
    """Addresses that begin with two slashes (row 3)."""

    def reply(talk: Talk) -> Reply:
        return listed([{"url": address.partition(":")[2]} for address in lay(talk)])

    return reply


def in_data_url() -> Answer:
    """Data URLs as `url` (row 7)."""
    return lambda talk: listed([{"url": data_url(data)} for data in pictures(talk)])


def in_percent_data_url() -> Answer:
    """Data URLs without base64 (row 7)."""

    def reply(talk: Talk) -> Reply:
        return listed([
            {"url": f"data:image/png,{quote_from_bytes(data)}"} for data in pictures(talk)
        ])  # fmt: skip

    return reply


# ---------------------------------------------------------------- other envelopes


def images_objects() -> Answer:
    """`images[]` of objects with an address, as fal sends them (row 11)."""

    def reply(talk: Talk) -> Reply:
        size = {"content_type": "image/png", "width": 64, "height": 48}
        return json_reply({"images": [{"url": url, **size} for url in lay(talk)], "seed": 7})

    return reply


def images_strings() -> Answer:
    """`images[]` of bare base64, as AUTOMATIC1111 sends them (rows 9 and 11)."""
    return lambda talk: json_reply({
        "images": [coded(data) for data in pictures(talk)], "parameters": {}, "info": "{}",
    })  # fmt: skip


def output_list() -> Answer:
    """`output`, a list of addresses, as Replicate sends it (row 13)."""
    return lambda talk: json_reply({"id": "p1", "status": "succeeded", "output": lay(talk)})


def output_nested() -> Answer:
    """`output` with lists in objects, beside addresses that are none of media (row 13)."""

    def reply(talk: Talk) -> Reply:
        urls = {"get": f"{talk.server.origin}/p1", "cancel": f"{talk.server.origin}/p1/cancel"}
        output = {"frames": [[address] for address in lay(talk)], "logs": "100%"}
        return json_reply({"status": "succeeded", "output": output, "urls": urls, "input": {}})

    return reply


def binary(content_type: str = "image/png") -> Answer:
    """The picture itself as the body (rows 20 and 21); an empty type leaves the header out."""
    return lambda talk: Reply(200, pictures(talk)[0], {"content-type": content_type})


def typed_json() -> Answer:
    """JSON with a parameter in its type (row 22)."""
    return lambda talk: talk.render(b64()).but(content_type="application/json; type=image/png")


# ---------------------------------------------------------------- event streams


def event(name: str, **fields: Any) -> str:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n"


def stream(*events: str) -> Reply:
    """Server-sent events, with a comment before and `[DONE]` behind."""
    text = ": a comment\n\n" + "".join(events) + "data: [DONE]\n\n"
    return Reply(200, text.encode(), {"content-type": "text/event-stream; charset=utf-8"})


def sse() -> Answer:
    """A partial picture, then the whole ones (row 24)."""

    def reply(talk: Talk) -> Reply:
        made = pictures(talk)
        kind = "image_edit" if "edits" in talk.received.path else "image_generation"
        usual = {"created_at": 1700000000, "size": "64x48", "quality": "low"}
        usual |= {"background": "opaque", "output_format": "png"}
        partial = event(
            f"{kind}.partial_image", b64_json=coded(made[0]), partial_image_index=0, **usual
        )
        whole = [event(f"{kind}.completed", b64_json=coded(d), usage=USAGE, **usual) for d in made]
        return stream(partial, *whole)

    return reply


def sse_error() -> Answer:
    """An error in the middle of a stream (row 24)."""
    error = {"message": "The server had an error", "type": "server_error", "code": None}
    return stream(f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n")


# ---------------------------------------------------------------- 200, and yet no good


def empty_data() -> Answer:
    """No item at all."""
    return listed([])


def no_data() -> Answer:
    """Not even the list, which OpenAI's schema allows."""
    return json_reply({"created": 1700000000})


def filtered() -> Answer:
    """A placeholder that says of itself that it is one, as xAI's (row 28)."""
    return b64(respect_moderation=False)


def no_picture() -> Answer:
    """Base64 of what is no picture."""
    return listed([{"b64_json": coded(b"this is no picture " * 9)}])


def no_base64() -> Answer:
    """What is no base64 either."""
    return listed([{"b64_json": "!!! not base64 !!!"}])


def local_path() -> Answer:
    """A path on the server's own disk, as SGLang sends it (row 5)."""
    return listed([{"file_path": "/srv/outputs/1.png"}])


def bucket() -> Answer:
    """An address that only Google's credentials open (row 6)."""
    return listed([{"url": "gs://bucket/1.png"}])


def html() -> Answer:
    """A page, with 200 (row 30)."""
    page = b"<!doctype html><html><title>Sign in</title><body>Sign in to go on</body></html>"
    return Reply(200, page, {"content-type": "text/html; charset=utf-8"})


def torn_json() -> Answer:
    """JSON that ends in the middle, though the length is true."""
    return Reply(200, b'{"created": 1700000000, "data": [{"b64_', {"content-type": JSON})


def nothing() -> Answer:
    """A body of zero bytes."""
    return Reply(200, b"", {"content-type": JSON})


JSON = "application/json"

GOOD: dict[str, Answer] = {
    make.__name__: make()
    for make in (
        b64, b64_loose, b64_data_url, out_of_order, revised, url, relative, schemeless,
        in_data_url, in_percent_data_url, images_objects, images_strings, output_list,
        output_nested, binary, typed_json, chats.chat_images, chats.chat_image_strings, chats.chat_parts,
        chats.chat_markdown, chats.chat_markdown_data, chats.chat_html, chats.chat_bare, chats.chat_json, sse,
    )
}  # fmt: skip
"""Every shape that holds pictures, by name; those that name no number of them hold one."""

BAD: dict[str, Answer] = {
    make.__name__: make()
    for make in (
        empty_data, no_data, filtered, no_picture, no_base64, local_path, bucket, html,
        chats.chat_refusal, torn_json, nothing, sse_error,
    )
}  # fmt: skip
"""Every 200 that holds none. Those with an error inside are in `failures.INSIDE_200`."""
