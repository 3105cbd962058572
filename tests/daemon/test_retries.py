"""Whether, when and of whom a failure is tried again."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.clock import parse_rfc3339
from daemon.decisions import Next
from daemon.errors import Problem
from daemon.retries import Failed, next_attempt
from daemon.settings import Settings
from handlers.contract import ErrorCode
from tests.examples import examples

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(retry_seconds=2, retry_seconds_max=30)
MAY_PASS: frozenset[ErrorCode] = frozenset({"provider_unavailable", "provider_rate_limited"})


def after(
    code: ErrorCode = "provider_unavailable",
    attempt: int = 1,
    allowed: int = 9,
    providers: tuple[str, ...] = (),
    wait: float | None = None,
    given: Settings = SETTINGS,
    **fields: Any,
) -> Next | None:
    problem = Problem(code, "x", retryable=code in MAY_PASS, wait=wait)
    failed = Failed(problem, attempt, fields.pop("provider", "a"), **fields)
    return next_attempt(failed, providers, allowed, NOW, given)


def seconds(found: Next | None) -> float:
    assert found is not None
    return (parse_rfc3339(found.due) - NOW).total_seconds()


def test_a_failure_that_no_attempt_mends_is_final() -> None:
    assert after("provider_rejected") is None


@pytest.mark.parametrize(("attempt", "allowed"), [(1, 1), (3, 3), (4, 3)])
def test_the_last_attempt_is_the_last(attempt: int, allowed: int) -> None:
    assert after(attempt=attempt, allowed=allowed) is None


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(1, 99))
def test_the_wait_grows_with_jitter_up_to_the_longest(attempt: int) -> None:
    wait = seconds(after(attempt=attempt, allowed=100))
    assert 0 <= wait <= min(2 * 2 ** (attempt - 1), 30)


def test_waits_differ_so_that_jobs_do_not_come_back_together() -> None:
    assert len({after(attempt=5) for _ in range(20)}) > 10


def test_no_wait_can_be_asked_for() -> None:
    assert seconds(after(attempt=3, given=Settings(retry_seconds=0))) == 0


# ---------------------------------------------------------------- what the provider asks for


@pytest.mark.parametrize("wait", [20.0, 29.9])
def test_a_provider_is_left_alone_for_as_long_as_it_asks_for(wait: float) -> None:
    assert seconds(after(wait=wait)) >= wait


def test_it_may_not_ask_for_more_than_the_longest_wait() -> None:
    assert seconds(after(wait=86400.0)) == 30


@pytest.mark.parametrize("attempt", [1, 3, 99])
def test_being_asked_for_patience_is_no_attempt_and_never_the_last(attempt: int) -> None:
    found = after("provider_rate_limited", attempt=attempt, allowed=1)
    assert found is not None
    assert not found.counts
    assert found.hold == found.due


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 50))
def test_patience_grows_with_each_time_in_a_row(times: int) -> None:
    wait = seconds(after("provider_rate_limited", in_a_row=times))
    assert 2 <= wait <= max(2, min(2 * 2 ** (times - 1), 30))


# ---------------------------------------------------------------- several providers


@pytest.mark.parametrize(
    "code",
    [
        "provider_unavailable",
        "provider_auth",
        "provider_quota",
        "provider_rate_limited",
        "provider_not_found",
        "not_supported",
        "config_missing",
    ],
)
def test_the_next_provider_is_asked_at_once_and_it_is_no_attempt(code: ErrorCode) -> None:
    found = after(code, attempt=9, providers=("a", "b", "c"))
    assert found is not None
    assert (found.provider, found.counts, seconds(found)) == ("b", False, 0)


@pytest.mark.parametrize(
    "code",
    ["content_refused", "ambiguous_submit", "provider_rejected", "provider_failed", "no_media"],
)
def test_what_was_refused_or_may_have_been_done_is_asked_of_nobody_else(code: ErrorCode) -> None:
    assert after(code, providers=("a", "b")) is None


def test_after_the_last_provider_the_first_is_asked_again_later_and_that_counts() -> None:
    found = after(providers=("a", "b"), provider="b")
    assert found is not None
    assert (found.provider, found.counts) == ("a", True)


def failed_before(code: ErrorCode) -> tuple[Problem]:
    return (Problem(code, "x", retryable=code in MAY_PASS),)


@pytest.mark.parametrize(
    ("before", "counts"),
    [("provider_unavailable", True), ("provider_rate_limited", False), ("provider_auth", None)],
)
def test_where_an_earlier_one_may_have_recovered_all_are_asked_again(
    before: ErrorCode, *, counts: bool | None
) -> None:
    ended = {"provider": "b", "providers": ("a", "b"), "before": failed_before(before)}
    found = after("provider_auth", **ended)
    assert (found.counts if found is not None else None) is counts


def test_where_all_ask_for_patience_it_is_no_attempt() -> None:
    found = after(
        "provider_rate_limited",
        attempt=9,
        provider="b",
        providers=("a", "b"),
        before=failed_before("provider_rate_limited"),
    )
    assert found is not None
    assert not found.counts


def test_who_asks_for_patience_is_left_alone_also_where_another_is_asked() -> None:
    found = after("provider_rate_limited", providers=("a", "b"), wait=12.0)
    assert found is not None
    assert found.hold is not None
    assert (parse_rfc3339(found.hold) - NOW).total_seconds() >= 12
    assert seconds(found) == 0


def test_a_provider_that_is_not_in_the_list_is_followed_by_none() -> None:
    assert after("provider_auth", providers=("b", "c"), provider="a") is None
