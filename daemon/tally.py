"""How far a batch is: how many of its items ended how, how fast that goes, what is left. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from daemon.batch import Batch
from daemon.jobs import ENDED

WINDOW = 60.0
"""Seconds over which the rate is taken."""

_EVERY = 1.0
"""Seconds between two moments that are remembered for it."""


class Tally(NamedTuple):
    """How many items of a batch stand where."""

    total: int
    """As far as is known: a queue may grow."""
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    rejected: int = 0

    @classmethod
    def of(cls, batch: Batch) -> Tally:
        """How far a batch is."""
        return cls(batch.total, *(batch.ended(status) for status in cls._fields[1:]))

    @property
    def done(self) -> int:
        """Items that have ended, well or not."""
        return self.succeeded + self.failed + self.cancelled + self.rejected

    def moved(self, before: str | None, after: str | None) -> Tally:
        """The tally after an item that had ended like this ended like that; None: it is open."""
        counts = self._asdict()
        for status, by in ((before, -1), (after, 1)):
            if status in counts:
                counts[status] += by
        return self._replace(**counts)

    def in_words(self) -> str:
        """As in "35 of 200, 2 failed"."""
        failed = self.failed + self.rejected
        parts = [f"{self.done} of {self.total}"]
        parts += [f"{failed} failed"] if failed else []
        parts += [f"{self.cancelled} cancelled"] if self.cancelled else []
        return ", ".join(parts)


def numbers(batch: Batch) -> dict[str, int]:
    """The same for programs, with how many of its items are no jobs yet as `unread`, and how many
    that are open stand where."""
    tally = Tally.of(batch)
    standing: Mapping[str, int] = {
        status: count
        for status, count in sorted(batch.standing.items())
        if count > 0 and status not in ENDED
    }
    unread = max(0, batch.total - batch.admitted)
    return {**tally._asdict(), "done": tally.done, **standing, "unread": unread}


class Pace:
    """How fast a batch goes, by what ended in the last `WINDOW` seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._last = (0.0, 0)

    def add(self, now: float, done: int) -> None:
        """Take in how far it is.

        Args:
            now: seconds, of any clock that only goes on.
            done: items that have ended.
        """
        if self._seen and done < self._last[1]:  # some run again
            self._seen.clear()
        self._last = (now, done)
        if not self._seen or now - self._seen[-1][0] >= _EVERY:
            self._seen.append((now, done))
        while len(self._seen) > 1 and self._seen[1][0] <= now - WINDOW:
            self._seen.popleft()

    @property
    def rate(self) -> float:
        """Items a second; 0 where nobody can say yet."""
        if not self._seen:
            return 0.0
        (began, before), (now, done) = self._seen[0], self._last
        return (done - before) / (now - began) if now > began else 0.0

    def left(self, tally: Tally) -> float | None:
        """Seconds until all of it has ended, if it goes on so; None where nobody can say."""
        rate, open_ = self.rate, tally.total - tally.done
        return open_ / rate if rate and open_ > 0 else None

    def in_words(self, tally: Tally) -> str:
        """As in "3.1 a second, about 53 s left"; empty where nobody can say yet."""
        left = self.left(tally)
        parts = [f"{self.rate:.3g} a second"] if self.rate else []
        parts += [f"about {in_time(left)} left"] if left is not None else []
        return ", ".join(parts)


def in_time(seconds: float) -> str:
    """A span of time for people: `53 s`, `12 min`, `3 h 20 min`, `4 d`."""
    if seconds < 100:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 48 else f"{round(hours / 24)} d"
