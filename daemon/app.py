"""The composition root: builds everything, and owns start and stop.

Here alone one part is handed to another; what comes of the package of handlers `plugins` finds.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog

from daemon.acceptance import Acceptor
from daemon.archivist import Archivist, open_log
from daemon.batches import Batches
from daemon.blobs import BlobStore
from daemon.clock import Clock, SystemClock
from daemon.closing import Closing
from daemon.deadlines import left_over
from daemon.disk import Disk
from daemon.errors import LogCorrupt, LogFailed
from daemon.eventlog import EventLog, FileEventLog
from daemon.events import DaemonStarted, DaemonStopped, Event, Recorded
from daemon.exchange import Workbench
from daemon.gallery import Gallery
from daemon.gates import Gates
from daemon.housekeeping import clean_staging, make_folders, sweep
from daemon.inputs import Inputs
from daemon.intake import Intake
from daemon.locks import RootLock
from daemon.looking import Looker
from daemon.opening import Opening
from daemon.pauses import Pauses
from daemon.plugins import (
    Plugins,
    clip_sense_of,
    decoder_of,
    door_of,
    expansion_of,
    find_plugins,
    network_of,
    roster_of,
    sheet_maker_of,
    signer,
)
from daemon.process import calm_collector, leave_no_core, signals
from daemon.publisher import Publisher
from daemon.queues import Queues
from daemon.recall import Recall
from daemon.results import ResultFolder
from daemon.rows import Rows
from daemon.runner import Runner
from daemon.services import Services
from daemon.settings import Settings
from daemon.sheets import Sheets
from daemon.state import State
from daemon.treasury import Treasury
from daemon.viewing import Viewer

EXIT_OK, EXIT_BROKEN, EXIT_OPEN, EXIT_LOG = 0, 1, 3, 5

_log = structlog.get_logger(__name__)


class App:
    """One daemon on one root.

    Args:
        settings: where and how.
        plugins: who does the work; all that is installed, if left out.
        clock: the machine's own, if left out.
    """

    def __init__(
        self, settings: Settings, plugins: Plugins | None = None, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._plugins = plugins or find_plugins()
        self._clock = clock or SystemClock()
        self._state = State()
        self._changed = asyncio.Event()
        self._stop = asyncio.Event()
        self._failure: LogFailed | None = None
        self._reason = "drained"

    async def serve(self, *, drain: bool = False, max_wait: float | None = None) -> int:
        """Serve the root until a signal comes, or until everything is answered.

        Args:
            drain: end when everything that was dropped is answered.
            max_wait: seconds after which a drain ends all the same.

        Returns:
            The exit code: 0; 1 where the daemon itself broke; 3 where something is still open after
            a drain; 5 where the log failed.

        Raises:
            RootBusy: another daemon serves this root.
        """
        leave_no_core()
        make_folders(self._settings)
        lock = RootLock(self._settings.lock)
        lock.take()
        try:
            async with self._running() as parts:
                return await self._until_done(parts, drain, max_wait)
        except (LogCorrupt, LogFailed) as error:
            _log.error("the event log cannot be used", error=str(error), hint=_LOG_HINT)
            return EXIT_LOG
        finally:
            lock.release()

    # ------------------------------------------------------------ building

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[_Parts]:
        """Everything built and running; in the end everything stopped, in order."""
        gc.disable()  # while the log is read, which makes little else than what stays
        parts = self._build()
        calm_collector()
        tasks = [asyncio.create_task(parts.intake.run()), asyncio.create_task(parts.runner.run())]
        for task in tasks:
            task.add_done_callback(self._task_ended)
        with signals(self._asked):  # before anybody is told that it serves
            self._say(
                parts.log, DaemonStarted(version("darkroomd"), os.getpid(), socket.gethostname())
            )
            _log.info("serving", root=str(self._settings.root), pid=os.getpid())
            parts.services.roster.tell()
            parts.runner.begin()
            parts.batches.begin()
            parts.publisher.settle_all()
            try:
                yield parts
            finally:
                await self._shut_down(parts, tasks)

    def _build(self) -> _Parts:
        settings, clock, state = self._settings, self._clock, self._state
        staging, media_staging = clean_staging(settings)
        log = FileEventLog(
            settings.events,
            clock,
            segment_bytes=settings.segment_bytes,
            failed=self._log_failed,
            archived=state.version,
        )
        archivist, told = open_log(log, state, settings.index)
        blobs = BlobStore(settings.blobs, settings.private / "staging", state.needs)
        results = ResultFolder(settings.inbox, staging, settings.output, log.get)
        rows = Rows(settings.inbox, log, state)
        publisher = Publisher(results, log, state, rows, idle=self._changed.set, wrote=self._wrote)
        disk = Disk(
            [settings.events, settings.output],
            settings.free_floor,
            settings.private / "reserve",
            log,
            paused=state.paused,
            resumed=self._resumed,
        )
        gallery = Gallery(
            settings.root, settings.output, media_staging, blobs, decoder_of(settings), signer()
        )
        sweep(state, log, blobs, gallery)
        services = self._services(log, blobs, disk, gallery)
        roster = services.roster
        door = door_of(settings, self._plugins.handlers)
        recall = Recall(log, blobs, door)
        runner = Runner(services, state, recall, self._plugins.handlers, self._look_around)
        pauses = Pauses(settings.inbox, runner.pause)
        pauses.begin(roster.names())
        looker = Looker(settings.inbox, door, settings.max_request_bytes)
        acceptor = Acceptor(clock, roster, blobs, disk)
        queues = Queues(settings, log, state, blobs, acceptor, publisher)
        intake = Intake(
            settings, clock, log, state, looker, acceptor, queues, disk, publisher, recall, pauses
        )
        expansion = expansion_of(settings)
        opening = Opening(
            settings, clock, state, log, blobs, recall, services.inputs, acceptor, expansion
        )
        sheets = Sheets(settings.root, log, gallery, services.workbench, sheet_maker_of(settings))
        closing = Closing(state, recall, rows, sheets, expansion.options)
        batches = Batches(
            log, disk, state, recall, door, acceptor, opening, closing, runner.is_running
        )
        self._intake, self._runner, self._batches = intake, runner, batches
        if archivist is not None:
            intake.restore(archivist.seen(), told)
            archivist.follow(intake.lookout.take_changes)
        # In this order: whoever comes later reads a state that has taken the events in.
        log.subscribe(self._apply)
        log.subscribe(runner.committed)
        log.subscribe(publisher.committed)
        log.subscribe(rows.committed)
        log.subscribe(batches.committed)
        return _Parts(log, publisher, rows, runner, batches, intake, services, archivist)

    def _services(self, log: EventLog, blobs: BlobStore, disk: Disk, gallery: Gallery) -> Services:
        """What the runs of all jobs share."""
        settings, clock = self._settings, self._clock
        network = network_of(settings)
        workbench = Workbench(max(2, os.cpu_count() or 2))
        roster = roster_of(settings, self._plugins, clock)
        return Services(
            settings=settings,
            clock=clock,
            log=log,
            blobs=blobs,
            disk=disk,
            gallery=gallery,
            viewer=Viewer(gallery, blobs, workbench, clip_sense_of(settings)),
            workbench=workbench,
            gates=Gates(settings.provider_concurrency, clock),
            network=network,
            inputs=Inputs(settings, self._state, log.get, blobs, network),
            roster=roster,
            treasury=Treasury(roster, self._state, log, clock),
            stopping=asyncio.Event(),
        )

    def _apply(self, batch: Sequence[Recorded]) -> None:
        for recorded in batch:
            self._state.apply(recorded)
        self._changed.set()

    # ------------------------------------------------------------ running

    def _wrote(self, results: int) -> None:
        """Results were put in the inbox, which is watched."""
        self._intake.lookout.count_answers(results)

    async def _look_around(self) -> None:
        """Until all that lies in the inbox was taken in."""
        await self._intake.look_everywhere()

    def _resumed(self) -> None:
        """There is room on the disk again."""
        self._intake.lookout.hints.tell(None)
        self._runner.wake()
        self._batches.wake()

    def _log_failed(self, error: LogFailed) -> None:
        self._failure = error
        self._stop.set()

    def _asked(self, number: signal.Signals) -> None:
        """A signal asks for a stop; a second one ends the process at once."""
        if self._stop.is_set():
            os._exit(128 + number)
        _log.info("stopping", signal=number.name)
        self._reason = number.name
        self._stop.set()

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """Intake and runner run for ever; if one breaks, the daemon must not look alive."""
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.critical("the daemon broke; stopping", exc_info=error)
            self._reason = "broken"
            self._stop.set()

    async def _until_done(self, parts: _Parts, drain: bool, max_wait: float | None) -> int:
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._stop.wait())]
        if drain:
            waits.append(asyncio.create_task(self._drained(parts)))
        await asyncio.wait(waits, timeout=max_wait, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        if self._has_broken():
            return EXIT_BROKEN
        if drain:
            held = left_over(parts.runner.held() or [], self._clock.stamp())
            for line in [*held, *parts.services.treasury.in_words()]:
                _log.warning(line)
        await parts.runner.stop(self._settings.stop_timeout)
        still_open = bool(self._state.open_jobs or self._state.owed or parts.intake.busy)
        return EXIT_OPEN if drain and (still_open or parts.services.disk.paused) else EXIT_OK

    def _has_broken(self) -> bool:
        """Whether a part of the daemon failed, so that nothing more may be done.

        Raises:
            LogFailed: it was the log.
        """
        if self._failure is not None:
            raise self._failure
        return self._reason == "broken"

    async def _drained(self, parts: _Parts) -> None:
        """Wait until everything that was dropped is answered: two looks in a row find nothing
        new, no job is open, and every result lies in its place. A full disk ends the wait."""
        before = -1
        while before != self._state.sequence and not parts.services.disk.paused:
            before = self._state.sequence
            await parts.intake.look_everywhere()  # which looks at the disk as well
            while self._is_busy(parts):
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):  # a file that rests makes no event
                        await self._changed.wait()

    def _is_busy(self, parts: _Parts) -> bool:
        waits = parts.runner.held() is None or parts.batches.busy
        waits = waits or parts.intake.busy or parts.publisher.busy
        return waits and not parts.services.disk.paused

    def _say(self, log: FileEventLog, event: Event) -> asyncio.Future[tuple[Recorded, ...]]:
        return log.append(None, None, [event])

    async def _shut_down(self, parts: _Parts, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await parts.batches.close()
        await parts.runner.stop(0)  # of what is left when something failed
        await parts.rows.close()
        await parts.publisher.close()
        if self._failure is None:
            self._say(parts.log, DaemonStopped(self._reason))
        await parts.log.close()
        if parts.archivist is not None:
            await parts.archivist.close()
        parts.services.workbench.close()
        await parts.services.network.close()
        _log.info("stopped")


@dataclass(frozen=True, slots=True)
class _Parts:
    log: FileEventLog
    publisher: Publisher
    rows: Rows
    runner: Runner
    batches: Batches
    intake: Intake
    services: Services
    archivist: Archivist | None


_LOG_HINT = "run `darkroom verify`; docs/architecture.md says what to do about a damaged log"
