"""Answers of a provider that repeats the keys that it was shown, wherever a key can stand.

Each is scripted at a path of its own, which a request names as its `endpoint`.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from tests.wire import answers, chats, failures, faults
from tests.wire.envelopes import coded, listed, pictures
from tests.wire.jobs import Job, relay_taken
from tests.wire.talking import Fault, Reply, Step, Talk, json_reply


def forms(key: str) -> dict[str, str]:
    """How a key may be spelled, by what spells it so."""
    percent = quote(key, safe="")
    return {
        "as it is": key,
        "in a URL": percent,
        "in a URL's path": quote(key),
        "in a URL, with small letters": "".join(
            f"%{part[:2].lower()}{part[2:]}" if number else part
            for number, part in enumerate(percent.split("%"))
        ),
        "in a query": quote_plus(key),
        "in JSON": json.dumps(key)[1:-1],
        "in HTML": html.escape(key),
        "in base64": base64.b64encode(key.encode()).decode(),
        "in base64, behind a name": base64.b64encode(f"name:{key}".encode()).decode(),
        "in base64, behind a word": base64.b64encode(f"Bearer {key}".encode()).decode(),
        "in base64 for URLs": base64.urlsafe_b64encode(key.encode()).decode(),
    }


def shown(talk: Talk) -> list[str]:
    """The keys that a call brought along."""
    found = (talk.received.key, talk.received.headers.get("x-team"))
    return [key for key in found if key]


def said(talk: Talk, form: str = "as it is") -> str:
    """Words with every key in them."""
    return " and ".join(["no good:", *(forms(key)[form] for key in shown(talk))])


def in_path(talk: Talk) -> str:
    return "-".join(forms(key)["in a URL"] for key in shown(talk))


# ---------------------------------------------------------------- refusals


def refusal(status: int, **more: Any) -> Step:
    """An error of OpenAI's shape that says the keys in each of its parts and in headers."""

    def reply(talk: Talk) -> Reply:
        error = {
            "message": said(talk), "type": said(talk), "code": said(talk),
            "param": shown(talk)[-1], **more,
        }  # fmt: skip
        headers = {
            "x_request_id": said(talk), "www_authenticate": said(talk), "retry_after_ms": "1"
        }  # fmt: skip
        return json_reply({"error": error, "user_id": said(talk)}, status, **headers)

    return reply


def spelled(form: str) -> Step:
    return lambda talk: failures.openai(400, said(talk, form), param=said(talk, form))


def cut(talk: Talk) -> Reply:
    """A message that is too long just where the key stands."""
    return failures.openai(400, "x" * 480 + talk.received.key)  # type: ignore[operator]


def cut_and_lost(talk: Talk) -> Reply:
    return failures.openai(502, "x" * 485 + shown(talk)[-1])


def fastapi(talk: Talk) -> Reply:
    return failures.fastapi(said(talk), *shown(talk))


def page(status: int) -> Step:
    return lambda talk: Reply(
        status,
        f"<html><title>{html.escape(said(talk))}</title>{said(talk)}</html>".encode(),
        {"content-type": "text/html"},
    )


def redirect(talk: Talk) -> Reply:
    key = in_path(talk)
    return faults.redirect(f"https://{key}.test/{key}?key={key}", 307)


# ---------------------------------------------------------------- answers that call themselves good


def chatty(talk: Talk) -> Reply:
    """A picture, and the keys beside it."""
    items = [{"b64_json": coded(data), "revised_prompt": said(talk)} for data in pictures(talk)]
    usage = {"total_tokens": 1, said(talk): [said(talk)]}
    return listed(items, model=said(talk), usage=usage).but(x_request_id=said(talk))


def typed(talk: Talk) -> Reply:
    """What is no picture, with the keys as its type."""
    items = [
        {"b64_json": coded(b"no picture " * 20), "media_type": f"image/{key}"}
        for key in shown(talk)
    ]
    return listed(items)


def raw(talk: Talk) -> Reply:
    return Reply(200, b"no picture", {"content-type": f"image/{shown(talk)[-1]}"})


