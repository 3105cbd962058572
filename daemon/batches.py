"""Batches: their items become jobs, as many at a time as memory should hold; when all of them have
ended, so does the batch.

It follows the log. Each open batch has a task, which does what is next for it: opens it (finds out
how many items it has), admits items, cancels or retries them, ends it, or waits for one of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from daemon.acceptance import Acceptor, Place
from daemon.batch import Batch
from daemon.closing import Closing
from daemon.decisions import Cancel, EndCancelled, Fail, JobCommand, Retry, Run, decide
from daemon.disk import Disk
from daemon.errors import BadRequest, Conflict, LogError, LogFull, Problem, problem_of
from daemon.eventlog import Append, EventLog
from daemon.events import Event, ItemRejected, JobCancelRequested, Recorded
from daemon.items import NOTHING, Ready, Refused, Shared, judge
from daemon.jobs import Job, item_name
from daemon.opening import Opening
from daemon.recall import Recall
from daemon.requests import Door
from daemon.sources import Source
from daemon.state import State
from handlers.contract import HandlerError

TURN = 256
"""Items that are admitted together."""

WINDOW = 2048
"""Items of a queue that are open at once: the others wait in the log, not in memory."""

_REST = 1.0
"""Seconds before what broke off is tried again."""

_PATIENCE = 10.0
"""Seconds between two looks whether more jobs may be taken in."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Feed:
    """What is under way for one open batch."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    idle: bool = False
    """Whether it waits for one of its items, or for an older batch of its name."""
    source: Source | None = None
    shared: Shared = NOTHING
    stops: bool = False
    """Whether the first failure cancels the items that have not begun."""
    swept: bool = False
    """Whether the items that were open have been cancelled."""
    behind: bool = False
    """Whether an older drop of its name has not ended."""

    def wake(self) -> None:
        self.idle = False
        self.woken.set()


class Batches:
    """Runs batches, on the event loop.

    Args:
        log: where their items are accepted.
        disk: whether there is room for more.
        state: where each of them stands; must take in a batch of events before this does.
        recall: has their requests.
        door: judges items.
        acceptor: makes jobs of them.
        opening: finds out what a batch is made of.
        closing: says what one came to.
        is_running: whether a job has begun.
    """

    def __init__(
        self,
        log: EventLog,
        disk: Disk,
        state: State,
        recall: Recall,
        door: Door,
        acceptor: Acceptor,
        opening: Opening,
        closing: Closing,
        is_running: Callable[[str], bool],
    ) -> None:
        self._log = log
        self._disk = disk
        self._state = state
        self._recall = recall
        self._door = door
        self._acceptor = acceptor
        self._opening = opening
        self._closing = closing
        self._is_running = is_running
        self._feeds: dict[str, _Feed] = {}

    # ------------------------------------------------------------ following the log

    def begin(self) -> None:
        """Go on with every open batch."""
        for job_id in self._state.open_jobs:
            job = self._state.jobs[job_id]
            if job.is_batch:
                self._closing.catch_up(job)
                self._go_on(job_id)

    def committed(self, batch: Sequence[Recorded]) -> None:
        """Take in a batch of durable events."""
        for recorded in batch:
            job = self._state.jobs.get(recorded.job or "")
            if job is None:
                continue
            if job.is_batch and not job.ended:
                self._go_on(job.id)
            elif job.batch is not None and (job.ended or job.batch not in self._feeds):
                self._go_on(job.batch)
            elif job.ended:
                for feed in self._feeds.values():
                    if feed.behind:
                        feed.wake()

    @property
    def busy(self) -> bool:
        """Whether something is being done that is no waiting for an item."""
        return any(not feed.idle for feed in self._feeds.values())

    def wake(self) -> None:
        """Look again whether items can be admitted."""
        for feed in self._feeds.values():
            feed.wake()

    async def close(self) -> None:
        """Begin nothing new, and let go."""
        tasks = [feed.task for feed in self._feeds.values() if feed.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self, job_id: str) -> None:
        feed = self._feeds.get(job_id)
        if feed is None:
            feed = self._feeds[job_id] = _Feed()
            feed.task = asyncio.create_task(self._serve(job_id, feed))
        feed.wake()

    # ------------------------------------------------------------ one batch

    async def _serve(self, job_id: str, feed: _Feed) -> None:
        """Do what is next for a batch, until it has ended."""
        try:
            while not self._state.jobs[job_id].ended:
                feed.woken.clear()
                feed.idle = not await self._step(job_id, feed)
                if feed.idle:
                    await feed.woken.wait()
        finally:
            del self._feeds[job_id]

    async def _step(self, job_id: str, feed: _Feed) -> bool:
        """Do one thing for a batch; whether there was something to do."""
        try:
            return await self._next(self._state.jobs[job_id], feed)
        except Conflict:
            await self._log.append_all(())  # until what was faster is durable
        except LogFull:
            await asyncio.sleep(_REST)
        except Exception as error:
            _log.error("a batch broke off", job=job_id, exc_info=error)
            await asyncio.sleep(_REST)
        return True

    async def _next(self, job: Job, feed: _Feed) -> bool:
        batch = self._state.batches.get(job.id)
        feed.behind = self._is_behind_another(job)
        if feed.behind:
            return False
        if batch is None:
            await self._open(job)
        elif job.status == "waiting" and await self._run_again(job):
            pass
        elif not feed.swept and self._is_stopping(job, batch, feed):
            await self._cancel_items(job, feed)
        elif batch.admitted < batch.total and self._has_room(batch, feed):
            await self._admit(job, batch, feed)
        elif batch.is_done:
            await self._apply(await self._closing.command(job, batch))
        else:
            return False
        return True

    def _is_behind_another(self, job: Job) -> bool:
        """Whether an older drop of its name has not ended."""
        drops = self._state.drops.get(job.name, {}).values()
        others = [drop.job for drop in drops if drop.job in self._state.open_jobs]
        return any(self._state.jobs[other].first < job.first for other in others if other)

    # ------------------------------------------------------------ opening

    async def _open(self, job: Job) -> None:
        """Find out what a batch is made of; where that fails, so does the batch."""
        if job.cancelling:
            await self._apply(EndCancelled(job.id, Run()))
            return
        try:
            opened = await self._opening.event(job)
        except BadRequest as error:
            await self._apply(Fail(job.id, Run(), error.problem))
        except HandlerError as error:
            await self._apply(Fail(job.id, Run(), problem_of(error)))
        else:
            try:
                await self._log.append(job.id, job.version, [opened], subject=job.name)
            finally:
                self._opening.let_go(opened)

    # ------------------------------------------------------------ admitting

    def _has_room(self, batch: Batch, feed: _Feed) -> bool:
        """Whether more items of a batch may become jobs now. All of a manifest may: it was refused
        as a whole where it has too many."""
        if self._disk.paused:
            return False
        if not batch.is_queue:
            return True
        if self._opening.waits():
            asyncio.get_running_loop().call_later(_PATIENCE, feed.wake)
            return False
        return batch.open < WINDOW

    async def _admit(self, job: Job, batch: Batch, feed: _Feed) -> None:
        """Make jobs of the next items; comes back when they are durable."""
        if feed.source is None:
            feed.source, feed.shared, feed.stops = await self._opening.source(job, batch)
        stopping = self._is_stopping(job, batch, feed)
        judged = await asyncio.to_thread(self._judged, feed, batch)
        appends: list[Append] = []
        ids: set[str] = set()
        jobs: list[tuple[str, Ready]] = []
        try:
            for item in (self._with_own_id(one, batch, ids) for one in judged):
                appends.append(await self._append_of(item, job, batch, stopping=stopping))
                if isinstance(item, Ready):
                    jobs.append((appends[-1].job or "", item))
            await self._log.append_all(appends)
        finally:
            for append in appends:
                self._acceptor.release(append.events[0])
        for job_id, ready in jobs:
            self._recall.remember(job_id, ready.request)

    def _judged(self, feed: _Feed, batch: Batch) -> list[Ready | Refused]:
        source = feed.source
        wanted = source.take(batch, TURN) if source is not None else ()
        if not wanted:
            raise LogError(f"batch {batch.id} has {batch.total} items and gives out fewer")
        return [judge(self._door, one, feed.shared) for one in wanted]

    def _with_own_id(self, item: Ready | Refused, batch: Batch, ids: set[str]) -> Ready | Refused:
        """An item, or its refusal where another one has its id."""
        if item.id is None:
            return item
        if self._state.item(batch.id, item.id) is None and item.id not in ids:
            ids.add(item.id)
            return item
        if isinstance(item, Refused):
            return item._replace(id=None)
        problem = Problem(
            "duplicate_id",
            f"another item of this batch has the id {item.id!r}",
            ("Within a batch an id names one item, for others to refer to.",),
        )
        task, labels = item.request.task, item.request.envelope.labels
        return Refused(item.number, item.raw, item.long, problem, task, labels)

    async def _append_of(
        self, item: Ready | Refused, job: Job, batch: Batch, *, stopping: bool
    ) -> Append:
        blobs = await self._acceptor.stored(item.long) if item.long else {}
        new_id, name = self._acceptor.new_id(), item_name(job.name, item.number)
        if isinstance(item, Refused):
            rejected = ItemRejected(
                batch=batch.id,
                item=item.number,
                item_id=item.id,
                task=item.task,
                request=item.raw,
                blobs=blobs,
                labels=item.labels,
                error=item.problem.to_json(),
            )
            return Append([rejected], name, new_id, 0)
        place = Place(batch.id, item.number)
        digests = (item.digest, item.digest)
        accepted = self._acceptor.event(item.request, item.raw, blobs, digests, place)
        events: list[Event] = [accepted, JobCancelRequested()] if stopping else [accepted]
        return Append(events, name, new_id, 0)

    # ------------------------------------------------------------ cancelling, running again

    def _is_stopping(self, job: Job, batch: Batch, feed: _Feed) -> bool:
        """Whether nothing more of a batch is to begin. What was rejected stays so: that stops it
        once, and not when it is run again."""
        failed = batch.ended("failed") or (not job.retried and batch.ended("rejected"))
        return job.cancelling or (feed.stops and bool(failed))

    async def _cancel_items(self, job: Job, feed: _Feed) -> None:
        """Cancel the open items of a batch; where only the first failure stops it, those that have
        not begun."""
        jobs = (self._state.jobs[job_id] for job_id in self._state.open_jobs)
        items = [item for item in jobs if item.batch == job.id]
        if not job.cancelling:
            items = [one for one in items if not (one.runs or self._is_running(one.id))]
        await self._decide_all([Cancel(item.id) for item in items])
        feed.swept = True

    async def _run_again(self, job: Job) -> bool:
        """Run those items again that did not succeed, or all of them where all did; whether there
        was any. What succeeded is not paid for again because another one was rejected."""
        items = self._state.items(job.id)
        bad = [item for item in items if item.status != "succeeded"]
        again = [item for item in bad or items if item.status != "rejected"]
        return await self._decide_all([Retry(item.id, job.retry_key or "") for item in again])

    async def _decide_all(self, commands: Sequence[JobCommand]) -> bool:
        """Append what some commands come to, all together; whether that was anything."""
        decisions = [decide(self._state, command) for command in commands]
        appends = [
            Append(decision.events, decision.subject, decision.job, decision.version)
            for decision in decisions
            if decision.events
        ]
        if appends:
            await self._log.append_all(appends)
        return bool(appends)

    async def _apply(self, command: JobCommand) -> None:
        await self._decide_all([command])
