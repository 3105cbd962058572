"""Which job is next, at a time that the test hands in: its order, and what is promised to all."""

from __future__ import annotations

import pickle
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count, cycle
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.jobs import Job
from daemon.schedule import HEAD_START, Heap, Schedule
from tests.builders import job
from tests.examples import examples

NOW = "2026-01-01T00:00:00.000Z"
SOON = "2026-01-01T00:00:01.000Z"
LATER = "2026-01-01T01:00:00.000Z"
NOTHING = dict.fromkeys(["running", "waiting", "later", "blocked", "needs", "kept"], 0)
EVERYBODY = frozenset({None})


def waiting(number: int, **fields: Any) -> Job:
    return job(**{"id": f"J{number}", "name": f"{number}.json", "first": number, **fields})


def scheduled(*jobs: Job, limit: int = 1000, lane: int = 1000) -> Schedule:
    plan = Schedule(limit, lane)
    for one in jobs:
        plan.add(one)
    return plan


def picked(plan: Schedule, now: str = NOW) -> list[str]:
    """Everything that can start now."""
    return [one.id for one in iter(lambda: plan.pick(now), None)]


def serve(plan: Schedule, now: str = LATER) -> Job:
    """Pick a job and end it."""
    one = plan.pick(now)
    assert one is not None
    plan.done(one.id)
    plan.remove(one.id)
    return one


# ---------------------------------------------------------------- lanes and places


def test_nothing_waits_at_first() -> None:
    plan = scheduled()
    assert (plan.pick(NOW), plan.next_due(), plan.waits()) == (None, None, {})


def test_first_come_first_served_across_lanes() -> None:
    lanes = [(2, "b"), (1, "a"), (4, "a"), (3, "b")]
    assert picked(scheduled(*(waiting(n, provider=p) for n, p in lanes))) == [
        "J1", "J2", "J3", "J4",
    ]  # fmt: skip


