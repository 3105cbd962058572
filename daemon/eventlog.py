"""The append-only event log: the only truth there is.

`EventLog` is the port; `FileEventLog` keeps it in segments of JSON lines, and
`daemon.testing.MemoryEventLog` keeps it in a list. Both pass one contract suite.

An append returns a future that is done when the events are durable. Everything that queued up
during one fsync shares the next. Only `daemon.segments` knows what lies on the disk.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from daemon.batching import Batcher
from daemon.clock import Clock
from daemon.errors import Conflict, LogError, LogFailed, LogFull
from daemon.events import Event, ItemRejected, JobAccepted, Recorded
from daemon.lines import Draft, draft
from daemon.segments import Position, Segments

RECENT = 4096
"""How many of the newest events are kept in memory, for jobs that start right after they came."""

Committed = Callable[[Sequence[Recorded]], None]


class Append(NamedTuple):
    """Events of one job, or of none, to be appended.

    Args:
        events: what happened.
        subject: the request's name.
        job: whose stream they belong to.
        expected_version: how many events that stream must have, those counted that are queued but
            not durable yet. None where `job` is None.
    """

    events: Sequence[Event]
    subject: str | None = None
    job: str | None = None
    expected_version: int | None = None


class EventLog(Protocol):
    """An append-only log of events, in one order, with a version for each job."""

    def append(
        self,
        job: str | None,
        expected_version: int | None,
        events: Sequence[Event],
        *,
        subject: str | None = None,
    ) -> asyncio.Future[tuple[Recorded, ...]]:
        """Queue the events of one `Append`; as `append_all` does."""
        ...

    def append_all(self, appends: Sequence[Append]) -> asyncio.Future[tuple[Recorded, ...]]:
        """Queue events; all of them are written, or none.

        Args:
            appends: in their order; with none of them, this only waits for what was queued before.

        Returns:
            A future of what was recorded, done when it is durable and its subscribers know.

        Raises:
            Conflict: a stream has another version; nothing was queued.
            LogFull: (from the future) no room; nothing was written.
            LogFailed: (from the future) the disk failed; the daemon must stop.
        """
        ...

    def version(self, job: str) -> int:
        """How many events the job's stream has, those counted that are queued."""
        ...

    def forget(self, jobs: Iterable[str]) -> None:
        """Let go of what is known of these streams: the archive knows their versions now."""
        ...

    def recent(self, sequence: int) -> Recorded | None:
        """An event, if it is at hand in memory."""
        ...

    def get(self, sequence: int) -> Recorded:
        """One durable event; may read the disk.

        Raises:
            KeyError: there is none with that sequence.
        """
        ...

    def read(self, after: int = 0, kind: type[Event] | None = None) -> Iterator[Recorded]:
        """All durable events behind a sequence, in order, or those of one type; reads the disk."""
        ...

    def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        """All events behind a sequence, in order, and then each as it becomes durable."""
        ...

    def subscribe(self, committed: Committed) -> None:
        """Have a function called with each batch of durable events, in order, before the appends
        that wrote them are done."""
        ...

    async def close(self) -> None:
        """Write what is queued, and let go of the files."""
        ...


Archived = Callable[[str], int]
"""The version of a stream that the log itself does not remember."""


