"""Queues: what is new in a dropped `queue.jsonl` becomes durable, piece by piece.

A queue is a job like any other, whose items are jobs of their own; `daemon.batches` makes those.
Here its file is read, and what it holds beyond what was taken before is written into the log.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from daemon.acceptance import Acceptor
from daemon.batch import Batch
from daemon.blobs import BlobStore
from daemon.errors import Conflict, Problem
from daemon.eventlog import EventLog
from daemon.events import Event, JobAccepted, QueueExtended
from daemon.files import Signature, Unreadable, folder_beneath, text_to_name
from daemon.jobs import BATCH, Job
from daemon.publisher import Publisher
from daemon.queuefiles import Piece, QueueFile, Taken
from daemon.settings import Settings
from daemon.state import State

SHORT = 2 << 10
"""Bytes of lines that stand in the event itself."""


class Read(NamedTuple):
    """What came of looking at a queue.

    Args:
        state: "taken", "same" as it was, "rests" (it holds what may become a line), "busy" (it was
            being changed), "later" (an older drop has to end), "gone" or "bad".
        signature: what it looked like.
        problem: why it is bad.
    """

    state: Literal["taken", "same", "rests", "busy", "later", "gone", "bad"]
    signature: Signature = 0
    problem: Unreadable | None = None


class Queues:
    """Takes in queues; on the event loop.

    Args:
        settings: the inbox, and the limits of files and lines.
        log: where to.
        state: what was taken before.
        blobs: where many lines lie.
        acceptor: makes jobs.
        publisher: removes the answer of what goes on.
    """

    def __init__(
        self,
        settings: Settings,
        log: EventLog,
        state: State,
        blobs: BlobStore,
        acceptor: Acceptor,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._log = log
        self._state = state
        self._blobs = blobs
        self._acceptor = acceptor
        self._publisher = publisher

    async def take(self, name: str, *, settled: bool) -> Read:
        """Look at a queue, and take in what is new; comes back when that is durable.

        Args:
            name: relative to the inbox.
            settled: whether it has rested.

        Raises:
            LogFull: there was no room.
        """
        job = self._job(name)
        if job is not None and job.cancelling and not job.ended:
            return Read("later")
        batch = self._state.batches.get(job.id) if job is not None else None
        try:
            file = await asyncio.to_thread(self._open, name, self._taken(batch), settled)
        except (FileNotFoundError, NotADirectoryError):
            return Read("gone")
        except Unreadable as error:
            return Read("bad", problem=error)
        except OSError as error:
            reason = Unreadable(f"not readable: {(error.strerror or '').lower()}", 0, 0)
            return Read("bad", problem=reason)
        with file:
            return await self._read(name, file, settled=settled)

    def _job(self, name: str) -> Job | None:
        """The job of a queue, also where its file could not be read the last time."""
        jobs = [drop.job for drop in self._state.drops.get(name, {}).values() if drop.job]
        return self._state.jobs.get(jobs[-1]) if jobs else None

    def _open(self, name: str, taken: Taken | None, settled: bool) -> QueueFile:
        *above, file = text_to_name(name).split("/")
        with folder_beneath(self._settings.inbox, tuple(above)) as folder:
            status = os.stat(file, dir_fd=folder, follow_symlinks=False)
            return QueueFile(
                folder,
                file,
                status,
                taken,
                limit=self._settings.max_queue_bytes,
                line_limit=self._settings.max_line_bytes,
                settled=settled,
            )

    def _taken(self, batch: Batch | None) -> Taken | None:
        if batch is None:
            return None
        expected = {"count": batch.expected} if batch.expected is not None else {}
        end: Mapping[str, int] | None = {"end": True, **expected} if batch.end else None
        taken = batch.size, batch.prefix, batch.in_file, batch.total
        return Taken(*taken, end, lambda: self._pieces(batch))

    def _pieces(self, batch: Batch) -> Iterator[bytes]:
        for chunk in batch.chunks:
            yield piece_of(self._log.get(chunk.event).event, self._blobs)

    # ------------------------------------------------------------ one reading

    async def _read(self, name: str, file: QueueFile, *, settled: bool) -> Read:
        while True:
            try:
                piece = await asyncio.to_thread(file.next)
            except BlockingIOError:
                return Read("busy")
            if not settled and file.done and not piece.in_file:
                return Read("rests", file.signature)  # nobody has written a line yet
            if not self._says_nothing(name, piece):
                await self._extend(name, piece)
            else:
                self._ensure(name)
            if file.done:
                break
        if piece.rest and not settled:
            return Read("rests", file.signature)
        return Read("taken", file.signature)

    def _ensure(self, name: str) -> None:
        """See to it that the answer to what was there already lies beside it."""
        drop, job = self._state.newest(name), self._job(name)
        if drop is not None and job is not None and job.ended:
            self._publisher.ensure(name, drop)

    def _says_nothing(self, name: str, piece: Piece) -> bool:
        """Whether a piece holds nothing that the log does not say already."""
        if piece.whole is None or piece.lines:
            return not piece.lines
        newest = self._state.newest(name)
        batch = self._state.batches.get((newest.job if newest is not None else None) or "")
        if newest is None or batch is None or newest.request_sha256 != piece.whole:
            return False
        said = batch.end, batch.expected, batch.rest
        return said == (piece.end, piece.expected, piece.rest)

    async def _extend(self, name: str, piece: Piece) -> None:
        """Write a piece into the log.

        Raises:
            LogFull: there was no room.
        """
        text = _short_text(piece.text)
        blob = await self._acceptor.kept(piece.text) if text is None else None
        sha256 = piece.whole or piece.prefix
        event = QueueExtended(
            request_sha256=sha256,
            size=piece.size,
            prefix=piece.prefix,
            lines=piece.lines,
            known=piece.known,
            in_file=piece.in_file,
            text=text,
            blob=blob,
            end=piece.end,
            expected=piece.expected,
            rest=piece.rest,
        )
        try:
            await self._append(name, event)
        finally:
            if blob is not None:
                self._acceptor.let_go(blob)
        self._publisher.remove([name])

    async def _append(self, name: str, event: QueueExtended) -> None:
        while True:
            job = self._job(name)
            if job is None:
                events: list[Event] = [_accepted(event), event]
                await self._log.append(self._acceptor.new_id(), 0, events, subject=name)
                return
            try:
                await self._log.append(job.id, job.version, [event], subject=name)
            except Conflict:
                await self._log.append_all(())  # until what was faster is durable
            else:
                return


def _accepted(event: QueueExtended) -> JobAccepted:
    """What accepts the queue itself, which asks for nothing but its items."""
    return JobAccepted(
        request_sha256=event.request_sha256,
        content_sha256=event.request_sha256,
        task=BATCH,
        provider="",
        request_id=None,
        body_sha256=None,
        request={"task": BATCH, "continue_on_error": True},
        blobs={},
        labels={},
    )


def piece_of(event: Event | None, blobs: BlobStore) -> bytes:
    """The lines that an event holds, or names; reads the disk."""
    if not isinstance(event, QueueExtended):
        return b""
    if event.blob is not None:
        return blobs.get(event.blob)
    return (event.text or "").encode()


def _short_text(piece: bytes) -> str | None:
    """A piece as text, if an event can hold it."""
    try:
        return piece.decode() if len(piece) <= SHORT else None
    except UnicodeDecodeError:
        return None


def too_long(line: bytes, limit: int) -> Problem | None:
    """Why a line cannot be an item, if it is longer than one may be."""
    if len(line) <= limit:
        return None
    return Problem(
        "limit_exceeded",
        f"the line is longer than {limit} bytes",
        ("Put long data into files, and name those; or raise $DARKROOM_MAX_LINE_BYTES.",),
    )