def test_the_lane_where_the_fewest_run_goes_first() -> None:
    lanes = [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b")]
    plan = scheduled(*(waiting(n, provider=p) for n, p in lanes))
    assert picked(plan) == ["J1", "J4", "J2", "J5", "J3"]


def test_within_a_folder_the_order_of_becoming_ready_counts() -> None:
    assert picked(scheduled(*map(waiting, (3, 1, 2)))) == ["J3", "J1", "J2"]


def test_no_more_run_at_once_than_may() -> None:
    plan = scheduled(*map(waiting, (1, 2, 3)), limit=2)
    assert picked(plan) == ["J1", "J2"]
    plan.done("J1")
    assert picked(plan) == ["J3"]


def test_a_full_lane_lets_the_others_pass() -> None:
    lanes = [(1, "slow"), (2, "slow"), (3, "fast")]
    plan = scheduled(*(waiting(n, provider=p) for n, p in lanes), lane=1)
    assert picked(plan) == ["J1", "J3"]
    plan.done("J3")
    assert picked(plan) == []
    plan.done("J1")
    assert picked(plan) == ["J2"]


def test_a_place_is_given_back_once() -> None:
    plan = scheduled(*map(waiting, (1, 2, 3)), lane=1)
    assert picked(plan) == ["J1"]
    plan.done("J1")
    plan.done("J1")
    plan.done("never ran")
    assert picked(plan) == ["J2"]


def test_a_job_that_ends_while_it_runs_gives_its_place_back_once() -> None:
    plan = scheduled(*map(waiting, (1, 2, 3)), lane=1)
    assert picked(plan) == ["J1"]
    plan.remove("J1")
    plan.done("J1")
    assert picked(plan) == ["J2"]


# ---------------------------------------------------------------- adding and removing


def test_adding_twice_changes_neither_the_order_nor_the_count() -> None:
    plan = scheduled(*map(waiting, (1, 2, 1)))
    assert picked(plan) == ["J1", "J2"]


def test_adding_a_job_that_runs_does_not_start_it_twice() -> None:
    plan = scheduled(waiting(1))
    assert picked(plan) == ["J1"]
    plan.add(waiting(1))
    assert picked(plan) == []


def test_what_waits_is_replaced_by_what_is_added_under_its_id() -> None:
    plan = scheduled(*map(waiting, (1, 2, 3)))
    changed = [waiting(1, version=7), waiting(2, priority=1), waiting(3, due=SOON)]
    for one in changed:
        plan.add(one)
    assert [plan.pick(NOW), plan.pick(NOW), plan.pick(NOW)] == [changed[1], changed[0], None]
    assert plan.pick(SOON) == changed[2]


@pytest.mark.parametrize("due", [None, SOON])
def test_a_job_that_was_removed_is_not_picked(due: str | None) -> None:
    plan = scheduled(waiting(1, due=due), waiting(2, due=due))
    plan.remove("J1")
    plan.remove("never there")
    assert picked(plan, LATER) == ["J2"]


# ---------------------------------------------------------------- due times


def test_a_job_with_a_due_time_waits_for_it() -> None:
    plan = scheduled(waiting(1, due=SOON))
    assert plan.next_due() == SOON
    assert picked(plan, NOW) == []
    assert picked(plan, SOON) == ["J1"]
    assert plan.next_due() is None


def test_the_earliest_due_time_is_told() -> None:
    plan = scheduled(*(waiting(n, due=due) for n, due in [(1, LATER), (2, SOON), (3, LATER)]))
    assert plan.next_due() == SOON
    assert picked(plan, SOON) == ["J2"]
    assert plan.next_due() == LATER


def test_jobs_due_at_one_moment_go_in_the_order_of_their_acceptance() -> None:
    plan = scheduled(waiting(10, due=SOON), waiting(9, due=SOON))
    assert picked(plan, SOON) == ["J9", "J10"]


def test_a_job_whose_time_came_while_all_places_were_taken_is_not_forgotten() -> None:
    plan = scheduled(waiting(1), waiting(2, due=SOON), limit=1)
    assert picked(plan, LATER) == ["J1"]
    assert plan.next_due() is None
    plan.done("J1")
    assert picked(plan, LATER) == ["J2"]


# ---------------------------------------------------------------- pauses


def test_a_paused_lane_keeps_its_jobs_and_its_running_ones() -> None:
    plan = scheduled(*(waiting(n, provider=p) for n, p in [(1, "a"), (2, "a"), (3, "b")]))
    assert getattr(plan.pick(NOW), "id", None) == "J1"
    plan.pause(frozenset({"a", "unheard of"}))
    assert picked(plan) == ["J3"]
    assert plan.waits()["a"] == {**NOTHING, "running": 1, "waiting": 1}
    plan.pause(frozenset({"b"}))
    assert picked(plan) == ["J2"]


def test_a_pause_holds_for_what_comes_later() -> None:
    plan = scheduled()
    plan.pause(frozenset({"a"}))
    plan.add(waiting(1, provider="a"))
    plan.add(waiting(2, provider="a", due=SOON))
    assert picked(plan, LATER) == []
    plan.pause(frozenset())
    assert picked(plan, LATER) == ["J1", "J2"]


def test_a_pause_of_everything_picks_nothing_but_lets_times_come() -> None:
    plan = scheduled(waiting(1), waiting(2, due=SOON))
    plan.pause(EVERYBODY)
    assert picked(plan, LATER) == []
    assert plan.next_due() is None  # or whoever waits for it would not get to sleep
    plan.pause(frozenset())
    assert picked(plan, LATER) == ["J1", "J2"]


# ---------------------------------------------------------------- being ended, being held


@pytest.mark.parametrize("due", [None, SOON])
def test_a_job_that_is_being_ended_is_not_picked_and_newer_ones_of_its_name_wait(
    due: str | None,
) -> None:
    plan = scheduled(dropped(1, due=due), dropped(2))
    plan.take("J1")
    plan.take("never there")
    assert (picked(plan, LATER), plan.next_due()) == ([], None)
    plan.remove("J1")
    assert picked(plan) == ["J2"]


def test_one_that_is_being_ended_and_is_added_again_waits_again() -> None:
    plan = scheduled(waiting(1))
    plan.take("J1")
    plan.add(waiting(1))
    assert picked(plan) == ["J1"]


def test_a_blocked_job_that_is_being_ended_lets_the_next_one_go() -> None:
    plan = scheduled(dropped(1), dropped(2), dropped(3))
    plan.take("J2")
    plan.remove("J2")
    plan.remove("J1")
    assert picked(plan) == ["J3"]


@pytest.mark.parametrize(
    ("fields", "paused", "held"),
    [
        ({}, {"other"}, False),
        ({}, {"local"}, True),
        ({}, {None}, True),
        ({"due": LATER}, set(), True),
        ({"due": SOON}, set(), False),  # it is due by now, although nobody picked since
        ({"due": LATER, "status": "retrying"}, set(), False),
        ({"due": LATER, "status": "retrying"}, {"local"}, True),
    ],
)
def test_what_is_held_waits_for_a_chosen_time_or_the_end_of_a_pause(
    fields: dict[str, Any], paused: set[str | None], *, held: bool
) -> None:
    plan = scheduled(dropped(1, **fields), dropped(2))
    plan.pause(frozenset(paused))
    assert [plan.is_held(one, SOON) for one in ("J1", "J2")] == [held, held]


def test_what_runs_is_not_held_by_a_pause_nor_is_what_waits_behind_it() -> None:
    plan = scheduled(dropped(1), dropped(2))
    assert picked(plan) == ["J1"]
    plan.pause(EVERYBODY)
    assert [plan.is_held(one, SOON) for one in ("J1", "J2")] == [False, False]


# ---------------------------------------------------------------- one name


def dropped(number: int, **fields: Any) -> Job:
    """One more drop of the same name."""
    return waiting(number, **{"name": "a.json", **fields})


def test_newer_drops_of_a_name_wait_until_each_older_one_has_ended() -> None:
    plan = scheduled(dropped(3), dropped(1), dropped(2), waiting(4))
    assert picked(plan) == ["J1", "J4"]
    plan.done("J1")
    assert picked(plan) == []
    plan.remove("J1")
    assert picked(plan) == ["J2"]
    plan.remove("J2")
    assert picked(plan) == ["J3"]


def test_the_same_file_name_in_another_folder_is_another_name() -> None:
    assert picked(scheduled(dropped(1), dropped(2, name="b/a.json"))) == ["J1", "J2"]


def test_a_job_between_two_attempts_still_blocks() -> None:
    plan = scheduled(dropped(1), dropped(2))
    assert picked(plan) == ["J1"]
    plan.done("J1")
    plan.add(dropped(1, due=LATER))
    assert picked(plan, SOON) == []
    assert picked(plan, LATER) == ["J1"]


def test_a_blocked_job_that_ended_is_not_let_through() -> None:
    plan = scheduled(dropped(1), dropped(2), dropped(3))
    assert picked(plan) == ["J1"]
    plan.remove("J2")
    plan.remove("J1")
    assert picked(plan) == ["J3"]


def test_a_blocked_job_waits_for_its_due_time_afterwards() -> None:
    plan = scheduled(dropped(1), dropped(2, due=SOON))
    assert plan.next_due() is None  # nothing happens at that time
    plan.remove("J1")
    assert plan.next_due() == SOON
    assert picked(plan, SOON) == ["J2"]


@pytest.mark.parametrize("due", [None, SOON])
def test_a_retried_older_job_goes_before_a_newer_one_that_waits(due: str | None) -> None:
    plan = scheduled(dropped(2, due=due), dropped(1))
    assert picked(plan, LATER) == ["J1"]
    plan.remove("J1")
    assert picked(plan, LATER) == ["J2"]


def test_a_retried_older_job_does_not_stop_a_newer_one_that_runs() -> None:
    plan = scheduled(dropped(2))
    assert picked(plan) == ["J2"]
    plan.add(dropped(1))
    assert picked(plan) == ["J1"]
    assert plan.waits() == {"local": {**NOTHING, "running": 2}}
    plan.done("J2")
    plan.add(dropped(2))  # its next attempt has to wait, though
    assert picked(plan) == []
    plan.remove("J1")
    assert picked(plan) == ["J2"]


@pytest.mark.parametrize("resting", [False, True])
def test_the_end_of_an_older_job_starts_no_newer_one_that_ran_before(resting: bool) -> None:
    plan = scheduled(dropped(2))
    assert picked(plan) == ["J2"]
    plan.add(dropped(1))
    if resting:
        plan.done("J2")
    plan.remove("J1")
    assert picked(plan) == []
    plan.add(waiting(3))
    assert picked(plan) == ["J3"]


def test_what_waits_is_counted() -> None:
    plan = scheduled(
        dropped(1), dropped(2), dropped(3, provider="b"), waiting(4), waiting(5, due=LATER), lane=1
    )
    assert picked(plan) == ["J1"]
    assert plan.waits() == {
        "local": {**NOTHING, "running": 1, "waiting": 1, "later": 1, "blocked": 1},
        "b": {**NOTHING, "blocked": 1},
    }


# ---------------------------------------------------------------- priorities and folders


def test_a_higher_priority_goes_first() -> None:
    levels = [(1, 0), (2, -3), (3, 5), (4, 0), (5, 5)]
    plan = scheduled(*(waiting(n, priority=p) for n, p in levels))
    assert picked(plan) == ["J3", "J5", "J1", "J4", "J2"]


@pytest.mark.parametrize("folder", ["u", "u{}"])
def test_an_urgent_job_goes_at_once_however_many_wait_in_however_many_folders(folder: str) -> None:
    backlog = [waiting(n, name=f"{folder.format(n)}/{n}.json") for n in range(1000)]
    plan = scheduled(*backlog)
    for number in range(1000, 1300):
        serve(plan)
        plan.add(waiting(number, name=f"{folder.format(5)}/{number}.json", priority=1))
        assert serve(plan).id == f"J{number}"


@pytest.mark.parametrize("steps", [1, 3])
def test_one_job_is_let_through_for_each_head_start_that_passed_over_it(steps: int) -> None:
    low = [waiting(n) for n in range(5)]
    high = [waiting(n, priority=steps) for n in range(5, 2000)]
    plan = scheduled(*low, *high)
    served = [serve(plan).priority for _ in range(1000)]
    turns = [place for place, priority in enumerate(served) if priority == 0]
    each = steps * HEAD_START
    assert turns == [n * (each + 1) + each for n in range(5) if n * (each + 1) + each < 1000]


def test_folders_of_one_priority_take_turns() -> None:
    plan = scheduled(*(waiting(n, name=f"{'aaab'[n % 4]}/{n}.json") for n in range(8)))
    assert [serve(plan).name[0] for _ in range(8)] == list("ababaaaa")


def test_a_folder_in_a_folder_is_one_of_its_own() -> None:
    plan = scheduled(*(waiting(n, name=f"{'aab'[n % 3]}/{n % 2}/x{n}.json") for n in range(6)))
    assert [serve(plan).name[:3] for _ in range(6)] == ["a/0", "a/1", "b/0", "b/1", "a/0", "a/1"]


def test_a_folder_that_was_idle_for_long_has_saved_nothing_up() -> None:
    plan = scheduled(*(waiting(n, name=f"busy/{n}.json") for n in range(500)))
    for _ in range(300):
        serve(plan)
    for number in range(500, 600):
        plan.add(waiting(number, name=f"idle/{number}.json"))
    served = "".join(serve(plan).name[0] for _ in range(100))
    assert served == "bi" * 50


# ---------------------------------------------------------------- what is promised to all


def long_lists(of: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[list[Any]]:
    """Lists of any length alike: plain ones are short on the average, and see little."""
    return st.integers(0, most).flatmap(lambda n: st.lists(of, min_size=n, max_size=n))


SMALL_START = mock.patch("daemon.schedule.HEAD_START", 4)
"""So that a test needs no hundreds of jobs to see the far end of it."""

FOLDERS = st.sampled_from(["", "c", "d", "d/e"])
PRIORITIES = st.integers(-2, 2)
NOISE = st.lists(st.lists(st.tuples(FOLDERS, PRIORITIES), max_size=4), min_size=1, max_size=20)
"""What else is dropped before each pick, over and over."""


class Inbox:
    """Drops jobs on a schedule, each with a number and a name of its own."""

    def __init__(self, limit: int = 1000) -> None:
        self.plan = Schedule(limit, limit)
        self._numbers = count(1)

    def drop(self, folder: str, priority: int = 0) -> str:
        number = next(self._numbers)
        name = f"{folder}/{number}.json".lstrip("/")
        self.plan.add(waiting(number, name=name, priority=priority))
        return f"J{number}"

    def served(self, noise: Iterator[list[tuple[str, int]]]) -> Job:
        """Let others drop what they like, then serve one job."""
        for folder, priority in next(noise):
            self.drop(folder, priority)
        return serve(self.plan)


@SMALL_START
@settings(max_examples=examples(60), deadline=None)
@given(NOISE, PRIORITIES, st.integers(0, 30))
def test_two_busy_folders_of_one_priority_are_served_alike(
    noise: list[list[tuple[str, int]]], priority: int, lead: int
) -> None:
    inbox, others = Inbox(), cycle(noise)
    for _ in range(200):
        inbox.drop("a", priority)
    for _ in range(lead):
        inbox.served(others)
    for _ in range(200):
        inbox.drop("b", priority)
    served = Counter[str]()
    for _ in range(150):
        served[inbox.served(others).name[0]] += 1
        assert abs(served["a"] - served["b"]) <= 1


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9))), st.integers(0, 40))
def test_a_new_folder_waits_for_one_job_of_each_busy_one(
    drops: list[tuple[str, int]], before: int
) -> None:
    inbox = Inbox()
    left = Counter({folder: 0 for folder in "abcdef"})
    for folder, times in drops:
        left[folder] += times
        for _ in range(times):
            inbox.drop(folder)
    for _ in range(min(before, left.total())):
        left[inbox.served(cycle([[]])).name[0]] -= 1
    new, busy = inbox.drop("new"), len(+left) + 1
    later = cycle([[(folder, 0) for folder in "ghi"]])
    assert new in [inbox.served(later).id for _ in range(busy)]


