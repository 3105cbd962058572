"""Which job is next, at a time that the test hands in."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.jobs import Job
from daemon.schedule import Schedule
from tests.builders import job

NOW = "2026-01-01T00:00:00.000Z"
SOON = "2026-01-01T00:00:01.000Z"
LATER = "2026-01-01T01:00:00.000Z"


def schedule(limit: int = 10, lane: int = 10, blocked: Any = lambda _: False) -> Schedule:
    return Schedule(limit, lane, blocked)


def waiting(number: int, **fields: Any) -> Job:
    return job(**{"id": f"J{number}", "first": number, **fields})


def picked(schedule: Schedule, now: str = NOW) -> list[str]:
    """Everything that can start now."""
    found = []
    while (one := schedule.pick(now)) is not None:
        found.append(one.id)
    return found


def test_nothing_waits_at_first() -> None:
    assert schedule().pick(NOW) is None
    assert schedule().next_due() is None


def test_first_come_first_served_across_lanes() -> None:
    plan = schedule()
    for number, provider in [(2, "b"), (1, "a"), (4, "a"), (3, "b")]:
        plan.add(waiting(number, provider=provider))
    assert picked(plan) == ["J1", "J2", "J3", "J4"]


def test_within_a_lane_the_order_of_adding_counts() -> None:
    plan = schedule()
    for number in (3, 1, 2):
        plan.add(waiting(number))
    assert picked(plan) == ["J3", "J1", "J2"]


def test_a_job_is_picked_once() -> None:
    plan = schedule()
    plan.add(waiting(1))
    plan.add(waiting(1))
    assert picked(plan) == ["J1"]


def test_no_more_run_at_once_than_may() -> None:
    plan = schedule(limit=2)
    for number in (1, 2, 3):
        plan.add(waiting(number))
    assert picked(plan) == ["J1", "J2"]
    plan.done("J1")
    assert picked(plan) == ["J3"]


def test_a_full_lane_lets_the_others_pass() -> None:
    plan = schedule(lane=1)
    for number, provider in [(1, "slow"), (2, "slow"), (3, "fast")]:
        plan.add(waiting(number, provider=provider))
    assert picked(plan) == ["J1", "J3"]
    plan.done("J3")
    assert picked(plan) == []
    plan.done("J1")
    assert picked(plan) == ["J2"]


def test_a_place_is_given_back_once() -> None:
    plan = schedule(lane=1)
    for number in (1, 2, 3):
        plan.add(waiting(number))
    assert picked(plan) == ["J1"]
    plan.done("J1")
    plan.done("J1")
    plan.done("never ran")
    assert picked(plan) == ["J2"]


def test_a_blocked_job_lets_those_behind_it_pass_and_goes_when_it_may() -> None:
    blocked = {"J1"}
    plan = schedule(blocked=lambda one: one.id in blocked)
    plan.add(waiting(1))
    plan.add(waiting(2))
    assert picked(plan) == ["J2"]
    blocked.clear()
    assert picked(plan) == ["J1"]


def test_a_job_with_a_due_time_waits_for_it() -> None:
    plan = schedule()
    plan.add(waiting(1, due=SOON))
    assert plan.next_due() == SOON
    assert picked(plan, NOW) == []
    assert picked(plan, SOON) == ["J1"]
    assert plan.next_due() is None


def test_the_earliest_due_time_is_told() -> None:
    plan = schedule()
    for number, due in [(1, LATER), (2, SOON), (3, LATER)]:
        plan.add(waiting(number, due=due))
    assert plan.next_due() == SOON
    assert picked(plan, SOON) == ["J2"]
    assert plan.next_due() == LATER


def test_a_job_whose_time_came_while_all_places_were_taken_is_not_forgotten() -> None:
    plan = schedule(limit=1)
    plan.add(waiting(1))
    plan.add(waiting(2, due=SOON))
    assert picked(plan, LATER) == ["J1"]
    assert plan.next_due() is None
    plan.done("J1")
    assert picked(plan, LATER) == ["J2"]


@pytest.mark.parametrize("due", [None, SOON])
def test_a_job_that_was_removed_is_not_picked(due: str | None) -> None:
    plan = schedule()
    plan.add(waiting(1, due=due))
    plan.add(waiting(2, due=due))
    plan.remove(waiting(1))
    assert picked(plan, LATER) == ["J2"]


def test_removing_what_does_not_wait_changes_nothing() -> None:
    plan = schedule()
    plan.add(waiting(1))
    plan.remove(waiting(9, provider="nobody"))
    assert picked(plan) == ["J1"]


def test_two_jobs_due_at_one_moment_are_both_picked() -> None:
    plan = schedule()
    plan.add(waiting(2, due=SOON))
    plan.add(waiting(1, due=SOON))
    assert sorted(picked(plan, SOON)) == ["J1", "J2"]


JOBS = st.lists(
    st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from([None, NOW, SOON, LATER])),
    max_size=20,
)


@settings(max_examples=120, deadline=None)
@given(JOBS, st.integers(1, 5), st.integers(1, 5))
def test_every_job_is_picked_exactly_once_and_never_too_many(
    jobs: list[tuple[str, str | None]], limit: int, lane: int
) -> None:
    plan = schedule(limit, lane)
    waits = [waiting(n, provider=p, due=due) for n, (p, due) in enumerate(jobs, start=1)]
    for one in waits:
        plan.add(one)
    seen: list[str] = []
    running: list[Job] = []
    for now in (NOW, SOON, LATER):
        while True:
            while (one := plan.pick(now)) is not None:
                assert one.due is None or one.due <= now
                running.append(one)
                seen.append(one.id)
            assert len(running) <= limit
            assert all(sum(r.provider == p for r in running) <= lane for p in "abc")
            if not running:
                break
            plan.done(running.pop(0).id)
    assert sorted(seen) == sorted(one.id for one in waits)


def test_ten_thousand_jobs_are_scheduled_in_a_moment() -> None:
    plan = schedule(limit=100_000, lane=100_000)
    for number in range(10_000):
        plan.add(waiting(number, provider=f"p{number % 7}", due=SOON if number % 2 else None))
    assert len(picked(plan, LATER)) == 10_000
