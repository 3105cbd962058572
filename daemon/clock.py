"""Time and ids: the only place that asks for either, so that tests can hand in their own."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Protocol

from ulid import ULID

_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's alphabet, which ULIDs are written in."""

_TAILS = tuple(one + two for one in _BASE32 for two in _BASE32)
"""The last two characters of ULIDs that share a beginning: counted up, as the specification's
monotonic ids are (https://github.com/ulid/spec)."""

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?"
)
"""A date, a time to whatever precision, and perhaps the offset that RFC 3339 asks for."""


class Clock(Protocol):
    """Where the time comes from, and fresh ids with it."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for due times, which outlive the process."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps: for waits within the process."""
        ...

    def stamp(self) -> str:
        """The wall clock as text, as `rfc3339` writes it."""
        ...

    def new_id(self) -> str:
        """An id nobody had before, sortable by time: a ULID. From any thread."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own time.

    Stamps and ids are asked for by the ten thousand a second, so what stays the same within a
    millisecond is kept.
    """

    def __init__(self) -> None:
        self._stamp = (0, "")
        self._ids: tuple[int, str, Iterator[str]] = (0, "", iter(()))

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def stamp(self) -> str:
        millisecond = time.time_ns() // 1_000_000
        known, text = self._stamp
        if millisecond != known:
            text = rfc3339(datetime.fromtimestamp(millisecond / 1000, UTC))
            self._stamp = (millisecond, text)
        return text

    def new_id(self) -> str:
        millisecond = time.time_ns() // 1_000_000
        known, head, tails = self._ids
        tail = next(tails, None) if millisecond == known else None
        if tail is None:  # another millisecond, or all tails are used up: chance anew
            fresh = ULID.from_bytes(millisecond.to_bytes(6, "big") + os.urandom(10))
            head, tails = str(fresh)[:-2], iter(_TAILS)
            self._ids, tail = (millisecond, head, tails), next(tails)
        return head + tail


def rfc3339(moment: datetime) -> str:
    """A UTC moment as text, to the millisecond: "2026-11-22T15:30:00.123Z" (RFC 3339)."""
    return moment.isoformat(timespec="milliseconds")[:23] + "Z"


def parse_rfc3339(text: str) -> datetime:
    """The inverse of `rfc3339`.

    Raises:
        ValueError: the text is no moment with an offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.astimezone(UTC)


def normal_rfc3339(text: str) -> str:
    """A moment that somebody wrote, in UTC as `rfc3339` writes it, so that text compares as time.

    Raises:
        ValueError: it is none; the message says how one looks.
    """
    parts = _MOMENT.fullmatch(text)
    if parts is None:
        raise ValueError("is no moment like 2026-11-22T10:00:00+01:00 or 2026-11-22T09:00:00Z")
    date, time_of_day, offset = parts.groups()
    if offset is None:
        raise ValueError(
            f"has no offset from UTC: write {date}T{time_of_day}Z for UTC, "
            f"or your own, as in {date}T{time_of_day}+01:00"
        )
    try:
        return rfc3339(parse_rfc3339(f"{date}T{time_of_day}{offset.upper()}"))
    except (ValueError, OverflowError):  # the 31st of June, or a year beyond 9999 in UTC
        raise ValueError("is a moment that no calendar has") from None
