"""A reply that is no good, as the error of a result: code, message, hints, faults, wait.

One table for every adapter. Whether a failed call may have been done all the same is no matter of
this module: the daemon judges that, by the status and by what was sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from handlers.answers.blame import NOTHING, Sent, blamed
from handlers.answers.complaints import Complaint, complaint_in, parsed
from handlers.answers.waits import wait_of
from handlers.contract import ErrorCode, HandlerError, Json
from handlers.wire import HttpReply


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a kind of failure means."""

    code: ErrorCode
    hints: tuple[str, ...] = ()


REFUSED = Verdict(
    "content_refused",
    (
        "Change the prompt or the pictures: the same again is refused again.",
        "Some providers suspend those who insist.",
    ),
)
QUOTA = Verdict(
    "provider_quota",
    ("Add credit, or raise the spending limit, at the provider; then retry.",),
)
AUTH = Verdict(
    "provider_auth",
    (
        "Check the provider's key (apiKey or api_key), and that it may use this model.",
        "`darkroom doctor` shows where the key comes from.",
    ),
)
REJECTED = Verdict(
    "provider_rejected",
    ("Check the model and the fields, those in extra too: this provider does not take them so.",),
)
NOT_FOUND = Verdict(
    "provider_rejected",
    (
        "Check the model, and that this key may use it.",
        "Check the base URL (with or without /v1) and the endpoint.",
    ),
)
TOO_LARGE = Verdict("provider_rejected", ("Send smaller or fewer pictures.",))
RATE_LIMITED = Verdict(
    "provider_rate_limited",
    ("Lower requests_per_minute or concurrency for this provider if it happens often.",),
)
TIMEOUT = Verdict("provider_timeout", ("Ask for less at once, or try again later.",))
UNAVAILABLE = Verdict(
    "provider_unavailable",
    ("The fault is on the provider's side: try again later, or name another provider.",),
)
REDIRECT = Verdict(
    "provider_rejected", ("Set the base URL to where the redirect leads, if you trust it.",)
)
FAILED = Verdict(
    "provider_failed",
    ("Look at the provider's own message and logs; another model may do.",),
)

BY_STATUS: Mapping[int, Verdict] = {
    401: AUTH,
    402: QUOTA,
    403: AUTH,
    404: NOT_FOUND,
    405: Verdict(
        "provider_rejected",
        ("Check the endpoint: the server has this address, but does not do this there.",),
    ),
    408: TIMEOUT,
    409: UNAVAILABLE,
    410: NOT_FOUND,
    413: TOO_LARGE,
    415: Verdict(
        "provider_rejected",
        ("Check the dialect: this server wants the request in another content type.",),
    ),
    425: UNAVAILABLE,
    429: RATE_LIMITED,
}
"""Statuses that mean something of their own; any other means what its hundred means."""

_MAY_REFUSE = frozenset({400, 403, 422, 451})
_REQUEST_IDS = (
    *("x-request-id", "request-id", "apim-request-id", "x-ms-request-id", "x-generation-id"),
    *("x-amzn-requestid", "cf-ray"),
)


def failure_of(reply: HttpReply, who: str, sent: Sent = NOTHING) -> HandlerError:
    """The failure that a reply with a status of 300 or above is.

    Args:
        reply: what came back.
        who: the provider's name.
        sent: what the call had in it, to know a field of it by its name in a sentence.
    """
    complaint = blamed(complaint_in(reply.body), sent)
    verdict = verdict_on(reply.status, complaint)
    if 300 <= reply.status < 400:
        told = f"answers with a redirect{_host_of(reply.headers.get('location', ''))}"
    else:
        told = _told(reply.status, complaint)
    return HandlerError(
        verdict.code,
        f"{who} {told}",
        hints=verdict.hints,
        retryable=False if reply.headers.get("x-should-retry") == "false" else None,
        faults=complaint.faults,
        http=http_of(reply),
        wait=wait_of(reply, parsed(reply.body[: 1 << 20])) if reply.status >= 400 else None,
    )


def failure_within(
    reply: HttpReply, complaint: Complaint, who: str, verdict: Verdict = FAILED
) -> HandlerError:
    """The failure that an answer holds which calls itself a success: never to be asked for again.

    Args:
        reply: what came back.
        complaint: what it says is wrong.
        who: the provider's name.
        verdict: what it means, if the complaint does not say.
    """
    if complaint.is_refusal:
        verdict = REFUSED
    elif complaint.is_billing:
        verdict = QUOTA
    elif verdict is FAILED and complaint.status in (400, 404, 413, 415, 422):
        verdict = REJECTED
    said = f": {complaint.message}" if complaint.message else ", but does not say why"
    outcome = "refused" if verdict is REFUSED else "reports a failure"
    return HandlerError(
        verdict.code,
        f"{who} {outcome}{said}",
        hints=verdict.hints,
        retryable=False,
        faults=complaint.faults,
        http=http_of(reply),
    )


def verdict_on(status: int, complaint: Complaint) -> Verdict:
    """What a status means beside this complaint."""
    if status in _MAY_REFUSE and complaint.is_refusal:
        return REFUSED
    if 400 <= status < 500 and complaint.is_billing:
        return QUOTA
    if status in BY_STATUS:
        return BY_STATUS[status]
    if status < 400:
        return REDIRECT
    return REJECTED if status < 500 else UNAVAILABLE


def http_of(reply: HttpReply) -> dict[str, Json]:
    """The `http` of a result's error."""
    return {"status": reply.status, "request_id": request_id(reply.headers)}


def request_id(headers: Mapping[str, str]) -> str | None:
    """The name by which the provider knows this exchange, for whoever asks its support."""
    found = next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)
    return found[:200] if found and found.isprintable() else None


def _told(status: int, complaint: Complaint) -> str:
    try:
        phrase = f" ({HTTPStatus(status).phrase.lower()})"
    except ValueError:
        phrase = ""
    page = " with a web page" if complaint.is_page else ""
    said = f": {complaint.message}" if complaint.message else ""
    return f"answered {status}{phrase}{page}{said}"


def _host_of(location: str) -> str:
    """Where a redirect leads: its host alone, for the rest may be secret."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        return ""
    return f" to {host}" if host and host.isprintable() else ""
