"""How an attempt ended: the problem that its job fails with, and what the diagnostics say."""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog

from daemon.asking import DryRun, Parked
from daemon.clock import Clock
from daemon.errors import LogError, Problem, problem_of
from daemon.jobs import Job
from daemon.treasury import OverBudget
from handlers.contract import HandlerError

LINES = 20
"""Lines of diagnostics a second about jobs that ended; what comes beyond is counted and told
together. The event log has it all."""

_log = structlog.get_logger(__name__)


def cause_of(error: Exception) -> Exception:
    """What made a handler fail: of several steps side by side, the failure that weighs most."""
    if not isinstance(error, ExceptionGroup):
        return error
    return max(map(cause_of, error.exceptions), key=_weight)


def _weight(error: Exception) -> int:
    """The log goes before a fault of ours, and that before a refusal that no retry can mend; that
    a run was unwound is no failure."""
    if isinstance(error, HandlerError):
        return 1 if problem_of(error).retryable else 2
    return (
        4
        if isinstance(error, LogError)
        else 0
        if isinstance(error, DryRun | Parked | OverBudget)
        else 3
    )


def problem_in(job: Job, error: Exception) -> Problem | None:
    """The failure that a handler named, or ours if it broke; None where a dry run ended.

    Raises:
        LogError: it was the log's, and no failure of the job.
    """
    if isinstance(error, LogError):
        raise error from None
    if isinstance(error, DryRun):
        return None
    if isinstance(error, HandlerError):
        return problem_of(error)
    _log.error("a handler broke", job=job.id, task=job.task, exc_info=error)
    return Problem(
        "internal",
        f"the handler of {job.task} broke: {type(error).__name__}",
        ("This is a fault of darkroom or of a plug-in; the diagnostics tell where.",),
    )


def too_many_crashes(runs: int) -> Problem:
    """Why a job is not started any more."""
    return Problem(
        "internal",
        f"the daemon died {runs} times while this job ran, so it is not started again",
        ("If the job is not to blame, use retry.",),
    )


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
        good = ("succeeded", "polling", "waiting")
        tell = _log.info if job.status in good else _log.warning
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
