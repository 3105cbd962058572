"""Bytes on their way in: few stay in memory, and many go into a file in staging as they come.

Such a file is written, hashed and made durable part by part in threads, and then becomes a blob by
a new name; nobody ever holds all of it in memory. What is not taken over goes when it is closed,
and after a crash with the rest of staging.
"""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import TypeVar

from daemon.files import write_all
from handlers.contract import Held, Medium

SMALL = 1 << 20
"""Bytes below which a medium stays in memory, and in which a file is written."""


Said = TypeVar("Said")


class Staged:
    """Bytes that come in chunk by chunk, by `take` in an event loop or by `take_all` in a thread.

    Args:
        folder: where a file of them may lie; None where all of them stay in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._waiting = bytearray()
        self._hash = hashlib.sha256()
        self._file: FileIO | None = None
        self._path: Path | None = None
        self._over = False
        self._at_work = Lock()
        self.size = 0

    @property
    def in_memory(self) -> bool:
        """Whether there is no file."""
        return self._path is None

    @property
    def data(self) -> bytes | None:
        """The bytes, where they are in memory."""
        return bytes(self._waiting) if self.in_memory else None

    @property
    def path(self) -> Path:
        """Where the file lies, if there is one."""
        if self._path is None:
            raise ValueError("few bytes have no file")
        return self._path

    @property
    def sha256(self) -> str:
        """Of all of it, once it is finished."""
        digest = self._hash.copy()
        digest.update(self._waiting)
        return digest.hexdigest()

    # ------------------------------------------------------------ filling it

    def take(self, chunk: bytes) -> Awaitable[None] | None:
        """Take some bytes more.

        Returns:
            What is to be waited for before the next ones come, if anything.

        Raises:
            OSError: they could not be written (of what is waited for).
        """
        self._waiting += chunk
        self.size += len(chunk)
        if self._folder is None or len(self._waiting) < SMALL:
            return None
        return self._in_thread(partial(self._write, self._folder))

    async def finish(self) -> None:
        """There is no more to come: make the file durable, if there is one.

        Raises:
            OSError: it could not be written.
        """
        if not self.in_memory:
            await self._in_thread(self._end)

    async def looked_into(self, look: Callable[[Held], Said]) -> Said:
        """What somebody says who looks at all of the bytes.

        Raises:
            OSError: what waits to be written could not be.
        """
        if self._folder is None or self.in_memory:
            return look(bytes(self._waiting))
        return await self._in_thread(partial(self._look, self._folder, look))

    def take_all(self, parts: Iterator[bytes]) -> None:
        """Take everything, and finish; in a thread.

        Raises:
            OSError: it could not be written, or not be read.
        """
        for part in parts:
            self._waiting += part
            self.size += len(part)
            if self._folder is not None and len(self._waiting) >= SMALL:
                self._do(partial(self._write, self._folder))
        if not self.in_memory:
            self._do(self._end)

    def close(self) -> None:
        """Nobody wants it any more; if it became a blob, that stays."""
        self._over = True
        self._clear()

    # ------------------------------------------------------------ in a thread

    async def _in_thread(self, work: Callable[[], Said]) -> Said:
        """Whoever is cancelled does not wait for the thread: that clears up behind itself."""
        return await asyncio.to_thread(self._do, work)

    def _do(self, work: Callable[[], Said]) -> Said:
        try:
            with self._at_work:
                if self._over:
                    raise ValueError("it is closed")
                return work()
        finally:
            self._clear()

    def _clear(self) -> None:
        """Remove the file of what is over, unless a thread is at it, which then comes here too."""
        if not (self._over and self._at_work.acquire(blocking=False)):
            return
        try:
            if self._file is not None:
                self._file.close()
            if self._path is not None:
                self._path.unlink(missing_ok=True)
        finally:
            self._at_work.release()

    def _write(self, folder: Path) -> None:
        if self._file is None:
            path = folder / f"coming-{os.urandom(8).hex()}"
            self._file = FileIO(path, "x+")
            self._path = path
        self._write_to(self._file)

    def _write_to(self, file: FileIO) -> None:
        part, self._waiting = self._waiting, bytearray()
        write_all(file.fileno(), part)
        self._hash.update(part)

    def _end(self) -> None:
        file = self._file
        if file is None or file.closed:
            return
        self._write_to(file)
        os.fsync(file.fileno())
        file.close()

    def _look(self, folder: Path, look: Callable[[Held], Said]) -> Said:
        self._write(folder)
        with self.path.open("rb") as file, mapped(file.fileno()) as held:
            return look(held)


@contextmanager
def mapped(descriptor: int) -> Iterator[Held]:
    """The bytes of an open file, without reading what nobody looks at."""
    if os.fstat(descriptor).st_size == 0:
        yield b""
        return
    held = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ)
    try:
        yield held
    finally:
        with suppress(BufferError):  # somebody failed, and his traceback still points into it
            held.close()


@dataclass(frozen=True, slots=True)
class StagedMedium(Medium):
    """A medium whose bytes lie in a file in staging, finished; to whoever holds it belongs the
    file."""

    staged: Staged | None = None


def close_all(media: Sequence[Medium]) -> None:
    """Nobody wants the files of these any more."""
    for medium in media:
        if isinstance(medium, StagedMedium) and medium.staged is not None:
            medium.staged.close()
