"""A job that was taken, asked for once: it goes on, it is done, or it failed.

A 404 is not yet the end: right after a job was made, and behind several machines, a provider may
not know of it for a moment, and a ticket holds no count of how often that was so. It is therefore
`provider_unavailable`, which is asked for again within the limits of the job. A 410 says that the
job was there and is gone: that is the end.
"""

from __future__ import annotations

from handlers.answers.failures import failure_of, http_of
from handlers.answers.media import Found, media_of
from handlers.answers.statuses import fraction_of, goes_on, standing_of, status_word
from handlers.answers.waits import wait_of
from handlers.contract import HandlerError, Json, Kind, Medium, Outcome
from handlers.openai_shape.addresses import address_for, rooted, with_id
from handlers.openai_shape.asking import Asked
from handlers.openai_shape.dialects import Dialect
from handlers.openai_shape.reading import answer_of, binary, check, outcome_of
from handlers.wire import Entry, HttpReply, Pending, Ticket


def asked_by(ticket: Ticket, entry: Entry, dialect: Dialect) -> Asked:
    """What was asked for, of what its ticket says."""
    state = ticket.state
    kind: Kind = "video" if state.get("kind") == "video" else "image"
    return Asked(
        entry,
        dialect,
        kind,
        model=ticket.model,
        wanted=state.get("wanted", 1),
        warnings=tuple(state.get("warnings", ())),
        left_out=tuple(state.get("left_out", ())),
    )


def status_address(ticket: Ticket, asked: Asked) -> str:
    """Where to ask for a job."""
    if ticket.status_url is not None:
        return ticket.status_url
    videos = asked.dialect.videos
    template = videos.poll if asked.kind == "video" and videos else asked.dialect.job
    path = with_id(template, ticket.id)
    return address_for(asked.entry, asked.dialect, path, asked.model)


def read_poll(reply: HttpReply, ticket: Ticket, asked: Asked) -> Outcome | Pending:
    """What the answer of one poll comes to; for a worker thread, as it may hold media.

    Raises:
        HandlerError: the job failed, or cannot be asked for.
    """
    if reply.status in (404, 410):
        raise lost(reply, ticket, asked.entry.name)
    if reply.status >= 300:
        raise failure_of(reply, asked.entry.name)
    medium = binary(reply)
    if medium is not None:
        return outcome_of(reply, None, Found([medium]), asked)
    answer = answer_of(reply, asked)
    check(reply, answer, asked)
    word = status_word(answer)
    found = media_of(answer, rooted(asked.entry.base_url), asked.kind)
    is_done = word is not None and standing_of(word) == "done"
    has_some = bool(found.media or found.withheld)
    if reply.status == 202 or goes_on(word) or not (is_done or has_some):
        return pending(reply, answer, word, asked.dialect)
    return _done(reply, answer, found, ticket, asked)


def lost(reply: HttpReply, ticket: Ticket, who: str) -> HandlerError:
    """The failure of a job that its provider does not know of, or no more."""
    if reply.status == 410:
        return HandlerError(
            "provider_failed",
            f"{who} took the job {ticket.id}, but no longer has it",
            hints=["What it made is gone; a retry makes it again, and may be paid again."],
            retryable=False,
            http=http_of(reply),
        )
    return HandlerError(
        "provider_unavailable",
        f"{who} took the job {ticket.id}, but does not know of it",
        hints=[
            "Look at the provider's list of jobs.",
            "Check the path that jobs are asked for at.",
        ],
        retryable=True,
        http=http_of(reply),
    )


def pending(reply: HttpReply, answer: Json, word: str | None, dialect: Dialect) -> Pending:
    """How far a job is that goes on."""
    place = answer.get("queue_position") if isinstance(answer, dict) else None
    message = word or "running"
    if isinstance(place, int) and not isinstance(place, bool):
        message += f", at place {place} of the queue"
    return Pending(message, fraction_of(answer, dialect.whole), wait_of(reply, answer))


def _done(reply: HttpReply, answer: Json, found: Found, ticket: Ticket, asked: Asked) -> Outcome:
    """The outcome of a job that is done; a clip may lie where clips lie, without being named."""
    videos = asked.dialect.videos
    content = videos.content if videos and asked.kind == "video" else None
    if content is not None and not found.media and not found.withheld:
        path = with_id(content, ticket.id)
        found = Found([Medium(url=address_for(asked.entry, asked.dialect, path, asked.model))])
    return outcome_of(reply, answer, found, asked)
