"""Answers of a service, read by what its entry says of them, and by shape where it says nothing.

What the entry knows of an answer is laid where other providers have it, and then read by the same
code. An answer that may be about a job is read for media by the keys that providers use; one that
is an end for sure is read by any.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from handlers.answers.complaints import parsed
from handlers.answers.failures import failure_of, http_of
from handlers.answers.media import Found, absolute, media_at, media_of, read_anything
from handlers.answers.paths import Path, value_at, values_at
from handlers.answers.statuses import goes_on, standing_of, status_word
from handlers.contract import HandlerError, Json, Outcome
from handlers.generic_shape.plan import Plan
from handlers.openai_shape.addresses import with_id
from handlers.openai_shape.asking import Asked
from handlers.openai_shape.nothing import nothing_in
from handlers.openai_shape.polling import lost, pending
from handlers.openai_shape.reading import (
    Job,
    answer_of,
    binary,
    check,
    job_in,
    outcome_of,
    ticket_for,
)
from handlers.wire import HttpReply, Pending, Ticket

_LOOKED_AT = 1 << 20
"""Bytes of a failure that are looked at."""


def read(reply: HttpReply, plan: Plan, asked: Asked) -> Outcome | Ticket:
    """What an answer to a call that creates comes to; for a worker thread, as it may be large.

    Raises:
        HandlerError: the call was refused, or the answer is no good.
    """
    if reply.status >= 300:
        raise _refused(reply, plan, asked)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    known = _laid_out(answer, plan)
    check(reply, known, asked)
    job = job_in(reply, known)
    if not _is_job(job, reply, known, plan, asked):
        return _outcome(reply, answer, known, plan, asked)
    works = goes_on(status_word(known)) or reply.status == 202
    url = _status_url(job, answer, plan, asked)
    found = _found(answer, plan, asked, anything=url is None)
    if found.withheld or (found.media and not works):
        return outcome_of(reply, known, found, asked)
    if url is None:
        raise _out_of_reach(reply, job, asked)
    return ticket_for(job, url, reply, known, asked)


def read_poll(
    reply: HttpReply, ticket: Ticket, plan: Plan, asked: Asked
) -> Outcome | Pending | str:
    """What the answer of one poll comes to; where the job is done and its result is asked for by
    itself, the address of that.

    Raises:
        HandlerError: the job failed, or cannot be asked for.
    """
    refuse_poll(reply, ticket, plan, asked)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    known = _laid_out(answer, plan)
    check(reply, known, asked)
    word = status_word(known)
    is_done = word is not None and standing_of(word) == "done"
    if reply.status == 202 or goes_on(word):
        return pending(reply, known, word, asked.dialect)
    if isinstance(plan.result, str) and is_done and _is_named(ticket):
        return plan.address(with_id(plan.result, ticket.id))
    if not is_done:
        found = _found(answer, plan, asked, anything=False)
        if not found.media and not found.withheld:
            return pending(reply, known, word, asked.dialect)
        return outcome_of(reply, known, found, asked)
    return _outcome(reply, answer, known, plan, asked)


def read_result(reply: HttpReply, ticket: Ticket, plan: Plan, asked: Asked) -> Outcome:
    """What the result of a job that is done comes to.

    Raises:
        HandlerError: it failed, or there is none.
    """
    refuse_poll(reply, ticket, plan, asked)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    known = _laid_out(answer, plan)
    check(reply, known, asked)
    return _outcome(reply, answer, known, plan, asked)


def refuse_poll(reply: HttpReply, ticket: Ticket, plan: Plan, asked: Asked) -> None:
    """Raise the failure that a status says."""
    if reply.status in (404, 410):
        raise lost(reply, ticket, asked.entry.name)
    if reply.status >= 300:
        raise _refused(reply, plan, asked)


# ---------------------------------------------------------------- what the entry knows


def _laid_out(answer: Json, plan: Plan) -> Json:
    """An answer, with what the entry says of it where other providers have it."""
    laid: dict[str, Json] = {}
    state, error, name = (_at(answer, path) for path in (plan.state_at, plan.error_at, plan.id_at))
    if isinstance(state, bool):
        laid["status"] = "done" if state else "running"
    elif isinstance(state, (str, int)):
        laid["status"] = str(state)
    if error:
        laid["error"] = error
    if isinstance(name, (str, int)):
        laid["id"] = name
    if not laid:
        return answer
    return {**answer, **laid} if isinstance(answer, dict) else laid


def _at(answer: Json, path: Path | None) -> Json:
    """The first thing of any use at a path."""
    values: Iterable[Json] = values_at(answer, path) if path is not None else ()
    return next((value for value in values if value not in (None, "")), None)


def _refused(reply: HttpReply, plan: Plan, asked: Asked) -> HandlerError:
    """The failure of a status, with what stands where the entry says that errors stand."""
    answer = parsed(reply.body[:_LOOKED_AT]) if plan.error_at is not None else None
    if _at(answer, plan.error_at):
        reply = replace(reply, body=json.dumps(_laid_out(answer, plan)).encode())
    return failure_of(reply, asked.entry.name, asked.sent)


# ---------------------------------------------------------------- jobs


def _is_job(job: Job, reply: HttpReply, known: Json, plan: Plan, asked: Asked) -> bool:
    """Whether an answer is about a job: it looks like one, or the entry speaks of jobs."""
    speaks_of = plan.status is not None or plan.id_at is not None or asked.status_path is not None
    is_one = job.url or reply.status == 202 or status_word(known) or asked.kind == "video"
    return bool((is_one or speaks_of) and (job.name or job.url))


def _status_url(job: Job, answer: Json, plan: Plan, asked: Asked) -> str | None:
    """Where a job is asked for: as the call says, as the entry does, as the answer does."""
    template = asked.status_path or (plan.status if isinstance(plan.status, str) else None)
    if template is not None and job.name:
        return plan.address(with_id(template, job.name))
    told = _at(answer, plan.status) if isinstance(plan.status, Path) else None
    url = told if isinstance(told, str) else job.url
    return None if url is None else absolute(plan.entry.base_url, url)


def _is_named(ticket: Ticket) -> bool:
    """Whether a job has a name, and is not only asked for at an address."""
    return ticket.status_url is None or ticket.id != ticket.status_url[:200]


def _out_of_reach(reply: HttpReply, job: Job, asked: Asked) -> HandlerError:
    """The failure of a job that was taken, and that nobody can ask for."""
    return HandlerError(
        "provider_failed",
        f"{asked.entry.name} took the job {job.name}, but does not say where to ask for it",
        hints=[
            'Write status_path into the options of its entry, as "/jobs/{id}".',
            "What it makes may be paid for: look for it at the provider before you retry.",
        ],
        retryable=False,
        http=http_of(reply),
    )


# ---------------------------------------------------------------- media


def _found(answer: Json, plan: Plan, asked: Asked, *, anything: bool) -> Found:
    """The media of an answer."""
    base = plan.entry.base_url
    if isinstance(plan.result, Path):
        return media_at(answer, [plan.result.text], base, asked.kind)
    if anything:
        return read_anything(answer, base_url=base, kind=asked.kind)
    return media_of(answer, base, asked.kind)


def _outcome(reply: HttpReply, answer: Json, known: Json, plan: Plan, asked: Asked) -> Outcome:
    """The outcome of an answer that is an end.

    Raises:
        HandlerError: it holds nothing; where the entry says where media stand, the message says
            how far the answer goes.
    """
    found = _found(answer, plan, asked, anything=True)
    if not found.media:
        failure = nothing_in(reply, known, found, asked)
        if failure.code == "no_media" and isinstance(plan.result, Path):
            value_at(answer, plan.result)
        raise failure
    return outcome_of(reply, known, found, asked)
