"""Runs jobs: pick, attempt, settle. Everything it knows it reads from the log's events.

It follows the log: an accepted job is put on the schedule, a cancelled one is stopped. Each
attempt is one task, which ends with an event, or with nothing, and then the job goes on after the
next start.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from daemon.asking import Polled
from daemon.attempts import Attempts
from daemon.clock import parse_rfc3339
from daemon.deadlines import Deadlines, is_late, too_late
from daemon.decisions import EndCancelled, Fail, decide_job
from daemon.dependencies import Dependencies
from daemon.endings import Teller
from daemon.errors import Conflict, LogFull
from daemon.events import (
    JobAccepted,
    JobCancelled,
    JobCancelRequested,
    JobRetrying,
    JobRetryRequested,
    JobStarted,
    QueueExtended,
    Recorded,
)
from daemon.jobs import Job
from daemon.polldesk import PollDesk
from daemon.recall import Recall
from daemon.references import names_taken_in
from daemon.schedule import Schedule
from daemon.services import Services
from daemon.state import State
from daemon.streams import Stream
from daemon.treasury import EVERY
from handlers.contract import Handler

_REST = 1.0
"""Seconds before an attempt that broke off is made again."""

_LONGEST = 60.0
"""Seconds between two looks for what is due."""

_UNWRITTEN = 1024
"""Jobs, besides those that run, whose end is on its way to the disk."""

_LINES_UP = JobAccepted | JobRetryRequested | JobCancelRequested | QueueExtended
"""Events after which a job that nobody runs waits for its turn."""

_log = structlog.get_logger(__name__)


async def _nothing() -> None:
    pass


class Runner:
    """Runs what the state says is open.

    Args:
        services: everything a job's context needs.
        state: must take in a batch of events before this does.
        recall: gives each job its request.
        handlers: by task.
        look_around: comes back when all that lies in the inbox was taken in: so long nobody says
            that something is not there.
    """

    def __init__(
        self,
        services: Services,
        state: State,
        recall: Recall,
        handlers: Mapping[str, Handler],
        look_around: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        settings = services.settings
        self._with = services
        self._state = state
        self._recall = recall
        self._schedule = Schedule(settings.concurrency, services.roster.concurrency)
        self._going_on = Schedule(settings.concurrency, services.roster.concurrency)
        """Jobs whose providers are done: they begin nothing, so they go first, and neither a pause
        nor a provider's wish for patience holds them."""
        self._dependencies = Dependencies(state, self._schedule, settings.dependency_wait)
        self._look_around = look_around
        self._looking: asyncio.Task[None] | None = None
        self._desk = PollDesk(services, state, recall, self._resume, self.wake)
        self._attempts = Attempts(
            services,
            state,
            recall,
            handlers,
            self._desk,
            self._dependencies,
            self._schedule.is_kept_off,
        )
        self._deadlines = Deadlines()
        self._paused: frozenset[str | None] = frozenset()
        self._budgets: frozenset[str] = frozenset()
        """The names of those that hold calls."""
        self._kept: dict[str, None] = {}
        """Jobs that wait for the budget of their batch."""
        self._most = settings.concurrency + _UNWRITTEN
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._interrupted: set[str] = set()
        self._clearing: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._teller = Teller(services.clock)

    # ------------------------------------------------------------ following the log

    def begin(self) -> None:
        """Put every open job where it waits."""
        jobs = [self._state.jobs[job_id] for job_id in self._state.open_jobs]
        self._desk.restore([job for job in jobs if job.status == "polling"])
        for job in jobs:
            self._line_up(job)
            self._keep_off(job)

    def pause(self, providers: frozenset[str | None]) -> None:
        """Start nothing for these providers (None: for any at all) until this is called again."""
        self._paused = providers
        self.wake()

    def held(self) -> list[Job] | None:
        """The open jobs, where all of them wait for a time that was chosen for their start, for the
        end of a pause, for a budget, or for others that do; None while there is something else to
        do."""
        if self._tasks or self._dependencies.busy:
            return None
        now = self._with.clock.stamp()
        jobs = [self._state.jobs[job_id] for job_id in self._state.open_jobs]
        jobs = [job for job in jobs if not job.is_batch]  # of those their items tell
        return jobs if all(self._schedule.is_held(job.id, now) for job in jobs) else None

    def is_running(self, job_id: str) -> bool:
        """Whether a job has begun, although the log may not say so yet."""
        return job_id in self._tasks

    def wake(self) -> None:
        """Look again whether a job can start."""
        self._woken.set()

    def committed(self, batch: Sequence[Recorded]) -> None:
        """Take in a batch of durable events."""
        for recorded in batch:
            for name in names_taken_in(recorded):
                self._dependencies.appeared(name)
            if recorded.job is None or type(recorded.event) is JobStarted:
                continue
            job = self._state.jobs.get(recorded.job)
            if job is None:
                continue
            if job.ended:
                self._schedule.remove(job.id)
                self._going_on.remove(job.id)
                self._desk.leave(job.id)
                self._deadlines.drop(job.id)
                self._recall.forget(job.id)
                if isinstance(recorded.event, JobCancelled) and job.id in self._tasks:
                    self._interrupt(job.id)  # it had begun, and had nothing to say yet
                self._dependencies.ended(job)
                self._kept.pop(job.id, None)
            elif job.id in self._tasks:
                if job.cancelling:
                    self._interrupt(job.id)
            elif isinstance(recorded.event, _LINES_UP):
                self._line_up(job)
            if isinstance(recorded.event, JobRetryRequested):
                self._dependencies.reopened(job)
            if isinstance(recorded.event, JobRetrying) and recorded.event.hold is not None:
                asked = recorded.event.provider or job.provider
                self._schedule.hold(asked, recorded.event.hold)
        self._woken.set()

    def _keep_off(self, job: Job) -> None:
        """After a start: leave a provider alone that asked for patience, with all its jobs."""
        if job.status == "retrying" and job.error == "provider_rate_limited" and job.due:
            self._schedule.hold(job.provider, job.due)

    def _line_up(self, job: Job) -> None:
        """Have an open job wait for others, its turn, or its provider; or end it, if somebody wants
        that and nobody runs it. A batch only has newer ones of its name wait."""
        if job.is_batch:
            self._schedule.add(job)
            self._schedule.take(job.id)
            return
        self._dependencies.add(job)
        self._schedule.add(job)
        self._deadlines.add(job)
        if job.cancelling and not self._with.stopping.is_set():
            self._end(job.id)
        elif self._is_paid_in_part(job):
            self._schedule.take(job.id)
            self._going_on.add(job)
        elif job.status == "polling":
            self._schedule.take(job.id)
            if job.id not in self._desk:  # it was unwound, and broke off before it was there
                self._desk.restore([job])
            self._resume(job.id)

    def _is_paid_in_part(self, job: Job) -> bool:
        """Whether a job is to go on although a budget holds calls: it has something to finish, and
        where it comes to another call it is held then."""
        asked = bool(job.journal) and job.status in ("running", "retrying")
        return asked and bool(self._budgets) and not self._paused & {None, job.provider}

    def _resume(self, job_id: str) -> None:
        """Have a job go on whose provider is done, once it is unwound."""
        if self._desk.has_found(job_id) and job_id not in self._tasks:
            self._going_on.add(self._state.jobs[job_id]._replace(due=None))
            self.wake()

    # ------------------------------------------------------------ pick

    async def run(self) -> None:
        """Start jobs as places become free, until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            if not self._with.stopping.is_set():
                self._fill()
            alarm = loop.call_later(self._until_next(), self._woken.set)
            await self._woken.wait()
            alarm.cancel()

    def _fill(self) -> None:
        """Ask for what providers work on, end what is too late, then start what there is a place
        for."""
        now = self._with.clock.stamp()
        self._desk.begin()
        full: frozenset[str | None] = frozenset({None} if self._with.disk.paused else ())
        self._look_at_budgets()
        self._schedule.pause(self._paused | full | self._with.treasury.held())
        self._going_on.pause(full)
        # A place is given back when all is done but for the disk; if that is slow, wait for it.
        while not self._is_full and (late := self._deadlines.take(now)) is not None:
            self._end_late(late)
        self._look_for_missing(now)
        while not self._is_full and (doomed := self._dependencies.take()) is not None:
            if doomed not in self._tasks:
                self._end(doomed)
        while not self._is_full and (job := self._pick(now)) is not None:
            self._start(job.id)

    def _pick(self, now: str) -> Job | None:
        """The next job for which there is a place."""
        if self._schedule.running + self._going_on.running >= self._with.settings.concurrency:
            return None
        job = self._going_on.pick(now)
        while job is None and (job := self._schedule.pick(now)) is not None:
            if not self._with.treasury.holds(job):
                break
            self._schedule.keep(job.id)
            self._kept[job.id] = None
            job = None
        return job

    def _look_at_budgets(self) -> None:
        """Let go of what budgets hold no more, and have what was paid for in part go on where they
        begin to hold."""
        treasury = self._with.treasury
        treasury.look()
        before, names = self._budgets, frozenset(treasury.reached)
        self._budgets = names
        if names - before:
            for job_id in list(self._state.open_jobs):
                job = self._state.jobs[job_id]
                if job.journal and job_id not in self._tasks:
                    self._line_up(job)
        if before - names:
            kept, self._kept = self._kept, {}
            self._schedule.release(kept)

    @property
    def _is_full(self) -> bool:
        return len(self._tasks) >= self._most

    def _until_next(self) -> float:
        """Seconds until a job or a poll is due, or a deadline comes."""
        if self._with.stopping.is_set():
            return _LONGEST  # nobody has to wake us any more
        clock, poll = self._with.clock, self._desk.next_due()
        seconds = _LONGEST if poll is None else poll - clock.monotonic()
        seconds = min(seconds, EVERY) if self._budgets else seconds
        looks = self._looking is not None or self._with.disk.paused
        missed = None if looks else self._dependencies.next_due()
        dues = (self._schedule.next_due(), self._going_on.next_due(), self._deadlines.next())
        moments = [at for at in (*dues, missed) if at]
        if moments and not self._is_full:  # if it is, the next one that is done wakes us
            # No longer than a minute at a time: the wall clock may be set meanwhile.
            left = (parse_rfc3339(min(moments)) - clock.now()).total_seconds()
            seconds = min(seconds, left)
        return min(_LONGEST, max(0.001, seconds))

    def _look_for_missing(self, now: str) -> None:
        """Where a job waited long enough for what is not there: look once more, then give up."""
        due = self._dependencies.next_due()
        if due is None or due > now or self._looking is not None:
            return
        if not self._with.disk.paused:  # while it is, nothing is taken in
            self._looking = asyncio.create_task(self._give_up(now))

    async def _give_up(self, by: str) -> None:
        try:
            await self._look_around()
            if not self._with.disk.paused:
                self._dependencies.give_up(by)
        finally:
            self._looking = None
            self.wake()

    def _end_late(self, job_id: str) -> None:
        """End a job whose deadline came: an attempt from then on does nothing else."""
        if job_id in self._tasks:
            self._interrupt(job_id)
        else:
            self._end(job_id)

    def _end(self, job_id: str) -> None:
        """Have an attempt end a job that nobody runs, wherever it waits."""
        self._schedule.take(job_id)
        self._going_on.remove(job_id)
        self._start(job_id)

    def _interrupt(self, job_id: str) -> None:
        """Stop an attempt; once, for a second time would break off the writing of its end."""
        if job_id not in self._interrupted:
            self._interrupted.add(job_id)
            self._tasks[job_id].cancel()

    def _start(self, job_id: str) -> None:
        self._dependencies.begun(job_id)
        task = asyncio.create_task(self._attempt(job_id, self._desk.leave(job_id)))
        self._tasks[job_id] = task
        task.add_done_callback(partial(self._finished, job_id))

    def _finished(self, job_id: str, task: asyncio.Task[None]) -> None:
        del self._tasks[job_id]
        self._attempts.contexts.pop(job_id, None)
        self._interrupted.discard(job_id)
        self._give_place_back(job_id)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("an attempt broke off", job=job_id, exc_info=error)
            asyncio.get_running_loop().call_later(_REST, self._again, job_id)
        else:
            self._again(job_id)

    def _give_place_back(self, job_id: str) -> None:
        self._schedule.done(job_id)
        self._going_on.remove(job_id)

    def _again(self, job_id: str) -> None:
        """Have a job that is still open wait for its next attempt."""
        job = self._state.jobs[job_id]
        if not job.ended and job_id not in self._tasks and not self._with.stopping.is_set():
            self._line_up(job)
        self._woken.set()

    # ------------------------------------------------------------ attempt

    async def _attempt(self, job_id: str, found: Mapping[str, Polled]) -> None:
        """One attempt at a job, or what is left of one, to its event.

        Args:
            job_id: whose.
            found: by step, what providers made of calls that they took.
        """
        began = self._with.clock.monotonic()
        stream = Stream(self._with.log, self._with.disk, self._state.jobs[job_id])
        try:
            if self._with.log.version(job_id) > stream.job.version:  # its progress was just told
                with contextlib.suppress(LogFull):
                    await self._with.log.append(None, None, ())
                stream = Stream(self._with.log, self._with.disk, self._state.jobs[job_id])
                if stream.job.ended:  # a cancel was faster
                    return
            command = await self._attempts.command(stream, found)
            if job_id in self._attempts.contexts:
                await self._attempts.contexts[job_id].settle()
            media = stream.job.hold
            writing = stream.write(*decide_job(stream.job, command).events)
            self._give_place_back(job_id)  # the rest is waiting for the disk
            self._woken.set()
            await writing
        except (Conflict, asyncio.CancelledError):
            if self._with.stopping.is_set():
                raise
            if not await self._end_stopped(job_id):
                raise
            media = stream.job.hold
        self._teller.tell(self._state.jobs[job_id], self._with.clock.monotonic() - began)
        if media:  # they are artifacts now
            drop = asyncio.to_thread(self._with.blobs.drop, media)
            clearing = asyncio.create_task(drop)
            self._clearing.add(clearing)
            clearing.add_done_callback(self._clearing.discard)

    # ------------------------------------------------------------ settle

    async def _end_stopped(self, job_id: str) -> bool:
        """End a job that was cancelled, or whose deadline came, with what its run came to.

        Returns:
            Whether it has ended; if not, it was neither.
        """
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        told: list[str] | None = None
        while True:
            await self._with.log.append(None, None, ())  # until what was faster is durable
            job = self._state.jobs[job_id]
            if job.ended:
                return True
            if not (job.cancelling or is_late(job, self._with.clock)):
                return False
            run = await self._attempts.let_go(job_id)
            told = await self._attempts.called_off(job_id) if told is None else told
            run = run._replace(warnings=[*run.warnings, *told])
            job = self._state.jobs[job_id]
            if job.ended:
                return True
            stream = Stream(self._with.log, self._with.disk, job)
            end = EndCancelled(job_id, run) if job.cancelling else Fail(job_id, run, too_late(job))
            with contextlib.suppress(Conflict):  # it was cancelled, or saved a file, just now
                await stream.write(*decide_job(job, end).events)

    async def stop(self, timeout: float) -> None:
        """Start nothing new, wait for paid calls under way, let go of everything else.

        Args:
            timeout: seconds to wait at the most.
        """
        self._with.stopping.set()
        await self._desk.stop()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        contexts = list(self._attempts.contexts.values())
        ended = [task for job_id, task in self._tasks.items() if self._state.jobs[job_id].ended]
        for job_id, task in self._tasks.items():
            context = self._attempts.contexts.get(job_id)
            waits = context is not None and context.paid
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
