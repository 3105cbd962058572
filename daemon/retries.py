"""An error's code -> whether and when to try again. Pure but for the jitter.

The schedule itself is kept in the log (`job.retrying` holds the due time), so a restart changes
neither the count of attempts nor when the next one begins.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tenacity import RetryCallState, Retrying, wait_random_exponential

from daemon.clock import rfc3339
from daemon.errors import Problem
from daemon.settings import Settings


def next_attempt(
    problem: Problem, attempt: int, max_attempts: int, now: datetime, settings: Settings
) -> str | None:
    """When to try again after a failure.

    Args:
        problem: what went wrong.
        attempt: which attempt it was, from 1.
        max_attempts: how many there may be.
        now: the wall clock.
        settings: for the first and the longest wait.

    Returns:
        The due time (RFC 3339), or None where another attempt would not help or is not left.
    """
    if not problem.retryable or attempt >= max_attempts:
        return None
    return rfc3339(now + timedelta(seconds=_wait(attempt, settings)))


def _wait(attempt: int, settings: Settings) -> float:
    """Exponential backoff with full jitter, in seconds."""
    wait = wait_random_exponential(
        multiplier=settings.retry_seconds, max=settings.retry_seconds_max
    )
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = attempt
    return float(wait(state))
