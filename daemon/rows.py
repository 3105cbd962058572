"""The rows of queues: `queue.jsonl.result.jsonl` gets a line as each item ends.

The file only grows, by whole lines, so it can be tailed. It is a reading of the log: rows stand in
the order of the events that they tell of, so the last one says after a crash from where to go on.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import structlog
from pydantic_core import to_json

from daemon.batching import Batcher
from daemon.eventlog import EventLog
from daemon.events import ItemRejected, JobAccepted, JobEnded, Recorded
from daemon.files import append_beneath, fitted, status_beneath, text_to_name, write_all
from daemon.jobs import QUEUE, Job, parent_of
from daemon.results import Get, row
from daemon.state import State

ROWS = ".result.jsonl"

MOST = 4096
"""Rows on their way to a file, beyond which no more items should be taken in."""

_PIECE = 1024
"""Rows that are added with one write."""

_TAIL = 16 << 20
"""Bytes of the longest row that is found again at the end of a file."""

_log = structlog.get_logger(__name__)


class Catch(NamedTuple):
    """Look what a file lacks, and add it."""

    name: str
    job: str
    since: int
    """The event that accepted the queue: nothing is older."""
    until: int
    """The last event that is no row of its own on its way."""
    only_if_gone: bool = False


class Row(NamedTuple):
    """Add a row."""

    name: str
    job: str
    since: int
    ending: Recorded


class Flush(NamedTuple):
    """Make the file of a queue durable."""

    name: str


def rows_parts(name: str) -> tuple[str, ...]:
    """Where the rows of a queue lie, as folder names and file name beneath the inbox."""
    *folders, file = text_to_name(name).split("/")
    return (*folders, fitted(file, ROWS))


class Rows:
    """Writes rows, in a thread of its own.

    Args:
        inbox: the folder of requests.
        log: where the items' events are.
        state: must take in a batch of events before this does.
    """

    def __init__(self, inbox: Path, log: EventLog, state: State) -> None:
        self._inbox = inbox
        self._log = log
        self._state = state
        self._behind: dict[str, Catch] = {}
        """Queues whose file lacks rows, because they could not be written; the thread's."""
        self._on_their_way = 0
        self._newest: asyncio.Future[None] | None = None
        """Done when all rows that are on their way have been written, or cannot be."""
        self._batcher: Batcher[Catch | Row | Flush, None] = Batcher(
            "rows", self._work, settled=self._settled
        )

    def committed(self, batch: Sequence[Recorded]) -> None:
        """Take in a batch of durable events."""
        for recorded in batch:
            if not isinstance(recorded.event, JobEnded | ItemRejected):
                continue
            job = self._state.jobs.get(recorded.job or "")
            queue = _queue_of(job.name) if job is not None else None
            if job is not None and job.batch is not None and queue is not None:
                since = self._state.jobs[job.batch].first
                self._newest = self._batcher.put(Row(queue, job.batch, since, recorded))
                self._on_their_way += 1

    def catch_up(self, name: str, job: Job, *, only_if_gone: bool = False) -> None:
        """Add what the file of a queue lacks.

        Args:
            name: the queue's.
            job: the queue's.
            only_if_gone: where there is a file, believe that it is whole.
        """
        self._batcher.put(Catch(name, job.id, job.first, self._state.sequence, only_if_gone))

    async def room(self) -> None:
        """Wait, where very many rows are on their way: memory holds what they tell of."""
        if self._on_their_way > MOST and self._newest is not None:
            await asyncio.wait([self._newest])

    def _settled(self, items: Sequence[Catch | Row | Flush], _: Sequence[object]) -> None:
        self._on_their_way -= sum(1 for item in items if isinstance(item, Row))

    async def flush(self, name: str) -> None:
        """Wait until all rows of a queue are in their file, and durable.

        Raises:
            OSError: they cannot be written.
        """
        await self._batcher.put(Flush(name))

    async def close(self) -> None:
        """Finish what is queued."""
        await self._batcher.close()

    # ------------------------------------------------------------ on the thread

    def _work(self, items: Sequence[Catch | Row | Flush]) -> list[Exception | None]:
        replies: list[Exception | None] = []
        for _, group in groupby(items, key=lambda item: (item.name, type(item))):
            same = list(group)
            try:
                self._do(same)
                replies += [None] * len(same)
            except OSError as error:
                reason = (error.strerror or "").lower()
                _log.warning("rows cannot be written", request=same[0].name, error=reason)
                replies += [error] * len(same)
        return replies

    def _do(self, same: Sequence[Catch | Row | Flush]) -> None:
        """Do what is of one kind and for one queue. What could not be written is made up for the
        next time."""
        first, name = same[0], same[0].name
        if isinstance(first, Catch) and first.only_if_gone and self._is_there(name):
            return
        endings = [one.ending for one in same if isinstance(one, Row)]
        if isinstance(first, Row) and name not in self._behind:
            self._behind[name] = Catch(name, first.job, first.since, endings[-1].sequence)
            with append_beneath(self._inbox, rows_parts(name)) as descriptor:
                self._add(descriptor, endings, self._log.get)
            del self._behind[name]
            return
        wanted = first if isinstance(first, Catch) else self._behind.get(name)
        if wanted is not None and endings:
            wanted = self._behind[name] = wanted._replace(until=endings[-1].sequence)
        with append_beneath(self._inbox, rows_parts(name)) as descriptor:
            if wanted is not None:
                known = _Acceptances(self._log.get)
                self._add(descriptor, self._missing(descriptor, wanted, known), known.get)
                self._behind.pop(name, None)
            if isinstance(first, Flush):
                os.fsync(descriptor)

    def _is_there(self, name: str) -> bool:
        try:
            status_beneath(self._inbox, rows_parts(name))
        except FileNotFoundError:
            return False
        return True

    def _add(self, descriptor: int, endings: Iterable[Recorded], get: Get) -> None:
        """Add rows, many with one write: whoever tails the file sees whole lines."""
        left = iter(endings)
        while piece := list(islice(left, _PIECE)):
            data = b"".join(to_json(row(ending, get)) + b"\n" for ending in piece)
            place = os.fstat(descriptor).st_size
            try:
                write_all(descriptor, data)
            except OSError:
                os.ftruncate(descriptor, place)  # no half line
                raise

    def _missing(self, descriptor: int, wanted: Catch, known: _Acceptances) -> Iterator[Recorded]:
        """The endings of a queue's items that its file does not tell of; there may be very
        many."""
        last = _last_row(descriptor)
        if last is None:
            os.ftruncate(descriptor, 0)
        after = max(last or 0, wanted.since)
        behind = takewhile(lambda one: one.sequence <= wanted.until, self._log.read(after))
        return (one for one in behind if self._is_of(one, wanted, known))

    def _is_of(self, recorded: Recorded, wanted: Catch, known: _Acceptances) -> bool:
        known.see(recorded)
        named = (recorded.subject or "").startswith(f"{wanted.name}#")
        return named and batch_of(recorded, known.get) == wanted.job


