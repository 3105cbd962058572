"""The folders of a root: there, ours to write to, and with room on a disk that is quick enough."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.checkups import PROBE, Finding, fault, folders_of, ok, warning
from daemon.disk import existing, room
from daemon.files import sync_folder, write_durable
from daemon.segments import CURRENT
from daemon.settings import Settings

SLOW_MS = 50.0
"""A job waits for at least two syncs: beyond this, nothing else that darkroom does is felt."""

FEW_FILES = 1000
"""Inodes that are left: a job needs a handful."""


def root(settings: Settings) -> Finding:
    """Whether a darkroom has run here, and all that it made is still there."""
    run = f"`darkroom run --root {shlex.quote(str(settings.root))}`"
    folders = folders_of(settings)
    blocked = {
        str(place) for folder in folders.values() if not (place := existing(folder)).is_dir()
    }
    if blocked:
        return fault(f"no folder: {', '.join(sorted(blocked))}", "move it away")
    if not settings.events.is_dir():
        place = existing(settings.root)
        if not _may(place, os.W_OK | os.X_OK):
            return fault(
                f"no root here yet, and {place} may not be written to",
                f"choose another --root, or let {_user()} write there",
            )
        return warning(f"no root here yet: {settings.root}", f"{run} makes it")
    missing = [str(folder) for folder in folders.values() if not folder.is_dir()]
    if missing:
        return warning(f"missing: {', '.join(missing)}", f"{run} makes what is missing")
    return ok(str(settings.root))


# ---------------------------------------------------------------- permissions


def permissions(settings: Settings) -> Finding:
    """Whether this user may do what the daemon does, and whether others may drop requests."""
    closed = [str(path) for path in _written(settings) if not _may(path, _needed(path))]
    if closed:
        return fault(
            f"{_user()} may not write to {', '.join(closed)}",
            f"run darkroom as the user who owns them, or give them to {_user()} with chown -R",
        )
    open_to_all = settings.inbox.is_dir() and settings.inbox.stat().st_mode & stat.S_IWOTH
    others = "; every user may drop requests, and spend money" if open_to_all else ""
    return ok(f"{_user()} may write everywhere{others}")


def _written(settings: Settings) -> Iterable[Path]:
    """What is there of all that a daemon opens for writing."""
    paths = [
        *folders_of(settings).values(),
        settings.blobs,
        settings.lock,
        settings.private / "staging",
        settings.output / "images",
        settings.output / "videos",
        (settings.events / CURRENT).resolve(),
    ]
    return (path for path in paths if path.exists())


def _needed(path: Path) -> int:
    return os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # in a container, users need no names
        return str(os.geteuid())


# ---------------------------------------------------------------- inputs


def inputs(settings: Settings) -> Finding:
    """Whether the folders are there whose files requests may name, and are no wider than meant."""
    roots = settings.input_roots
    missing = [str(root) for root in roots if not root.is_dir()]
    if missing:
        return fault(f"no folder: {', '.join(missing)}", "make it, or mend $DARKROOM_INPUT_ROOTS")
    wide = [str(root) for root in roots if root in _wide() or settings.events.is_relative_to(root)]
    if wide:
        return warning(
            f"requests may name every picture below {', '.join(wide)}, and have it sent to a "
            "provider",
            "name a folder of its own for pictures in $DARKROOM_INPUT_ROOTS",
        )
    return ok(", ".join(map(str, settings.readable)))


def _wide() -> set[Path]:
    """Folders where everybody, or everything, lies."""
    return {Path(place).expanduser() for place in ("/", "/tmp", "/var/tmp", "/home", "~")}  # noqa: S108


# ---------------------------------------------------------------- room


@dataclass(slots=True)
class Space:
    """What is left of one filesystem."""

    names: list[str]
    """The folders of ours that lie there."""
    free: int
    floor: int
    inodes: int
    has_inodes: bool
    """Some filesystems make them as they go, and tell of none."""


def disk(settings: Settings) -> Finding:
    """Whether there is room for the log, results and media."""
    spaces: dict[int, Space] = {}
    for name, folder in folders_of(settings).items():
        place = existing(folder)
        device = place.stat().st_dev
        if device in spaces:
            spaces[device].names.append(name)
            continue
        usage = os.statvfs(place)
        free, floor = room(place, settings.free_floor)
        spaces[device] = Space([name], free, floor, usage.f_favail, usage.f_files > 0)
    return judge_spaces(spaces.values())


def judge_spaces(spaces: Collection[Space]) -> Finding:
    told = "; ".join(map(_told, spaces))
    full = [space for space in spaces if space.free < space.floor]
    if full:
        return fault(
            f"{told}; below {_size(full[0].floor)}, nothing new is taken in",
            f"free some space for {', '.join(full[0].names)}",
        )
    few = [space for space in spaces if space.has_inodes and space.inodes < FEW_FILES]
    if few:
        hint = f"remove files from the filesystem of {', '.join(few[0].names)}"
        return (warning if few[0].inodes else fault)(told, hint)
    return ok(told)


def _told(space: Space) -> str:
    inodes = f" and {space.inodes:,} files" if space.has_inodes else ""
    return f"{_size(space.free)}{inodes} free for {', '.join(space.names)}"


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def fsync(settings: Settings) -> Finding:
    """How long it takes to write durably: as the log does, for each batch of events."""
    place = settings.private
    if place.stat().st_dev != settings.events.stat().st_dev:
        place = settings.events  # it is the log's disk that counts
    return judge_sync(min(_sync_ms(place) for _ in range(3)))  # others use the disk as well


def _sync_ms(folder: Path) -> float:
    probe = folder / f"{PROBE}{os.urandom(4).hex()}"
    began = time.perf_counter()
    try:
        write_durable(probe, b"darkroom doctor\n" * 64)
        sync_folder(folder)
        return (time.perf_counter() - began) * 1000
    finally:
        probe.unlink(missing_ok=True)


def judge_sync(milliseconds: float) -> Finding:
    found = f"a durable write takes {milliseconds:.1f} ms"
    if milliseconds <= SLOW_MS:
        return ok(found)
    return warning(
        f"{found}: a request waits for two of them at least", "keep the root on a local disk"
    )
