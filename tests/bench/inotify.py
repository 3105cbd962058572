"""The kernel's own notices of files that appear in a folder, for a client that does not spin."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from pathlib import Path

_CREATE, _MOVED_TO = 0x100, 0x80
_OVERFLOW = 0x4000
_HEAD = struct.Struct("iIII")  # watch, mask, cookie, length of the name


class Inotify:
    """Tells of every name that appears in a folder from now on."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_CLOEXEC)
        if (
            self._file < 0
            or libc.inotify_add_watch(self._file, os.fsencode(folder), _CREATE | _MOVED_TO) < 0
        ):
            number = ctypes.get_errno()
            raise OSError(number, f"cannot watch {folder}: {os.strerror(number)}")
        self._poll = select.poll()
        self._poll.register(self._file, select.POLLIN)

    def names(self, seconds: float) -> list[str | None]:
        """What appeared, waiting for it if need be; None where some notices were lost."""
        if not self._poll.poll(seconds * 1000):
            return []
        return list(_parse(os.read(self._file, 1 << 20)))

    def close(self) -> None:
        os.close(self._file)


def _parse(data: bytes) -> Iterator[str | None]:
    at = 0
    while at < len(data):
        _, mask, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size + length
        if mask & _OVERFLOW:
            yield None
        else:
            yield os.fsdecode(data[at - length : at].rstrip(b"\0"))
