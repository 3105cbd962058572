"""Which job is next. Pure: times come in, jobs go out.

First come, first served within a provider's lane, and a lane that is full lets the others pass.
A newer drop of a name waits until the older one's job has ended.
"""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Callable

from daemon.jobs import Job


class Schedule:
    """Jobs that wait for a place.

    Args:
        limit: jobs at once.
        lane_limit: jobs at once for each provider.
        is_blocked: whether an older job of the same name has not ended.
    """

    def __init__(self, limit: int, lane_limit: int, is_blocked: Callable[[Job], bool]) -> None:
        self._limit = limit
        self._lane_limit = lane_limit
        self._is_blocked = is_blocked
        self._lanes: dict[str, OrderedDict[str, Job]] = {}
        self._later: list[tuple[str, str, Job]] = []
        self._running: dict[str, str] = {}
        self._load: Counter[str] = Counter()

    def add(self, job: Job) -> None:
        """Have a job wait for its turn, or first for its due time."""
        if job.due is not None:
            heapq.heappush(self._later, (job.due, job.id, job))
        else:
            self._lanes.setdefault(job.provider, OrderedDict())[job.id] = job

    def remove(self, job: Job) -> None:
        """Forget a job that ended while it waited."""
        self._lanes.get(job.provider, OrderedDict()).pop(job.id, None)
        self._later = [entry for entry in self._later if entry[1] != job.id]
        heapq.heapify(self._later)

    def pick(self, now: str) -> Job | None:
        """The next job for which there is a place; it counts as running from now on.

        Args:
            now: the wall clock (RFC 3339, as `rfc3339` writes it, so that text compares as time).
        """
        while self._later and self._later[0][0] <= now:
            job = heapq.heappop(self._later)[2]
            self._lanes.setdefault(job.provider, OrderedDict())[job.id] = job
        if len(self._running) >= self._limit:
            return None
        firsts = filter(None, (self._first(lane) for lane in self._lanes))
        job_or_none = min(firsts, key=lambda job: job.first, default=None)
        if job_or_none is not None:
            del self._lanes[job_or_none.provider][job_or_none.id]
            self._running[job_or_none.id] = job_or_none.provider
            self._load[job_or_none.provider] += 1
        return job_or_none

    def _first(self, lane: str) -> Job | None:
        if self._load[lane] >= self._lane_limit:
            return None
        return next((job for job in self._lanes[lane].values() if not self._is_blocked(job)), None)

    def done(self, job_id: str) -> None:
        """Give a running job's place back."""
        provider = self._running.pop(job_id, None)
        if provider is not None:
            self._load[provider] -= 1

    def next_due(self) -> str | None:
        """The earliest due time of a job that waits for one."""
        return self._later[0][0] if self._later else None
