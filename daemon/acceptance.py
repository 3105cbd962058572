"""Making jobs of requests: the event that accepts one, once its long strings are durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import NamedTuple

from daemon.blobs import BlobStore
from daemon.clock import Clock
from daemon.deadlines import deadline_of, start_of
from daemon.disk import Disk
from daemon.errors import LogFull
from daemon.events import Event, ItemRejected, JobAccepted
from daemon.jobs import BATCH
from daemon.references import references_of
from daemon.requests import Request, body_digest
from daemon.roster import Roster
from daemon.staging import Staged
from handlers.contract import HandlerError, Json


class Place(NamedTuple):
    """Where an item stands: the job of its batch, and its number there."""

    batch: str
    item: int


class Acceptor:
    """Makes the events by which requests become jobs.

    Args:
        clock: for what is asked for in seconds.
        roster: who is asked where a request does not say.
        blobs: where long strings of requests go.
        disk: whether there is room for them.
    """

    def __init__(self, clock: Clock, roster: Roster, blobs: BlobStore, disk: Disk) -> None:
        self._clock = clock
        self._roster = roster
        self._blobs = blobs
        self._disk = disk

    def new_id(self) -> str:
        """The id of a job that is to be."""
        return self._clock.new_id()

    def event(
        self,
        request: Request,
        raw: Mapping[str, Json],
        blobs: Mapping[str, str],
        digests: tuple[str, str],
        place: Place | None = None,
    ) -> JobAccepted:
        """What accepts a request.

        Args:
            request: as it came through the door.
            raw: the whole of it, with "" in the place of each long string.
            blobs: those, by their JSON pointers.
            digests: of its bytes, and of its content.
            place: of an item; what its `id` says is for other items then.
        """
        envelope = request.envelope
        sent = envelope.id is not None and place is None
        return JobAccepted(
            request_sha256=digests[0],
            content_sha256=digests[1],
            task=request.task,
            provider=self._provider(request),
            request_id=envelope.id if sent else None,
            body_sha256=body_digest(request.raw) if sent else None,
            request=raw,
            blobs=blobs,
            labels=envelope.labels,
            priority=envelope.priority,
            not_before=start_of(envelope, self._clock.stamp()),
            deadline=deadline_of(envelope, self._clock.now()),
            batch=place.batch if place is not None else None,
            item=place.item if place is not None else 0,
            item_id=envelope.id if place is not None else None,
            after=references_of(envelope, request.fields),
        )

    def _provider(self, request: Request) -> str:
        """Who is asked first; nobody for a batch itself."""
        if request.task == BATCH:
            return ""
        named = next(iter(request.envelope.providers), None)
        return named or self._roster.default(request.fields.makes)

    async def stored(self, long: Mapping[str, str]) -> dict[str, str]:
        """Make long strings durable, and lease them.

        Returns:
            Their digests, by JSON pointer.

        Raises:
            LogFull: there was no room for them.
        """
        return {pointer: await self.kept(text.encode()) for pointer, text in long.items()}

    async def kept(self, data: bytes | Staged) -> str:
        """Make some bytes, or a staged file, durable, and lease them; their digest.

        Raises:
            LogFull: there was no room for them.
        """
        if isinstance(data, Staged):
            with closing(data):
                return await self._patiently(partial(self._blobs.adopt, data))
        return await self._patiently(partial(self._blobs.put, data))

    async def _patiently(self, put: Callable[[], str]) -> str:
        try:
            return await self._disk.patiently(put)
        except HandlerError as error:
            raise LogFull(str(error)) from None

    def release(self, event: Event) -> None:
        """The log names the blobs of a request that an event accepts or rejects now, or never
        will."""
        for digest in event.blobs.values() if isinstance(event, JobAccepted | ItemRejected) else ():
            self._blobs.release(digest)

    def let_go(self, digest: str) -> None:
        """The log names a blob now, or never will."""
        self._blobs.release(digest)
