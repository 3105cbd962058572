"""What is to be done when, a little of it at once. Pure: times come in, items come out.

Each item is of a lane. Of those whose moment came the one goes first whose moment was the earliest,
unless its lane has as much under way as it may; that keeps nobody of another lane waiting. Each
choice is made in O(log n), however many items there are.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import count
from typing import Generic, TypeVar

from daemon.schedule import Heap

Item = TypeVar("Item")


class Agenda(Generic[Item]):
    """Items by their moments.

    Args:
        limit: items under way at once.
        lane_limit: the same, of each lane.
    """

    def __init__(self, limit: int, lane_limit: int) -> None:
        self._limit = limit
        self._lane_limit = lane_limit
        self._lane_of: dict[Item, str] = {}  # of those that wait
        self._waiting: defaultdict[str, Heap[Item, tuple[float, int]]] = defaultdict(Heap)
        self._under_way: dict[Item, str] = {}
        self._busy: defaultdict[str, int] = defaultdict(int)  # lane -> how much is under way
        self._ready: Heap[str, tuple[float, int]] = Heap()  # lanes with room, by their first item
        self._numbers = count()

    def __len__(self) -> int:
        """How many items wait."""
        return len(self._lane_of)

    @property
    def under_way(self) -> int:
        """How many items were taken and are not done."""
        return len(self._under_way)

    def put(self, item: Item, lane: str, due: float) -> None:
        """Have an item wait for its moment. One that waits already is moved; one that is under way
        may not be put before it is done."""
        self.drop(item)
        self._lane_of[item] = lane
        self._waiting[lane].put(item, (due, next(self._numbers)))
        self._offer(lane)

    def drop(self, item: Item) -> None:
        """Let go of an item, if it waits."""
        lane = self._lane_of.pop(item, None)
        if lane is not None:
            self._waiting[lane].drop(item)
            self._offer(lane)

    def take(self, now: float) -> Item | None:
        """The next item whose moment came and for which there is room; from now on it is under
        way."""
        if not self._has_room or self._ready.first_key()[0] > now:
            return None
        lane = self._ready.first()
        item = self._waiting[lane].first()
        self._under_way[item] = lane
        self._busy[lane] += 1
        self.drop(item)
        return item

    def done(self, item: Item) -> None:
        """An item is under way no more."""
        lane = self._under_way.pop(item)
        self._busy[lane] -= 1
        self._offer(lane)

    def next_due(self) -> float | None:
        """The earliest moment at which an item can be taken, as far as time alone decides; None
        where nothing waits, or something must be done first."""
        return self._ready.first_key()[0] if self._has_room else None

    @property
    def _has_room(self) -> bool:
        return bool(self._ready) and len(self._under_way) < self._limit

    def _offer(self, lane: str) -> None:
        """Have a lane take part, if it can; forget it where nothing is left."""
        waiting, busy = self._waiting[lane], self._busy[lane]
        if waiting and busy < self._lane_limit:
            self._ready.put(lane, waiting.first_key())
        else:
            self._ready.drop(lane)
        if not waiting:
            del self._waiting[lane]
        if not busy:
            del self._busy[lane]
