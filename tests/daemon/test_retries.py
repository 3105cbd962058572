"""Whether and when a failure is tried again."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import parse_rfc3339
from daemon.errors import Problem
from daemon.retries import next_attempt
from daemon.settings import Settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RETRYABLE = Problem("provider_unavailable", "x", retryable=True)
SETTINGS = Settings(retry_seconds=2, retry_seconds_max=30)


def test_a_failure_that_no_attempt_mends_is_final() -> None:
    assert next_attempt(Problem("provider_rejected", "x"), 1, 9, NOW, SETTINGS) is None


@pytest.mark.parametrize(("attempt", "allowed"), [(1, 1), (3, 3), (4, 3)])
def test_the_last_attempt_is_the_last(attempt: int, allowed: int) -> None:
    assert next_attempt(RETRYABLE, attempt, allowed, NOW, SETTINGS) is None


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 99))
def test_the_wait_grows_with_jitter_up_to_the_longest(attempt: int) -> None:
    due = next_attempt(RETRYABLE, attempt, 100, NOW, SETTINGS)
    assert due is not None
    wait = (parse_rfc3339(due) - NOW).total_seconds()
    assert 0 <= wait <= min(2 * 2 ** (attempt - 1), 30)


def test_waits_differ_so_that_jobs_do_not_come_back_together() -> None:
    assert len({next_attempt(RETRYABLE, 5, 9, NOW, SETTINGS) for _ in range(20)}) > 10


def test_no_wait_can_be_asked_for() -> None:
    at_once = Settings(retry_seconds=0)
    assert next_attempt(RETRYABLE, 3, 9, NOW, at_once) == "2026-01-01T00:00:00.000Z"
