"""Answers, read: media, or a job to ask for again, or the failure that an answer is.

What calls itself a success and holds no picture is a failure all the same, and one that is never
sent again: it may have been paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NoReturn, TypeGuard

from handlers.answers.complaints import (
    complaint_of,
    complaint_of_job,
    error_within,
    parsed,
    shortened,
)
from handlers.answers.encoded import sniff
from handlers.answers.failures import (
    Verdict,
    failure_of,
    failure_within,
    http_of,
    request_id,
)
from handlers.answers.media import Found, absolute, media_of
from handlers.answers.statuses import MODERATED, goes_on, plain, standing_of, status_word
from handlers.answers.streams import final_answer
from handlers.answers.waits import wait_of
from handlers.contract import HandlerError, Json, Medium, Outcome
from handlers.openai_shape.addresses import address_for, rooted, with_id
from handlers.openai_shape.asking import Asked
from handlers.wire import HttpReply, Ticket

_IDS = ("id", "job_id", "task_id", "request_id", "prediction_id", "generation_id")
_STATUS_URLS = ("polling_url", "status_url", "poll_url", "retrieve_url")
_MOST_USAGE = 2000
"""Characters of `usage` that are kept; more is no count of anything."""
_EVENTS = (b"event:", b"data: {", b"data:{")
"""How a stream of events begins that does not say by its type what it is."""
_FINE = (0, 200, None)
_MOST_TEXT = 2000
"""Characters of a prompt that was changed that are kept."""

PAGE = Verdict(
    "provider_failed",
    (
        "Check the base URL (with or without /v1): something else than the API answers there.",
        "A proxy or a login page may stand in between.",
    ),
)


def read(reply: HttpReply, asked: Asked) -> Outcome | Ticket:
    """What an answer to a call that creates comes to; for a worker thread, as it may be large.

    Raises:
        HandlerError: the call was refused, or the answer is no good.
    """
    if reply.status >= 300:
        raise failure_of(reply, asked.entry.name)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    check(reply, answer, asked)
    found = media_of(answer, rooted(asked.entry.base_url))
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
        HandlerError: `provider_failed`: it is a web page; `no_media`: it is empty.
    """
    body = reply.body.strip()
    if not body and reply.status != 202:
        raise no_media(reply, "nothing", asked)
    if main_type(reply.headers) == "text/event-stream" or body.startswith(
        (b"event:", b"data: {", b"data:{")
    ):
        return final_answer(body)
    answer = parsed(body)
    if answer is not None:
        return answer
    if body.startswith((b"{", b"[")):
        raise HandlerError(
            "provider_failed",
            f"{asked.entry.name} answered with JSON that is damaged or cut short",
            hints=PAGE.hints[1:],
            retryable=False,
            http=http_of(reply),
        )
    if b"<html" in body[:2000].lower() or b"<!doctype html" in body[:200].lower():
        raise HandlerError(
            PAGE.code,
            f"{asked.entry.name} answered with a web page where an answer belongs",
            hints=PAGE.hints,
            retryable=False,
            http=http_of(reply),
        )
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
        raise failure_within(reply, complaint, asked.entry.name)
    if word is not None and standing in ("failed", "cancelled"):
        told = complaint_of_job(answer)
        told = replace(
            told,
            message=told.message or f"the job is {plain(word)}",
            flagged=told.flagged or plain(word) in MODERATED,
        )
        raise failure_within(reply, told, asked.entry.name)


def ticket_of(reply: HttpReply, answer: Json, asked: Asked) -> Ticket | None:
    """The job that an answer is about, if it is about one."""
    places = [answer, *(answer.get(name) for name in ("data", "task"))] if _is(answer) else []
    objects = [place for place in places if isinstance(place, dict)]
    name = next((found for place in objects if (found := _first(place, _IDS))), None)
    url = next((found for place in objects if (found := _status_url(place))), None)
    if reply.status == 202:
        url = url or reply.headers.get("operation-location") or reply.headers.get("location")
    is_job = url or reply.status == 202 or status_word(answer) or asked.kind == "video"
    if not is_job or not (name or url):
        return None
    if url is None:
        path = with_id(asked.status_path or asked.dialect.job, name or "")
        url = address_for(asked.entry, asked.dialect, path, asked.model)
    return Ticket(
        name or url[:200],
        status_url=absolute(rooted(asked.entry.base_url), url),
        state={"kind": asked.kind, "wanted": asked.wanted, "warnings": list(asked.warnings)},
        model=_model(answer, asked),
        wait=wait_of(reply, answer),
    )


