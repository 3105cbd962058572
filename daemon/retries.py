"""An error's code -> whether, when and of whom to try again. Pure but for the jitter.

The schedule itself is kept in the log (`job.retrying` holds the due time), so a restart changes
neither the count of attempts nor when the next one begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tenacity import RetryCallState, Retrying, wait_random_exponential

from daemon.clock import rfc3339
from daemon.decisions import Next
from daemon.errors import FALLS_OVER, Problem
from daemon.settings import Settings


class Failed(NamedTuple):
    """An attempt that failed."""

    problem: Problem
    attempt: int
    """Which it was, from 1."""
    provider: str
    """Who was asked."""
    before: Sequence[Problem] = ()
    """Why those failed that were asked before it."""
    in_a_row: int = 1
    """How often in a row the provider has asked for patience."""


def next_attempt(
    failed: Failed,
    providers: Sequence[str],
    max_attempts: int,
    now: datetime,
    settings: Settings,
) -> Next | None:
    """What to do after a failure.

    Args:
        failed: what went wrong.
        providers: all that may be asked, in order.
        max_attempts: how many there may be.
        now: the wall clock.
        settings: for the first and the longest wait.

    Returns:
        The next attempt, or None where another would not help or is not left.
    """
    problem = failed.problem
    limited = problem.code == "provider_rate_limited"
    wait = max(_wait(failed, settings, limited), _asked_for(problem, settings))
    later = rfc3339(now + timedelta(seconds=wait))
    hold = later if limited else None
    if problem.code in FALLS_OVER and (other := _after(failed.provider, providers)) is not None:
        return Next(rfc3339(now), counts=False, provider=other, hold=hold)
    may_pass = [one for one in (*failed.before, problem) if one.retryable]
    if not may_pass:
        return None
    counts = any(one.code != "provider_rate_limited" for one in may_pass)
    if counts and failed.attempt >= max_attempts:
        return None
    first = providers[0] if len(providers) > 1 else None
    return Next(later, counts, first, hold)


def _after(provider: str, providers: Sequence[str]) -> str | None:
    """The next in the list."""
    place = providers.index(provider) + 1 if provider in providers else len(providers)
    return providers[place] if place < len(providers) else None


def _asked_for(problem: Problem, settings: Settings) -> float:
    """Seconds that the provider wants us to wait; no longer than we ever do."""
    return min(max(problem.wait or 0.0, 0.0), settings.retry_seconds_max)


def _wait(failed: Failed, settings: Settings, limited: bool) -> float:
    """Exponential backoff with full jitter, in seconds; never none for who asks for patience."""
    wait = wait_random_exponential(
        multiplier=settings.retry_seconds, max=settings.retry_seconds_max
    )
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = failed.in_a_row if limited else failed.attempt
    return max(float(wait(state)), settings.retry_seconds if limited else 0.0)
