"""The `Context` a handler gets: every step it asks for is answered by the log, or journaled.

This is why a handler survives a crash without knowing it.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import Any, TypeVar

from daemon.blobs import BlobStore
from daemon.clock import Clock
from daemon.decisions import JobCommand, Run, decide_job
from daemon.disk import Disk
from daemon.errors import Conflict, LogFull, problem_of
from daemon.eventlog import EventLog
from daemon.events import (
    ArtifactSaved,
    Event,
    JobEnded,
    ProviderAnswered,
    ProviderProgressed,
    ProviderRequested,
    Recorded,
)
from daemon.exchange import Lanes, Workbench, exchange
from daemon.gallery import Gallery
from daemon.jobs import Job, evolve
from daemon.journal import Journal, digest_of_call, outcome_of
from daemon.requests import Request
from daemon.settings import Settings
from handlers.contract import Artifact, Call, HandlerError, Medium, Outcome, Role
from handlers.wire import Provider

PROGRESS_SECONDS = 3.0
"""At most one progress event of a job in this time."""

Reply = TypeVar("Reply")


class _Over(asyncio.CancelledError):
    """The handler of this step came to its end, and nobody waits for the step."""


class DryRun(Exception):
    """A dry run came to its first call: all that can be checked was."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every context shares."""

    settings: Settings
    clock: Clock
    log: EventLog
    blobs: BlobStore
    disk: Disk
    gallery: Gallery
    workbench: Workbench
    lanes: Lanes
    providers: Mapping[str, Provider]
    stopping: asyncio.Event
    """Set when nothing new may be sent."""


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

    def write(self, *events: Event) -> Awaitable[None]:
        """Queue events; to be awaited until they are durable, where the disk is full as long as it
        takes.

        Raises:
            Conflict: as for `append`.
            HandlerError: (when awaited) `disk_full`: there is room by our measure, but not for
                these.
        """
        whole = (*self._begun, *events)
        return self._durable(self.append(*events), whole)

    async def _durable(
        self, appended: asyncio.Future[tuple[Recorded, ...]], events: tuple[Event, ...]
    ) -> None:
        while True:
            try:
                await appended
                return
            except LogFull:
                await self._disk.wait_for_room("the event log")
                appended = self.append(*events)


