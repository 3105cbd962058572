"""Finds the names that are worth a look: by watching, and by scanning.

When so much happens at once that being told costs more than looking, it stops watching and looks
in short turns, until two of them were quiet; as network drivers switch from interrupts to polling
and back. Watchdog needs 50 us and more for each file, ours included, and loses some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from daemon.backlog import Backlog
from daemon.clock import Clock
from daemon.files import Signature
from daemon.inbox import Hints, Watcher, glance, is_pause, scan
from daemon.pauses import EVERY, Pauses
from daemon.settings import Settings

BURST = 256
"""New names at once that begin a burst."""

BUSY = 500.0
"""Files a second, found or written, that keep it going."""

_SHORTEST = 0.02
"""Seconds between two short looks at the least; they take a twentieth of the time, or, where there
are so many files that this would mean more than a second, up to a fifth."""


_PATIENT = 0.5
"""The same, while there is enough to do: so long a newcomer in another folder may wait."""


class Lookout:
    """Knows which names wait to be looked at.

    Args:
        settings: the inbox, and how often to look.
        clock: for waiting.
        wake: called when there is something new.
        pauses: who is told of PAUSE files.
    """

    def __init__(
        self, settings: Settings, clock: Clock, wake: Callable[[], None], pauses: Pauses
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.backlog = Backlog()
        self.seen: dict[str, Signature] = {}
        """What each file looked like when it was decided."""
        self._changed: dict[str, None] = {}  # names in it, since they were last taken
        self.hints = Hints(wake)
        self._watcher = Watcher(settings.inbox, self.hints) if settings.watch else None
        self._pauses = pauses
        self._next_scan = 0.0
        self._next_pause = 0.0
        """When to look at the known PAUSE files; infinite where there are none."""
        self._next_glance = float("inf")
        """Infinite where there is no burst."""
        self._looked_at = clock.monotonic()
        self._quiet = 0  # short looks in a row that found little going on
        self._answered = 0  # since the last look

    @property
    def in_burst(self) -> bool:
        """Whether it looks in short turns instead of watching."""
        return self._next_glance != float("inf")

    def seconds_left(self) -> float:
        """Seconds until it wants to look again."""
        next_look = min(self._next_scan, self._next_glance, self._next_pause)
        return max(0.0, next_look - self._clock.monotonic())

    async def start(self) -> None:
        """Begin to watch. Only then the first scan may come, so that nothing falls between."""
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.start)

    async def stop(self) -> None:
        """Stop watching."""
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.stop)

    def count_answers(self, count: int) -> None:
        """Results were put in the inbox, each of which a watcher would be told of."""
        self._answered += count

    def decided(self, name: str, signature: Signature) -> None:
        """A file was decided as it looks now."""
        self.seen[name] = signature
        self._changed[name] = None

    def take_changes(self) -> dict[str, Signature | None]:
        """What became different in `seen` since the last time; None for what is gone."""
        changed, self._changed = self._changed, {}
        return {name: self.seen.get(name) for name in changed}

    async def look(self, skip: Callable[[str], bool]) -> bool:
        """Put what is new on the backlog.

        Args:
            skip: whether a name is to be left alone for now.

        Returns:
            Whether everything was looked at, and not only what we were told of.
        """
        names, everything = self.hints.take()
        names = self._without_pauses(names)
        self.backlog.put_first(names)
        now = self._clock.monotonic()
        everything = everything or now >= self._next_scan
        if everything:
            found = await self._scan()
        elif now >= self._next_glance:
            found = await self._glance()
        else:
            await self._begin_burst(len(names))
            return False
        found = sorted(self._without_pauses(found))
        self.backlog.add(name for name in found if not skip(name))
        await self._judge(len(names) + len(found))
        return everything

    async def _scan(self) -> list[str]:
        """All names that are not as they were when they were decided."""
        began = self._clock.monotonic()
        result = await asyncio.to_thread(scan, self._settings.inbox)
        if self._watcher is not None and not self.in_burst:
            healed = await asyncio.to_thread(self._watcher.heal, result.identity)
            if healed:
                result = await asyncio.to_thread(scan, self._settings.inbox)
        now = self._clock.monotonic()
        self._next_scan = now + max(self._settings.scan_interval, 50 * (now - began))
        for name in [name for name in self.seen if name not in result.found]:
            del self.seen[name]
            self._changed[name] = None
        return [name for name, seen in result.found.items() if self.seen.get(name) != seen]

    async def _glance(self) -> list[str]:
        """The names that were never decided and do not wait for it."""
        began = self._clock.monotonic()
        found = await asyncio.to_thread(glance, self._settings.inbox, self.seen)
        now = self._clock.monotonic()
        took, least = now - began, _PATIENT if self.backlog else _SHORTEST
        self._next_glance = now + max(least, min(20 * took, 1.0), 4 * took)
        return [name for name in found if name not in self.backlog]

    def _without_pauses(self, names: list[str]) -> list[str]:
        """What is left when those who care for PAUSE files were told of theirs."""
        pauses = [name for name in names if is_pause(name)]
        now = self._clock.monotonic()
        if pauses or now >= self._next_pause:
            self._pauses.look(pauses)
            self._next_pause = now + EVERY if self._pauses else float("inf")
        return [name for name in names if not is_pause(name)] if pauses else names

    # ------------------------------------------------------------ bursts

    async def _begin_burst(self, count: int) -> None:
        if count >= BURST and not self.in_burst:
            self._quiet = 0
            self._next_glance = self._clock.monotonic() + _SHORTEST
            await self.stop()

    async def _judge(self, count: int) -> None:
        """After a look: whether a burst begins, goes on or ends."""
        now = self._clock.monotonic()
        rate = (count + self._answered) / max(now - self._looked_at, _SHORTEST)
        self._looked_at, self._answered = now, 0
        self._quiet = 0 if self.backlog or rate >= BUSY else self._quiet + 1
        await self._begin_burst(count)
        if self.in_burst and self._quiet >= 2:
            self._next_glance = float("inf")
            self._next_scan = 0.0  # once more, as something may have come meanwhile
            await self.start()