class LogFront:
    """What every event log does in memory: versions, the recent events, those who follow.

    Args:
        archived: the versions of streams that were there when it opened, or were forgotten; if
            left out, it remembers all of them.
    """

    def __init__(self, archived: Archived | None = None) -> None:
        self._knows_all = archived is None
        self._archived: Archived = archived or (lambda _: 0)
        self._durable: dict[str, int] = {}
        self._queued: dict[str, int] = {}
        self._recent: list[Recorded | None] = [None] * RECENT
        self._subscribers: list[Committed] = []
        self._last = 0

    def append(
        self,
        job: str | None,
        expected_version: int | None,
        events: Sequence[Event],
        *,
        subject: str | None = None,
    ) -> asyncio.Future[tuple[Recorded, ...]]:
        return self.append_all((Append(events, subject, job, expected_version),))

    def append_all(self, appends: Sequence[Append]) -> asyncio.Future[tuple[Recorded, ...]]:
        raise NotImplementedError

    def version(self, job: str) -> int:
        return self._durable_version(job) + self._queued.get(job, 0)

    def forget(self, jobs: Iterable[str]) -> None:
        for job in jobs:
            self._durable.pop(job, None)

    def recent(self, sequence: int) -> Recorded | None:
        recorded = self._recent[sequence % RECENT]
        return recorded if recorded is not None and recorded.sequence == sequence else None

    def subscribe(self, committed: Committed) -> None:
        self._subscribers.append(committed)

    def read(self, after: int = 0, kind: type[Event] | None = None) -> Iterator[Recorded]:
        raise NotImplementedError

    async def follow(self, after: int = 0) -> AsyncIterator[Recorded]:
        news: asyncio.Queue[Recorded] = asyncio.Queue()

        def tell(batch: Sequence[Recorded]) -> None:
            for recorded in batch:
                news.put_nowait(recorded)

        self._subscribers.append(tell)
        try:
            seen = after
            for recorded in await asyncio.to_thread(lambda: list(self.read(after))):
                seen = recorded.sequence
                yield recorded
            while True:
                recorded = await news.get()
                if recorded.sequence > seen:
                    yield recorded
        finally:
            self._subscribers.remove(tell)

    def _durable_version(self, job: str) -> int:
        version = self._durable.get(job)
        return self._archived(job) if version is None else version

    def _claim(self, appends: Sequence[Append]) -> None:
        """Count events as queued, if every stream is where the caller thinks it is."""
        for _, _, job, expected in appends:
            # A stream that is to begin has an id nobody had before, so no archive knows it.
            begins = expected == 0 and job not in self._durable and job not in self._queued
            if job is not None and not begins and self.version(job) != expected:
                raise Conflict(f"job {job} is at version {self.version(job)}, not {expected}")
        for events, _, job, _ in appends:
            if job is not None:
                self._queued[job] = self._queued.get(job, 0) + len(events)

    def _release(self, appends: Sequence[Append]) -> None:
        """Count events as queued no longer."""
        for events, _, job, _ in appends:
            if job is not None:
                left = self._queued[job] - len(events)
                if left:
                    self._queued[job] = left
                else:
                    del self._queued[job]

    def _count(self, recorded: Recorded) -> None:
        """Count an event as durable."""
        self._last, job = recorded.sequence, recorded.job
        if job is None:
            return
        version = self._durable.get(job)
        if version is None:
            begins = type(recorded.event) is JobAccepted or type(recorded.event) is ItemRejected
            version = 0 if begins else self._archived(job)
        self._durable[job] = version + 1

    def _tell(self, batch: Sequence[Recorded]) -> None:
        """Remember events that just became durable, and tell those who follow."""
        recent, count = self._recent, self._count
        for recorded in batch:
            recent[recorded.sequence % RECENT] = recorded
            count(recorded)
        for committed in tuple(self._subscribers):
            committed(batch)


class _Queued(NamedTuple):
    """Appends on their way to the disk."""

    appends: Sequence[Append]
    drafts: Sequence[Sequence[Draft]]
    time: str
    epoch: int
    """A full disk ends an epoch: what was queued in it was judged by a version that never came."""


