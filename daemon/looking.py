"""What lies under a name: read it, judge it. For a worker thread; changes nothing.

A file that parses as one whole object or array is taken at once, for no proper beginning of one
parses. Anything else may still be being written, so it must rest before it is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from daemon.errors import BadRequest, Problem
from daemon.files import (
    NO_SIGNATURE,
    OpenFolders,
    Signature,
    Unreadable,
    read_at,
    signature_of,
    status_beneath,
    text_to_name,
)
from daemon.longstrings import LONG, without_long_strings
from daemon.requests import Door, Request, digests_of
from daemon.strictjson import parse_json
from handlers.contract import Json

FEW = 4
"""Files that are read without a thread,"""

SMALL = 16 << 10
"""if each has no more bytes than this."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Nothing has that name now."""

    name: str


@dataclass(frozen=True, slots=True)
class Busy:
    """It changed while it was read."""

    name: str


class Good(NamedTuple):
    """A request, and the digests of its bytes."""

    name: str
    signature: Signature
    request: Request
    raw: Mapping[str, Json]
    """The whole of it, with "" in the place of each long string."""
    long: Mapping[str, str]
    """The long strings, by JSON pointer."""
    request_sha256: str
    key: str


@dataclass(frozen=True, slots=True)
class Bad:
    """Nothing that can be taken. `whole` tells that more bytes would not make it better."""

    name: str
    signature: Signature
    problem: Problem
    key: str
    request_sha256: str | None = None
    task: str | None = None
    labels: Mapping[str, Json] = field(default_factory=dict)
    whole: bool = False


Look = Gone | Busy | Good | Bad


class Looker:
    """Looks at files of the inbox.

    Args:
        inbox: the folder of requests.
        door: who judges their bytes.
        limit: bytes; larger files are not read.
    """

    def __init__(self, inbox: Path, door: Door, limit: int) -> None:
        self._inbox = inbox
        self._door = door
        self._limit = limit

    def look_all(self, names: Iterable[str], seen: Mapping[str, Signature]) -> list[Look]:
        """Look at these, but for those that are as they were when they were last decided.

        Args:
            names: relative to the inbox.
            seen: what each looked like then.
        """
        with OpenFolders(self._inbox) as folders:
            looks = (self._look(name, seen.get(name), folders) for name in names)
            return [look for look in looks if look is not None]

    def are_small(self, names: Sequence[str]) -> bool:
        """Whether these are a few small files."""
        if len(names) > FEW:
            return False
        try:
            with OpenFolders(self._inbox) as folders:
                for name in names:
                    *above, file = text_to_name(name).split("/")
                    folder = folders.of(tuple(above))
                    status = os.stat(file, dir_fd=folder, follow_symlinks=False)
                    if status.st_size > SMALL:
                        return False
        except OSError:
            return False
        return True

    def look(self, name: str, seen: Signature | None = None) -> Look | None:
        """Look at one; None where it is as it was."""
        with OpenFolders(self._inbox) as folders:
            return self._look(name, seen, folders)

    def _look(self, name: str, seen: Signature | None, folders: OpenFolders) -> Look | None:
        *above, file = text_to_name(name).split("/")
        try:
            folder = folders.of(tuple(above))
            status = os.stat(file, dir_fd=folder, follow_symlinks=False)
            if seen is not None and seen == signature_of(status):
                return None
            data, signature = read_at(folder, file, status, self._limit)
        except (FileNotFoundError, NotADirectoryError):
            return Gone(name)
        except BlockingIOError:
            return Busy(name)
        except Unreadable as error:
            return unreadable(name, signature_of(status), error)
        except OSError as error:
            reason = Unreadable(f"not readable: {(error.strerror or '').lower()}", 0, 0)
            return unreadable(name, NO_SIGNATURE, reason)
        return self._judge(name, signature, data)

    def signature_of(self, name: str) -> Signature | None:
        """What a file looks like; None where it is gone."""
        try:
            return signature_of(status_beneath(self._inbox, tuple(text_to_name(name).split("/"))))
        except OSError:
            return None

    def key_of(self, name: str) -> str | None:
        """What tells one drop of a control file from the next; None where it is gone."""
        try:
            status = status_beneath(self._inbox, tuple(text_to_name(name).split("/")))
        except OSError:
            return None
        return f"{status.st_ino}:{status.st_mtime_ns}:{status.st_ctime_ns}"

    def _judge(self, name: str, signature: Signature, data: bytes) -> Look:
        digest, key = digests_of(data)
        try:
            value = parse_json(data)
        except BadRequest as error:
            return Bad(name, signature, error.problem, key, digest)
        try:
            request = self._door.validate(value)
            raw, long = without_long_strings(request.raw) if len(data) > LONG else (request.raw, {})
            return Good(name, signature, request, raw, long, digest, key)
        except BadRequest as error:
            task, labels = self._door.echo(value)
            return Bad(name, signature, error.problem, key, digest, task, labels, whole=True)


def unreadable(name: str, signature: Signature, error: Unreadable) -> Bad:
    problem = Problem(
        "limit_exceeded" if error.oversize else "unreadable_request",
        f"{name} is {error.reason}",
        ("A request is a regular file that the daemon may read.",),
    )
    return Bad(name, signature, problem, f"{error.reason}:{error.size}:{error.mtime_ns}")
