"""Drives a provider as the daemon does, with replies out of a list, and helpers for its tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import pytest

from daemon.testing import tiny_image
from handlers.contract import Call, HandlerError, Medium, Outcome
from handlers.providers.openai import OpenAIShaped, adapter
from handlers.wire import Compute, Entry, HttpCall, HttpReply, Pending, Ticket

PNG = tiny_image()
B64 = base64.b64encode(PNG).decode()
GOOD = {"created": 1, "data": [{"b64_json": B64}]}


def reply(
    body: Any = None, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpReply:
    """A reply; what is not bytes becomes JSON."""
    if isinstance(body, bytes):
        return HttpReply(status, headers or {}, body)
    return HttpReply(
        status, {"content-type": "application/json", **(headers or {})}, json.dumps(body).encode()
    )


def entry(base_url: str = "https://relay.example/v1", **more: Any) -> Entry:
    return Entry(more.pop("name", "relay"), base_url, more.pop("api", "openai"), **more)


def provider(base_url: str = "https://relay.example/v1", **more: Any) -> OpenAIShaped:
    made = adapter().provider(entry(base_url, **more))
    assert isinstance(made, OpenAIShaped)
    return made


def call(operation: str = "generate_image", *, inputs: Any = None, **more: Any) -> Call:
    """A call: `fields` by name, and `inputs` as bytes by the name of their field."""
    own = ("model", "endpoint", "extra", "idempotency_key")
    lower = {name: more.pop(name) for name in own if name in more}
    fields = {"prompt": "a lighthouse", **more}
    media = {
        name: [Medium(data) for data in ([held] if isinstance(held, bytes) else held)]
        for name, held in (inputs or {}).items()
    }
    return Call(operation, fields, media, **lower)


def drive(
    effects: Generator[Any, Any, Any], replies: Sequence[HttpReply] = ()
) -> tuple[Any, list[HttpCall]]:
    """What a provider returns, and what it sent on the way."""
    sent: list[HttpCall] = []
    waiting = list(replies)
    answer: Any = None
    fault: Exception | None = None
    while True:
        try:
            effect = effects.throw(fault) if fault is not None else effects.send(answer)
        except StopIteration as end:
            return end.value, sent
        answer, fault = None, None
        if isinstance(effect, Compute):
            try:
                answer = effect.function()
            except Exception as error:
                fault = error
        else:
            sent.append(effect)
            answer = waiting.pop(0)


def sent_by(made: OpenAIShaped, asked: Call, body: Any = None) -> HttpCall:
    """What a provider sends for a call."""
    _, (sent,) = drive(made.submit(asked), [reply(GOOD if body is None else body)])
    return sent


def outcome_of(body: Any, *, status: int = 200, headers: Any = None, **more: Any) -> Outcome:
    """What an answer to a call for pictures comes to, of a server that nobody knows."""
    answer, _ = drive(provider().submit(call(**more)), [reply(body, status, headers)])
    assert isinstance(answer, Outcome)
    return answer


def failure_of(body: Any, *, status: int = 200, headers: Any = None, **more: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        drive(provider().submit(call(**more)), [reply(body, status, headers)])
    return caught.value


def polled(made: OpenAIShaped, ticket: Ticket, answer: HttpReply) -> Outcome | Pending:
    """What one poll comes to."""
    result, (sent,) = drive(made.resume(ticket), [answer])
    assert (sent.method, sent.creates) == ("GET", None)
    assert isinstance(result, (Outcome, Pending))
    return result
