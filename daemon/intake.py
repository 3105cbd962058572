"""From names to events: what was dropped is looked at, decided, and written in the log.

Requests stay where they are; what claims one is its durable event. Control files (`x.cancel`,
`x.retry`) are removed once their event is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial

import structlog

from daemon.acceptance import Acceptor
from daemon.ceilings import Ceilings, decide_within
from daemon.clock import Clock
from daemon.controls import Controls
from daemon.decisions import Accept, Decision, Reject
from daemon.disk import Disk
from daemon.errors import LogError, LogFull
from daemon.eventlog import Append, EventLog
from daemon.files import Signature
from daemon.inbox import CONTROLS
from daemon.jobs import QUEUE, parent_of
from daemon.looking import Bad, Busy, Gone, Good, Look, Looker, unreadable
from daemon.lookout import Lookout
from daemon.pauses import Pauses
from daemon.publisher import Publisher
from daemon.queues import Queues
from daemon.recall import Recall
from daemon.resting import SOON, Resting
from daemon.results import without_result
from daemon.settings import Settings
from daemon.state import State

CHUNK = 256
"""Files looked at in one turn; the next turn begins when their events are durable."""

_SLOW = 0.005
"""Seconds that are too long to look at a few files while everything else waits."""

_CAREFUL = 60.0
"""Seconds for which that is not done again."""

_log = structlog.get_logger(__name__)


class Intake:
    """Takes in what is dropped, until it is cancelled.

    Args:
        settings: how long a file must rest.
        clock: for waiting and for the ids of jobs.
        log: where decisions go.
        state: what they are made from.
        looker: who reads and judges files.
        acceptor: who makes jobs of requests.
        queues: who takes in queues.
        disk: whether there is room.
        publisher: who writes and removes results.
        recall: who keeps requests for those who run them.
        pauses: who is told of PAUSE files.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        log: EventLog,
        state: State,
        looker: Looker,
        acceptor: Acceptor,
        queues: Queues,
        disk: Disk,
        publisher: Publisher,
        recall: Recall,
        pauses: Pauses,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._state = state
        self._looker = looker
        self._acceptor = acceptor
        self._queues = queues
        self._disk = disk
        self._publisher = publisher
        self._recall = recall
        self._ceilings = Ceilings(settings.max_waiting_jobs, settings.max_jobs_per_hour)
        self._woken = asyncio.Event()
        self.lookout = Lookout(settings, clock, self._woken.set, pauses)
        self._resting = Resting(clock, settings.settle, self._later)
        self._controls = Controls(settings, log, state, looker, publisher)
        self._reading: dict[str, bool] = {}
        """Queues that are being read, and whether there is more to look at."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._careful_until = 0.0
        self._answered: Iterable[str] = ()
        self._scanned = False  # since the backlog was empty
        self._looked = asyncio.Condition()
        self._looks = 0

    def restore(self, seen: Mapping[str, Signature], told: Collection[str]) -> None:
        """Take over what an earlier daemon saw.

        Args:
            seen: what each file looked like when it was decided.
            told: names that are to be looked at all the same.
        """
        self.lookout.seen = {name: looked for name, looked in seen.items() if name not in told}
        self._answered = tuple(self.lookout.seen)

    @property
    def busy(self) -> bool:
        """Whether something is there that is not decided, or may still be being written."""
        return bool(self._resting or self.lookout.backlog or self._reading)

    async def look_everywhere(self) -> None:
        """Wait until the whole inbox was looked at, and all that was found is decided."""
        async with self._looked:
            wanted = self._looks + 2  # one may be half done
            while self._looks < wanted:
                self.lookout.hints.tell(None)
                await self._looked.wait()

    async def run(self) -> None:
        """Watch first, then scan, so that nothing falls between; and so on for ever."""
        try:
            await self.lookout.start()
            self.lookout.backlog.put_first(self._queues.unread())
            while True:
                await self._turn()
                if not self.lookout.backlog or self._disk.paused:
                    await self._wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.lookout.stop()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self.lookout.seconds_left(), self._woken.set)
        await self._woken.wait()
        alarm.cancel()

    async def _turn(self) -> None:
        """Look around, and decide some of what waits for it."""
        self._woken.clear()
        self._scanned |= await self.lookout.look(self._resting.__contains__)
        self._disk.check()
        if not self._disk.paused:
            names = self.lookout.backlog.take(CHUNK)
            controls = [name for name in names if name.endswith(CONTROLS)]
            requests = [name for name in names if not name.endswith(CONTROLS)]
            await self._take([name for name in requests if not name.endswith(QUEUE)])
            for name in requests:
                if name.endswith(QUEUE):
                    self._read_queue(name)
            for name in controls:  # after the requests they may be about
                await self._control(name)
        if self._scanned and (not self.lookout.backlog or self._disk.paused):
            self._scanned = False
            await self._restore()
            self._publisher.settle_all()
            async with self._looked:
                self._looks += 1
                self._looked.notify_all()

    async def _restore(self) -> None:
        """After the first scan: write the results that are missing, of requests that were answered
        before the index was written and are not looked at again."""
        names, self._answered = self._answered, ()
        known = [name for name in names if name in self.lookout.seen]
        missing = await asyncio.to_thread(without_result, self._settings.inbox, known)
        for name in missing:
            drop = self._state.newest(name)
            if drop is not None:
                self._publisher.ensure(name, drop)

    # ------------------------------------------------------------ requests

    async def _take(self, names: Sequence[str]) -> None:
        """Look at some files and decide what they come to; comes back when it is durable."""
        if not names:
            return
        looks = await self._look(names)
        batch: list[Good | Bad] = []
        try:
            for look in looks:
                match look:
                    case Gone():
                        self._resting.forget(look.name)
                    case Busy():
                        self._later(look.name, SOON)
                    case Bad() if not look.whole and self._resting.wait(look.name, look.signature):
                        continue
                    case Good() if look.long or look.request.envelope.id is not None:
                        await self._decide_all(batch)  # an id must see every earlier one
                        await self._decide_all([look])
                        batch = []
                    case _:
                        batch.append(look)
            await self._decide_all(batch)
        except LogFull:  # they stay where they are; the next scan finds them again
            self._disk.check()

    async def _look(self, names: Sequence[str]) -> list[Look]:
        """Look at some files: in a thread, but for a few small ones, which take less time than to
        hand them over. Where that turns out to be slow it is not done again for a while."""
        began = self._clock.monotonic()
        if began < self._careful_until or not self._looker.are_small(names):
            return await asyncio.to_thread(self._looker.look_all, names, self.lookout.seen)
        looks = self._looker.look_all(names, self.lookout.seen)
        took = self._clock.monotonic() - began
        self._careful_until = began + _CAREFUL if took > _SLOW else 0.0
        return looks

    async def _decide_all(self, looks: Sequence[Good | Bad]) -> None:
        """Decide all of them together; where one of them breaks it, each for itself.

        Raises:
            LogFull: there was no room.
        """
        try:
            await self._decide(looks)
        except LogError:
            raise
        except Exception as error:
            if len(looks) == 1:  # the next scan finds it again
                _log.error("a request cannot be taken in", request=looks[0].name, exc_info=error)
            else:
                for look in looks:
                    await self._decide_all([look])

    async def _decide(self, looks: Sequence[Good | Bad], *, again: bool = False) -> None:
        """Decide what was seen under some names; comes back when it is durable.

        Raises:
            LogFull: there was no room.
        """
        self._state.fetch([look.name for look in looks])
        wishes = [await self._wish(look, again) for look in looks]
        sights = [look.signature for look in looks]
        now = self._clock.stamp()
        decisions = decide_within(self._ceilings, self._state, wishes, sights, now)
        appends = [
            Append(decision.events, decision.subject, decision.job, decision.version)
            for decision in decisions
            if decision.events
        ]
        try:
            if appends:
                await self._log.append_all(appends)
        finally:
            for wish in wishes:
                if isinstance(wish, Accept):
                    self._acceptor.release(wish.event)
        self._settle(looks, decisions)

    async def _wish(self, look: Good | Bad, again: bool) -> Accept | Reject:
        """What is asked of the state; long strings are durable by then.

        Raises:
            LogFull: there was no room for them.
        """
        if isinstance(look, Good):
            blobs = await self._acceptor.stored(look.long) if look.long else {}
            digests = (look.request_sha256, look.key)
            event = self._acceptor.event(look.request, look.raw, blobs, digests)
            return Accept(look.name, look.key, self._acceptor.new_id(), event, again)
        return Reject(
            look.name,
            look.key,
            look.request_sha256,
            look.task,
            look.labels,
            look.problem,
            again,
        )

    # ------------------------------------------------------------ after the decision is durable

    def _settle(self, looks: Sequence[Good | Bad], decisions: Sequence[Decision]) -> None:
        """See to the answers that lie there."""
        outdated = []
        for look, decision in zip(looks, decisions, strict=True):
            self.lookout.decided(look.name, look.signature)
            self._resting.forget(look.name)
            drop = self._state.newest(look.name)
            job = self._state.jobs.get(drop.job or "") if drop is not None else None
            if decision.events:
                self._tell(look, decision)
                if job is not None and not job.ended:
                    outdated.append(look.name)
            elif drop is not None and (job is None or job.ended):
                self._publisher.ensure(look.name, drop)
        if outdated:  # what lies there answers what those requests were before
            self._publisher.remove(outdated)

    def _tell(self, look: Good | Bad, decision: Decision) -> None:
        if isinstance(look, Good):
            if decision.job is not None:
                self._recall.remember(decision.job, look.request)
        else:
            _log.info(
                "request rejected",
                request=look.name,
                code=look.problem.code,
                error=look.problem.message,
            )

    # ------------------------------------------------------------ queues

    def _read_queue(self, name: str) -> None:
        """Take in what is new in a queue, beside everything else: it may take its time. Where that
        is under way, once more when it is done."""
        if name in self._reading:
            self._reading[name] = True
            return
        self._reading[name] = False
        task = asyncio.create_task(self._take_queue(name))
        self._tasks.add(task)
        task.add_done_callback(partial(self._queue_read, name))

    def _queue_read(self, name: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        again = self._reading.pop(name)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("a queue cannot be taken in", request=name, exc_info=error)
            self._later(name, 1.0)
        elif again:
            self.lookout.hints.tell(name)
        self._woken.set()

    async def _take_queue(self, name: str) -> None:
        """Take in what is new in a queue; comes back when it is durable."""
        signature = await asyncio.to_thread(self._looker.signature_of, name)
        if signature is not None and signature == self.lookout.seen.get(name):
            return
        try:
            self._state.fetch([name])
            read = await self._queues.take(name, settled=self._resting.has_rested(name, signature))
            match read.state:
                case "taken":
                    self.lookout.decided(name, read.signature)
                    self._resting.forget(name)
                case "gone":
                    self._resting.forget(name)
                case "rests":
                    if not self._resting.wait(name, read.signature):  # it did so while it was read
                        self._later(name, SOON)
                case "busy" | "later":
                    self._later(name, SOON)
                case "bad" if read.problem is not None:
                    await self._decide([unreadable(name, signature or 0, read.problem)])
        except LogFull:
            self._disk.check()

    def _later(self, name: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.lookout.hints.tell, name)

    # ------------------------------------------------------------ control files

    async def _control(self, file: str) -> None:
        stem, _, verb = file.rpartition(".")
        named = stem.endswith((".json", ".jsonl")) or parent_of(stem)[1]
        name = stem if named else stem + ".json"
        if name in self._resting or name in self._reading or await self._is_undecided(name):
            self.lookout.hints.tell(name)  # before all others
            self._later(file, 2 * SOON)
            return
        try:
            await self._controls.obey(file, name, verb, self._judge_again)
        except LogFull:
            self._disk.check()

    async def _judge_again(self, name: str) -> None:
        if name.endswith(QUEUE):  # which is judged line by line
            self.lookout.seen.pop(name, None)
            self._read_queue(name)
            return
        look = await asyncio.to_thread(self._looker.look, name)
        if isinstance(look, Good | Bad):
            await self._decide([look], again=True)

    async def _is_undecided(self, name: str) -> bool:
        """Whether a request of that name lies there that has not been taken in as it is now."""
        if name.endswith(QUEUE):
            signature = await asyncio.to_thread(self._looker.signature_of, name)
            return signature is not None and signature != self.lookout.seen.get(name)
        look = await asyncio.to_thread(self._looker.look, name, self.lookout.seen.get(name))
        return look is not None and not isinstance(look, Gone)