@SMALL_START
@settings(max_examples=examples(60), deadline=None)
@given(NOISE, NOISE, PRIORITIES, st.integers(0, 4))
def test_every_job_is_picked_within_bounds_whatever_comes_later(
    earlier: list[list[tuple[str, int]]],
    later: list[list[tuple[str, int]]],
    priority: int,
    ahead: int,
) -> None:
    inbox = Inbox()
    for drops in earlier:
        for folder, other in drops:
            inbox.drop(folder, other)
    for _ in range(ahead):
        inbox.drop("mine", priority)
    mine = inbox.drop("mine", priority)
    floods = cycle([[*drops, (f"new{n}", 2)] for n, drops in enumerate(later)])
    levels, folders = 5, 5  # of the noise; "mine" is the last of the folders
    turn = 4 * (2 - priority) + levels
    picks = (ahead + 1) * (folders + len(later)) * turn
    assert any(inbox.served(floods).id == mine for _ in range(picks))


# ---------------------------------------------------------------- however many there are


def churn(plan: Schedule, numbers: range, **fields: Any) -> None:
    """Have many jobs come and go in every way there is."""
    for number in numbers:
        name = f"folder {number}/{number // 2}.json"
        one = waiting(number, name=name, priority=number % 7, provider=f"p{number}", **fields)
        plan.add(one)
    for number in numbers[::3]:
        plan.remove(f"J{number}")
    for number in [*numbers[1::3], *numbers[2::3]]:
        while (one := plan.pick(LATER)) is not None:
            plan.done(one.id)
        plan.remove(f"J{number}")


