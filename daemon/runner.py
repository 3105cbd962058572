"""Runs jobs: pick, attempt, settle. Everything it knows it reads from the log's events.

It follows the log: an accepted job is put on the schedule, a cancelled one is stopped. Each
attempt is one task, which ends with an event, or with nothing, and then the job goes on after the
next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from daemon.clock import parse_rfc3339
from daemon.context import DryRun, JournaledContext, Services, Stream
from daemon.decisions import EndCancelled, Fail, JobCommand, Run, Start, Succeed, decide_job
from daemon.errors import BadRequest, Conflict, LogError, Problem, problem_of
from daemon.events import JobAccepted, JobRetryRequested, JobStarted, Recorded
from daemon.jobs import Job
from daemon.journal import Journal
from daemon.recall import Recall
from daemon.retries import next_attempt
from daemon.schedule import Schedule
from daemon.state import State
from daemon.telling import Teller
from handlers.contract import Handler, HandlerError

_REST = 1.0
"""Seconds before an attempt that broke off is made again."""

_LONGEST = 60.0
"""Seconds between two looks for what is due."""

_UNWRITTEN = 1024
"""Jobs, besides those that run, whose end is on its way to the disk."""

_log = structlog.get_logger(__name__)


class Runner:
    """Runs what the state says is open.

    Args:
        services: everything a job's context needs.
        state: must take in a batch of events before this does.
        recall: gives each job its request.
        handlers: by task.
    """

    def __init__(
        self, services: Services, state: State, recall: Recall, handlers: Mapping[str, Handler]
    ) -> None:
        settings = services.settings
        self._with = services
        self._state = state
        self._recall = recall
        self._handlers = handlers
        self._schedule = Schedule(settings.concurrency, settings.provider_concurrency)
        self._most = settings.concurrency + _UNWRITTEN
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._contexts: dict[str, JournaledContext] = {}
        self._clearing: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._teller = Teller(services.clock)

    # ------------------------------------------------------------ following the log

    def begin(self) -> None:
        """Put every open job on the schedule."""
        for job_id in self._state.open_jobs:
            self._schedule.add(self._state.jobs[job_id])

    def wake(self) -> None:
        """Look again whether a job can start."""
        self._woken.set()

    def committed(self, batch: Sequence[Recorded]) -> None:
        """Take in a batch of durable events."""
        for recorded in batch:
            if recorded.job is None or type(recorded.event) is JobStarted:
                continue
            job = self._state.jobs.get(recorded.job)
            if job is None:
                continue
            if job.ended:
                self._schedule.remove(job.id)
                self._recall.forget(job.id)
            elif job.id in self._tasks:
                if job.cancelling:
                    self._tasks[job.id].cancel()
            elif isinstance(recorded.event, JobAccepted | JobRetryRequested):
                self._schedule.add(job)
        self._woken.set()

    # ------------------------------------------------------------ pick

    async def run(self) -> None:
        """Start jobs as places become free, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            if not self._with.disk.paused:
                self._fill()
            alarm = loop.call_later(self._until_next(), self._woken.set)
            await self._woken.wait()
            alarm.cancel()

    def _fill(self) -> None:
        """Start what there is a place for."""
        now = self._with.clock.stamp()
        # A place is given back when all is done but for the disk; if that is slow, wait for it.
        while len(self._tasks) < self._most and (job := self._schedule.pick(now)) is not None:
            self._start(job.id)

    def _until_next(self) -> float:
        """Seconds until the next job is due."""
        due = self._schedule.next_due()
        if due is None:
            return _LONGEST
        # No longer than a minute at a time: the wall clock may be set meanwhile.
        seconds = (parse_rfc3339(due) - self._with.clock.now()).total_seconds()
        return min(_LONGEST, max(0.001, seconds))

    def _start(self, job_id: str) -> None:
        task = asyncio.create_task(self._attempt(job_id), name=f"job {job_id}")
        self._tasks[job_id] = task
        task.add_done_callback(partial(self._finished, job_id))

    def _finished(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[job_id]
        self._contexts.pop(job_id, None)
        self._schedule.done(job_id)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("an attempt broke off", job=job_id, exc_info=error)
            asyncio.get_running_loop().call_later(_REST, self._again, job_id)
        else:
            self._again(job_id)

    def _again(self, job_id: str) -> None:
        """Have a job that is still open wait for its next attempt."""
        job = self._state.jobs[job_id]
        if not job.ended and job_id not in self._tasks and not self._with.stopping.is_set():
            self._schedule.add(job)
        self._woken.set()

    # ------------------------------------------------------------ attempt

    async def _attempt(self, job_id: str) -> None:
        """One attempt at a job, to its event."""
        began = self._with.clock.monotonic()
        stream = Stream(self._with.log, self._with.disk, self._state.jobs[job_id])
        try:
            command = await self._command(stream)
            if job_id in self._contexts:
                await self._contexts[job_id].settle()
            media = stream.job.hold
            writing = stream.write(*decide_job(stream.job, command).events)
            self._schedule.done(job_id)  # its place: the rest is waiting for the disk
            self._woken.set()
            await writing
        except (Conflict, asyncio.CancelledError):
            if self._with.stopping.is_set():
                raise
            await self._with.log.append(None, None, ())  # until what was faster is durable
            if not self._state.jobs[job_id].cancelling:
                raise
            media = ()
            await self._end_cancelled(job_id)
        self._teller.tell(self._state.jobs[job_id], self._with.clock.monotonic() - began)
        if media:  # they are artifacts now
            drop = asyncio.to_thread(self._with.blobs.drop, media)
            clearing = asyncio.create_task(drop)
            self._clearing.add(clearing)
            clearing.add_done_callback(self._clearing.discard)

    async def _command(self, stream: Stream) -> JobCommand:
        """Run the handler; what it came to."""
        job = stream.job
        context: JournaledContext | None = None
        if job.cancelling:
            return EndCancelled(job.id, Run())
        if job.runs >= self._with.settings.max_crashes:
            return Fail(job.id, Run(), _crashes(job.runs))
        stream.begin(Start(job.id))
        try:
            request = await self._recall.request(job)
            context = JournaledContext(request, await self._journal(job), stream, self._with)
            self._contexts[job.id] = context
            await self._handlers[request.task].run(request.fields, context)
        except BadRequest as error:
            return Fail(job.id, Run(), error.problem)
        except DryRun:
            pass
        except Exception as error:
            problem = _problem(job, _cause(error))
            if problem is not None:
                return self._failure(stream.job, context, problem)
        return Succeed(job.id, context.run() if context is not None else Run())

    def _failure(self, job: Job, context: JournaledContext | None, problem: Problem) -> JobCommand:
        settings = self._with.settings
        allowed = context.max_attempts if context is not None else settings.max_attempts
        due = next_attempt(problem, job.attempt, allowed, self._with.clock.now(), settings)
        return Fail(job.id, context.run() if context is not None else Run(), problem, due)

    async def _journal(self, job: Job) -> Journal:
        """What the log holds of a job's steps."""
        if not job.journal:
            return Journal()
        log = self._with.log
        return Journal.of(await asyncio.to_thread(lambda: [log.get(n) for n in job.journal]))

    # ------------------------------------------------------------ settle

    async def _end_cancelled(self, job_id: str) -> None:
        task, context = asyncio.current_task(), self._contexts.get(job_id)
        if task is not None:
            task.uncancel()
        if context is not None and context.paid:
            context.warn("a paid call was under way; the provider may still bill it")
            for call in context.paid:
                call.cancel()
        if context is not None and context.saving:
            await asyncio.wait(context.saving)
        run = context.run() if context is not None else Run()
        stream = Stream(self._with.log, self._with.disk, self._state.jobs[job_id])
        await stream.write(*decide_job(stream.job, EndCancelled(job_id, run)).events)

    async def stop(self, timeout: float) -> None:
        """Start nothing new, wait for paid calls under way, let go of everything else.

        Args:
            timeout: seconds to wait at the most.
        """
        self._with.stopping.set()
        contexts = list(self._contexts.values())
        ended = [task for job_id, task in self._tasks.items() if self._state.jobs[job_id].ended]
        for job_id, task in self._tasks.items():
            waits = job_id in self._contexts and self._contexts[job_id].paid
            if not waits and task not in ended:
                task.cancel()
        paid = {call for context in contexts for call in context.paid}
        if paid:
            _log.info("waiting for paid calls under way", calls=len(paid), at_most=timeout)
            await asyncio.wait(paid, timeout=timeout)
        saving = {file for context in contexts for file in context.saving}
        if saving:
            await asyncio.wait(saving, timeout=timeout)
        tasks: list[asyncio.Task[Any]] = [*self._tasks.values(), *paid, *saving]
        for left in tasks:
            if left not in ended:
                left.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._clearing)
        self._teller.flush()


