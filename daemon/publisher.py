"""Sees to it that every answer that is owed lies beside its request.

It follows the log: an event that ends a job or rejects a request makes an answer owed, and
`result.emitted` settles it. Everything that writes or removes results goes through one thread, in
order, so an old answer never lands after the request it belonged to was replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from daemon.batching import Batcher
from daemon.eventlog import EventLog
from daemon.events import JobEnded, Recorded, RequestMatched, RequestRejected, ResultEmitted
from daemon.results import Emitted, Put, Remove, ResultFolder
from daemon.state import Drop, State

_log = structlog.get_logger(__name__)


class Publisher:
    """Puts results in place and says so in the log.

    Args:
        folder: what writes them.
        log: where to say so.
        state: what is owed; must take in a batch of events before this does.
    """

    def __init__(self, folder: ResultFolder, log: EventLog, state: State) -> None:
        self._batcher: Batcher[Put | Remove, Emitted] = Batcher("results", folder.work)
        self._log = log
        self._state = state
        self._under_way: dict[str, Put] = {}
        self._complained: set[tuple[str, int]] = set()
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def busy(self) -> bool:
        """Whether a result is being written just now."""
        return bool(self._under_way)

    async def quiet(self) -> None:
        """Wait until nothing is being written."""
        await self._quiet.wait()

    def committed(self, batch: Sequence[Recorded]) -> None:
        """Take in a batch of durable events."""
        for recorded in batch:
            for name in self._concerned(recorded):
                self.settle(name)

    def _concerned(self, recorded: Recorded) -> Sequence[str]:
        match recorded.event:
            case JobEnded():
                job = self._state.jobs.get(recorded.job or "")
                return self._state.names_of(job) if job is not None else ()
            case RequestRejected() | RequestMatched():
                return (recorded.subject or "",)
        return ()

    def settle_all(self) -> None:
        """Write every answer that is owed and not under way."""
        for name in tuple(self._state.owed):
            self.settle(name)

    def settle(self, name: str) -> None:
        """Write the answer to a request, if one is owed and not under way."""
        answers, drop = self._state.owed.get(name), self._state.newest(name)
        if answers is not None and drop is not None:
            self._put(Put(name, drop, answers, unless_whole=True))

    def ensure(self, name: str, drop: Drop) -> None:
        """Write an answer again if it is missing, torn, or another one."""
        job = self._state.jobs.get(drop.job or "")
        answers = drop.event if drop.job is None else job.last if job is not None else 0
        if answers:
            self._put(Put(name, drop, answers, unless_whole=True))

    def remove(self, name: str) -> None:
        """Take away an answer to what the request was before."""
        self._batcher.put(Remove(name))

    def _put(self, item: Put) -> None:
        if self._under_way.get(item.name) == item:
            return
        self._under_way[item.name] = item
        self._quiet.clear()
        self._batcher.put(item).add_done_callback(lambda future: self._done(item, future))

    def _done(self, item: Put, future: asyncio.Future[Emitted]) -> None:
        error = future.exception()
        if error is not None:
            self._complain(item, error)
            self._over(item)
            return
        emitted = future.result()
        if emitted.written or self._state.owed.get(item.name) == item.answers:
            event = ResultEmitted(item.drop.job, item.answers, emitted.file)
            said = self._log.append(None, None, [event], subject=item.name)
            # Until that is durable the answer is still owed, and must not be put or said twice.
            said.add_done_callback(lambda _: self._over(item))
        else:
            self._over(item)

    def _over(self, item: Put) -> None:
        if self._under_way.get(item.name) == item:
            del self._under_way[item.name]
        if not self._under_way:
            self._quiet.set()

    def _complain(self, item: Put, error: BaseException) -> None:
        if (item.name, item.answers) not in self._complained:
            self._complained.add((item.name, item.answers))
            _log.warning(
                "a result cannot be put in place; it will be tried again",
                request=item.name,
                error=str(error),
            )

    async def close(self) -> None:
        """Finish what is queued."""
        await self._batcher.close()