def outcome_of(reply: HttpReply, answer: Json, found: Found, asked: Asked) -> Outcome:
    """The outcome that an answer is, with all that should be said beside it.

    Raises:
        HandlerError: there is nothing in it that could be saved.
    """
    if not found.media and found.references:
        raise _out_of_reach(reply, found, asked)
    if not found.media:
        _nothing(reply, answer, found, asked)
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
    )


def no_media(reply: HttpReply, what: str, asked: Asked) -> HandlerError:
    """The failure of an answer that holds no picture and does not say why."""
    return HandlerError(
        "no_media",
        f"{asked.entry.name} answered, but with {what}",
        hints=[
            "Look at the provider's own log; the prompt may have been filtered.",
            "Check that the model makes pictures, and whether it does so only in a chat.",
        ],
        retryable=False,
        http=http_of(reply),
    )


def _out_of_reach(reply: HttpReply, found: Found, asked: Asked) -> HandlerError:
    """The failure of an answer that names media, and none that could be fetched."""
    named = [f"{held['reference']}: {held['reason']}" for held in found.references]
    return HandlerError(
        "download_failed",
        f"{asked.entry.name} made it, but where it cannot be had from: {shortened(named[0])}",
        hints=[
            (
                "Have the provider answer with base64, as by extra: "
                '{"response_format": "b64_json"}, or serve its files over HTTP.'
            )
        ],
        retryable=False,
        http=http_of(reply),
    )


def _nothing(reply: HttpReply, answer: Json, found: Found, asked: Asked) -> NoReturn:
    """Raise the failure that an answer without media is."""
    who, refusal = asked.entry.name, _refusal(answer)
    text = " ".join(refusal or found.texts)
    complaint = complaint_of({"message": text} if text else answer)
    if found.withheld or refusal:
        said = complaint.message or "its moderation withheld what it made"
        raise failure_within(reply, replace(complaint, message=said, flagged=True), who)
    if complaint.is_refusal:
        raise failure_within(reply, complaint, who)
    if found.broken:
        raise _unreadable(reply, who)
    if not found.texts and (_code(answer) or (complaint.message and not _is_fine(answer))):
        raise failure_within(reply, complaint, who)
    words = f"no picture: {complaint.message}" if complaint.message else "no picture"
    raise no_media(reply, words, asked)


def _refusal(answer: Json) -> list[str]:
    """What a chat says where its model refuses (`message.refusal`)."""
    choices = answer.get("choices") if _is(answer) else None
    listed = choices if isinstance(choices, list) else []
    messages = [one.get("message") for one in listed if _is(one)]
    refusals = [one.get("refusal") for one in messages if _is(one)]
    return [text for text in refusals if isinstance(text, str) and text.strip()]


def _code(answer: Json) -> bool:
    """Whether a relay says by a number that it failed."""
    code = answer.get("code") if _is(answer) else None
    return isinstance(code, int) and code not in _FINE


def _is_fine(answer: Json) -> bool:
    """Whether a relay says by a number that it did not: then its message is none of a failure."""
    return _is(answer) and "code" in answer and answer["code"] in _FINE


def _unreadable(reply: HttpReply, who: str) -> HandlerError:
    """The failure of an answer whose pictures are there, but cannot be decoded."""
    return HandlerError(
        "unreadable_media",
        f"{who} answered with what should be a picture, and is no base64",
        hints=["Look at the provider's own log, or try another model."],
        retryable=False,
        http=http_of(reply),
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
    counted = told if _is(told) and len(str(told)) <= _MOST_USAGE else {}
    known_as = request_id(reply.headers)
    return {**counted, **({"request_id": known_as} if known_as else {})} or None


def _is(value: Json) -> TypeGuard[dict[str, Json]]:
    return isinstance(value, dict)
