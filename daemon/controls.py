"""Control files: `x.cancel` ends the job of `x.json`, `x.retry` runs it again.

Each is obeyed once, through any crash, and removed once its event is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from daemon.decisions import Cancel, JobCommand, Retry, decide
from daemon.errors import Conflict
from daemon.eventlog import EventLog
from daemon.events import Event
from daemon.files import remove_beneath, text_to_name
from daemon.jobs import Job, parent_of
from daemon.looking import Looker
from daemon.publisher import Publisher
from daemon.settings import Settings
from daemon.state import State

Judge = Callable[[str], Awaitable[None]]

_log = structlog.get_logger(__name__)


class Controls:
    """Does what control files say.

    Args:
        settings: the inbox.
        log: where it is said.
        state: what it is decided from.
        looker: tells one drop of a control file from the next.
        publisher: removes the answer of what runs again.
    """

    def __init__(
        self, settings: Settings, log: EventLog, state: State, looker: Looker, publisher: Publisher
    ) -> None:
        self._settings = settings
        self._log = log
        self._state = state
        self._looker = looker
        self._publisher = publisher
        self._obeyed: dict[str, str] = {}
        """Files that could not be removed, by name: each is obeyed once all the same."""

    async def obey(self, file: str, name: str, verb: str, judge: Judge) -> None:
        """Do what one says, and remove it once that is durable.

        Args:
            file: its name in the inbox.
            name: the request that it is about.
            verb: "cancel" or "retry".
            judge: judges a request again that was rejected.

        Raises:
            LogFull: there was no room; it stays.
        """
        key = await asyncio.to_thread(self._looker.key_of, file)
        if key is None or self._obeyed.get(file) == key:
            return  # done already; the watcher told twice
        if verb == "cancel":
            done = await self._cancel(name)
        else:
            done = await self._retry(name, key, judge)
        if not done:
            _log.warning(f"nothing to {verb}", request=name, file=file)
        parts = tuple(text_to_name(file).split("/"))
        await asyncio.to_thread(remove_beneath, self._settings.inbox, parts)
        self._obeyed.pop(file, None)
        if await asyncio.to_thread(self._looker.key_of, file) == key:  # a directory, or not ours
            self._obeyed[file] = key

    async def _cancel(self, name: str) -> bool:
        """Cancel every job of a name that has not ended."""
        item = self._state.item_named(name)
        if item is not None:
            return bool(await self._apply(Cancel(item.id)))
        drops = self._state.drops.get(name, {}).values()
        jobs = [drop.job for drop in drops if drop.job is not None]
        return any([bool(await self._apply(Cancel(job))) for job in jobs])

    async def _retry(self, name: str, key: str, judge: Judge) -> bool:
        """Run the newest job of a name again; judge again what was rejected."""
        item = self._state.item_named(name)
        if item is not None:
            return await self._retry_item(item, key)
        drop = self._state.newest(name)
        if drop is None:
            return False
        if drop.job is None:
            await judge(name)
            return True
        events = await self._apply(Retry(drop.job, key))
        if events:
            self._publisher.remove([name])
        return bool(events)

    async def _retry_item(self, item: Job, key: str) -> bool:
        """Run an item of a batch again, which is open again by that."""
        events = await self._apply(Retry(item.id, key))
        if events:
            self._publisher.remove([parent_of(item.name)[0]])
        return bool(events)

    async def _apply(self, command: JobCommand) -> Sequence[Event]:
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
                await self._log.append_all(())  # until what was faster is durable
