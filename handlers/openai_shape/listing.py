"""What a server says of itself, for free: its list of models, and whether the key is good."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from handlers.answers.complaints import complaint_in, error_within, parsed
from handlers.answers.failures import failure_of, failure_within, http_of
from handlers.contract import HandlerError, Json
from handlers.openai_shape.addresses import models_address
from handlers.openai_shape.dialects import Dialect
from handlers.wire import Compute, Effect, Entry, HttpCall, HttpReply, Probe

_NOT_THERE = frozenset({404, 405})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_LONGEST = 200
"""Characters of a model's name that are kept."""

_ELSEWHERE = (
    "Check the base URL (with or without /v1): something else than the API answers there.",
    "A proxy or a login page may stand in between.",
)


def ask(entry: Entry, dialect: Dialect) -> Generator[Effect, Json, Probe]:
    """Ask for the key's worth, where that is a call of its own, and for the list of models.

    Raises:
        HandlerError: the server refused, or is none of that kind.
    """
    checked = False
    if dialect.key_check not in (None, dialect.models):
        reply = yield HttpCall("GET", models_address(entry, dialect, dialect.key_check or ""))
        checked = is_good_key(reply, entry.name)
    reply = yield HttpCall("GET", models_address(entry, dialect, dialect.models))
    probe: Probe = yield Compute(partial(read_models, reply, entry.name))
    checked = checked or (dialect.key_check == dialect.models and probe.models is not None)
    return replace(probe, are_all=dialect.models_are_all, checked_key=checked)


def is_good_key(reply: HttpReply, who: str) -> bool:
    """Whether an answer says that the key is good; False where the server does not say.

    Raises:
        HandlerError: it is not, or the server cannot answer now.
    """
    if reply.status in _NOT_THERE:
        return False
    if reply.status >= 300:
        raise failure_of(reply, who)
    return isinstance(parsed(reply.body), dict)


def read_models(reply: HttpReply, who: str) -> Probe:
    """The models of a list: `{"data": [{"id": ...}]}` as OpenAI has it, `{"models": [...]}`, or the
    list alone (Together).

    Raises:
        HandlerError: the server refused, or what answers is no API.
    """
    if reply.status in _NOT_THERE:
        return Probe(None)
    if reply.status >= 300:
        raise failure_of(reply, who)
    answer = parsed(reply.body)
    if answer is None:
        raise _no_api(reply, who)
    complaint = error_within(answer)
    if complaint is not None:
        raise failure_within(reply, complaint, who)
    listed = answer.get("data", answer.get("models")) if isinstance(answer, dict) else answer
    return Probe(_models(listed) if isinstance(listed, list) else None)


def _models(listed: Sequence[Json]) -> Mapping[str, str | None]:
    objects = [item if isinstance(item, dict) else {"id": item} for item in listed]
    return {
        item["id"][:_LONGEST]: _day(item.get("shutdown_date"))
        for item in objects
        if isinstance(item.get("id"), str)
    }


def _day(value: Json) -> str | None:
    return value if isinstance(value, str) and _DAY.fullmatch(value) else None


def _no_api(reply: HttpReply, who: str) -> HandlerError:
    """The failure of an answer that no such server gives."""
    what = "a web page" if complaint_in(reply.body).is_page else "no JSON"
    return HandlerError(
        "provider_failed",
        f"{who} answered with {what} where its list of models belongs",
        hints=_ELSEWHERE,
        retryable=False,
        http=http_of(reply),
    )
