"""A root at a glance: how many jobs stand where, in which lane, and what each one waits for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from daemon.accounts import Accounts, Purse
from daemon.blame import needed
from daemon.budgets import told
from daemon.clock import parse_rfc3339, rfc3339
from daemon.jobs import Job, account_of
from daemon.prices import in_words
from daemon.references import unmet
from daemon.segments import segment_paths
from daemon.state import State
from handlers.contract import Json

WINDOW = 60.0
"""Seconds over which the rate is taken."""

_CHUNK = 4 << 20
_MOST = 64 << 20
"""Bytes of the log that are read for the rate at the most."""

_END = re.compile(
    rb'"type":"darkroom\.(?:job\.(?:succeeded|failed|cancelled)|request\.rejected)\.v1"'
    rb'.*?"time":"([^"]+)"'
)


@dataclass(slots=True)
class Lane:
    """One provider's open jobs."""

    running: int = 0
    waiting: int = 0
    """For a place."""
    later: int = 0
    """For their time."""
    blocked: int = 0
    """Behind an older drop of their name."""
    needs: int = 0
    """For other requests."""
    polling: int = 0
    """For the provider, which works on them."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much was answered lately."""

    answered: int
    seconds: float


class Overview:
    """What can be said of a state's open jobs.

    Args:
        state: where all jobs stand.
        now: the wall clock (RFC 3339, as `rfc3339` writes it).
        paused: the providers for which nothing starts; None for any at all.
        places: jobs at once for each provider.
    """

    def __init__(self, state: State, now: str, paused: frozenset[str | None], places: int) -> None:
        self._state = state
        self._now = now
        self._paused = paused
        self._places = places
        self._oldest: dict[str, Job] = {}
        self.lanes: dict[str, Lane] = {}
        self._kept_off: dict[str, str] = {}
        self._reached = state.accounts.reached
        jobs = [state.jobs[job_id] for job_id in state.open_jobs]
        for job in sorted(jobs, key=lambda job: job.first):
            self._oldest.setdefault(job.name, job)
        for job in jobs:
            if job.is_batch:
                continue  # its items are in their lanes
            lane = self.lanes.setdefault(job.provider, Lane())
            where = self._where(job)
            setattr(lane, where, getattr(lane, where) + 1)
            if where == "later" and job.error == "provider_rate_limited" and job.due is not None:
                until = max(job.due, self._kept_off.get(job.provider, ""))
                self._kept_off[job.provider] = until

    def _where(self, job: Job) -> str:
        if job.status in ("running", "polling"):
            return job.status
        if self._oldest[job.name].id != job.id:
            return "blocked"
        if job.status == "waiting" and job.after and unmet(self._state, job):
            return "needs"
        return "later" if job.due is not None and job.due > self._now else "waiting"

    def waits_for(self, job: Job) -> str | None:
        """What an open job waits for, in a few words; None where it runs, a provider works on it,
        or it has ended."""
        if job.ended or job.status in ("running", "polling"):
            return None
        where = self._where(job)
        if where == "blocked":
            return f"the older drop of {job.name}"
        if where == "needs":
            return needed(unmet(self._state, job))
        if where == "later":
            return f"its time, {job.due}"
        if None in self._paused:
            return "the pause to end"
        if job.provider in self._paused:
            return f"the pause of {job.provider} to end"
        for reached in self._reached.values():
            if job.provider in reached.providers or reached.batch == (account_of(job) or ""):
                return told(reached)
        if job.is_batch:
            return "its turn"
        if job.provider in self._kept_off:
            return f"{job.provider}, which asked for patience until {self._kept_off[job.provider]}"
        full = self.lanes[job.provider].running >= self._places
        return f"a place, {job.provider} works on {self._places}" if full else "its turn"


def paused_by(inbox: Path) -> dict[str | None, str]:
    """The PAUSE files in an inbox: provider (None for any at all) -> the file's name."""
    names = sorted(path.name for path in inbox.glob("PAUSE*") if path.name != "PAUSE.")
    return {
        name.removeprefix("PAUSE.") if name != "PAUSE" else None: name
        for name in names
        if name == "PAUSE" or name.startswith("PAUSE.")
    }


def rate(folder: Path, now: datetime) -> Rate:
    """How much was answered in the last `WINDOW` seconds, by the end of the log.

    Args:
        folder: `events/`.
        now: the wall clock.
    """
    since = rfc3339(now - timedelta(seconds=WINDOW)).encode()
    answered, left, earliest = 0, _MOST, b""
    for path in reversed(segment_paths(folder)):
        with path.open("rb") as file:
            end = file.seek(0, 2)
            while end > 0:
                if left <= 0:  # so much that a shorter time must do
                    seconds = (now - parse_rfc3339(earliest.decode())).total_seconds()
                    return Rate(answered, max(seconds, 0.001))
                begin = max(0, end - _CHUNK)
                file.seek(begin)
                times = _END.findall(file.read(end - begin))
                answered += sum(time >= since for time in times)
                if times and times[0] < since:
                    return Rate(answered, WINDOW)
                earliest = times[0] if times else earliest
                left, end = left - (end - begin), begin
    return Rate(answered, WINDOW)


class Spending:
    """What was spent of late, and is set aside.

    Args:
        accounts: the books.
        now: the wall clock, in UTC.
    """

    def __init__(self, accounts: Accounts, now: datetime) -> None:
        self._month = f"{now:%Y-%m}"
        self._accounts = accounts
        self.today = accounts.day(f"{now:%Y-%m-%d}")
        self.this_month = accounts.day(self._month)
        self.reserved = accounts.reserved()

    def to_json(self) -> dict[str, Json]:
        """For programs; by currency, as texts."""
        providers = self._accounts.by_provider(self._month)
        return {
            "today": self.today.to_json(),
            "this_month": self.this_month.to_json(),
            "by_provider": {name: purse.to_json() for name, purse in providers.items()},
            "reserved": self.reserved.to_json(),
            "held_by": [asdict(event) for event in self._accounts.reached.values()],
        }

    def in_words(self) -> list[str]:
        """A line for people, and one for each budget that holds calls; none where nothing was ever
        paid."""
        months = [self.this_month, self.reserved]
        held = [f"paid calls wait for {told(one)}" for one in self._accounts.reached.values()]
        if not any(purse.spent or purse.unknown for purse in months):
            return held
        parts = [
            f"spent {_amounts(self.today)} today, {_amounts(self.this_month)} this month",
            f"{_amounts(self.reserved)} reserved",
        ]
        if self.this_month.unknown:
            calls = "call" if self.this_month.unknown == 1 else "calls"
            parts.append(f"{self.this_month.unknown} {calls} of unknown cost this month")
        if self.reserved.unknown:
            calls = "call" if self.reserved.unknown == 1 else "calls"
            parts.append(f"{self.reserved.unknown} {calls} under way that nobody can estimate")
        return ["; ".join(parts), *held]


def _amounts(purse: Purse) -> str:
    spent = [in_words(amount, currency) for currency, amount in sorted(purse.spent.items())]
    return " and ".join(spent) or "nothing"


def counts(state: State) -> Mapping[str, int]:
    """How many jobs stand where; and how many drops were rejected."""
    return Counter({status: count for status, count in sorted(state.counts.items()) if count})
