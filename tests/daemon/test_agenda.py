"""What is to be done when: each item in its time, few at once, and nobody waits for another lane."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from daemon.agenda import Agenda
from tests.examples import examples


def taken(agenda: Agenda[str], now: float) -> list[str]:
    """All that can be taken at a moment."""
    found = []
    while (item := agenda.take(now)) is not None:
        found.append(item)
    return found


def test_items_are_taken_when_their_moment_came_the_earliest_first() -> None:
    agenda: Agenda[str] = Agenda(9, 9)
    for item, due in (("b", 2.0), ("a", 1.0), ("c", 3.0)):
        agenda.put(item, "lane", due)
    assert agenda.next_due() == 1.0
    assert taken(agenda, 0.5) == []
    assert taken(agenda, 2.0) == ["a", "b"]
    assert agenda.next_due() == 3.0


def test_of_one_moment_the_first_that_was_put_goes_first() -> None:
    agenda: Agenda[str] = Agenda(9, 9)
    for item in "zyx":
        agenda.put(item, "lane", 1.0)
    assert taken(agenda, 1.0) == ["z", "y", "x"]


def test_a_lane_has_so_much_under_way_and_no_more() -> None:
    agenda: Agenda[str] = Agenda(9, 2)
    for item in "abc":
        agenda.put(item, "lane", 0.0)
    assert taken(agenda, 1.0) == ["a", "b"]
    assert agenda.next_due() is None
    agenda.done("a")
    assert taken(agenda, 1.0) == ["c"]


def test_a_lane_that_is_full_keeps_no_other_waiting() -> None:
    agenda: Agenda[str] = Agenda(9, 1)
    for item in ("a1", "a2", "b1"):
        agenda.put(item, item[0], float(item[1]))
    assert taken(agenda, 9.0) == ["a1", "b1"]


def test_all_lanes_together_have_so_much_under_way() -> None:
    agenda: Agenda[str] = Agenda(2, 2)
    for item in ("a1", "b1", "c1"):
        agenda.put(item, item[0], 0.0)
    assert len(taken(agenda, 1.0)) == 2
    agenda.done("b1")
    assert taken(agenda, 1.0) == ["c1"]


def test_what_is_moved_or_dropped_is_not_taken_at_its_old_moment() -> None:
    agenda: Agenda[str] = Agenda(9, 9)
    agenda.put("a", "lane", 1.0)
    agenda.put("b", "lane", 1.0)
    agenda.put("a", "other", 5.0)
    agenda.drop("b")
    agenda.drop("never there")
    assert taken(agenda, 4.0) == []
    assert (taken(agenda, 5.0), len(agenda)) == (["a"], 0)


ITEMS = st.integers(0, 7)
LANES = st.sampled_from("abc")
DUES = st.floats(0, 20)


class Model(RuleBasedStateMachine):
    """An agenda beside a plain list that is searched."""

    def __init__(self) -> None:
        super().__init__()
        self.limit, self.lane_limit = 4, 2
        self.agenda: Agenda[int] = Agenda(self.limit, self.lane_limit)
        self.waiting: dict[int, tuple[float, int, str]] = {}
        self.busy: dict[int, str] = {}
        self.count = 0

    @rule(item=ITEMS, lane=LANES, due=DUES)
    def put(self, item: int, lane: str, due: float) -> None:
        if item not in self.busy:
            self.count += 1
            self.agenda.put(item, lane, due)
            self.waiting[item] = due, self.count, lane

    @rule(item=ITEMS)
    def drop(self, item: int) -> None:
        self.agenda.drop(item)
        self.waiting.pop(item, None)

    def can(self) -> list[tuple[float, int, int]]:
        """What may be taken once its moment came, in order."""
        lanes = [*self.busy.values()]
        if len(lanes) >= self.limit:
            return []
        return sorted(
            (due, number, item)
            for item, (due, number, lane) in self.waiting.items()
            if lanes.count(lane) < self.lane_limit
        )

    @rule(now=DUES)
    def take(self, now: float) -> None:
        expected = next((item for due, _, item in self.can() if due <= now), None)
        assert self.agenda.take(now) == expected
        if expected is not None:
            self.busy[expected] = self.waiting.pop(expected)[2]

    @precondition(lambda self: self.busy)
    @rule(choice=st.integers(0, 99))
    def done(self, choice: int) -> None:
        item = sorted(self.busy)[choice % len(self.busy)]
        self.agenda.done(item)
        del self.busy[item]

    @invariant()
    def tells_what_is_next(self) -> None:
        can = self.can()
        assert self.agenda.next_due() == (can[0][0] if can else None)
        assert (len(self.agenda), self.agenda.under_way) == (len(self.waiting), len(self.busy))

    @invariant()
    def keeps_nothing_of_what_went(self) -> None:
        lanes = {lane for *_, lane in self.waiting.values()}
        assert set(self.agenda._waiting) == lanes
        assert set(self.agenda._busy) == set(self.busy.values())


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=examples(60), stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(LANES, DUES), max_size=60))
def test_with_enough_room_everything_comes_in_the_order_of_its_moments(
    rows: list[tuple[str, float]],
) -> None:
    agenda: Agenda[int] = Agenda(100, 100)
    for number, (lane, due) in enumerate(rows):
        agenda.put(number, lane, due)
    found = []
    while (item := agenda.take(20.0)) is not None:
        found.append(item)
    assert found == sorted(range(len(rows)), key=lambda number: (rows[number][1], number))


def test_a_hundred_thousand_items_cost_no_more_each_than_a_few() -> None:
    def seconds(count: int) -> float:
        agenda: Agenda[int] = Agenda(8, 8)
        for item in range(count):
            agenda.put(item, "lane", float(item % 997))
        began = time.process_time()
        for _ in range(2_000):
            item = agenda.take(1e9)
            assert item is not None
            agenda.done(item)
            agenda.put(item, "lane", 2_000.0)
        return time.process_time() - began

    few = min(seconds(100) for _ in range(3))
    assert seconds(100_000) < 20 * few + 0.05
