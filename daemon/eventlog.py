"""The append-only event log: the only truth there is.

`EventLog` is the port; `FileEventLog` keeps it in segments of JSON lines, and
`daemon.testing.MemoryEventLog` keeps it in a list. Both pass one contract suite.

An append returns a future that is done when the events are durable. Everything that queued up
during one fsync shares the next. Only `daemon.segments` knows what lies on the disk.
"""

from __future__ import annotations

import asyncio
import errno
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from daemon.batching import Batcher
from daemon.clock import Clock, rfc3339
from daemon.errors import Conflict, LogFailed, LogFull
from daemon.events import Event, Recorded
from daemon.lines import Draft, draft
from daemon.segments import Segments

RECENT = 4096
"""How many of the newest events are kept in memory, for jobs that start right after they came."""

Committed = Callable[[Sequence[Recorded]], None]


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
        """Queue events of one job, or of none; all of them are written, or none.

        Args:
            job: whose stream they belong to.
            expected_version: how many events that stream must have, those counted that are
                queued but not durable yet. None where `job` is None.
            events: what happened; with none of them, this only waits for what was queued before.
            subject: the request's name.

        Returns:
            A future of what was recorded, done when it is durable and its subscribers know.

        Raises:
            Conflict: the stream has another version.
            LogFull: (from the future) no room; nothing was written.
            LogFailed: (from the future) the disk failed; the daemon must stop.
        """
        ...

    def version(self, job: str) -> int:
        """How many events the job's stream has, those counted that are queued."""
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

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """All durable events behind a sequence, in order; reads the disk."""
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


@dataclass(slots=True)
class _Append:
    job: str | None
    subject: str | None
    drafts: Sequence[Draft]
    time: str
    epoch: int
    """A full disk ends an epoch: what was queued in it was judged by a version that never came."""


class LogFront:
    """What every event log does in memory: versions, the recent events, those who follow."""

    def __init__(self) -> None:
        self._durable: dict[str, int] = {}
        self._queued: dict[str, int] = {}
        self._recent: OrderedDict[int, Recorded] = OrderedDict()
        self._subscribers: list[Committed] = []
        self._last = 0

    def version(self, job: str) -> int:
        return self._durable.get(job, 0) + self._queued.get(job, 0)

    def recent(self, sequence: int) -> Recorded | None:
        return self._recent.get(sequence)

    def subscribe(self, committed: Committed) -> None:
        self._subscribers.append(committed)

    def read(self, after: int = 0) -> Iterator[Recorded]:
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

    def _claim(self, job: str | None, expected: int | None, count: int) -> None:
        """Count events as queued, if the stream is where the caller thinks it is."""
        if job is None:
            return
        version = self.version(job)
        if version != expected:
            raise Conflict(f"job {job} is at version {version}, not {expected}")
        self._queued[job] = self._queued.get(job, 0) + count

    def _release(self, job: str | None, count: int) -> None:
        """Count events as queued no longer."""
        if job is not None:
            left = self._queued[job] - count
            if left:
                self._queued[job] = left
            else:
                del self._queued[job]

    def _count(self, recorded: Recorded) -> None:
        """Count an event as durable."""
        self._last = recorded.sequence
        if recorded.job is not None:
            self._durable[recorded.job] = self._durable.get(recorded.job, 0) + 1

    def _tell(self, batch: Sequence[Recorded]) -> None:
        """Remember events that just became durable, and tell those who follow."""
        for recorded in batch:
            self._count(recorded)
            self._recent[recorded.sequence] = recorded
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)
        for committed in tuple(self._subscribers):
            committed(batch)


class FileEventLog(LogFront):
    """The event log as segments of JSON lines in a folder.

    Args:
        folder: `events/` under the root; must exist, and be this process's alone to write.
        clock: for the time and id of each event.
        segment_bytes: the size at which a new segment begins.
        failed: called on the loop when the disk failed under the log.

    `open` must be called once, before anything else.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        *,
        segment_bytes: int = 64 << 20,
        failed: Callable[[LogFailed], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self._clock = clock
        self._segments = Segments(folder, segment_bytes)
        self._failed = failed
        self._written: deque[list[Recorded]] = deque()
        self._epoch = 0  # of appends; the loop's
        self._live_epoch = 0  # of what may still be written; the thread's
        self._broken: LogFailed | None = None

    def open(self, replay: Callable[[Recorded], None]) -> None:
        """Read the whole log, repair a torn tail, and begin to take appends.

        Args:
            replay: called with every event there is, in order.

        Raises:
            LogCorrupt: a line is not what was once written, and it is no torn tail either.
            LogFailed: the disk failed.
        """
        try:
            for recorded in self._segments.load():
                self._count(recorded)
                replay(recorded)
            torn = self._segments.repair()
        except OSError as error:
            raise LogFailed(f"the event log cannot be read: {error}") from error
        self._batcher: Batcher[_Append, tuple[Recorded, ...]] = Batcher(
            "eventlog", self._commit, settled=self._settle
        )
        if torn is not None:
            self.append(None, None, [torn])

    def append(
        self,
        job: str | None,
        expected_version: int | None,
        events: Sequence[Event],
        *,
        subject: str | None = None,
    ) -> asyncio.Future[tuple[Recorded, ...]]:
        self._claim(job, expected_version, len(events))
        now = rfc3339(self._clock.now())
        return self._batcher.put(_Append(job, subject, tuple(map(draft, events)), now, self._epoch))

    def get(self, sequence: int) -> Recorded:
        return self.recent(sequence) or self._segments.get(sequence)

    def read(self, after: int = 0) -> Iterator[Recorded]:
        return self._segments.read(after, self._last)

    async def close(self) -> None:
        await self._batcher.close()
        self._segments.close()

    def _settle(
        self, batch: Sequence[_Append], replies: Sequence[tuple[Recorded, ...] | Exception]
    ) -> None:
        self._tell(self._written.popleft())
        for entry, reply in zip(batch, replies, strict=True):
            if not isinstance(reply, Exception):
                self._release(entry.job, len(entry.drafts))
            elif isinstance(reply, LogFailed):
                self._failed(reply)
            elif entry.epoch == self._epoch:  # the first of its epoch to fail: a new one begins
                self._epoch += 1
                self._queued.clear()

    # ------------------------------------------------------------ on the log's own thread

    def _commit(self, batch: Sequence[_Append]) -> list[tuple[Recorded, ...] | Exception]:
        """Write a batch and make it durable: all that is live of it, or nothing."""
        live = [entry for entry in batch if entry.epoch == self._live_epoch]
        written: list[Recorded] = []
        self._written.append(written)
        if self._broken is not None:
            return [self._broken] * len(batch)
        try:
            replies = iter(self._write(live, written) if live else ())
        except Exception as error:
            written.clear()
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                self._live_epoch += 1
                return [LogFull("there is no room for the event log") for _ in batch]
            self._broken = LogFailed(f"the event log cannot be written: {error}")
            return [self._broken] * len(batch)
        full = LogFull("there was no room for the event log")
        return [next(replies) if entry.epoch == self._live_epoch else full for entry in batch]

    def _write(
        self, entries: Sequence[_Append], written: list[Recorded]
    ) -> list[tuple[Recorded, ...]]:
        writing = self._segments.begin(self._clock)
        replies = []
        for entry in entries:
            reply = tuple(
                writing.add(draft, entry.time, self._clock.new_id(), entry.subject, entry.job)
                for draft in entry.drafts
            )
            replies.append(reply)
        self._segments.write(writing)
        written += writing.recorded
        return replies