class JournaledContext:
    """One run of one job, as its handler sees it.

    Args:
        request: what was asked for.
        journal: what the log already answers.
        stream: where new steps are journaled.
        services: everything shared.
    """

    def __init__(
        self, request: Request, journal: Journal, stream: Stream, services: Services
    ) -> None:
        self._request = request
        self._journal = journal
        self._stream = stream
        self._with = services
        self._steps: set[str] = set()
        self._asked: dict[str, Outcome | None] = {}
        self._kept: dict[str, Artifact | None] = {}
        self._stems = {PurePosixPath(artifact.path).stem for artifact in journal.saved.values()}
        self._warnings: list[str] = []
        self._provider: str | None = None
        self._model: str | None = request.envelope.model
        self._told = float("-inf")
        self.paid: set[asyncio.Task[Outcome]] = set()
        """Paid calls under way: a stop waits for them."""
        self.saving: set[asyncio.Task[Any]] = set()
        """Files being made: whatever happens, each is recorded or removed again."""
        self._over = False

    # ------------------------------------------------------------ what handlers call

    async def ask(self, step: str, call: Call) -> Outcome:
        self._enter(step)
        self._asked[step] = None
        self._provider = name = self._stream.job.provider
        if self._request.envelope.dry_run:
            self._provider_for(name, call.operation)
            self.warn(f"dry run: {name} would have been asked to {call.operation}")
            raise DryRun
        self._stream.flush()  # what follows may take long, or end the process
        call = self._completed(call)
        digest = digest_of_call(name, call)
        outcome = self._journal.outcome(
            step, digest, self._stream.job, self._with.settings.on_ambiguous
        )
        if outcome is None:
            provider = self._provider_for(name, call.operation)
            outcome = await self._send(step, digest, provider, call)
        self._asked[step] = outcome
        self._model = outcome.model or self._model
        return outcome

    async def keep(
        self, step: str, medium: Medium, *, prefix: str, role: Role = "output"
    ) -> Artifact:
        self._enter(step)
        self._stream.flush()
        self._kept[step] = None
        artifact: Artifact | None = self._journal.saved.get(step)
        if artifact is None:
            saving = asyncio.create_task(self._save(step, medium, prefix, role))
            artifact = await _unbroken(saving, self.saving)
        self._kept[step] = artifact
        return artifact

    async def progress(self, message: str, fraction: float | None = None) -> None:
        now = self._with.clock.monotonic()
        if now - self._told >= PROGRESS_SECONDS:
            self._told = now
            self._live().append(ProviderProgressed(message, fraction))

    def warn(self, message: str) -> None:
        self._warnings.append(message)

    # ------------------------------------------------------------ what the runner calls

    async def settle(self) -> None:
        """After the handler's end: wait for the paid calls and the files that it left under way
        (of several steps side by side one failed), so that the next attempt knows of them; of
        whatever else it left nothing reaches the log any more."""
        while under_way := {*self.paid, *self.saving}:
            await asyncio.wait(under_way)
        self._over = True

    @property
    def max_attempts(self) -> int:
        """How many attempts this job may have."""
        return self._request.envelope.max_attempts or self._with.settings.max_attempts

    def run(self) -> Run:
        """What the run came to, for the event that ends the job."""
        outcomes = [outcome for outcome in self._asked.values() if outcome is not None]
        usages = [outcome.usage for outcome in outcomes if outcome.usage is not None]
        return Run(
            provider=self._provider,
            model=self._model,
            artifacts=[asdict(kept) for kept in self._kept.values() if kept is not None],
            references=[reference for outcome in outcomes for reference in outcome.references],
            warnings=[
                *dict.fromkeys(warning for outcome in outcomes for warning in outcome.warnings),
                *self._warnings,
            ],
            usage={"calls": usages} if len(usages) > 1 else usages[0] if usages else None,
        )

    def _live(self) -> Stream:
        if self._over:
            raise _Over
        return self._stream

    # ------------------------------------------------------------ asking

    def _enter(self, step: str) -> None:
        if step in self._steps:
            raise ValueError(f"the handler used the step {step!r} twice")
        self._steps.add(step)

    def _completed(self, call: Call) -> Call:
        """A call with what the request's envelope adds."""
        envelope = self._request.envelope
        return replace(
            call,
            model=call.model or envelope.model,
            endpoint=envelope.endpoint,
            extra={**call.extra, **(envelope.extra or {})},
        )

    def _provider_for(self, name: str, operation: str) -> Provider:
        providers = self._with.providers
        if name not in providers:
            raise HandlerError(
                "provider_not_found",
                f"there is no provider {name!r}",
                hints=[f"The providers here are: {', '.join(sorted(providers))}."],
            )
        if operation not in providers[name].operations:
            able = sorted(other for other, p in providers.items() if operation in p.operations)
            raise HandlerError(
                "not_supported",
                f"{name} cannot {operation}",
                hints=[f"These can: {', '.join(able) or 'none that is configured'}."],
            )
        return providers[name]

    async def _send(self, step: str, digest: str, provider: Provider, call: Call) -> Outcome:
        if not provider.paid:
            return await self._exchange(step, digest, provider, call)
        sending = asyncio.create_task(self._exchange(step, digest, provider, call))
        return await _unbroken(sending, self.paid)

    async def _exchange(self, step: str, digest: str, provider: Provider, call: Call) -> Outcome:
        async with self._with.lanes.of(provider.name):
            if self._with.stopping.is_set():
                raise asyncio.CancelledError
            attempt = self._stream.job.attempt
            requested = ProviderRequested(
                step, call.operation, provider.name, call.model, provider.paid, digest, attempt
            )
            if provider.paid:
                await self._live().write(requested)
            else:
                self._live().append(requested)
            began = self._with.clock.monotonic()
            timeout = self._request.envelope.timeout or self._with.settings.call_timeout
            try:
                outcome = await exchange(provider, call, self._with.workbench, timeout)
                failure = None
            except HandlerError as error:
                outcome, failure = Outcome(model=call.model), self._judged(error)
            seconds = round(self._with.clock.monotonic() - began, 3)
        record = self._record(step, attempt, seconds, outcome, failure)
        return await _unbroken(asyncio.create_task(record), self.saving)

    def _judged(self, error: HandlerError) -> HandlerError:
        """A lost answer may be asked for again only where the settings say so."""
        if error.code == "ambiguous_submit" and self._with.settings.on_ambiguous == "retry":
            error.retryable = True
        return error

    async def _record(
        self,
        step: str,
        attempt: int,
        seconds: float,
        outcome: Outcome,
        failure: HandlerError | None,
    ) -> Outcome:
        """Make an answer durable, its media first."""
        digests = [await self._store(medium) for medium in outcome.media]
        try:
            answered = ProviderAnswered(
                step=step,
                attempt=attempt,
                seconds=seconds,
                model=outcome.model,
                media=[
                    {"sha256": digest, "media_type": medium.media_type}
                    for digest, medium in zip(digests, outcome.media, strict=True)
                ],
                references=list(outcome.references),
                warnings=list(outcome.warnings),
                usage=outcome.usage,
                error=problem_of(failure).to_json() if failure is not None else None,
            )
            await self._live().write(answered)
        except (Conflict, HandlerError, _Over):  # no event will ever name them
            self._let_go(digests)
            await asyncio.to_thread(self._with.blobs.drop, digests)
            raise
        self._let_go(digests)
        if failure is not None:
            raise failure
        return outcome_of(answered)

    def _let_go(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._with.blobs.release(digest)

    async def _store(self, medium: Medium) -> str:
        data = medium.data or b""
        return await self._with.disk.patiently(functools.partial(self._with.blobs.put, data))

    # ------------------------------------------------------------ keeping

    async def _save(self, step: str, medium: Medium, prefix: str, role: Role) -> Artifact:
        envelope, gallery = self._request.envelope, self._with.gallery
        stem, number = self._stem(envelope.prefix or prefix)
        described = await self._with.workbench.run(lambda: gallery.describe(medium))
        artifact = await self._with.disk.patiently(
            lambda: gallery.save(medium, described, self._request.folder, stem, role)
        )
        try:
            await self._stream.write(ArtifactSaved(step, number, asdict(artifact)))
        except (Conflict, HandlerError, _Over):  # the log will never know of it
            await asyncio.to_thread(gallery.remove, artifact)
            raise
        return artifact

    def _stem(self, prefix: str) -> tuple[str, int]:
        """A name that no artifact of this job has or had, and its number: the first free one from
        where a fresh start began."""
        job = self._live().job
        number = job.number_before + 1
        while (stem := f"{prefix}-{job.id}-{number}") in self._stems:
            number += 1
        self._stems.add(stem)
        return stem, number


async def _unbroken(task: asyncio.Task[Reply], under_way: set[asyncio.Task[Any]]) -> Reply:
    """Wait for a task that goes on when whoever waits is cancelled; `under_way` holds it then."""
    under_way.add(task)
    task.add_done_callback(under_way.discard)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(task)
