"""Time and ids: the only place that asks for either, so that tests can hand in their own."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

from ulid import ULID


class Clock(Protocol):
    """Where the time comes from, and fresh ids with it."""

    def now(self) -> datetime:
        """The wall clock, in UTC: for due times, which outlive the process."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never jumps: for waits within the process."""
        ...

    def new_id(self) -> str:
        """An id nobody had before, sortable by time: a ULID."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def new_id(self) -> str:
        return str(ULID())


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