def batch_of(recorded: Recorded, get: Get) -> str | None:
    """The job of the batch that an event ended an item of; None where it ended none.

    Args:
        recorded: any event.
        get: an event of the log, by its sequence.
    """
    event = recorded.event
    if isinstance(event, ItemRejected):
        return event.batch
    if not isinstance(event, JobEnded):
        return None
    accepted = get(event.first).event
    return accepted.batch if isinstance(accepted, JobAccepted) else None


class _Acceptances:
    """What accepted items, while the log is read in order: of those that end soon after, it is at
    hand, and nothing has to be looked for on the disk.

    Args:
        get: an event of the log, by its sequence.
    """

    def __init__(self, get: Get) -> None:
        self._get = get
        self._at_hand: dict[int, Recorded] = {}

    def see(self, recorded: Recorded) -> None:
        """Keep it, and let go of the oldest where there are very many."""
        if isinstance(recorded.event, JobAccepted):
            self._at_hand[recorded.sequence] = recorded
            if len(self._at_hand) > MOST:
                del self._at_hand[next(iter(self._at_hand))]

    def get(self, sequence: int) -> Recorded:
        """An event of the log."""
        return self._at_hand.get(sequence) or self._get(sequence)


def _last_row(descriptor: int) -> int | None:
    """The event that the last whole row tells of; what a crash left behind it is cut off.

    Returns:
        Its sequence; None where there is no row of ours.
    """
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, min(size, _TAIL), max(0, size - _TAIL))
    whole = tail.rfind(b"\n") + 1
    if whole < len(tail):
        os.ftruncate(descriptor, size - len(tail) + whole)
    line = tail[:whole].rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return int(json.loads(line)["events"]["last"])
    except (ValueError, KeyError, TypeError):
        return None


def _queue_of(name: str) -> str | None:
    """The queue that an item's name says it is of; None where it is of no queue."""
    batch, number = parent_of(name)
    return batch if number and batch.endswith(QUEUE) else None
