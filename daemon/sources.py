"""Where the items of a batch come from: its request, its manifest, or the pieces of a queue.

For a worker thread, but one at a time; each gives out items in order and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Protocol

from daemon.batch import Batch
from daemon.blobs import BlobStore
from daemon.errors import BadRequest, Problem
from daemon.eventlog import EventLog
from daemon.items import Wanted
from daemon.queuefiles import lines_of
from daemon.queues import piece_of, too_long
from daemon.strictjson import parse_json
from handlers.contract import Json

Fill = Callable[[Mapping[str, Json], int], Wanted]
"""An item and its number -> the item with its names filled in."""


class Source(Protocol):
    """Gives out items."""

    def take(self, batch: Batch, most: int) -> Sequence[Wanted]:
        """The next items behind those that were admitted."""
        ...


class ListSource:
    """Items that are all known.

    Args:
        items: all of them, in order.
    """

    def __init__(self, items: Iterator[Wanted]) -> None:
        self._items = items
        self._given = 0

    def take(self, batch: Batch, most: int) -> Sequence[Wanted]:
        skipped = batch.admitted - self._given
        found = list(islice(self._items, skipped, skipped + most))
        self._given = batch.admitted + len(found)
        return found


class QueueSource:
    """The lines of a queue, one piece at hand at a time.

    Args:
        name: the queue's, for messages.
        log: where the pieces are.
        blobs: where long ones lie.
        line_limit: bytes of the longest line.
        fill: fills names in.
    """

    def __init__(
        self, name: str, log: EventLog, blobs: BlobStore, line_limit: int, fill: Fill
    ) -> None:
        self._name = name
        self._log = log
        self._blobs = blobs
        self._line_limit = line_limit
        self._fill = fill
        self._at_hand: tuple[int, list[tuple[int, bytes]]] | None = None

    def take(self, batch: Batch, most: int) -> Sequence[Wanted]:
        found: list[Wanted] = []
        first = 0  # the number of items before a chunk
        for number, chunk in enumerate(batch.chunks):
            begin, left = batch.admitted + len(found) - first, most - len(found)
            if left and 0 <= begin < chunk.lines:
                lines = self._lines(batch, number)
                found += [
                    self._wanted(first + at + 1, *lines[at])
                    for at in range(begin, min(begin + left, len(lines)))
                ]
            first += chunk.lines
        return found

    def _lines(self, batch: Batch, number: int) -> list[tuple[int, bytes]]:
        if self._at_hand is None or self._at_hand[0] != number:
            event = self._log.get(batch.chunks[number].event).event
            self._at_hand = number, list(lines_of(piece_of(event, self._blobs)))
        return self._at_hand[1]

    def _wanted(self, number: int, line_number: int, line: bytes) -> Wanted:
        try:
            problem = too_long(line, self._line_limit)
            if problem is None:
                value = parse_json(line)
                if isinstance(value, dict):
                    return self._told(self._fill(value, number), line_number)
                problem = Problem("invalid_request", "an item is an object")
        except BadRequest as error:
            problem = error.problem
        return self._told(Wanted(number, None, problem), line_number)

    def _told(self, wanted: Wanted, line_number: int) -> Wanted:
        """An item whose problem, if it has one, says where it stands."""
        problem = wanted.problem
        if problem is None:
            return wanted
        message = f"line {line_number} of {self._name}: {problem.message}"
        return wanted._replace(problem=replace(problem, message=message))
