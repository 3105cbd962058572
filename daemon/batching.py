"""One thread that works on everything that queued up while it was busy.

A batch has no timer and no size to wait for: a lone item is worked on at once, and a crowd shares
the next turn. The event log commits so (one fsync for all), and results are published so.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Reply = TypeVar("Reply")

Work = Callable[[Sequence[Item]], Sequence["Reply | Exception"]]
Settled = Callable[[Sequence[Item], Sequence["Reply | Exception"]], None]


class Batcher(Generic[Item, Reply]):
    """Hands items from the event loop to a thread, in order, and their replies back.

    Args:
        name: the thread's name.
        work: takes a batch and returns one reply an item, in order; an exception as a reply
            fails that item alone. An exception that it raises fails the whole batch.
        limit: the most items in a batch.
        settled: called on the loop with a batch and its replies, before anybody who waits for
            one of them goes on.
    """

    def __init__(
        self,
        name: str,
        work: Work[Item, Reply],
        *,
        limit: int = 4096,
        settled: Settled[Item, Reply] | None = None,
    ) -> None:
        self._work = work
        self._limit = limit
        self._settled = settled
        self._queue: queue.SimpleQueue[tuple[Item, asyncio.Future[Reply]] | None] = (
            queue.SimpleQueue()
        )
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Item) -> asyncio.Future[Reply]:
        """Queue an item; only on the loop that made this batcher. Nobody has to await the reply:
        a failure that nobody looks at is not reported again."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self._closed:
            _fail(future, asyncio.InvalidStateError(f"{self._thread.name} is closed"))
        else:
            self._queue.put((item, future))
        return future

    async def close(self) -> None:
        """Work off what is queued, then end the thread."""
        self._closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        closing = False
        while not closing:
            batch, closing = self._take()
            if batch:
                replies = self._attempt([item for item, _ in batch])
                self._loop.call_soon_threadsafe(self._settle, batch, replies)

    def _take(self) -> tuple[list[tuple[Item, asyncio.Future[Reply]]], bool]:
        batch: list[tuple[Item, asyncio.Future[Reply]]] = []
        entry = self._queue.get()
        while entry is not None:
            batch.append(entry)
            if len(batch) == self._limit:
                return batch, False
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _attempt(self, items: list[Item]) -> Sequence[Reply | Exception]:
        try:
            return self._work(items)
        except Exception as error:  # one bad batch must not end the thread
            return [error] * len(items)

    def _settle(
        self,
        batch: list[tuple[Item, asyncio.Future[Reply]]],
        replies: Sequence[Reply | Exception],
    ) -> None:
        if self._settled is not None:
            self._settled([item for item, _ in batch], replies)
        for (_, future), reply in zip(batch, replies, strict=True):
            if future.cancelled():
                continue
            if isinstance(reply, Exception):
                _fail(future, reply)
            else:
                future.set_result(reply)


def _fail(future: asyncio.Future[Reply], error: Exception) -> None:
    future.set_exception(error)
    future.exception()  # looked at: nobody has to