class FileEventLog(LogFront):
    """The event log as segments of JSON lines in a folder.

    Args:
        folder: `events/` under the root; must exist, and be this process's alone to write.
        clock: for the time and id of each event.
        segment_bytes: the size at which a new segment begins.
        failed: called on the loop when the disk failed under the log.
        archived: as for `LogFront`.

    `open` must be called once, before anything else.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        segment_bytes: int = 64 << 20,
        failed: Callable[[LogFailed], None] = lambda _: None,
        archived: Archived | None = None,
    ) -> None:
        super().__init__(archived)
        self._clock = clock
        self._segments = Segments(folder, segment_bytes)
        self._failed = failed
        self._settled: Position | None = None
        self._written: deque[tuple[list[Recorded], Position]] = deque()
        self._epoch = 0  # of appends; the loop's
        self._live_epoch = 0  # of what may still be written; the thread's
        self._broken: LogFailed | None = None

    @property
    def position(self) -> Position:
        """The last line that subscribers know; while it opens, the last that was read."""
        return self._settled or self._segments.position

    def fits(self, start: Position) -> bool:
        """Whether this log holds the very line that a position names."""
        return self._segments.fits(start)

    def open(self, replay: Callable[[Recorded], None], start: Position | None = None) -> None:
        """Read the log, repair a torn tail, and begin to take appends.

        Args:
            replay: called with every event behind `start`, in order.
            start: what need not be read any more; it must fit. Everything is, if left out.

        Raises:
            LogCorrupt: a line is not what was once written, and it is no torn tail either.
            LogFailed: the disk failed.
        """
        try:
            for recorded in self._segments.load(start):
                if self._knows_all:
                    self._count(recorded)
                replay(recorded)
            torn = self._segments.repair()
        except OSError as error:
            raise LogFailed(f"the event log cannot be read: {error}") from error
        self._last = self._segments.position.sequence
        self._batcher: Batcher[_Queued, tuple[Recorded, ...]] = Batcher(
            "eventlog", self._commit, settled=self._settle
        )
        self._settled = self._segments.position
        if torn is not None:
            self.append(None, None, [torn])

    def append_all(self, appends: Sequence[Append]) -> asyncio.Future[tuple[Recorded, ...]]:
        self._claim(appends)
        drafts = [[draft(event) for event in append.events] for append in appends]
        return self._batcher.put(_Queued(appends, drafts, self._clock.stamp(), self._epoch))

    def get(self, sequence: int) -> Recorded:
        return self.recent(sequence) or self._segments.get(sequence)

    def read(self, after: int = 0, kind: type[Event] | None = None) -> Iterator[Recorded]:
        return self._segments.read(after, self._last, kind)

    async def close(self) -> None:
        await self._batcher.close()
        self._segments.close()

    def _settle(
        self, batch: Sequence[_Queued], replies: Sequence[tuple[Recorded, ...] | Exception]
    ) -> None:
        for entry, reply in zip(batch, replies, strict=True):
            if not isinstance(reply, Exception):
                self._release(entry.appends)
        written, self._settled = self._written.popleft()
        self._tell(written)
        for entry, reply in zip(batch, replies, strict=True):
            if isinstance(reply, LogFailed):
                self._failed(reply)
            elif isinstance(reply, Exception) and entry.epoch == self._epoch:
                self._epoch += 1  # the first of its epoch to fail: a new one begins
                self._queued.clear()

    # ------------------------------------------------------------ on the log's own thread

    def _commit(self, batch: Sequence[_Queued]) -> list[tuple[Recorded, ...] | Exception]:
        """Write a batch and make it durable: all that is live of it, or nothing."""
        live = [entry for entry in batch if entry.epoch == self._live_epoch]
        written: list[Recorded] = []
        try:
            replies = self._attempt(live, written)
        finally:
            self._written.append((written, self._segments.position))
        if isinstance(replies, Exception):
            return [replies] * len(batch)
        full = LogFull("there was no room for the event log")
        answers = iter(replies)
        return [next(answers) if entry.epoch == self._live_epoch else full for entry in batch]

    def _attempt(
        self, live: Sequence[_Queued], written: list[Recorded]
    ) -> list[tuple[Recorded, ...]] | LogError:
        if self._broken is not None:
            return self._broken
        try:
            return self._write(live, written) if live else []
        except Exception as error:
            written.clear()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._live_epoch += 1
                return LogFull("there is no room for the event log")
            self._broken = LogFailed(f"the event log cannot be written: {error}")
            return self._broken

    def _write(
        self, entries: Sequence[_Queued], written: list[Recorded]
    ) -> list[tuple[Recorded, ...]]:
        writing = self._segments.begin(self._clock)
        replies = []
        for appends, drafts, time, _ in entries:
            began = len(writing.recorded)
            for append, ours in zip(appends, drafts, strict=True):
                for one in ours:
                    writing.add(one, time, self._clock.new_id(), append.subject, append.job)
            replies.append(tuple(writing.recorded[began:]))
        self._segments.write(writing)
        written += writing.recorded
        return replies
