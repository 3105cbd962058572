"""From names to events: what was dropped is looked at, decided, and written in the log.

Requests stay where they are; what claims one is its durable event. Control files (`x.cancel`,
`x.retry`) are removed once their event is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from daemon.blobs import BlobStore, without_long_strings
from daemon.clock import Clock
from daemon.decisions import Accept, Cancel, Command, Reject, Retry, decide
from daemon.disk import Disk
from daemon.errors import Conflict, LogFull
from daemon.eventlog import EventLog
from daemon.events import Event, JobAccepted
from daemon.files import Signature, remove_beneath, text_to_name
from daemon.inbox import CONTROLS, Hints, Watcher, scan
from daemon.looking import Bad, Busy, Gone, Good, Look, Looker
from daemon.publisher import Publisher
from daemon.requests import body_digest
from daemon.settings import Settings
from daemon.state import State
from handlers.contract import HandlerError

CHUNK = 256
"""Files looked at in one turn; the next turn begins when their events are durable."""

_SOON = 0.05
"""Seconds until a file that was not whole is looked at again, at first."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Rest:
    """A file that is not whole: since when it looks like this, and how long to wait next."""

    signature: Signature
    since: float
    wait: float


class Intake:
    """Takes in what is dropped, until it is cancelled.

    Args:
        settings: the inbox, how often to look, how long a file must rest.
        clock: for waiting and for the ids of jobs.
        log: where decisions go.
        state: what they are made from.
        looker: who reads and judges files.
        blobs: where long strings of requests go.
        disk: whether there is room.
        publisher: who writes and removes results.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        log: EventLog,
        state: State,
        looker: Looker,
        blobs: BlobStore,
        disk: Disk,
        publisher: Publisher,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._state = state
        self._looker = looker
        self._blobs = blobs
        self._disk = disk
        self._publisher = publisher
        self._woken = asyncio.Event()
        self.hints = Hints(self._woken.set)
        self._watcher = Watcher(settings.inbox, self.hints) if settings.watch else None
        self._seen: dict[str, Signature] = {}
        self._resting: dict[str, _Rest] = {}
        self._obeyed: dict[str, str] = {}
        """Control files that could not be removed, by name: each is obeyed once all the same."""
        self._next_scan = 0.0
        self._looked = asyncio.Condition()
        self._looks = 0

    @property
    def resting(self) -> bool:
        """Whether a file is there that may still be being written."""
        return bool(self._resting)

    async def look_everywhere(self) -> None:
        """Wait until the whole inbox was looked at, and all that was found is decided."""
        async with self._looked:
            wanted = self._looks + 2  # one may be half done
            while self._looks < wanted:
                self.hints.tell(None)
                await self._looked.wait()

    async def run(self) -> None:
        """Watch first, then scan, so that nothing falls between; and so on for ever."""
        try:
            if self._watcher is not None:
                await asyncio.to_thread(self._watcher.start)
            while True:
                await self._turn()
                await self._wait()
        finally:
            if self._watcher is not None:
                await asyncio.to_thread(self._watcher.stop)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(max(0.0, self._next_scan - self._clock.monotonic())):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _turn(self) -> None:
        self._woken.clear()
        names, rescan = self.hints.take()
        scans = rescan or self._clock.monotonic() >= self._next_scan
        if scans:
            names = list(dict.fromkeys([*names, *await self._scan()]))
        self._disk.check()
        controls = [name for name in names if name.endswith(CONTROLS)]
        if not self._disk.paused:
            await self._take_all([name for name in names if not name.endswith(CONTROLS)])
        for name in controls:  # after the requests they may be about
            await self._control(name)
        if scans:
            self._publisher.settle_all()
            async with self._looked:
                self._looks += 1
                self._looked.notify_all()

    # ------------------------------------------------------------ looking

    async def _scan(self) -> list[str]:
        """All names that are not as they were when they were decided."""
        began = self._clock.monotonic()
        result = await asyncio.to_thread(scan, self._settings.inbox)
        if self._watcher is not None and await asyncio.to_thread(
            self._watcher.heal, result.identity
        ):
            result = await asyncio.to_thread(scan, self._settings.inbox)
        took = self._clock.monotonic() - began
        self._next_scan = self._clock.monotonic() + max(self._settings.scan_interval, 50 * took)
        for name in [name for name in self._seen if name not in result.found]:
            del self._seen[name]
        return [
            name for name, signature in result.found.items() if self._seen.get(name) != signature
        ]

    async def _take_all(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), CHUNK):
            chunk = names[start : start + CHUNK]
            looks = await asyncio.to_thread(self._looker.look_all, chunk, self._seen)
            try:
                await self._take(looks)
            except LogFull:  # they stay where they are; the next scan finds them again
                self._disk.check()
                return

    async def _take(self, looks: Sequence[Look]) -> None:
        """Decide what was seen; comes back when all of it is durable.

        Raises:
            LogFull: there was no room for some of it.
        """
        under_way: list[asyncio.Task[None]] = []
        for look in looks:
            if isinstance(look, Good) and look.request.envelope.id is not None and under_way:
                await asyncio.wait(under_way)  # an id must see every earlier one
            under_way.append(asyncio.create_task(self._decide(look)))
        for look, error in zip(
            looks, await asyncio.gather(*under_way, return_exceptions=True), strict=True
        ):
            if isinstance(error, LogFull | HandlerError):
                raise LogFull(str(error))
            if error is not None:  # the next scan finds it again
                _log.error("a request cannot be taken in", request=look.name, exc_info=error)

    async def _decide(self, look: Look, *, again: bool = False) -> None:
        match look:
            case Gone():
                self._resting.pop(look.name, None)
            case Busy():
                self._later(look.name, _SOON)
            case Bad():
                if not self._rests(look):
                    await self._reject(look, again)
            case Good():
                await self._accept(look, again)

    def _rests(self, look: Bad) -> bool:
        """Whether it may still become whole, and is to be looked at again."""
        if look.whole:
            return False
        now, rest = self._clock.monotonic(), self._resting.get(look.name)
        if rest is None or rest.signature != look.signature:
            rest = self._resting[look.name] = _Rest(look.signature, now, _SOON)
        left = rest.since + self._settings.settle - now
        if left <= 0:
            return False
        self._later(look.name, min(rest.wait, left))
        rest.wait *= 2
        return True

    def _later(self, name: str, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self.hints.tell, name)

    # ------------------------------------------------------------ deciding

    async def _accept(self, look: Good, again: bool) -> None:
        request, envelope = look.request, look.request.envelope
        raw, long = without_long_strings(request.raw)
        blobs: dict[str, str] = {}
        for pointer, text in long.items():
            put = partial(self._blobs.put, text.encode())
            blobs[pointer] = await self._disk.patiently(put)
        event = JobAccepted(
            request_sha256=look.request_sha256,
            content_sha256=look.key,
            task=request.task,
            provider=envelope.provider or self._settings.provider,
            request_id=envelope.id,
            body_sha256=body_digest(request.raw) if envelope.id is not None else None,
            request=raw,
            blobs=blobs,
            labels=envelope.labels,
        )
        command = Accept(look.name, look.key, self._clock.new_id(), event, again)
        try:
            events = await self._apply(command)
        finally:
            for digest in blobs.values():
                self._blobs.release(digest)
        self._decided(look, events)

    async def _reject(self, look: Bad, again: bool) -> None:
        command = Reject(
            look.name,
            look.key,
            look.request_sha256,
            look.task,
            look.labels,
            look.problem,
            again,
        )
        events = await self._apply(command)
        if events:
            _log.info(
                "request rejected",
                request=look.name,
                code=look.problem.code,
                error=look.problem.message,
            )
        self._decided(look, events)

    def _decided(self, look: Good | Bad, events: Sequence[Event]) -> None:
        """After the decision is durable: see to the answer that lies there."""
        self._seen[look.name] = look.signature
        self._resting.pop(look.name, None)
        drop = self._state.newest(look.name)
        if drop is None:
            return
        job = self._state.jobs.get(drop.job or "")
        if job is not None and not job.ended:
            if events:  # what lies there answers what the request was before
                self._publisher.remove(look.name)
        elif not events:
            self._publisher.ensure(look.name, drop)

    async def _apply(self, command: Command) -> Sequence[Event]:
        """Decide and append, again and again while others are faster; what came of it is durable.

        Raises:
            LogFull: there was no room.
        """
        while True:
            decision = decide(self._state, command)
            if not decision.events:
                return ()
            try:
                await self._log.append(
                    decision.job, decision.version, decision.events, subject=decision.subject
                )
                return decision.events
            except Conflict:
                await self._log.append(None, None, ())  # until what was faster is durable

    # ------------------------------------------------------------ control files

    async def _control(self, file: str) -> None:
        """Do what a control file says, and remove it once that is durable."""
        stem, _, verb = file.rpartition(".")
        name = stem if stem.endswith((".json", ".jsonl")) else stem + ".json"
        key = await asyncio.to_thread(self._looker.key_of, file)
        if key is None or self._obeyed.get(file) == key:
            return  # done already; the watcher told twice
        if await self._is_undecided(name):
            self._later(file, 2 * _SOON)
            return
        try:
            done = await (self._cancel(name) if verb == "cancel" else self._retry(name, key))
        except LogFull:
            self._disk.check()
            return
        if not done:
            _log.warning(f"nothing to {verb}", request=name, file=file)
        parts = tuple(text_to_name(file).split("/"))
        await asyncio.to_thread(remove_beneath, self._settings.inbox, parts)
        self._obeyed.pop(file, None)
        if await asyncio.to_thread(self._looker.key_of, file) == key:  # a directory, or not ours
            self._obeyed[file] = key

    async def _is_undecided(self, name: str) -> bool:
        """Whether a request of that name lies there that has not been taken in as it is now."""
        if name in self._resting:
            return True
        look = await asyncio.to_thread(self._looker.look, name, self._seen.get(name))
        return look is not None and not isinstance(look, Gone)

    async def _cancel(self, name: str) -> bool:
        """Cancel every job of a name that has not ended."""
        drops = self._state.drops.get(name, {}).values()
        jobs = [drop.job for drop in drops if drop.job is not None]
        return any([bool(await self._apply(Cancel(job))) for job in jobs])

    async def _retry(self, name: str, key: str) -> bool:
        """Run the newest job of a name again; judge again what was rejected."""
        drop = self._state.newest(name)
        if drop is None:
            return False
        if drop.job is None:
            look = await asyncio.to_thread(self._looker.look, name)
            await self._decide(look or Gone(name), again=True)
            return True
        events = await self._apply(Retry(drop.job, key))
        if events:
            self._publisher.remove(name)
        return bool(events)
