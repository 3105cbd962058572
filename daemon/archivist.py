"""Keeps the index in step with the state, and lets go of what lies there.

It writes when the daemon has been quiet for a moment, when much has changed, and at the end. What
a crash loses of it is read from the log again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from daemon.archive import Changes
from daemon.errors import IndexFailed
from daemon.eventlog import FileEventLog
from daemon.events import Recorded
from daemon.files import Signature
from daemon.index import Index
from daemon.segments import Position
from daemon.state import State

MANY = 20_000
"""Changes, or events of a log that is read, that are written without waiting for a quiet moment."""

QUIET = 2.0
"""Seconds without events that make a quiet moment."""

LATEST = 4
"""So many times as long it writes where there is no quiet moment."""

Seen = Mapping[str, Signature | None]
_log = structlog.get_logger(__name__)


class Archivist:
    """Writes changes of the state to the index; on the event loop, with a thread of its own.

    Args:
        index: where to.
        log: what the state is folded from; forgets the streams of jobs that memory lets go of.
        state: what is written. It must have taken in a batch of events before this is told.
    """

    def __init__(self, index: Index, log: FileEventLog, state: State) -> None:
        self._index = index
        self._log = log
        self._state = state
        self._seen: Callable[[], Seen] = dict
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._unwritten: deque[tuple[Changes, Position, Seen]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._catching_up: tuple[Future[None], Changes, Position] | None = None
        self._rings = 0  # since the last quiet moment
        self._again = False  # something happened since the alarm was set

    def seen(self) -> dict[str, Signature]:
        """What each file of the inbox looked like, by the index."""
        return self._index.seen()

    def follow(self, seen: Callable[[], Seen]) -> None:
        """Begin to follow the log.

        Args:
            seen: gives what changed in the inbox since it was last asked.
        """
        self._seen = seen
        self._log.subscribe(self._committed)
        self._set_alarm()

    def _committed(self, _: Sequence[Recorded]) -> None:
        """Events became durable."""
        if self._state.changed >= MANY:
            self._write()
        elif self._alarm is None:
            self._set_alarm()
        else:
            self._again = True

    def _set_alarm(self) -> None:
        self._again = False
        self._alarm = asyncio.get_running_loop().call_later(QUIET, self._ring)

    def _ring(self) -> None:
        if self._again and self._rings < LATEST:
            self._rings += 1
            self._set_alarm()
        else:
            self._alarm, self._rings = None, 0
            self._write()

    def _write(self) -> None:
        """Write what changed, unless that is being done just now."""
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self.write())

    def write_replayed(self) -> None:
        """While the log opens: write what changed, so that memory does not grow with the log."""
        self.catch_up()
        changes, position = self._state.take_changes(), self._log.position
        if self._unwritten:  # in their order
            self._unwritten.append((changes, position, {}))
        else:
            writing = self._thread.submit(self._index.write, changes, position, {})
            self._catching_up = (writing, changes, position)

    def catch_up(self) -> None:
        """Wait until what was replayed is written, and let go of it."""
        if self._catching_up is None:
            return
        writing, changes, position = self._catching_up
        self._catching_up = None
        try:
            writing.result()
            self._state.let_go(changes)
        except IndexFailed as error:  # the next time; memory holds it until then
            _log.warning("the index cannot be written", error=str(error))
            self._unwritten.append((changes, position, {}))

    async def write(self) -> None:
        """Write what changed until now, and let go of what is quiet."""
        self._unwritten.append((self._state.take_changes(), self._log.position, self._seen()))
        loop = asyncio.get_running_loop()
        try:
            while self._unwritten:
                changes, position, seen = self._unwritten[0]
                await loop.run_in_executor(self._thread, self._index.write, changes, position, seen)
                self._unwritten.popleft()
                self._log.forget(self._state.let_go(changes))
        except IndexFailed as error:  # the next time, with what came before it
            _log.warning("the index cannot be written", error=str(error))

    async def close(self) -> None:
        """Write what is left, and let go of the file."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._writing is not None:
            await self._writing
        await self.write()
        self._thread.shutdown()
        self._index.close()


def open_log(log: FileEventLog, state: State, path: Path) -> tuple[Archivist | None, set[str]]:
    """Open a log, with the help of an index if one fits.

    Args:
        log: the log.
        state: fresh; takes in what the log says.
        path: of the index, which is made or made anew where there is none that fits.

    Returns:
        Who keeps the index in step, or None where there can be none; and the requests of which the
        log says something since the index was written: all of them, where it was made anew.
    """
    told: set[str] = set()
    apply = state.apply
    try:
        index = _fitting(Index(path), log, path)
        index.restore(state)
    except IndexFailed as error:
        _log.warning("working without an index; the next start makes one", error=str(error))
        with suppress(OSError):
            Index.discard(path)
        log.open(state.apply)
        return None, told
    archivist, start = Archivist(index, log, state), index.position()
    state.use(index)

    def replay(recorded: Recorded) -> None:
        apply(recorded)
        if start is not None and recorded.subject is not None:
            told.add(recorded.subject)
        if recorded.sequence % MANY == 0:
            archivist.write_replayed()

    log.open(replay, start)
    archivist.catch_up()
    return archivist, told


def _fitting(index: Index, log: FileEventLog, path: Path) -> Index:
    """The index, or an empty one where it belongs to another log."""
    position = index.position()
    if position is None or log.fits(position):
        return index
    _log.warning("the index does not fit the log; it is made anew")
    index.close()
    Index.discard(path)
    return Index(path)
