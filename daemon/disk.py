"""Room on the disk: intake pauses before it runs out, and resumes by itself.

A file of reserved bytes is given up when the floor is reached, so that the log always has room to
say that it paused.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from daemon.errors import LogFull
from daemon.eventlog import EventLog
from daemon.events import IntakePaused, IntakeResumed
from handlers.contract import HandlerError

RESERVE = 64 << 10
"""Bytes of the reserve; no more than a sixteenth of the floor."""

_PATIENCE = 5.0
"""Seconds between two tries to write what must not be lost."""

Reply = TypeVar("Reply")
_log = structlog.get_logger(__name__)


def existing(folder: Path) -> Path:
    """A folder, or what there is of the way to it: somebody may empty tmp/ by removing it."""
    while not folder.exists():
        folder = folder.parent
    return folder


def room(folder: Path, floor: int) -> tuple[int, int]:
    """The bytes that are free where a folder lies, and how many must stay so.

    Args:
        folder: need not be there yet.
        floor: bytes; or 5 % of the filesystem, where that is less.
    """
    usage = os.statvfs(existing(folder))
    free = usage.f_bavail * usage.f_frsize
    return free, min(floor, usage.f_blocks * usage.f_frsize // 20)


class Disk:
    """Watches the free space of some folders.

    Args:
        folders: one on each filesystem that is written to.
        floor: bytes; or 5 % of a filesystem, where that is less.
        reserve: the file of reserved bytes.
        log: where to say so.
        paused: whether the log's last word was that intake is paused.
        resumed: called when there is room again.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        floor: int,
        reserve: Path,
        log: EventLog,
        *,
        paused: bool,
        resumed: Callable[[], None],
    ) -> None:
        self._folders = folders
        self._floor = floor
        self._reserve = reserve
        self._log = log
        self._resumed = resumed
        self._room = asyncio.Event()
        self._said_paused = paused
        self._room.set()

    @property
    def paused(self) -> bool:
        """Whether nothing new may be taken in."""
        return not self._room.is_set()

    def check(self) -> None:
        """Look at the free space; pause or resume."""
        spaces = (room(folder, self._floor) for folder in self._folders)
        free, floor = min(spaces, key=lambda space: space[0] - space[1])
        if free < floor:
            self._pause(free, floor)
        elif self.paused or self._said_paused:
            self._resume(free)
        else:
            self._fill_reserve(floor)

    def _pause(self, free: int, floor: int) -> None:
        if self.paused:
            return
        self._room.clear()
        self._reserve.unlink(missing_ok=True)
        _log.warning("intake paused", reason="disk space", free=free, floor=floor)
        if not self._said_paused:
            self._said_paused = True
            self._log.append(None, None, [IntakePaused("disk space", free, floor)])

    def _resume(self, free: int) -> None:
        self._said_paused = False
        self._room.set()
        _log.info("intake resumed", free=free)
        self._log.append(None, None, [IntakeResumed(free)])
        self._resumed()

    def _fill_reserve(self, floor: int) -> None:
        if self._reserve.exists():
            return
        with contextlib.suppress(OSError), self._reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(4096, min(RESERVE, floor // 16)))

    async def patiently(self, work: Callable[[], Reply], *, hold: bool = False) -> Reply:
        """Run something that writes, in a thread; where the disk is full, wait until it is not.

        Args:
            work: what writes.
            hold: never give up: what is to be written was paid for.

        Raises:
            HandlerError: `disk_full`, where there is room by our measure but not for this.
            OSError: any other failure.
        """
        return await self.through(lambda: asyncio.to_thread(work), hold=hold)

    async def through(self, work: Callable[[], Awaitable[Reply]], *, hold: bool = False) -> Reply:
        """As `patiently`, of something that only writes in threads, and leaves nothing where it
        fails."""
        while True:
            try:
                return await work()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                await self.wait_for_room("media", hold=hold)
            except LogFull:
                await self.wait_for_room("the event log", hold=hold)

    async def wait_for_room(self, purpose: str, *, hold: bool = False) -> None:
        """After a write found the disk full: wait until there is room again.

        Args:
            purpose: what the room is for.
            hold: where there is room by our measure, wait a while all the same.

        Raises:
            HandlerError: `disk_full`: there is more room than the floor, and it was not enough.
        """
        self.check()
        if not self.paused and hold:
            _log.warning("what was paid for waits for room on the disk", purpose=purpose)
            await asyncio.sleep(_PATIENCE)
            return
        if not self.paused:
            raise HandlerError(
                "disk_full",
                f"the disk has no room for {purpose}",
                hints=["Free some space; the job tries again by itself."],
            )
        await self._room.wait()
