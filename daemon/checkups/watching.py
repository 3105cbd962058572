"""Whether the inbox tells of new files: by dropping a hidden one, and listening."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from daemon.checkups import PROBE, Finding, ok, warning
from daemon.files import publish
from daemon.inbox import observe
from daemon.locks import lock_holder
from daemon.settings import Settings

PATIENCE = 2.0
"""Seconds in which a notification has to come."""

_LIMITS = Path("/proc/sys/fs/inotify")
_RAISE = "raise fs.inotify.max_user_watches or max_user_instances with sysctl"


def watcher(settings: Settings) -> Finding:
    """Whether a file that is renamed into the inbox is told of, as the daemon would be."""
    if not settings.watch:
        return ok(f"switched off: the inbox is looked at every {settings.scan_interval:g} s")
    served = lock_holder(settings.lock)
    watches = watches_of(served) if served else None
    if watches is not None and not any(watches):
        return warning(
            f"process {served} watches nothing: requests are found by looking; {_usage()}",
            f"if it was not started with DARKROOM_WATCH=false, {_RAISE}",
        )
    heard = _Heard()
    try:
        # Beside a daemon the inbox alone, or its sub-folders could want for what is used here.
        observer = observe(settings.inbox.resolve(), heard, recursive=served is None)
    except (OSError, RecursionError) as error:
        return warning(f"the inbox cannot be watched: {error}; {_usage()}", _RAISE)
    try:
        waited = heard.wait(settings)
    finally:
        observer.stop()
        observer.join(timeout=5)
    return judge_wait(waited, _usage())


def judge_wait(waited: float | None, usage: str) -> Finding:
    if waited is not None:
        return ok(f"a notification comes within {waited * 1000:.1f} ms; {usage}")
    return warning(
        f"no notification came within {PATIENCE:g} s: requests are found by looking; {usage}",
        "move the inbox to a local disk, if it lies on a network mount; "
        "else raise fs.inotify.max_user_watches",
    )


class _Heard(FileSystemEventHandler):
    """Listens for one file."""

    def __init__(self) -> None:
        self._name = f"{PROBE}{os.urandom(4).hex()}.json"
        self._told = threading.Event()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if os.fsdecode(event.dest_path or event.src_path).endswith(f"/{self._name}"):
            self._told.set()

    def wait(self, settings: Settings) -> float | None:
        """Rename the file in; how long it took to hear of it, in seconds."""
        staged = settings.private / self._name
        try:
            staged.write_bytes(b"{}")
            began = time.monotonic()
            publish(staged, settings.inbox, (self._name,))
            return time.monotonic() - began if self._told.wait(PATIENCE) else None
        finally:
            staged.unlink(missing_ok=True)
            (settings.inbox / self._name).unlink(missing_ok=True)


# ---------------------------------------------------------------- what inotify has left


def _usage() -> str:
    """How much of inotify this user has taken, of how much."""
    mine = [process for process in Path("/proc").glob("[0-9]*") if _is_mine(process)]
    instances = [count for process in mine for count in watches_of(int(process.name)) or ()]
    return (
        f"inotify: {sum(instances):,} of {_limit('max_user_watches')} watches, "
        f"{len(instances)} of {_limit('max_user_instances')} instances"
    )


def _limit(name: str) -> str:
    try:
        return f"{int((_LIMITS / name).read_text()):,}"
    except OSError:  # some containers do not show it
        return "unknown"


def _is_mine(process: Path) -> bool:
    try:
        return process.stat().st_uid == os.geteuid()
    except OSError:  # it has just ended
        return False


def watches_of(process: int) -> list[int] | None:
    """How many watches each of a process's instances has; None where we may not know."""
    folder = Path(f"/proc/{process}")
    try:
        files = [file.name for file in (folder / "fd").iterdir()]
    except OSError:  # it is somebody else's, or has just ended
        return None
    found = []
    for file in files:
        with suppress(OSError):  # it has just closed this one
            if (folder / "fd" / file).readlink().name == "anon_inode:inotify":
                told = (folder / "fdinfo" / file).read_text()
                found.append(told.count("inotify wd:"))
    return found
