"""How far a batch is, how fast it goes, what is left."""

from __future__ import annotations

import pytest

from daemon.batch import Batch
from daemon.tally import WINDOW, Pace, Tally, in_time, numbers

BATCH = Batch(
    "J", 9, admitted=8, standing={"succeeded": 2, "failed": 1, "rejected": 1, "running": 3,
                                  "waiting": 1, "cancelled": 0},
)  # fmt: skip


def test_what_has_ended_is_counted_whatever_came_of_it() -> None:
    tally = Tally.of(BATCH)
    assert (tally.total, tally.done, tally.succeeded, tally.failed) == (9, 4, 2, 1)
    assert tally.in_words() == "4 of 9, 2 failed"
    assert Tally(3, succeeded=1, cancelled=2).in_words() == "3 of 3, 2 cancelled"


def test_programs_get_what_is_open_too() -> None:
    assert numbers(BATCH) == {
        "total": 9, "done": 4, "unread": 1, "succeeded": 2, "failed": 1, "cancelled": 0,
        "rejected": 1, "running": 3, "waiting": 1,
    }  # fmt: skip


def test_an_item_that_runs_again_is_open_until_it_ends() -> None:
    tally = Tally(2).moved(None, "failed")
    assert tally.done == 1
    assert tally.moved("failed", None) == Tally(2)
    assert tally.moved("failed", "succeeded") == Tally(2, succeeded=1)


def paced(*moments: tuple[float, int]) -> Pace:
    pace = Pace()
    for now, done in moments:
        pace.add(now, done)
    return pace


def test_a_pace_says_how_fast_it_goes_and_what_is_left() -> None:
    pace = paced((100, 10), (102, 14), (104, 20))
    assert pace.rate == 2.5
    assert pace.left(Tally(45, succeeded=20)) == 10
    assert pace.in_words(Tally(45, succeeded=20)) == "2.5 a second, about 10 s left"
    assert pace.in_words(Tally(20, succeeded=20)) == "2.5 a second"


@pytest.mark.parametrize("moments", [(), ((1, 5),), ((1, 5), (9, 5)), ((1, 5), (2, 9), (3, 0))])
def test_a_pace_says_nothing_where_nobody_can_know(moments: tuple[tuple[float, int], ...]) -> None:
    assert paced(*moments).in_words(Tally(20)) == ""


def test_only_the_last_minute_counts_for_a_pace() -> None:
    slow = [(float(now), now // 10) for now in range(100)]
    fast = [(100.0 + now, 10 + 5 * now) for now in range(int(WINDOW) + 1)]
    assert paced(*slow, *fast).rate == pytest.approx(5)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (53.4, "53 s"), (720, "12 min"), (12_000, "3 h 20 min"), (400_000, "5 d")],
)
def test_times_are_told_as_people_do(seconds: float, said: str) -> None:
    assert in_time(seconds) == said
