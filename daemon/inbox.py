"""The inbox: which names are worth a look. Notifications are hints; the scan is the truth.

The watcher's callback hands over a name, thread-safely, and does nothing else. Whatever it loses
(an overflow, a dead thread, a folder on a network mount) the next scan finds.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import structlog
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from daemon.files import Signature, name_to_text, signature_of
from daemon.pauses import PAUSE
from daemon.results import RESULT

REQUESTS = (".json", ".jsonl")
CONTROLS = (".cancel", ".retry")
_SUFFIXES = REQUESTS + CONTROLS
_OURS = (RESULT, ".jsonl.result.jsonl")
_PAUSE = re.compile(re.escape(PAUSE) + r"(\.[^/]+)?")

_log = structlog.get_logger(__name__)


def concerns_us(name: str) -> bool:
    """Whether a name relative to the inbox may be a request, a control file or a PAUSE file.

    Hidden ones, results and every other suffix are none, and neither is what lies in a hidden
    folder or in a folder that itself has the name of a request.
    """
    *folders, file = name.split("/")
    taken = _may_be_taken(file) and not any(map(_is_closed, folders))
    return taken or is_pause(name)


def is_pause(name: str) -> bool:
    """Whether a name relative to the inbox is that of a PAUSE file: `PAUSE`, or `PAUSE.local` for
    one provider. What ends like a request, a result or a control file is that."""
    return _PAUSE.fullmatch(name) is not None and not name.endswith(REQUESTS + CONTROLS)


def _may_be_taken(file: str) -> bool:
    return file.endswith(_SUFFIXES) and not file.endswith(_OURS) and not file.startswith(".")


def _is_closed(folder: str) -> bool:
    return folder.startswith(".") or _may_be_taken(folder)


@dataclass(slots=True)
class Scan:
    """What one look over the whole inbox found."""

    found: dict[str, Signature] = field(default_factory=dict)
    """By name, relative to the inbox."""
    identity: tuple[int, int] | None = None
    """Device and inode of the inbox; None where it is missing."""


def scan(inbox: Path) -> Scan:
    """List everything in the inbox and its folders that may concern us, and how each file looks.
    Never follows a link."""
    result = Scan(identity=identity_of(inbox))
    if result.identity is not None:
        for name, entry in _walk(inbox):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # gone since it was listed
            result.found[name] = signature_of(status)
    return result


def glance(inbox: Path, known: Container[str]) -> list[str]:
    """The names that may concern us and are not known yet: far cheaper than a scan, as no file is
    looked at."""
    return [name for name, _ in _walk(inbox) if name not in known]


def identity_of(inbox: Path) -> tuple[int, int] | None:
    """What tells this inbox from another that took its place."""
    try:
        status = inbox.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _walk(inbox: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    below = [""]
    while below:  # no recursion: folders may nest deeper than Python's stack
        folder = below.pop()
        try:
            with os.scandir(inbox / folder) as entries:
                for entry in entries:
                    name = entry.name
                    if _may_be_taken(name):
                        yield name_to_text(folder + name), entry
                        continue
                    if not folder and is_pause(name):
                        yield name_to_text(name), entry
                    if entry.is_dir(follow_symlinks=False) and not _is_closed(name):
                        below.append(f"{folder}{name}/")
        except OSError as error:
            _log.warning("a folder of the inbox cannot be listed", folder=folder, error=str(error))


class Hints:
    """Names that the watcher heard of, on their way from its thread to the event loop.

    Args:
        wake: called on the loop when there is something to take.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = wake
        self._lock = Lock()
        self._names: dict[str, None] = {}
        self._rescan = False

    def tell(self, name: str | None) -> None:
        """From any thread: look at this name, or (None) at everything."""
        with self._lock:
            asleep = not self._names and not self._rescan
            if name is None:
                self._rescan = True
            else:
                self._names[name] = None
        if asleep:
            self._loop.call_soon_threadsafe(self._wake)

    def take(self) -> tuple[list[str], bool]:
        """All names since the last time, and whether everything is to be looked at."""
        with self._lock:
            names, rescan = list(self._names), self._rescan
            self._names, self._rescan = {}, False
        return names, rescan