def test_nothing_is_kept_of_what_went() -> None:
    plan = scheduled(limit=3)
    churn(plan, range(100))
    before = len(pickle.dumps(plan))
    churn(plan, range(100, 2000))
    churn(plan, range(2000, 3000), due=SOON)
    assert plan.waits() == {}
    assert len(pickle.dumps(plan)) < before + 200


def waiting_for_their_turn(number: int) -> Job:
    return waiting(number, name=f"{number}/x.json", priority=number % 50)


def blocked(number: int) -> Job:
    return waiting(number, name="a.json")


def in_lanes_that_are_full(number: int) -> Job:
    return waiting(number, provider=f"full{number // 2}")


def in_lanes_that_are_paused(number: int) -> Job:
    return waiting(number, provider="paused" if number % 2 else f"p{number}")


def of_the_same_lane(number: int) -> Job:
    return waiting(number, provider="a", priority=-number)


def due_later(number: int) -> Job:
    return waiting(number, due=LATER)


CROWDS = [
    waiting_for_their_turn, blocked, in_lanes_that_are_full, in_lanes_that_are_paused,
    of_the_same_lane, due_later,
]  # fmt: skip


def calls_of(act: Callable[[], Any]) -> int:
    """How many calls, of Python and C functions, something takes."""
    calls = 0

    def watch(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        act()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("crowd", CROWDS)
def test_a_crowd_costs_no_more_than_a_handful(crowd: Callable[[int], Job]) -> None:
    def cost(many: int) -> int:
        plan = Schedule(100_000, 1)
        plan.pause(frozenset({"paused"}))
        for number in range(many):
            plan.add(crowd(number))
        picked(plan)
        plan.add(waiting(many, provider="other", priority=9))
        return calls_of(lambda: [serve(plan, NOW), plan.pick(NOW)])

    assert cost(5000) <= cost(10) + 10


# ---------------------------------------------------------------- the whole, against a slow model


class Model:
    """The same, as plainly as it can be said: everything is looked through for each question."""

    def __init__(self, limit: int, lane_limit: int) -> None:
        self.limit, self.lane_limit = limit, lane_limit
        self.paused: frozenset[str | None] = frozenset()
        self.jobs: dict[str, Job] = {}
        self.where: dict[str, str] = {}
        self.time_came: set[str] = set()
        self.needing: set[str] = set()
        self.since: dict[Any, int] = {}  # a job, a folder -> when it began to wait
        self.level_since: dict[Any, int] = {}
        self.served = Counter[str]()
        self.clock = count()

    def add(self, one: Job) -> None:
        at, before = self.where.get(one.id), self.jobs.get(one.id)
        if at == "running":
            return
        self.jobs[one.id] = one
        if before is not None and place_of(before) != place_of(one):
            self._put(one.id, "new")
        self.where.setdefault(one.id, "new")
        self._settle()

    def pick(self, now: str) -> Job | None:
        self.time_came |= {
            i for i, at in self.where.items() if at == "later" and self.jobs[i].due <= now
        }
        self._settle()
        lanes = {one.provider for one in self._at("waiting")} - self.paused
        firsts = [self._first(lane) for lane in lanes if self._load(lane) < self.lane_limit]
        if None in self.paused or len(self._at("running")) >= self.limit or not firsts:
            return None
        best = min(firsts, key=lambda one: (self._load(one.provider), one.first))
        self.served[best.provider] += 1
        self.level_since[level_of(best)] = self.served[best.provider]
        self.since[folder_of(best)] = next(self.clock)
        self._put(best.id, "running")
        self._settle()
        return best

    def done(self, job_id: str) -> None:
        if self.where.get(job_id) == "running":
            del self.where[job_id]

    def need(self, job_id: str) -> None:
        self.needing.add(job_id)
        self._settle()

    def meet(self, job_id: str) -> None:
        self.needing.discard(job_id)
        self._settle()

    def remove(self, job_id: str) -> None:
        self.needing.discard(job_id)
        if self.jobs.pop(job_id, None) is not None:
            self._put(job_id, "gone")
            del self.where[job_id]
            self._settle()

    def pause(self, providers: frozenset[str | None]) -> None:
        self.paused = providers

    def next_due(self) -> str | None:
        return min((one.due for one in self._at("later") if one.due), default=None)

    def waits(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for job_id, at in self.where.items():
            found.setdefault(self.jobs[job_id].provider, dict(NOTHING))[at] += 1
        return found

    def _at(self, where: str) -> list[Job]:
        return [self.jobs[job_id] for job_id, at in self.where.items() if at == where]

    def _load(self, lane: str) -> int:
        return sum(one.provider == lane for one in self._at("running"))

    def _first(self, lane: str) -> Job:
        def turn(one: Job) -> Any:
            return (self.level_since[level_of(one)] - 4 * one.priority, one.priority), (
                self.since[folder_of(one)], self.since[one.id],
            )  # fmt: skip

        return min((one for one in self._at("waiting") if one.provider == lane), key=turn)

    def _put(self, job_id: str, where: str) -> None:
        self.where[job_id] = where
        self.time_came.discard(job_id)

    def _settle(self) -> None:
        """Say of each job what it waits for: first those that leave, then those that come."""
        coming = {}
        for job_id, at in self.where.items():
            if at != "running" and (now := self._wanted(self.jobs[job_id])) != at:
                coming[job_id] = now
        for job_id, now in coming.items():
            self.where[job_id] = now
            if now in ("blocked", "needs"):
                self.time_came.discard(job_id)
        stay = [one for one in self._at("waiting") if one.id not in coming]
        kept = {key for one in stay for key in (one.id, folder_of(one), level_of(one))}
        self.since = {key: at for key, at in self.since.items() if key in kept}
        self.level_since = {key: at for key, at in self.level_since.items() if key in kept}
        for one in sorted(self._at("waiting"), key=lambda one: (one.due or "", one.first)):
            self.since.setdefault(one.id, next(self.clock))
            self.since.setdefault(folder_of(one), next(self.clock))
            self.level_since.setdefault(level_of(one), self.served[one.provider])

    def _wanted(self, one: Job) -> str:
        if any(o.name == one.name and o.first < one.first for o in self.jobs.values()):
            return "blocked"
        if one.id in self.needing:
            return "needs"
        return "waiting" if one.due is None or one.id in self.time_came else "later"


def level_of(one: Job) -> tuple[str, int]:
    return one.provider, one.priority


def folder_of(one: Job) -> tuple[str, int, str]:
    return *level_of(one), one.name.rpartition("/")[0]


def place_of(one: Job) -> tuple[str, int, str | None]:
    return one.provider, one.priority, one.due


NUMBERS = st.integers(1, 12)
DUES = st.sampled_from([None, None, NOW, SOON, LATER])
OPERATIONS = st.one_of(
    st.tuples(st.just("add"), NUMBERS, PRIORITIES, st.sampled_from("pq"), DUES),
    st.tuples(st.just("pick"), st.sampled_from([NOW, SOON, LATER])),
    st.tuples(st.just("pick"), st.just(NOW)),
    st.tuples(st.just("done"), NUMBERS),
    st.tuples(st.just("remove"), NUMBERS),
    st.tuples(st.sampled_from(["need", "meet"]), NUMBERS),
    st.tuples(st.just("pause"), st.frozensets(st.sampled_from(["p", "q", None]), max_size=2)),
)
NAMES = ["a/1", "a/1", "a/1", "a/2", "a/2", "b/3", "b/4", "b/5", "6", "7", "7", "7", "8"]


def act(plan: Schedule | Model, operation: tuple[Any, ...]) -> Job | None:
    match operation:
        case "add", number, priority, provider, due:
            fields = {"priority": priority, "provider": provider, "due": due}
            plan.add(waiting(number, name=NAMES[number], **fields))
        case "pick", now:
            return plan.pick(now)
        case "done" | "remove" | "need" | "meet", number:
            getattr(plan, operation[0])(f"J{number}")
        case "pause", providers:
            plan.pause(providers)
    return None


@SMALL_START
@settings(max_examples=examples(400), deadline=None)
@given(long_lists(OPERATIONS, 60), st.integers(1, 6), st.integers(1, 4))
def test_it_does_what_the_model_does(
    operations: list[tuple[Any, ...]], limit: int, lane: int
) -> None:
    plan, model = Schedule(limit, lane), Model(limit, lane)
    for operation in operations:
        assert act(plan, operation) == act(model, operation)
        assert plan.waits() == model.waits()
        assert plan.next_due() == model.next_due()


@settings(deadline=None)
@given(long_lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 9)), 60))
def test_a_heap_tells_the_smallest_and_stays_small(changes: list[tuple[int, int | None]]) -> None:
    heap: Heap[int, int] = Heap()
    kept: dict[int, int] = {}
    for item, key in changes:
        if key is None:
            heap.drop(item)
            kept.pop(item, None)
        else:
            heap.put(item, key)
            kept[item] = key
        assert len(heap) == len(kept)
        assert not kept or heap.first() == min(kept, key=lambda one: (kept[one], one))


def test_a_heap_sweeps_out_what_was_moved_or_dropped() -> None:
    heap: Heap[int, int] = Heap()
    for turn in range(100):
        heap.put(1, turn)
        assert len(heap._entries) <= 10
    for item in range(100):
        heap.put(item, -item)
    for item in range(98):
        heap.drop(item)
    assert (len(heap), heap.first()) == (2, 99)
    assert len(heap._entries) <= 12
