"""One daemon per root: a kernel lock, which ends with the process however it ends."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from daemon.errors import RootBusy


class RootLock:
    """A kernel lock on a root, held until `release` or the end of the process.

    Args:
        path: the lock's file; its content only informs.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def take(self) -> None:
        """Take it.

        Raises:
            RootBusy: another process holds it; the message says which.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o644)
        if not _locked(descriptor):
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise RootBusy(
                f"process {holder or '(not yet known)'} already serves {self._path.parent.parent}; "
                "stop it first, or choose another --root"
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _locked(descriptor: int) -> bool:
    """Lock it; tried for a moment, because somebody may just be asking who holds it."""
    for patience in (0.02, 0.05, 0.1, None):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if patience is not None:
                time.sleep(patience)
    return False


def lock_holder(path: Path) -> int | None:
    """The process that holds the lock of a root, or None where nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(descriptor, 32, 0).strip()
        return int(text) if text.isdigit() else 0
    finally:
        os.close(descriptor)
    return None
