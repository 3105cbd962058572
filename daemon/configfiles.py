"""Files of a configuration, read the careful way, and what their reading came upon.

Whoever can change such a file decides where keys go, so each is opened without following links
below a folder that was judged, and refused where it is no regular file, too large, or for
everybody to write.
"""

from __future__ import annotations

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.files import folder_beneath
from daemon.redaction import Secret
from handlers.contract import HandlerError, Json

MAX_BYTES = 2 << 20
"""The largest file, as OpenClaw has it."""

MAX_DEPTH = 64
"""How deeply lists and objects may nest."""

# Non-blocking, so that a FIFO opens at once and is then refused instead of waited for.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_BAD_PATH = (OSError, ValueError, RuntimeError)
"""What a path can raise: the system's word, a NUL in it, and (before 3.13) a circle of links."""

_MARK = "\ufeff"
_WHERE = re.compile(r":(\d+) .*column (\d+)", re.DOTALL)


@dataclass(slots=True)
class Gathered:
    """What a reading came upon, whatever became of it."""

    files: list[Path] = field(default_factory=list)
    """Every file that was read or looked for."""
    secrets: list[Secret] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was ignored, or is odd, for people."""

    def looked(self, path: Path) -> None:
        """A file was looked for; one that no file can be called is left out."""
        if path not in self.files and _can_be(path):
            self.files.append(path)

    def learned(self, text: str) -> Secret:
        """A text that is secret was read."""
        secret = Secret(text)
        if secret not in self.secrets:
            self.secrets.append(secret)
        return secret

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _can_be(path: Path) -> bool:
    try:
        return b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        return False


def invalid(message: str, *hints: str) -> HandlerError:
    """Something in the configuration cannot be meant so."""
    return HandlerError("config_invalid", message, hints=hints)


def missing(message: str, *hints: str) -> HandlerError:
    """Something that the configuration needs is not there."""
    return HandlerError("config_missing", message, hints=hints)


# ---------------------------------------------------------------- bytes


def real_path(path: Path) -> Path:
    """Where a path leads, every link followed.

    Raises:
        FileNotFoundError: there is nothing.
        HandlerError: `config_invalid`: it leads nowhere.
    """
    try:
        return path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(str(path)) from None
    except _BAD_PATH as error:
        raise invalid(f"{str(path)[:300]!r} cannot be read: {_why(error)}") from None


def read_beneath(root: Path, real: Path, limit: int) -> tuple[bytes, os.stat_result]:
    """The bytes of a regular file, reached without following a link, and what the system says
    of it.

    Args:
        root: a folder that is trusted.
        real: where the file lies, beneath that folder, with no link on the way.
        limit: bytes; of a larger file no more is read.

    Raises:
        FileNotFoundError: there is nothing.
        HandlerError: `config_invalid`: it is no such file, or larger.
    """
    parts = real.relative_to(root).parts
    if not parts:
        raise invalid(f"{real} is a folder, and no file")
    try:
        with folder_beneath(root, parts[:-1]) as folder:
            descriptor = os.open(parts[-1], _FILE, dir_fd=folder)
    except FileNotFoundError:
        raise
    except _BAD_PATH as error:
        raise invalid(f"{real} cannot be read: {_why(error)}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise invalid(f"{real} is no regular file")
        data = _read(descriptor, limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise invalid(f"{real} is larger than {limit} bytes")
    return data, status


def _read(descriptor: int, size: int) -> bytes:
    parts = []
    while size > 0 and (part := os.read(descriptor, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def read_file(path: Path, limit: int = MAX_BYTES) -> tuple[bytes, os.stat_result]:
    """As `read_beneath`, of a file that the user named: links to it are followed."""
    real = real_path(path)
    return read_beneath(real.parent, real, limit)


def judge_status(path: Path, status: os.stat_result, gathered: Gathered) -> None:
    """Refuse what everybody may write, and note whose a file is, if it is somebody else's: that
    may be meant so, where a service reads a person's file.

    Raises:
        HandlerError: `config_invalid`.
    """
    if status.st_mode & stat.S_IWOTH:
        raise invalid(
            f"{path} can be changed by everybody on this machine", f"Run `chmod o-w {path}`."
        )
    if status.st_uid not in (0, os.geteuid()):
        gathered.note(f"{path} belongs to the user {status.st_uid}, who decides where keys go")


def is_open_to_others(path: Path) -> bool:
    """Whether anybody besides its owner may read a file, or write it."""
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or "it leads in a circle").lower()
    return "it leads in a circle" if isinstance(error, RuntimeError) else "no path is spelled so"


# ---------------------------------------------------------------- text


def decoded(data: bytes, label: str) -> str:
    """The text of a file; a byte order mark is left out.

    Raises:
        HandlerError: `config_invalid`: it is not UTF-8.
    """
    try:
        return data.decode("utf-8").removeprefix(_MARK)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise invalid(f"{label}: line {line}: not UTF-8", "Save it as UTF-8.") from None


def parse_json5(text: str, label: str) -> Json:
    """Parse JSON (RFC 8259), or else JSON5 (https://spec.json5.org).

    Args:
        text: what stands in the file.
        label: what to call the file in a message.

    Raises:
        HandlerError: `config_invalid`: it is neither, or nested too deeply.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _parse_json5(text, label)
    if _is_deep(value, MAX_DEPTH):
        raise _too_deep(label)
    return value


def _parse_json5(text: str, label: str) -> Json:
    import json5  # slow to import, and most files are plain JSON

    try:
        return json5.loads(text)
    except RecursionError:
        raise _too_deep(label) from None
    except ValueError as error:
        found = _WHERE.search(str(error))  # the message itself may repeat what is secret
        where = f"line {found[1]}, column {found[2]}: " if found else ""
        raise invalid(
            f"{label}: {where}neither JSON nor JSON5", "Mend it there, or just before."
        ) from None


def _is_deep(value: Json, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    below = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_is_deep(each, levels - 1) for each in below)


def _too_deep(label: str) -> HandlerError:
    return invalid(f"{label}: nested more than {MAX_DEPTH} levels deep")