class _Handler(FileSystemEventHandler):
    """Runs on watchdog's thread, which an exception would kill for good."""

    def __init__(self, inbox: Path, hints: Hints) -> None:
        self._start = len(str(inbox)) + 1
        self._hints = hints

    def on_any_event(self, event: FileSystemEvent) -> None:
        try:
            path = os.fsdecode(event.dest_path or event.src_path)
            name = path[self._start :]
            if concerns_us(name):
                self._hints.tell(name_to_text(name))
            elif event.is_directory and name:
                self._hints.tell(None)
        except Exception:
            self._hints.tell(None)


class _Overflow(logging.Handler):
    """Watchdog tells of an overflow in its log and nowhere else."""

    def __init__(self, hints: Hints) -> None:
        super().__init__()
        self._hints = hints

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._hints.tell(None)


def observe(
    inbox: Path, handler: FileSystemEventHandler, *, recursive: bool = True
) -> BaseObserver:
    """Begin to watch a folder for files that come.

    Raises:
        OSError: the system has no watch left, or no instance.
        RecursionError: folders nest too deeply.
    """
    observer = Observer()
    wanted: list[type[FileSystemEvent]] = [
        FileCreatedEvent,
        FileMovedEvent,
        FileClosedEvent,
        DirCreatedEvent,
        DirMovedEvent,
    ]
    try:
        observer.schedule(handler, str(inbox), recursive=recursive, event_filter=wanted)
        observer.start()
    except BaseException:
        observer.stop()  # its reader runs since it was made
        raise
    return observer


class Watcher:
    """Tells of new files as they come; heals itself, or says that it cannot.

    Args:
        inbox: the folder to watch, with all below it.
        hints: where to tell.
    """

    def __init__(self, inbox: Path, hints: Hints) -> None:
        self._inbox = inbox
        self._hints = hints
        self._observer: BaseObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._overflow = _Overflow(hints)
        self._complained = False

    def start(self) -> None:
        """Begin to watch; where the system has no watch left, say so and leave it to the scan."""
        self._watched = identity_of(self._inbox)
        if self._watched is None:
            return
        logging.getLogger("watchdog").addHandler(self._overflow)
        try:
            # The folder itself: a watch on a link to it would tell of nothing.
            inbox = self._inbox.resolve()
            self._observer = observe(inbox, _Handler(inbox, self._hints))
        except (OSError, RecursionError) as error:  # the latter where folders nest too deeply
            if not self._complained:
                self._complained = True
                _log.warning(
                    "cannot watch the inbox; requests are found by scanning only",
                    error=str(error),
                    hint="raise fs.inotify.max_user_watches or max_user_instances",
                )

    def heal(self, identity: tuple[int, int] | None) -> bool:
        """Start again if a thread died or another folder took the inbox's place; may block.

        Args:
            identity: of the inbox as it is now.

        Returns:
            Whether it was started again, so that everything must be looked at once more.
        """
        if identity == self._watched and self._alive():
            return False
        if self._observer is not None:
            _log.warning("watching the inbox anew", replaced=identity != self._watched)
        self.stop()
        self.start()
        return self._observer is not None

    def _alive(self) -> bool:
        observer = self._observer
        if observer is None:
            return False
        reader = getattr(observer, "_inotify_fd", observer)  # which no other attribute tells of
        return all(thread.is_alive() for thread in (observer, reader, *observer.emitters))

    def stop(self) -> None:
        """Stop watching."""
        logging.getLogger("watchdog").removeHandler(self._overflow)
        observer, self._observer = self._observer, None
        if observer is not None and observer.ident is not None:
            observer.stop()
            observer.join(timeout=5)
