"""Answers, read: media, or a job to ask for again, or the failure that an answer is.

What calls itself a success and holds no picture is a failure all the same, and one that is never
sent again: it may have been paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from handlers.answers.blame import blamed
from handlers.answers.complaints import as_json, complaint_of_job, error_within, parsed
from handlers.answers.encoded import sniff
from handlers.answers.failures import failure_of, failure_within, request_id
from handlers.answers.media import Found, absolute, media_of
from handlers.answers.statuses import MODERATED, goes_on, plain, standing_of, status_word
from handlers.answers.streams import final_answer
from handlers.answers.waits import wait_of
from handlers.contract import Json, Medium, Outcome
from handlers.openai_shape.addresses import address_for, rooted, with_id
from handlers.openai_shape.asking import Asked
from handlers.openai_shape.cancelling import cancel_state
from handlers.openai_shape.nothing import no_answer, no_media, nothing_in
from handlers.wire import HttpReply, Ticket

_IDS = ("id", "job_id", "task_id", "request_id", "prediction_id", "generation_id")
_STATUS_URLS = ("polling_url", "status_url", "poll_url", "retrieve_url")
_MOST_USAGE = 2000
"""Characters of `usage` that are kept; more is no count of anything."""
_EVENTS = (b"event:", b"data: {", b"data:{")
"""How a stream of events begins that does not say by its type what it is."""
_MOST_TEXT = 2000
"""Characters of a prompt that was changed that are kept."""


@dataclass(frozen=True, slots=True)
class Job:
    """What an answer says of the job that it is about."""

    name: str | None
    url: str | None
    """Where it is asked for, as it stands there."""
    places: tuple[Mapping[str, Json], ...]
    """The objects in which more of it may stand."""


def read(reply: HttpReply, asked: Asked) -> Outcome | Ticket:
    """What an answer to a call that creates comes to; for a worker thread, as it may be large.

    Raises:
        HandlerError: the call was refused, or the answer is no good.
    """
    if reply.status >= 300:
        raise failure_of(reply, asked.entry.name, asked.sent)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    check(reply, answer, asked)
    found = media_of(answer, rooted(asked.entry.base_url), asked.kind)
    ticket = ticket_of(reply, answer, asked)
    ready = bool(found.media) and not goes_on(status_word(answer)) and reply.status != 202
    if ticket is not None and not ready and not found.withheld:
        return ticket
    return outcome_of(reply, answer, found, asked)


def binary(reply: HttpReply) -> Medium | None:
    """The medium that a body is, by its own type or by how it begins."""
    named = main_type(reply.headers)
    sniffed = sniff(reply.body)
    if not reply.body or (sniffed is None and not named.startswith(("image/", "video/"))):
        return None
    return Medium(reply.body, media_type=sniffed or named)


def main_type(headers: Mapping[str, str]) -> str:
    """The media type of a body without its parameters; "" where it has none."""
    return headers.get("content-type", "").split(";")[0].strip().lower()


def answer_of(reply: HttpReply, asked: Asked) -> Json:
    """The answer of a body: JSON, the end of a stream of events, or plain text.

    Raises:
        HandlerError: `provider_failed`: it is something else; `no_media`: it is empty.
    """
    body = reply.body.strip()
    if not body and reply.status != 202:
        raise no_media(reply, "nothing", asked)
    if main_type(reply.headers) == "text/event-stream" or body.startswith(_EVENTS):
        return final_answer(body)
    answer = parsed(body)
    if answer is not None or body == b"null":
        return answer
    if body.startswith(b"{") or main_type(reply.headers) == "application/json":
        raise no_answer(reply, "JSON that is damaged or cut short", asked)
    if b"<html" in body[:2000].lower() or b"<!doctype html" in body[:200].lower():
        raise no_answer(reply, "a web page where an answer belongs", asked)
    return body.decode("utf-8", "replace")


def check(reply: HttpReply, answer: Json, asked: Asked) -> None:
    """Look for a failure inside of an answer that calls itself a success.

    Raises:
        HandlerError: it holds one.
    """
    word = status_word(answer)
    standing = standing_of(word) if word is not None else None
    complaint = None if goes_on(word) else error_within(answer)
    if complaint is not None:
        raise failure_within(reply, blamed(complaint, asked.sent), asked.entry.name)
    if word is not None and standing in ("failed", "cancelled"):
        told = complaint_of_job(answer)
        told = replace(
            told,
            message=told.message or f"the job is {plain(word)}",
            flagged=told.flagged or plain(word) in MODERATED,
        )
        raise failure_within(reply, told, asked.entry.name)


def job_in(reply: HttpReply, answer: Json) -> Job:
    """What an answer says of a job, by the keys and headers that providers use."""
    places = [answer, *(answer.get(name) for name in ("data", "task"))] if _is(answer) else []
    objects = [place for place in places if isinstance(place, dict)]
    name = next((found for place in objects if (found := _first(place, _IDS))), None)
    url = next((found for place in objects if (found := _status_url(place))), None)
    if reply.status == 202:
        url = url or reply.headers.get("operation-location") or reply.headers.get("location")
    return Job(name, url, tuple(objects))


def ticket_of(reply: HttpReply, answer: Json, asked: Asked) -> Ticket | None:
    """The job that an answer is about, if it is about one."""
    job = job_in(reply, answer)
    is_job = job.url or reply.status == 202 or status_word(answer) or asked.kind == "video"
    if not is_job or not (job.name or job.url):
        return None
    url = job.url
    if url is None:
        path = with_id(asked.status_path or asked.dialect.job, job.name or "")
        url = address_for(asked.entry, asked.dialect, path, asked.model)
    url = absolute(rooted(asked.entry.base_url), url)
    return ticket_for(job, url, reply, answer, asked)


def ticket_for(job: Job, url: str, reply: HttpReply, answer: Json, asked: Asked) -> Ticket:
    """The ticket of a job that is asked for at an address."""
    return Ticket(
        job.name or url[:200],
        status_url=url,
        state={
            "kind": asked.kind,
            "wanted": asked.wanted,
            "warnings": list(asked.warnings),
            "left_out": list(asked.left_out),
            **cancel_state(job.places, asked.entry.base_url),
        },
        model=_model(answer, asked),
        wait=wait_of(reply, answer),
    )


def outcome_of(reply: HttpReply, answer: Json, found: Found, asked: Asked) -> Outcome:
    """The outcome that an answer is, with all that should be said beside it.

    Raises:
        HandlerError: there is nothing in it that could be saved.
    """
    if not found.media:
        raise nothing_in(reply, answer, found, asked)
    changed = dict.fromkeys(text[:_MOST_TEXT] for text in found.prompts if text != asked.prompt)
    told = [f"the provider changed the prompt to: {text}" for text in changed]
    if found.withheld:
        told.append(f"the provider's moderation withheld {found.withheld} of what it made")
    if found.broken:
        told.append(f"{found.broken} of what the provider answered with is no base64")
    elif len(found.media) < asked.wanted and not found.references and not found.withheld:
        told.append(f"asked for {asked.wanted}, but the provider made {len(found.media)}")
    media_type = _declared(answer)
    return Outcome(
        tuple(replace(one, media_type=one.media_type or media_type) for one in found.media),
        model=_model(answer, asked),
        usage=_usage(reply, answer),
        warnings=(*asked.warnings, *told),
        references=tuple(found.references),
        left_out=asked.left_out,
    )


def _status_url(place: Mapping[str, Json]) -> str | None:
    urls = place.get("urls")
    return _first(place, _STATUS_URLS) or (_first(urls, ("get",)) if _is(urls) else None)


def _first(place: Mapping[str, Json], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = place.get(name)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()[:2000]
    return None


def _model(answer: Json, asked: Asked) -> str | None:
    told = answer.get("model") if _is(answer) else None
    return told[:200] if isinstance(told, str) and told else asked.model


def _declared(answer: Json) -> str | None:
    told = answer.get("output_format") if _is(answer) else None
    return f"image/{told}" if told in ("png", "jpeg", "webp") else None


def _usage(reply: HttpReply, answer: Json) -> Mapping[str, Json] | None:
    """What the provider counted, and its name for the exchange."""
    told = answer.get("usage") if _is(answer) else None
    counted = told if _is(told) and 0 < len(as_json(told)) <= _MOST_USAGE else {}
    outputs = answer.get("outputs") if _is(answer) else None
    cost = outputs.get("cost") if _is(outputs) else None  # as Together has it, of a clip
    if isinstance(cost, (int, float)) and not isinstance(cost, bool):
        counted = {"cost": cost, **counted}
    known_as = request_id(reply.headers)
    return {**counted, **({"request_id": known_as} if known_as else {})} or None


def _is(value: Json) -> TypeGuard[dict[str, Json]]:
    return isinstance(value, dict)
