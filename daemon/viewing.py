"""Media are looked at before they are saved: pictures in a thread, clips in a process of their own.

A clip is never loaded here: its head tells that it is one, and the process reads the blob itself.
Where nothing that decodes clips is installed, a clip is saved by what it says of itself, and is
not called verified. One that does not even say enough ends its job, but stays: it lies as a blob
until the job succeeds, and the message says where.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from daemon.blobs import BlobStore
from daemon.errors import FRESH_ON_RETRY
from daemon.exchange import Workbench
from daemon.gallery import Described, Gallery, Origin
from handlers.contract import ClipDescription, HandlerError, Held, Medium

_HEAD = 64
"""Bytes that tell a clip."""


@dataclass(frozen=True, slots=True)
class ClipSense:
    """What is known of clips where media are known."""

    is_clip: Callable[[bytes], bool]
    """By how it begins."""
    decoded: Callable[[bytes | Path], Awaitable[tuple[ClipDescription, bytes]]]
    """What one is, and its poster; `daemon.probing.Prober.probe`."""
    told: Callable[[Held], ClipDescription]
    """What one says of itself, where nothing that decodes clips is installed."""
    max_bytes: int


class Viewed(NamedTuple):
    """A medium that was looked at, and the picture that stands for it, if it is a clip."""

    described: Described
    poster: bytes | None = None


class Viewer:
    """Looks at media.

    Args:
        gallery: which describes pictures.
        blobs: where media lie that a provider answered with.
        workbench: threads to do so in.
        clips: what there is to look at clips with.
    """

    def __init__(
        self, gallery: Gallery, blobs: BlobStore, workbench: Workbench, clips: ClipSense
    ) -> None:
        self._gallery = gallery
        self._blobs = blobs
        self._workbench = workbench
        self._clips = clips

    async def view(self, medium: Medium, origin: Origin | None = None) -> Viewed:
        """Look at a medium: what it is, and what of it is to be saved.

        Args:
            medium: with its bytes, or the digest under which they lie.
            origin: what the file is to tell of how it came to be, if anything.

        Raises:
            HandlerError: `unreadable_media`, `too_large`; `not_supported` where it is a clip that
                nothing here can read.
        """
        if await self._workbench.run(lambda: self._clips.is_clip(self.head(medium))):
            return await self._view_clip(medium)
        describe = partial(self._gallery.describe, medium, origin)
        return Viewed(await self._workbench.run(describe))

    async def _view_clip(self, medium: Medium) -> Viewed:
        digest, size = await self._workbench.run(lambda: self._facts(medium))
        try:
            description, poster, verified = await self._described(medium, size)
        except HandlerError as error:
            raise self._with_whereabouts(error, medium) from None
        return Viewed(Described(description, digest, size, verified=verified), poster)

    async def _described(
        self, medium: Medium, size: int
    ) -> tuple[ClipDescription, bytes | None, bool]:
        """What a clip is, its poster, and whether it was decoded."""
        if size > self._clips.max_bytes:
            raise HandlerError("too_large", f"{size} bytes are more than {self._clips.max_bytes}")
        try:
            where = medium.data if medium.data is not None else self._path(medium)
            return *await self._clips.decoded(where), True
        except HandlerError as error:
            if error.code != "not_supported":
                raise
        return await self._workbench.run(lambda: self._told(medium)), None, False

    def _with_whereabouts(self, error: HandlerError, medium: Medium) -> HandlerError:
        """A failure that says where the clip lies, which may have been paid for."""
        hints = [*error.hints]
        if error.code == "too_large":
            hints.append(
                "docs/videos.md says which settings limit clips; raise one, and use retry."
            )
        if medium.sha256 is not None:
            place = "/".join(self._path(medium).parts[-3:])
            hints.append(f"What came lies in {place} until the job succeeds.")
            if error.code not in FRESH_ON_RETRY:
                hints.append("A retry looks at it again, and asks nobody for another one.")
        return HandlerError(error.code, error.message, hints=hints, retryable=error.retryable)

    # ------------------------------------------------------------ where it lies

    def _path(self, medium: Medium) -> Path:
        return self._blobs.path(medium.sha256 or "")

    def _told(self, medium: Medium) -> ClipDescription:
        with self._blobs.held(medium) as held:
            return self._clips.told(held)

    def head(self, medium: Medium) -> bytes:
        """The first bytes of a medium, as many as tell what it is. Reads the disk."""
        with self._blobs.held(medium) as held:
            return held[:_HEAD]

    def _facts(self, medium: Medium) -> tuple[str, int]:
        """Digest and size."""
        if medium.data is not None:
            return hashlib.sha256(medium.data).hexdigest(), len(medium.data)
        return medium.sha256 or "", self._path(medium).stat().st_size
