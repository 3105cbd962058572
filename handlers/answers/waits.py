"""How long a provider wants to be left alone, in each form in which one says so.

Nothing here asks for the time: a date is measured against the `Date` of the same reply. Nothing
raises either, for a wait that cannot be read is none.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

from handlers.contract import Json
from handlers.wire import HttpReply

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MILLISECONDS = ("retry-after-ms", "openai-poll-after-ms")


def wait_of(reply: HttpReply, answer: Json = None) -> float | None:
    """Seconds after which the provider wants to be asked again, where it says so.

    Read in this order: `retry-after-ms` and `openai-poll-after-ms`; `Retry-After` as seconds,
    whole or not, or as a date; `retry_after` or `retryDelay` in the body; and the reset of a limit
    that is used up (`x-ratelimit-remaining-…: 0`).

    Args:
        reply: its headers count.
        answer: its body, parsed, where it is JSON.
    """
    return next(_waits(reply.headers, answer), None)


def _waits(headers: Mapping[str, str], answer: Json) -> Iterator[float]:
    for name in _MILLISECONDS:
        milliseconds = _number(headers.get(name))
        if milliseconds is not None:
            yield milliseconds / 1000
    for found in (seconds_of(headers.get("retry-after"), headers.get("date")), *_told(answer)):
        if found is not None:
            yield found
    yield from _resets(headers)


def seconds_of(text: Json, date: str | None = None) -> float | None:
    """A wait as seconds: a number, a duration as "6m0s" or "12ms", or a date.

    Args:
        text: what was said.
        date: the `Date` header, against which a date is measured.
    """
    number = _number(text)
    if number is not None or not isinstance(text, str):
        return number
    text = text.strip()
    if text and not _DURATION.sub("", text):
        total = sum(float(figure) * _SECONDS[unit] for figure, unit in _DURATION.findall(text))
        return total if math.isfinite(total) else None
    return _until(text, date)


def _until(text: str, date: str | None) -> float | None:
    try:
        then, now = parsedate_to_datetime(text), parsedate_to_datetime(date or "")
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError, OverflowError):  # no date, or one of them without a zone
        return None


def _number(value: Json) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _told(answer: Json) -> Iterator[float | None]:
    """What the body says: at its top, in its error, or in the error's details."""
    error = answer.get("error") if isinstance(answer, dict) else None
    details = error.get("details") if isinstance(error, dict) else None
    metadata = error.get("metadata") if isinstance(error, dict) else None
    places = [answer, error, metadata, *(details if isinstance(details, list) else [])]
    for place in places:
        if isinstance(place, dict):
            for name in ("retry_after", "retryDelay", "retry_after_seconds"):
                yield seconds_of(place.get(name))


def _resets(headers: Mapping[str, str]) -> Iterator[float]:
    """The longest reset among the limits that are used up."""
    used_up = [what for what in ("requests", "tokens") if _is_used_up(headers, what)]
    resets = [seconds_of(headers.get(f"x-ratelimit-reset-{what}")) for what in used_up]
    told = [seconds for seconds in resets if seconds is not None]
    if told:
        yield max(told)


def _is_used_up(headers: Mapping[str, str], what: str) -> bool:
    return _number(headers.get(f"x-ratelimit-remaining-{what}")) == 0