def at_address(status: int, *, also_good: bool = False) -> Step:
    """Addresses with the keys in path and query, which answer with a status."""

    def reply(talk: Talk) -> Reply:
        key = in_path(talk)
        path = f"/media/{status}-{also_good}-{'-'.join(shown(talk))}.png"
        media = Reply(status, pictures(talk)[0], {"content-type": "image/png"})
        talk.server.always(media, path)
        addresses = [f"{talk.server.origin}/media/{status}-{also_good}-{key}.png?key={key}"]
        if also_good:
            addresses.append(talk.server.media("/media/good.png", pictures(talk)[0]))
        return listed([{"url": address} for address in addresses])

    return reply


def inward(talk: Talk) -> Reply:
    key = in_path(talk)
    return listed([{"url": f"http://127.0.0.1:1/{key}?key={key}"}, {"file_path": f"/{said(talk)}"}])


def taken(talk: Talk) -> Reply:
    """A job whose name, address, words and failure say the keys."""
    job = Job("-".join(shown(talk)), "relay", ("queued",), [], {})
    path = f"/v1/jobs/{job.id}"
    failed = {"status": "failed", "error": {"message": said(talk), "code": said(talk)}}
    talk.server.script(json_reply({"status": said(talk)}), json_reply(failed), at=path)
    poll = f"{talk.server.origin}/v1/jobs/{in_path(talk)}?key={in_path(talk)}"
    return json_reply({**relay_taken(job, talk), "poll_url": poll, "logs": said(talk)})


def story(talk: Talk) -> Reply:
    return chats.chat({"content": said(talk)})


def refused_chat(talk: Talk) -> Reply:
    return chats.chat({"content": None, "refusal": said(talk)})


def streamed(talk: Talk) -> Reply:
    error = {"message": said(talk), "type": "server_error", "code": said(talk)}
    return answers.stream(
        f"event: error\ndata: {json.dumps({'type': 'error', 'error': error})}\n\n"
    )


# ---------------------------------------------------------------- what is no answer


def sent(data: Callable[[Talk], str]) -> Step:
    """These very bytes, and the end of the connection."""

    def act(talk: Talk) -> None:
        talk.wire.send(data(talk).encode())
        talk.wire.finish()

    return Fault(act)


def headers_with(name: str) -> Step:
    return lambda talk: answers.b64()(talk).but(**{name: said(talk)})  # type: ignore[operator]


ECHOES: Mapping[str, Step] = {
    **{f"status-{status}": refusal(status) for status in (400, 401, 402, 403, 404, 422, 429, 451)},
    **{f"status-{status}": refusal(status) for status in (500, 501, 502, 503, 504, 529)},
    **{f"form-{number}": spelled(form) for number, form in enumerate(forms("x"))},
    "moderated": refusal(400, code="moderation_blocked"),
    "no-funds": refusal(429, code="insufficient_quota"),
    "cut": cut,
    "cut-and-lost": cut_and_lost,
    "fastapi": fastapi,
    "page-403": page(403),
    "page-502": page(502),
    "page-200": page(200),
    "plain": lambda talk: failures.plain(400, said(talk)),
    "redirect": redirect,
    "inside-200": refusal(200),
    "chatty": chatty,
    "typed": typed,
    "raw": raw,
    "address": at_address(200),
    "address-gone": at_address(404),
    "address-gone-for-one": at_address(404, also_good=True),
    "inward": inward,
    "job": taken,
    "chat": story,
    "chat-refused": refused_chat,
    "stream": streamed,
    "no-http": sent(lambda talk: said(talk) + "\r\n\r\n"),
    "no-status": sent(lambda talk: f"HTTP/1.1 {shown(talk)[0]} OK\r\n\r\n"),
    "no-header": sent(lambda talk: f"HTTP/1.1 200 OK\r\n{said(talk)}\r\n\r\n"),
    "no-length": sent(lambda talk: f"HTTP/1.1 200 OK\r\ncontent-length: {shown(talk)[0]}\r\n\r\n"),
    "no-chunks": sent(
        lambda talk: f"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{said(talk)}\r\n"
    ),
    "no-packing": headers_with("content_encoding"),
    "reset": faults.reset_after_request(),
}
"""Every way of repeating a key, by the last part of the path at which it is done."""
