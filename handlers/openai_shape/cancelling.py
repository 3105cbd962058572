"""Telling a server to leave a job: only where its own answer said where.

fal names a `cancel_url`, which takes a PUT (https://docs.fal.ai/model-apis/model-endpoints/queue);
Replicate names `urls.cancel`, which takes a POST (https://replicate.com/docs/reference/http). No
address is made up, for nobody can say what another server does there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from handlers.answers.complaints import parsed
from handlers.answers.failures import failure_of, http_of
from handlers.answers.media import absolute
from handlers.answers.statuses import standing_of, status_word
from handlers.contract import HandlerError, Json
from handlers.openai_shape.addresses import rooted
from handlers.wire import HttpCall, HttpReply, Ticket

_LONGEST = 2000
"""Characters of an address."""


def cancel_state(places: Iterable[Mapping[str, Json]], base_url: str) -> Mapping[str, Json]:
    """What a ticket keeps of how its job is cancelled: nothing where the answer does not say.

    Args:
        places: the objects of the answer in which it may stand.
        base_url: of the server. An address elsewhere is left alone: the key does not go there.
    """
    for place in places:
        urls = place.get("urls")
        named = urls.get("cancel") if isinstance(urls, dict) else None
        for method, url in (("PUT", place.get("cancel_url")), ("POST", named)):
            if isinstance(url, str) and 0 < len(url) <= _LONGEST:
                whole = absolute(rooted(base_url), url)
                if _origin(whole) == _origin(base_url):
                    return {"cancel": {"method": method, "url": whole}}
    return {}


def cancel_call(ticket: Ticket) -> HttpCall | None:
    """The call that cancels a job, if there is one."""
    known = ticket.state.get("cancel")
    if not isinstance(known, dict):
        return None
    return HttpCall("POST" if known.get("method") == "POST" else "PUT", known["url"])


def read_cancel(reply: HttpReply, who: str) -> bool:
    """Whether a server agreed to leave a job.

    Raises:
        HandlerError: it did not, or was done with it already.
    """
    if reply.status >= 300:
        raise failure_of(reply, who)
    word = status_word(parsed(reply.body))
    if word is not None and standing_of(word) == "done":
        raise HandlerError(
            "provider_rejected", "it was done with the job already", http=http_of(reply)
        )
    return True


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.scheme.lower(), parts.netloc.lower()
