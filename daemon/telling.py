"""The diagnostics about jobs: one line each, as long as somebody could read them."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from daemon.clock import Clock
from daemon.jobs import Job

LINES = 20
"""Lines a second; what comes beyond is counted and told together. The event log has it all."""

_log = structlog.get_logger(__name__)


class Teller:
    """Tells what became of each attempt; on the event loop.

    Args:
        clock: for the seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since = 0.0
        self._told = 0
        self._untold: Counter[str] = Counter()

    def tell(self, job: Job, seconds: float) -> None:
        """An attempt is over.

        Args:
            job: as it stands now.
            seconds: that the attempt took.
        """
        now = self._clock.monotonic()
        if now - self._since >= 1.0:
            self._since, self._told = now, 0
        self._told += 1
        if self._told <= LINES:
            self._one(job, seconds)
            return
        if not self._untold:
            asyncio.get_running_loop().call_later(1.0, self.flush)
        self._untold[f"{job.status} {job.error}" if job.error else job.status] += 1

    def _one(self, job: Job, seconds: float) -> None:
        tell = _log.info if job.status == "succeeded" else _log.warning
        tell(
            f"job {job.status}",
            job=job.id,
            request=job.name,
            task=job.task,
            provider=job.provider,
            attempt=job.attempt,
            code=job.error,
            due=job.due,
            seconds=round(seconds, 3),
        )

    def flush(self) -> None:
        """Tell of all that were only counted."""
        untold, self._untold = self._untold, Counter()
        if untold:
            _log.info("more jobs", **dict(untold))
