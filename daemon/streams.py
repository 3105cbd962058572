"""The events of one job, appended by whoever runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from daemon.decisions import JobCommand, decide_job
from daemon.disk import Disk
from daemon.errors import LogFull
from daemon.eventlog import EventLog
from daemon.events import Event, JobEnded, Recorded
from daemon.jobs import Job, evolve


class Over(asyncio.CancelledError):
    """The handler of this step came to its end, and nobody waits for the step."""


class Stream:
    """The events of one job, appended by whoever runs it. `job` is ahead of the state by what is
    not durable yet.

    Args:
        log: where they go.
        disk: who knows when there is room again.
        job: the job as the state has it.
    """

    def __init__(self, log: EventLog, disk: Disk, job: Job) -> None:
        self._log = log
        self._disk = disk
        self.job = job
        self._begun: tuple[Event, ...] = ()

    def begin(self, command: JobCommand) -> None:
        """Have what a command comes to appended along with the next events, or by `flush`."""
        self._begun = decide_job(self.job, command).events
        self._evolve(self._begun)

    def flush(self) -> None:
        """Queue what was begun with, before anything else happens."""
        if self._begun:
            self.append()

    def append(self, *events: Event) -> asyncio.Future[tuple[Recorded, ...]]:
        """Queue events.

        Raises:
            Conflict: somebody else appended to this job: it was cancelled.
        """
        job, begun, self._begun = self.job, self._begun, ()
        version = job.version - len(begun)
        queued = self._log.version(job.id)
        if queued < version:  # what nobody waited for found no room on the disk
            version, self.job = queued, job._replace(version=queued + len(begun))
        appended = self._log.append(job.id, version, (*begun, *events), subject=job.name)
        self._evolve(events)
        return appended

    def _evolve(self, events: Sequence[Event]) -> None:
        job = self.job
        for event in events:
            if not isinstance(event, JobEnded):  # behind which nothing comes
                job = evolve(job, Recorded(0, "", "", job.name, job.id, event)) or job
        self.job = job

    def write(self, *events: Event, hold: bool = False) -> Awaitable[None]:
        """Queue events; to be awaited until they are durable, where the disk is full as long as it
        takes.

        Args:
            events: to be queued.
            hold: never give up: they tell of what was paid for.

        Raises:
            Conflict: as for `append`.
            HandlerError: (when awaited) `disk_full`: there is room by our measure, but not for
                these.
        """
        whole = (*self._begun, *events)
        return self._durable(self.append(*events), whole, hold)

    async def _durable(
        self, appended: asyncio.Future[tuple[Recorded, ...]], events: tuple[Event, ...], hold: bool
    ) -> None:
        while True:
            try:
                await appended
                return
            except LogFull:
                await self._disk.wait_for_room("the event log", hold=hold)
                appended = self.append(*events)
