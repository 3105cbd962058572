"""Bytes too big for a line of the log: `events/blobs/<sha256>`, durable before their event.

Named by content, so writing the same bytes twice is writing them once. A blob may belong to
several jobs; it goes when no job needs it, and one that is being written for a job counts as
needed before any event says so.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from daemon.files import publish, sync_folder, write_durable
from daemon.staging import Staged, mapped
from handlers.contract import Held, Medium

_NAME = re.compile(r"^[0-9a-f]{64}$")


class BlobStore:
    """The blobs of one root; its methods read and write the disk, and any thread may call them.

    Args:
        folder: `events/blobs/`; must exist.
        staging: where unfinished files lie, on the same filesystem.
        is_needed: whether the state still names a blob.
    """

    def __init__(self, folder: Path, staging: Path, is_needed: Callable[[str], bool]) -> None:
        self._folder = folder
        self._is_needed = is_needed
        self._staging = staging
        self._leases: Counter[str] = Counter()
        self._lock = Lock()

    def path(self, digest: str) -> Path:
        """Where the blob with this SHA-256 lies."""
        return self._folder / digest

    def put(self, data: bytes) -> str:
        """Make some bytes durable and lease them; `release` ends the lease.

        Returns:
            Their SHA-256.

        Raises:
            OSError: they could not be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        with self._leased(digest):
            if not self.path(digest).exists():
                self._write(digest, data)
        return digest

    def adopt(self, staged: Staged) -> str:
        """Make a finished file a blob, without reading it, and lease it, as `put` does. What has
        to be done again, because it failed, can be.

        Returns:
            Its SHA-256.

        Raises:
            OSError: it could not be put in its place.
        """
        digest = staged.sha256
        with self._leased(digest):
            if not self.path(digest).exists():
                publish(staged.path, self._folder, (digest,))
        return digest

    @contextmanager
    def _leased(self, digest: str) -> Iterator[None]:
        """Lease a blob that is made durable in the block, unless that fails."""
        with self._lock:
            self._leases[digest] += 1
        try:
            yield
            # Also where it was there: another thread may not have come to this yet.
            sync_folder(self._folder)
        except OSError:
            self.release(digest)
            raise

    def _write(self, digest: str, data: bytes) -> None:
        # Two threads may write the same bytes at once: each has its own staged file.
        staged = self._staging / f"{digest}-{os.urandom(4).hex()}"
        write_durable(staged, data)
        publish(staged, self._folder, (digest,))

    def get(self, digest: str) -> bytes:
        """The bytes of a blob.

        Raises:
            FileNotFoundError: it is not there.
        """
        return self.path(digest).read_bytes()

    @contextmanager
    def held(self, medium: Medium) -> Iterator[Held]:
        """The bytes of a medium, of which nothing is read from the disk but what is looked at.

        Args:
            medium: with its bytes, or the digest under which they lie.

        Raises:
            FileNotFoundError: it is not there.
        """
        if medium.data is not None:
            yield medium.data
            return
        with self.path(medium.sha256 or "").open("rb") as file, mapped(file.fileno()) as held:
            yield held

    def release(self, digest: str) -> None:
        """End a lease: an event names the blob now, or may do so on the disk. Where none ever
        will, `drop` it afterwards."""
        with self._lock:
            self._leases[digest] -= 1
            if self._leases[digest] <= 0:
                del self._leases[digest]

    def drop(self, digests: Collection[str]) -> None:
        """Remove blobs, but for those that are needed or leased."""
        for digest in digests:
            with self._lock:
                if not self._leases.get(digest) and not self._is_needed(digest):
                    self.path(digest).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove every blob that no event needs: what a crash left before its event was written."""
        self.drop([entry.name for entry in os.scandir(self._folder) if _NAME.match(entry.name)])
