"""One batch: what its items are made of, and how many of them stand where. Pure.

A batch is a job whose items are jobs of their own. It points into the log: the lines of a queue
stand in the events `chunks`, or in the blobs that those name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from daemon.events import BatchOpened, QueueExtended
from daemon.jobs import ENDED, Job

_NONE: Mapping[str, int] = {}


class Chunk(NamedTuple):
    """Lines of a queue that were read together."""

    event: int
    """The sequence of the event that holds them."""
    lines: int


class Batch(NamedTuple):
    """What is known of a batch, besides its job."""

    id: str
    """Its job's."""
    total: int
    """Items it has, as far as is known."""
    admitted: int = 0
    """Of these, how many are jobs by now."""
    standing: Mapping[str, int] = _NONE
    """How many of those stand where, by status."""
    manifest: str | None = None
    """SHA-256 of the blob with its manifest."""
    variables: str | None = None
    """The same, of its file of shared variables."""
    manifest_name: str | None = None
    bad: tuple[int, str] | None = None
    """The item that was last found to have failed or to be none, and the code of its error."""
    chunks: tuple[Chunk, ...] = ()
    """Of a queue only, as is all that follows."""
    size: int = 0
    """Bytes of its file that were read, up to the last whole line,"""
    prefix: str = ""
    """and their SHA-256."""
    in_file: int = 0
    """Lines in them,"""
    known: int = 0
    """and of those how many had been taken before the file was read last."""
    end: bool = False
    """Whether the file says that nothing comes any more,"""
    expected: int | None = None
    """and how many lines it should have."""
    rest: bool = False
    """Whether its last line has no end and is none yet."""

    @property
    def is_queue(self) -> bool:
        return bool(self.prefix)

    @property
    def open(self) -> int:
        """How many of its items have not ended."""
        return sum(number for status, number in self.standing.items() if status not in ENDED)

    @property
    def is_done(self) -> bool:
        """Whether all of its items were admitted and have ended."""
        return self.admitted >= self.total and not self.open

    def ended(self, *statuses: str) -> int:
        """How many of its items stand like this."""
        return sum(self.standing.get(status, 0) for status in statuses)


def opened(job_id: str, event: BatchOpened) -> Batch:
    """A batch whose items are known."""
    return Batch(
        job_id,
        event.count,
        manifest=event.manifest,
        variables=event.variables,
        manifest_name=event.name,
    )


def extended(batch: Batch | None, job_id: str, sequence: int, event: QueueExtended) -> Batch:
    """A queue after its file was read once more."""
    batch = batch or Batch(job_id, 0)
    new = (Chunk(sequence, event.lines),) if event.lines else ()
    return batch._replace(
        total=batch.total + event.lines,
        chunks=batch.chunks + new,
        size=event.size,
        prefix=event.prefix,
        in_file=event.in_file,
        known=event.known,
        end=event.end,
        expected=event.expected,
        rest=event.rest,
    )


def moved(batch: Batch, before: str | None, item: Job) -> Batch:
    """A batch one of whose items stands elsewhere than before; None: it was just admitted."""
    standing = {**batch.standing, item.status: batch.standing.get(item.status, 0) + 1}
    if item.status in ("failed", "rejected"):
        batch = batch._replace(bad=(item.item, item.error or ""))
    if before is None:
        return batch._replace(standing=standing, admitted=batch.admitted + 1)
    standing[before] = standing.get(before, 0) - 1
    return batch._replace(standing=standing)
