"""Files, the careful way: opened beneath a folder without following links, published whole.

Names that callers chose are only ever touched through `open_beneath` and `publish`, which walk
component by component with directory descriptors, so that no link planted on the way is followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Non-blocking, so that a FIFO opens at once and is then refused instead of waited for.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_OPEN_FOLDERS = 64

NAME_MAX = 255
"""The longest name of a file on Linux, in bytes."""


# ---------------------------------------------------------------- names


def name_to_text(name: str) -> str:
    r"""A file's name as valid text, reversibly.

    Names are bytes. Those that are UTF-8 stay as they are; a byte that is not becomes `\xHH`, and
    a backslash becomes two, so that no two names share a text.
    """
    if name.isascii() and "\\" not in name:
        return name
    raw = os.fsencode(name).replace(b"\\", b"\\\\")
    return raw.decode("utf-8", "backslashreplace")


def text_to_name(text: str) -> str:
    """The inverse of `name_to_text`, as Python spells names that are not UTF-8."""
    if "\\" not in text:
        return text
    parts = re.split(rb"(\\\\|\\x[0-9a-f]{2})", text.encode())
    return os.fsdecode(b"".join(map(_unescaped, parts)))


def _unescaped(part: bytes) -> bytes:
    if part == b"\\\\":
        return b"\\"
    return bytes.fromhex(part[2:].decode()) if part.startswith(b"\\x") else part


def fitted(stem: str, suffix: str) -> str:
    """A file name of a stem and a suffix, shortened with a digest where it would be too long.

    Args:
        stem: the beginning, as Python spells it.
        suffix: the end, which is always kept whole.
    """
    if stem.isascii() and len(stem) + len(suffix) <= NAME_MAX:
        return stem + suffix
    raw = os.fsencode(stem)
    room = NAME_MAX - len(os.fsencode(suffix))
    if len(raw) <= room:
        return stem + suffix
    digest = hashlib.sha256(raw).hexdigest()[:16]
    # Cut between characters: a half one would make a name that is no text.
    kept = raw[: room - len(digest) - 1].decode("utf-8", "ignore")
    return f"{kept}-{digest}{suffix}"


# ---------------------------------------------------------------- opening


@contextmanager
def folder_beneath(base: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of a folder beneath `base`, reached without following a link.

    Args:
        base: a folder that is trusted, link or not.
        parts: the names of the folders on the way down.
        make: create those that are missing.

    Raises:
        OSError: ENOENT where one is missing, ELOOP or ENOTDIR where one is no folder.
    """
    descriptor = os.open(base, _FOLDER & ~os.O_NOFOLLOW)
    try:
        for part in parts:
            if make:
                _make_folder(part, descriptor)
            below = os.open(part, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


class OpenFolders:
    """Folders beneath a base, each opened once for as long as the block lasts.

    Args:
        base: a folder that is trusted, link or not.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._open: dict[tuple[str, ...], int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, parts: tuple[str, ...]) -> int:
        """The descriptor of a folder.

        Raises:
            OSError: as for `folder_beneath`.
        """
        descriptor = self._open.get(parts)
        if descriptor is None:
            if len(self._open) == _OPEN_FOLDERS:
                self._open.clear()
                self._stack.close()
            descriptor = self._stack.enter_context(folder_beneath(self._base, parts))
            self._open[parts] = descriptor
        return descriptor


def _make_folder(name: str, parent: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return
    os.fsync(parent)


Signature = int
"""What tells one state of a file from another: its inode, size and times in one number, because a
hundred thousand of them are kept. A hint only: the bytes decide."""

NO_SIGNATURE: Signature = 0


def signature_of(status: os.stat_result) -> Signature:
    return hash((status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))


class Unreadable(Exception):
    """What lies there cannot be taken as a file.

    Args:
        reason: in a few words, for a person and for telling one refusal from another.
        size: in bytes.
        mtime_ns: when it was last changed.
        oversize: whether its size is what is wrong.
    """

    def __init__(self, reason: str, size: int, mtime_ns: int, *, oversize: bool = False) -> None:
        super().__init__(reason)
        self.oversize = oversize
        self.reason = reason
        self.size = size
        self.mtime_ns = mtime_ns


_KINDS = {
    stat.S_IFLNK: "a link (links are never followed)",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def status_beneath(base: Path, parts: tuple[str, ...]) -> os.stat_result:
    """What the system says of a file beneath `base`.

    Raises:
        OSError: ENOENT where nothing has that name, ENOTDIR or ELOOP where the way is no folder.
    """
    with folder_beneath(base, parts[:-1]) as folder:
        return os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)


def read_whole(base: Path, parts: tuple[str, ...], limit: int) -> tuple[bytes, Signature]:
    """The bytes of a regular file beneath `base`, and what it looked like while they were read.

    Args:
        base: a folder that is trusted.
        parts: the way down, the file's own name last.
        limit: bytes; of a larger file nothing is read.

    Raises:
        FileNotFoundError: there is nothing of that name.
        BlockingIOError: it changed while it was read; look again.
        Unreadable: it is no regular file, may not be read, or is too large.
    """
    with folder_beneath(base, parts[:-1]) as folder:
        status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        return read_at(folder, parts[-1], status, limit)


def read_at(folder: int, name: str, judged: os.stat_result, limit: int) -> tuple[bytes, Signature]:
    """As `read_whole`, in a folder that is open, of a file whose status is known."""
    descriptor = open_at(folder, name, judged, limit)
    try:
        data = _read_all(descriptor, judged.st_size)
        signature = _still(descriptor, judged, len(data))
    finally:
        os.close(descriptor)
    return data, signature


def parts_at(
    folder: int, name: str, judged: os.stat_result, limit: int, part: int
) -> Iterator[bytes]:
    """As `read_at`, in parts.

    Args:
        folder: a descriptor.
        name: of the file.
        judged: its status.
        limit: bytes; of a larger file nothing is read.
        part: bytes, at the most.

    Raises:
        OSError, Unreadable: as for `read_whole`; after the last part, where it changed meanwhile.
    """
    descriptor, size = open_at(folder, name, judged, limit), 0
    try:
        while size <= judged.st_size and (data := os.read(descriptor, part)):
            size += len(data)
            yield data
        _still(descriptor, judged, size)
    finally:
        os.close(descriptor)


def _still(descriptor: int, judged: os.stat_result, size: int) -> Signature:
    """What a file looks like, of which so many bytes were read."""
    signature = signature_of(os.fstat(descriptor))
    if signature != signature_of(judged) or size != judged.st_size:
        raise BlockingIOError("it changed, or was replaced, while it was read")
    return signature


def open_at(folder: int, name: str, judged: os.stat_result, limit: int) -> int:
    """A descriptor for reading a regular file whose status is known.

    Raises:
        FileNotFoundError: it is gone.
        Unreadable: it is no regular file, may not be read, or is too large.
    """
    kind = _KINDS.get(stat.S_IFMT(judged.st_mode))
    if kind is not None:
        raise Unreadable(kind, 0, judged.st_mtime_ns)
    if judged.st_size > limit:
        reason = f"larger than the limit of {limit} bytes"
        raise Unreadable(reason, judged.st_size, judged.st_mtime_ns, oversize=True)
    try:
        return os.open(name, _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = f"not readable: {os.strerror(error.errno or 0).lower()}"
        raise Unreadable(reason, judged.st_size, judged.st_mtime_ns) from None


def _read_all(descriptor: int, size: int) -> bytes:
    data = os.read(descriptor, size)
    while len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more  # one read gives 2 GiB at the most, and less where a signal came
    return data


# ---------------------------------------------------------------- writing


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, _FOLDER & ~os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path | str, data: bytes) -> None:
    """Write a file as short as it goes, for those that are written by the ten thousand."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of it, in as many calls as the system wants."""
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def write_durable(path: Path, data: bytes) -> None:
    """Write a new file and make its bytes durable; its name is not, until its folder is.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def publish(staged: Path, base: Path, parts: tuple[str, ...], *, make: bool = False) -> None:
    """Put a finished file in its place beneath `base`, whole: it replaces what has that name.

    A link that lies there is itself replaced, never written through.

    Args:
        staged: the finished file; on the same filesystem and mount, if it is to be fast.
        base: a folder that is trusted.
        parts: the way down, the file's new name last.
        make: create folders that are missing on the way.

    Raises:
        OSError: a folder on the way is missing or no folder, or a directory has that name.
    """
    with folder_beneath(base, parts[:-1], make=make) as folder:
        publish_at(staged, folder, parts[-1])


def publish_at(staged: Path | str, folder: int, name: str) -> None:
    """As `publish`, in a folder that is open."""
    try:
        os.rename(staged, name, dst_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _carry_over(Path(staged), name, folder)


def _carry_over(staged: Path, name: str, folder: int) -> None:
    """Publish on another filesystem or mount: a hidden copy first, so that it appears whole."""
    hidden = f".{os.urandom(8).hex()}.tmp"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with (
            staged.open("rb") as source,
            os.fdopen(os.open(hidden, flags, 0o644, dir_fd=folder), "wb") as copy,
        ):
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.rename(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(hidden, dir_fd=folder)
        raise
    staged.unlink()


@contextmanager
def append_beneath(base: Path, parts: tuple[str, ...]) -> Iterator[int]:
    """A descriptor by which a file beneath `base` grows; it is made if it is not there. What lies
    there and is no file of its own (a link, a second name of another file) is replaced.

    Raises:
        OSError: ENOENT where a folder is missing, EISDIR where a directory has that name.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with folder_beneath(base, parts[:-1]) as folder:
        with suppress(FileNotFoundError):
            found = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode) and not _is_alone(found):
                os.unlink(parts[-1], dir_fd=folder)
        descriptor = os.open(parts[-1], flags, 0o666, dir_fd=folder)
        try:
            if not _is_alone(os.fstat(descriptor)):
                raise OSError(errno.EINVAL, "it was replaced just now")
            yield descriptor
        finally:
            os.close(descriptor)


def _is_alone(status: os.stat_result) -> bool:
    """Whether it is a regular file that has no other name."""
    return stat.S_ISREG(status.st_mode) and status.st_nlink == 1


def remove_beneath(base: Path, parts: tuple[str, ...]) -> None:
    """Remove a file beneath `base`, if it is there and is none of the user's directories."""
    try:
        with folder_beneath(base, parts[:-1]) as folder:
            remove_at(folder, parts[-1])
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise


def remove_at(folder: int, name: str) -> None:
    """As `remove_beneath`, in a folder that is open."""
    try:
        os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, IsADirectoryError):
        return
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
