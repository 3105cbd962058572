"""Sees to it that every answer that is owed lies beside its request.

It follows the log: an event that ends a job or rejects a request makes an answer owed, and
`result.emitted` settles it. Everything that writes or removes results goes through one thread, in
order, so an old answer never lands after the request it belonged to was replaced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from daemon.batching import Batcher
from daemon.eventlog import EventLog
from daemon.events import (
    JobEnded,
    Recorded,
    RequestMatched,
    RequestRejected,
    ResultEmitted,
)
from daemon.results import Emitted, Put, Remove, ResultFolder
from daemon.state import Drop, State

_log = structlog.get_logger(__name__)


class Publisher:
    """Puts results in place and says so in the log.

    Args:
        folder: what writes them.
        log: where to say so.
        state: what is owed; must take in a batch of events before this does.
        idle: called when nothing is busy any more.
    """

    def __init__(
        self,
        folder: ResultFolder,
        log: EventLog,
        state: State,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._idle = idle
        self._batcher: Batcher[Put | Remove, Emitted] = Batcher("results", folder.work)
        self._log = log
        self._state = state
        self._under_way: dict[str, Put] = {}
        self._saying: dict[str, Put] = {}
        self._complained: set[tuple[str, int]] = set()

    @property
    def busy(self) -> bool:
        """Whether a result is being written just now, or is not said in the log yet."""
        return bool(self._under_way or self._saying)

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
            item = Put(name, drop, answers, unless_whole=True)
            if item not in (self._under_way.get(name), self._saying.get(name)):
                self._put(item)

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
        self._under_way[item.name] = item
        self._batcher.put(item).add_done_callback(lambda future: self._done(item, future))

    def _done(self, item: Put, future: asyncio.Future[Emitted]) -> None:
        self._over(self._under_way, item)
        error = future.exception()
        if error is not None:
            self._complain(item, error)
            return
        emitted = future.result()
        owed = self._state.owed.get(item.name) == item.answers
        if emitted.written or (owed and self._saying.get(item.name) != item):
            event = ResultEmitted(item.drop.job, item.answers, emitted.file)
            # Until that is durable the answer is still owed; it is not said twice all the same.
            self._saying[item.name] = item
            said = self._log.append(None, None, [event], subject=item.name)
            said.add_done_callback(lambda _: self._over(self._saying, item))

    def _over(self, items: dict[str, Put], item: Put) -> None:
        if items.get(item.name) is item:
            del items[item.name]
        if not self.busy:
            self._idle()

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
