"""What requests name as inputs: files under allowed roots, addresses, artifacts of other requests.

A path is opened component by component beneath a root that the configuration allows, follows no
link, and is judged on what was opened; an address goes through the guarded client. Nobody looks
into the bytes here: that is the handlers' business, who send nothing on that they did not decode.
"""

from __future__ import annotations

import asyncio
import errno
import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from daemon.blame import broken, elsewhere, shown
from daemon.blobs import BlobStore
from daemon.errors import LogError, error_of
from daemon.events import JobEnded, Recorded
from daemon.files import Unreadable, folder_beneath, name_to_text, parts_at, text_to_name
from daemon.jobs import Job
from daemon.net import Network
from daemon.references import is_elsewhere, resolve
from daemon.settings import Settings
from daemon.staging import SMALL, Staged
from daemon.state import State
from handlers.contract import Earlier, ErrorCode, HandlerError, Input

LONGEST_SHOWN = 200
"""Characters of a source that events and messages repeat."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")

Get = Callable[[int], Recorded]


class Found(NamedTuple):
    """An input, as it was found."""

    data: bytes | None
    """None where they lie in a file."""
    source: str
    """Where, as events tell it."""
    media_type: str | None = None
    """What its sender calls it. A hint: the bytes decide."""
    warnings: tuple[str, ...] = ()
    staged: Staged | None = None
    """Their file, finished; it belongs to whoever gets this."""


class Inputs:
    """Finds inputs.

    Args:
        settings: the allowed roots, and the largest file.
        state: knows the other requests.
        get: an event of the log, by its sequence.
        blobs: an artifact is a second name of one for a while.
        network: fetches addresses.
    """

    def __init__(
        self, settings: Settings, state: State, get: Get, blobs: BlobStore, network: Network
    ) -> None:
        self._settings = settings
        self._state = state
        self._get = get
        self._blobs = blobs
        self._network = network

    async def find(self, source: Input, job: Job, timeout: float, *, text: bool = False) -> Found:
        """The bytes of an input.

        Args:
            source: as the request names it.
            job: whose request it is: other requests are looked for in its folder.
            timeout: seconds that fetching an address may take.
            text: whether an address may answer with a text.

        Raises:
            HandlerError: `file_not_found`, `forbidden_path`, `forbidden_address`, `too_large`,
                `download_failed`, `dependency_failed`, or `unreadable_media` where it is being
                written.
            OSError: it could not be written.
        """
        if isinstance(source, Earlier):
            path, digest = self._artifact(source, job)
            staged = await asyncio.to_thread(self._read, path)
            changed = staged.sha256 != digest
            warning = f"{path} is not what {source.request} saved there: it was changed since"
            return _found(staged, path, (warning,) if changed else ())
        if _ADDRESS.match(source):
            return await self._fetch(source, timeout, text=text)
        return _found(await asyncio.to_thread(self._read, source), _shown(source))

    async def _fetch(self, url: str, timeout: float, *, text: bool) -> Found:
        if not url.lower().startswith(("http://", "https://")):
            raise _refused(url, "only http and https addresses are fetched")
        fetched = await self._network.fetch(None, url, timeout, text=text)
        shown = fetched.url[:LONGEST_SHOWN]
        return Found(fetched.data, shown, fetched.media_type, staged=fetched.staged)

    # ------------------------------------------------------------ files

    def _read(self, path: str) -> Staged:
        """The bytes of a file under an allowed root."""
        staged = Staged(self._settings.private / "staging")
        try:
            self._copy(path, staged)
        except BaseException:
            staged.close()
            raise
        return staged

    def _copy(self, path: str, staged: Staged) -> None:
        base, parts = self._place(path)
        limit = self._settings.max_media_bytes
        try:
            with folder_beneath(base, parts[:-1]) as folder:
                status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                staged.take_all(parts_at(folder, parts[-1], status, limit, SMALL))
        except FileNotFoundError:
            raise _refused(path, "there is no such file", "file_not_found") from None
        except Unreadable as error:
            code: ErrorCode = "too_large" if error.oversize else "forbidden_path"
            raise _refused(path, f"it is {error.reason}", code) from None
        except BlockingIOError:
            raise HandlerError(
                "unreadable_media",
                f"{_shown(path)} was changed while it was read",
                hints=["Write it aside and rename it into its place."],
                retryable=True,
            ) from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            why = "a link or a file is on the way, or a folder is not open to darkroom"
            raise _refused(path, f"{why} ({os.strerror(error.errno or 0).lower()})") from None
        if status.st_nlink > 1 and not self._is_ours(staged.sha256, status):
            raise _refused(path, "it has a second name elsewhere (a hard link)")

    def _place(self, path: str) -> tuple[Path, tuple[str, ...]]:
        """The allowed root that a path lies under, and the way down from there."""
        if "\0" in path or ".." in path.split("/"):
            raise _refused(path, 'it holds ".." or a zero byte')
        wanted = posixpath.normpath(posixpath.join(self._settings.root, text_to_name(path)))
        for root in self._settings.readable:
            if wanted.startswith(f"{root}/"):
                return root, tuple(wanted[len(str(root)) + 1 :].split("/"))
        raise _refused(path, "it lies outside of the folders that may be read")

    def _is_ours(self, digest: str, status: os.stat_result) -> bool:
        """Whether a file with two names is an artifact whose other name is its blob."""
        try:
            blob = os.lstat(self._blobs.path(digest))
        except OSError:
            return False
        same = (blob.st_dev, blob.st_ino) == (status.st_dev, status.st_ino)
        return same and status.st_nlink <= 2

    # ------------------------------------------------------------ other requests

    def _artifact(self, wanted: Earlier, job: Job) -> tuple[str, str]:
        """The path of another request's artifact, and the digest it had."""
        other = self._other(wanted, job)
        try:
            ending = self._get(other.last).event
        except KeyError as error:
            raise LogError(f"event {other.last} ends job {other.id} and is not there") from error
        artifacts = ending.artifacts if isinstance(ending, JobEnded) else ()
        found = [one for one in artifacts if one["role"] == wanted.role]
        if wanted.artifact >= len(found):
            raise _missing(
                f"{wanted.request} has {len(found)} artifacts of the role {wanted.role}, so none "
                f"of the number {wanted.artifact}",
                "Numbers count from 0, among the artifacts of one role.",
            )
        return found[wanted.artifact]["path"], found[wanted.artifact]["sha256"]

    def _other(self, wanted: Earlier, job: Job) -> Job:
        """The job that answers another request of the same folder, once it succeeded: which was
        waited for, but may run again by now."""
        target = resolve(self._state, job, wanted.request)
        if target.job is None and is_elsewhere(wanted.request) and job.batch is None:
            raise error_of(elsewhere(job, wanted.request).to_json())
        if target.job is None and not target.rejected:
            raise _missing(f"there is no request {shown(target.name)}", _AFTERWARDS)
        if target.job is not None and not target.job.ended:
            raise _missing(f"{shown(target.name)} has no result yet", _AFTERWARDS)
        if target.job is None or target.job.status != "succeeded":
            raise error_of(broken(job, target, self._get).to_json())
        return target.job


_AFTERWARDS = "Use retry once that one has succeeded."


def _found(staged: Staged, source: str, warnings: tuple[str, ...] = ()) -> Found:
    """What was read of a file of this machine."""
    file = None if staged.in_memory else staged
    return Found(staged.data, source, warnings=warnings, staged=file)


def _missing(message: str, hint: str) -> HandlerError:
    return HandlerError("dependency_failed", message, hints=[hint], retryable=False)


def _refused(path: str, why: str, code: ErrorCode = "forbidden_path") -> HandlerError:
    hints = {
        "file_not_found": ["A path is relative to the root, as inbox/photo.png."],
        "forbidden_path": [
            "Put it under inbox/, or allow its folder with $DARKROOM_INPUT_ROOTS.",
        ],
    }
    return HandlerError(code, f"{_shown(path)} cannot be read: {why}", hints=hints.get(code, ()))


def _shown(text: str) -> str:
    """A source as messages repeat it."""
    plain = name_to_text(text_to_name(text))
    return plain if len(plain) <= LONGEST_SHOWN else plain[: LONGEST_SHOWN - 1] + "…"
