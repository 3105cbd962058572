"""Sees to it that every answer that is owed lies beside its request.

It follows the log: an event that ends a job or rejects a request makes an answer owed, and
`result.emitted` settles it. Everything that writes or removes results goes through one thread, in
order, so an old answer never lands after the request it belonged to was replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from daemon.archive import Drop
from daemon.batching import Batcher
from daemon.eventlog import Append, EventLog
from daemon.events import (
    JobEnded,
    Recorded,
    RequestMatched,
    RequestRejected,
    ResultEmitted,
)
from daemon.queuefiles import QUEUE
from daemon.results import Emitted, Put, Remove, ResultFolder
from daemon.rows import Rows
from daemon.state import State

_log = structlog.get_logger(__name__)


class Publisher:
    """Puts results in place and says so in the log.

    Args:
        folder: what writes them.
        log: where to say so.
        state: what is owed; must take in a batch of events before this does.
        rows: who writes what became of the items of queues.
        idle: called when nothing is busy any more.
        wrote: called with how many files were just put in the inbox.
    """

    def __init__(
        self,
        folder: ResultFolder,
        log: EventLog,
        state: State,
        rows: Rows,
        idle: Callable[[], None] = lambda: None,
        wrote: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._idle = idle
        self._wrote = wrote
        self._batcher: Batcher[Put | Remove, Emitted] = Batcher(
            "results", folder.work, settled=self._placed
        )
        self._log = log
        self._state = state
        self._rows = rows
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
            match recorded.event:
                case JobEnded():
                    job = self._state.jobs.get(recorded.job or "")
                    for name in self._state.names_of(job) if job is not None else ():
                        self._settle(name, recorded)
                case RequestRejected():
                    self._settle(recorded.subject or "", recorded)
                case RequestMatched():
                    self._settle(recorded.subject or "")

    def settle_all(self) -> None:
        """Write every answer that is owed and not under way."""
        for name in tuple(self._state.owed):
            self._settle(name)

    def _settle(self, name: str, ending: Recorded | None = None) -> None:
        """Write the answer to a request, if one is owed and not under way.

        Args:
            name: the request's.
            ending: the event that it tells of, where that happened just now; then no file can
                hold it yet.
        """
        answers, drop = self._state.owed.get(name), self._state.newest(name)
        if answers is None or drop is None:
            return
        for busy in (self._under_way.get(name), self._saying.get(name)):
            if busy is not None and (busy.answers, busy.drop) == (answers, drop):
                return
        self._put(Put(name, drop, answers, unless_whole=ending is None, ending=ending))

    def ensure(self, name: str, drop: Drop) -> None:
        """Write an answer again if it is missing, torn, or another one."""
        job = self._state.jobs.get(drop.job or "")
        answers = drop.event if drop.job is None else job.last if job is not None else 0
        if answers:
            self._put(Put(name, drop, answers, unless_whole=True))
        if job is not None and name.endswith(QUEUE):
            self._rows.catch_up(name, job, only_if_gone=True)

    def remove(self, names: Sequence[str]) -> None:
        """Take away the answers to what these requests were before."""
        self._batcher.put(Remove(tuple(names)))

    def _put(self, item: Put) -> None:
        self._under_way[item.name] = item
        self._batcher.put(item)

    def _placed(
        self, items: Sequence[Put | Remove], replies: Sequence[Emitted | Exception]
    ) -> None:
        """After a batch of files is in place: say so in the log, once for all of them."""
        news: list[Put] = []
        appends: list[Append] = []
        for item, reply in zip(items, replies, strict=True):
            if isinstance(item, Remove):
                continue
            self._over(self._under_way, item)
            if isinstance(reply, Exception):
                self._complain(item, reply)
            elif self._is_news(item, reply):
                # Until that is durable the answer is still owed; it is not said twice all the same.
                self._saying[item.name] = item
                news.append(item)
                event = ResultEmitted(item.drop.job, item.answers, reply.file)
                appends.append(Append((event,), item.name))
        self._wrote(len(items))
        if news:
            self._log.append_all(appends).add_done_callback(lambda _: self._said(news))
        elif not self.busy:
            self._idle()

    def _is_news(self, item: Put, emitted: Emitted) -> bool:
        owed, saying = self._state.owed.get(item.name), self._saying.get(item.name)
        said = saying is not None and (saying.answers, saying.drop) == (item.answers, item.drop)
        return emitted.written or (owed == item.answers and not said)

    def _said(self, items: Sequence[Put]) -> None:
        for item in items:
            self._over(self._saying, item)
        if not self.busy:
            self._idle()

    def _over(self, items: dict[str, Put], item: Put) -> None:
        if items.get(item.name) is item:
            del items[item.name]

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
