"""The requests of jobs: as they just came through the door, or read back from the log; and the
steps that are recorded of them.

A job that starts right after it was accepted needs no reading. Of those that waited, many start
one after the other in the order of the log, so some of what follows is read with each.
"""

from __future__ import annotations

import asyncio
from itertools import islice

from daemon.blobs import BlobStore
from daemon.errors import BadRequest, LogError
from daemon.eventlog import EventLog
from daemon.events import JobAccepted, Recorded
from daemon.jobs import Job
from daemon.journal import Journal
from daemon.longstrings import with_long_strings
from daemon.requests import Door, Request

KEPT = 8192
"""The most requests at hand."""

_AHEAD = (8, 512)
"""The fewest and the most requests that are read at once."""


class Recall:
    """Gives each job its request.

    Args:
        log: where it stands.
        blobs: where its long strings are.
        door: makes models of it again.
    """

    def __init__(self, log: EventLog, blobs: BlobStore, door: Door) -> None:
        self._log = log
        self._blobs = blobs
        self._door = door
        self._at_hand: dict[str, Request] = {}
        self._ahead = _AHEAD[0]
        self._read, self._used = 0, 0  # since the last reading: how many came with it

    def remember(self, job_id: str, request: Request) -> None:
        """Keep a request that just came through the door, while there is a place."""
        if len(self._at_hand) < KEPT:
            self._at_hand[job_id] = request

    def forget(self, job_id: str) -> None:
        """Let go of a job that ended."""
        self._at_hand.pop(job_id, None)

    async def request(self, job: Job) -> Request:
        """The request of a job, as the log holds it.

        Raises:
            BadRequest: this version would not take it any more.
        """
        request = self._at_hand.pop(job.id, None)
        if request is not None:
            self._used += 1
            return request
        recorded = self._log.recent(job.first)
        if recorded is None:
            recorded = await self._read_from(job.first)
        event = recorded.event
        if not isinstance(event, JobAccepted):
            raise LogError(f"event {job.first} does not accept job {job.id}")
        if not event.blobs:
            return self._door.validate(event.request)
        return self._door.validate(await asyncio.to_thread(self._whole, event))

    async def journal(self, job: Job) -> Journal:
        """What the log holds of a job's steps."""
        if not job.journal:
            return Journal()
        log = self._log
        return Journal.of(await asyncio.to_thread(lambda: [log.get(n) for n in job.journal]))

    async def retried_at(self, job: Job) -> str:
        """When somebody asked for a job again (RFC 3339); empty where nobody did."""
        if not job.retried:
            return ""
        return (await asyncio.to_thread(self._log.get, job.retried)).time

    def _whole(self, event: JobAccepted) -> dict[str, object]:
        strings = {pointer: self._blobs.get(one).decode() for pointer, one in event.blobs.items()}
        return with_long_strings(event.request, strings)

    async def _read_from(self, sequence: int) -> Recorded:
        """Read an event, and with it more or less of what follows, as that was of use lately."""
        fewest, most = _AHEAD
        useful = self._used * 2 >= self._read
        self._ahead = min(self._ahead * 2, most) if useful else max(self._ahead // 2, fewest)
        recorded, ready = await asyncio.to_thread(self._read_ahead, sequence, self._ahead)
        self._read, self._used = len(ready), 0
        for job_id, request in ready.items():
            if len(self._at_hand) >= KEPT:  # the oldest goes: nobody came for it
                del self._at_hand[next(iter(self._at_hand))]
            self._at_hand[job_id] = request
        return recorded

    def _read_ahead(self, sequence: int, count: int) -> tuple[Recorded, dict[str, Request]]:
        events = self._log.read(sequence - 1, JobAccepted)
        wanted = next(events, None)
        if wanted is None or wanted.sequence != sequence:
            raise LogError(f"event {sequence} does not accept a job")
        ready = {}
        for recorded in islice(events, count):
            event = recorded.event
            if isinstance(event, JobAccepted) and recorded.job is not None and not event.blobs:
                try:
                    ready[recorded.job] = self._door.validate(event.request)
                except BadRequest:
                    continue  # said when its turn comes
        return wanted, ready
