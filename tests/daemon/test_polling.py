"""When a provider is asked for what it works on, and when that is given up; no clock is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.envelope import Envelope
from daemon.polling import FAILURES, LEAST, Cadence, Watch, cadence_of
from daemon.settings import Settings
from handlers.contract import ErrorCode, HandlerError, Outcome
from handlers.wire import Pending, Ticket

DONE = Outcome(model="done")
Answer = Outcome | Pending | HandlerError


class Asked:
    """A provider's answers, and when each was asked for."""

    def __init__(
        self,
        answers: Sequence[Answer],
        wait: float | None = None,
        polls: int = 0,
        **cadence: Any,
    ) -> None:
        given = {"first": 2.0, "longest": 15.0, "until": 10_000.0, **cadence}
        watch = Watch("slow", Ticket("t", wait=wait), Cadence(**given), 300.0, polls)
        self.at: list[float] = []
        self.result: Outcome | HandlerError = DONE
        left, due = list(answers), watch.first_due(0.0)
        while True:
            self.at.append(round(due, 3))
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Outcome):
                return
            after = watch.after(answer, due)
            if isinstance(after, HandlerError):
                self.result = after
                return
            watch, due = after, after.due(due, answer.wait)

    @property
    def waits(self) -> list[float]:
        return [
            round(after - before, 2) for before, after in zip([0, *self.at], self.at, strict=False)
        ]

    @property
    def failure(self) -> HandlerError:
        assert isinstance(self.result, HandlerError)
        return self.result


def passing(code: ErrorCode = "provider_unavailable", wait: float | None = None) -> HandlerError:
    return HandlerError(code, "busy", wait=wait)


# ---------------------------------------------------------------- when to ask


def test_waits_grow_to_the_longest() -> None:
    asked = Asked([*[Pending("queued")] * 7, DONE])
    assert asked.waits == [2, 3, 4.5, 6.75, 10.12, 15, 15, 15]


def test_the_provider_says_when_to_ask() -> None:
    asked = Asked([Pending("queued", wait=40.0), Pending("running", wait=0.5), DONE], wait=7.0)
    assert asked.at == [7.0, 47.0, 47.5]


def test_without_a_further_hint_waits_go_on_growing() -> None:
    asked = Asked([Pending("queued", wait=1.0), Pending("running"), DONE])
    assert asked.waits == [2, 1, 4.5]


@pytest.mark.parametrize(("first", "wait"), [(2.0, LEAST), (0.01, 0.01)])
def test_nobody_is_asked_without_end_who_says_at_once(first: float, wait: float) -> None:
    asked = Asked([*[Pending("queued", wait=0.0)] * 3, DONE], first=first)
    assert asked.waits[1:] == [round(wait, 2)] * 3


def test_after_a_restart_waits_go_on_where_they_were() -> None:
    assert Asked([Pending("running"), DONE], polls=3, wait=40.0).waits == [6.75, 10.12]


@given(st.integers(0, 10**9), st.none() | st.floats(0, 1e12), st.floats(0, 1e6))
def test_the_next_moment_is_never_past_and_never_after_the_end(
    polls: int, wait: float | None, now: float
) -> None:
    watch = Watch("slow", Ticket("t"), Cadence(2.0, 15.0, 1000.0), 300.0, polls)
    due = watch.due(now, wait)
    assert now <= due <= max(now, 1000.0)


# ---------------------------------------------------------------- failures on the way


def test_what_may_pass_is_waited_out() -> None:
    asked = Asked([passing(), Pending("running"), passing("provider_rate_limited", 30.0), DONE])
    assert asked.result is DONE
    assert asked.at[3] - asked.at[2] == 30.0


def test_what_does_not_pass_is_told_after_a_few_times() -> None:
    asked = Asked([passing()])
    assert asked.failure.code == "provider_unavailable"
    assert len(asked.at) == FAILURES


def test_failures_are_counted_in_a_row() -> None:
    busy = [passing()] * (FAILURES - 1)
    assert Asked([*busy, Pending("running"), *busy, DONE]).result is DONE


@pytest.mark.parametrize("code", ["provider_failed", "content_refused", "provider_auth"])
def test_what_no_waiting_mends_is_told_at_once(code: ErrorCode) -> None:
    asked = Asked([HandlerError(code, "no")])
    assert asked.failure.message == "no"
    assert len(asked.at) == 1


# ---------------------------------------------------------------- given up


def test_it_is_given_up_in_time_and_no_other_is_paid_for() -> None:
    asked = Asked([Pending("running")], until=60.0)
    assert (asked.failure.code, asked.failure.retryable) == ("provider_timeout", False)
    assert "retry" in asked.failure.hints[0]
    assert asked.at[-1] == 60.0


def test_one_whose_time_is_over_is_asked_for_once_more() -> None:
    assert Asked([DONE], until=-5.0, polls=9).at == [0.0]
    asked = Asked([Pending("running")], until=-5.0, polls=9)
    assert (asked.failure.code, len(asked.at)) == ("provider_timeout", 1)


def test_it_is_given_up_after_so_many_polls_failed_ones_among_them() -> None:
    asked = Asked([Pending("queued"), passing(), Pending("running")], most=3)
    assert (asked.failure.code, asked.failure.retryable) == ("provider_timeout", False)
    assert "after 3 polls" in asked.failure.message
    assert len(asked.at) == 3


def test_the_last_poll_may_be_the_one_that_finds_it_done() -> None:
    assert Asked([Pending("queued"), Pending("running"), DONE], most=3).result is DONE


def test_polls_of_before_a_restart_count() -> None:
    assert len(Asked([Pending("running")], most=7, polls=5).at) == 2


# ---------------------------------------------------------------- what the request says


@pytest.mark.parametrize(
    ("request_", "cadence"),
    [
        ({}, Cadence(2.0, 15.0, 9.0)),
        ({"poll_interval": 5, "max_polls": 60}, Cadence(5, 15.0, 9.0, 60)),
        ({"poll_interval": 0.5}, Cadence(0.5, 15.0, 9.0)),
        ({"poll_interval": 40.0}, Cadence(40.0, 40.0, 9.0)),
    ],
)
def test_a_request_says_how_often(request_: Any, cadence: Cadence) -> None:
    assert cadence_of(Envelope(**request_), Settings(), 9.0) == cadence