def _crashes(runs: int) -> Problem:
    return Problem(
        "internal",
        f"the daemon died {runs} times while this job ran, so it is not started again",
        ("If the job is not to blame, use retry.",),
    )


def _cause(error: Exception) -> Exception:
    """What made a handler fail: of several steps side by side, the failure that weighs most."""
    if not isinstance(error, ExceptionGroup):
        return error
    return max(map(_cause, error.exceptions), key=_weight)


def _weight(error: Exception) -> int:
    """The log goes before a fault of ours, and that before a refusal that no retry can mend."""
    if isinstance(error, HandlerError):
        return 1 if problem_of(error).retryable else 2
    return 4 if isinstance(error, LogError) else 0 if isinstance(error, DryRun) else 3


def _problem(job: Job, error: Exception) -> Problem | None:
    """What to tell of a failure; None where it was a dry run's end.

    Raises:
        LogError: it was the log's, and no failure of the job.
    """
    if isinstance(error, LogError):
        raise error from None
    if isinstance(error, DryRun):
        return None
    if isinstance(error, HandlerError):
        return problem_of(error)
    _log.error("a handler broke", job=job.id, task=job.task, exc_info=error)
    return Problem(
        "internal",
        f"the handler of {job.task} broke: {type(error).__name__}",
        ("This is a fault of darkroom or of a plug-in; the diagnostics tell where.",),
    )
