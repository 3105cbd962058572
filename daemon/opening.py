"""Opening a batch: what it is made of, and where its items come from."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Protocol

from daemon.acceptance import Acceptor
from daemon.batch import Batch
from daemon.blobs import BlobStore
from daemon.ceilings import Ceilings, over
from daemon.clock import Clock
from daemon.errors import Problem, error_of
from daemon.eventlog import EventLog
from daemon.events import BatchOpened
from daemon.inputs import Inputs
from daemon.items import NOTHING, Shared, Wanted, shared_by
from daemon.jobs import Job
from daemon.recall import Recall
from daemon.requests import Request
from daemon.settings import Settings
from daemon.sources import ListSource, QueueSource, Source
from daemon.state import State
from handlers.contract import Json, TaskRequest


class Expansion(Protocol):
    """What is known of batches in the package of handlers."""

    def files(self, request: TaskRequest) -> tuple[str | None, str | None]:
        """The paths of a batch's manifest and of its file of shared variables."""
        ...

    def items(
        self,
        request: TaskRequest,
        names: Mapping[str, Json],
        manifest: tuple[bytes, str] | None,
        variables: bytes | None,
    ) -> Iterator[Wanted]:
        """The items of a batch, filled in, one after the other.

        Args:
            request: its fields.
            names: its `vars`.
            manifest: the bytes of that file, and what it is called.
            variables: those of the other one.

        Raises:
            BadRequest: one of the files is no good as a whole, or there are too many items.
        """
        ...

    def line(self, value: Json, number: int) -> Wanted:
        """A line of a queue, filled in."""
        ...

    def options(self, request: TaskRequest) -> Options:
        """How a batch is to be run."""
        ...


class Options(Protocol):
    """How a batch is to be run."""

    continue_on_error: bool
    contact_sheet: bool


class Opening:
    """Opens batches.

    Args:
        settings: the limits.
        clock: for what is counted by the hour.
        state: how many jobs there are.
        log: where pieces of queues are.
        blobs: where they and manifests lie.
        recall: has the requests.
        inputs: finds the files that requests name.
        acceptor: makes manifests durable.
        expansion: makes items of them.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        state: State,
        log: EventLog,
        blobs: BlobStore,
        recall: Recall,
        inputs: Inputs,
        acceptor: Acceptor,
        expansion: Expansion,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._state = state
        self._ceilings = Ceilings(settings.max_waiting_jobs, settings.max_jobs_per_hour)
        self._log = log
        self._blobs = blobs
        self._recall = recall
        self._inputs = inputs
        self._acceptor = acceptor
        self._expansion = expansion

    async def event(self, job: Job) -> BatchOpened:
        """What opens a batch; its files are blobs by then, and leased.

        Raises:
            BadRequest: it has too many items, or one of its files is no good.
            HandlerError: one of its files cannot be read.
            LogFull: there was no room for them.
        """
        request = await self._recall.request(job)
        paths = self._expansion.files(request.fields)
        opened = BatchOpened(0, name=paths[0])
        try:
            if paths[0] is not None:
                opened = replace(opened, manifest=await self._kept(paths[0], job))
            if paths[1] is not None:
                opened = replace(opened, variables=await self._kept(paths[1], job))
            count = await asyncio.to_thread(self._count, request, opened)
            self._refuse(self._over(count - 1))
            return replace(opened, count=count)
        except BaseException:
            self.let_go(opened)
            raise

    def let_go(self, event: BatchOpened) -> None:
        """The log names the files of a batch now, or never will."""
        for digest in (event.manifest, event.variables):
            if digest is not None:
                self._acceptor.let_go(digest)

    async def _kept(self, path: str, job: Job) -> str:
        found = await self._inputs.find(path, job, self._settings.call_timeout, text=True)
        return await self._acceptor.kept(found.staged or found.data or b"")

    def _count(self, request: Request, opened: BatchOpened) -> int:
        files = opened.manifest, opened.variables, opened.name
        return sum(1 for _ in self._items(request, *files))

    def _items(
        self, request: Request, manifest: str | None, variables: str | None, name: str | None
    ) -> Iterator[Wanted]:
        given = (self._blobs.get(manifest), name or "") if manifest is not None else None
        file = self._blobs.get(variables) if variables is not None else None
        return self._expansion.items(request.fields, request.envelope.vars or {}, given, file)

    def waits(self) -> bool:
        """Whether the lines of a queue have to wait, because no more jobs may be taken in."""
        return self._over(0) is not None

    def _over(self, besides: int) -> Problem | None:
        """Why no more jobs may be taken in, besides some that are to be."""
        return over(self._ceilings, self._state, besides, self._clock.stamp())

    def _refuse(self, problem: Problem | None) -> None:
        if problem is not None:
            raise error_of(problem.to_json())

    async def source(self, job: Job, batch: Batch) -> tuple[Source, Shared, bool]:
        """Where the items of a batch come from, what it says for all of them, and whether the first
        failure stops it."""
        if batch.is_queue:
            limit = self._settings.max_line_bytes
            source = QueueSource(job.name, self._log, self._blobs, limit, self._expansion.line)
            return source, NOTHING, False
        request = await self._recall.request(job)
        files = batch.manifest, batch.variables, batch.manifest_name
        items = await asyncio.to_thread(self._items, request, *files)
        stops = not self._expansion.options(request.fields).continue_on_error
        return ListSource(items), shared_by(request), stops
