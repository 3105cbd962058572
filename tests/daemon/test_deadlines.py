"""When jobs begin and by when they must have ended."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from daemon.clock import rfc3339
from daemon.deadlines import Deadlines, deadline_of, is_late, left_over, start_of, too_late
from daemon.envelope import MAX_DEADLINE, Envelope
from daemon.testing import FrozenClock
from tests.builders import job

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOON, LATER = "2026-01-01T00:00:01.000Z", "2026-01-01T01:00:00.000Z"


def test_a_time_that_is_past_is_at_once() -> None:
    envelope = Envelope.model_validate({"not_before": "2026-01-01T01:00:00Z"})
    assert start_of(envelope, SOON) == LATER
    assert start_of(envelope, LATER) is None
    assert start_of(Envelope(), SOON) is None  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("seconds", "moment"),
    [
        (None, None),
        (1, SOON),
        (0.0015, "2026-01-01T00:00:00.001Z"),
        (1e-300, "2026-01-01T00:00:00.000Z"),
        (MAX_DEADLINE, "2036-01-09T00:00:00.000Z"),
    ],
)
def test_a_deadline_is_counted_from_the_acceptance(
    seconds: float | None, moment: str | None
) -> None:
    envelope = Envelope.model_validate({"deadline_seconds": seconds})
    assert deadline_of(envelope, NOW) == moment


def test_deadlines_are_told_once_each_the_earliest_first_and_only_when_they_came() -> None:
    deadlines = Deadlines()
    for number, moment in enumerate([LATER, SOON, None, SOON]):
        deadlines.add(job(id=f"J{number}", deadline=moment))
    deadlines.drop("J3")
    deadlines.drop("J2")
    assert (deadlines.next(), deadlines.take(rfc3339(NOW))) == (SOON, None)
    assert [deadlines.take(LATER) for _ in range(3)] == ["J1", "J0", None]
    assert deadlines.next() is None


def test_a_job_is_late_from_its_deadline_on() -> None:
    clock = FrozenClock(NOW)
    assert not is_late(job(), clock)
    assert not is_late(job(deadline=SOON), clock)
    clock.advance(1)
    assert is_late(job(deadline=SOON), clock)


def test_a_late_job_is_told_with_its_moments_and_what_it_was_doing() -> None:
    problem = too_late(job(deadline=SOON, status="retrying"))
    assert problem.code == "deadline_exceeded"
    assert problem.message == (
        "the job was accepted at 2026-01-01T00:00:00.000Z and had to end by "
        "2026-01-01T00:00:01.000Z; it was still retrying then"
    )
    assert not problem.retryable


def test_what_a_drain_leaves_is_told_in_sentences() -> None:
    assert left_over([], SOON) == []
    assert left_over([job(due=LATER)], SOON) == [f"1 job waits for its time, the first at {LATER}"]
    assert left_over([job(due=LATER), job(due="9999"), job(due=SOON), job()], SOON) == [
        f"2 jobs wait for their time, the first at {LATER}",
        (
            "2 jobs wait for the end of a pause, for a budget, for another request, or for an older "
            "drop of the same name"
        ),
    ]
