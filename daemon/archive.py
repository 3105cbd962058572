"""What a state keeps elsewhere: what is asked of the archive, and what it is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from daemon.batch import Batch
from daemon.jobs import Job
from handlers.contract import Json


class Drop(NamedTuple):
    """One version of the bytes that were dropped under a name, and what answers it."""

    key: str
    """Which drop: the digest of its content, or why it could not be read."""
    request_sha256: str | None
    job: str | None
    """None where it was rejected."""
    event: int
    """The sequence of the event that took it in."""


class Archive(Protocol):
    """Where a state keeps what is not at hand, as of some event of the log."""

    def job(self, job_id: str) -> Job | None:
        """A job, or None."""
        ...

    def drops(self, name: str) -> dict[str, Drop] | None:
        """The drops of a name by key, the newest last, or None."""
        ...

    def drops_of(self, names: Iterable[str]) -> dict[str, dict[str, Drop]]:
        """The same, of many names at once; those that are not known are left out."""
        ...

    def sender_id(self, wanted: str) -> tuple[str, str] | None:
        """A sender's id: the digest of the body, and the job; or None."""
        ...

    def is_request_blob(self, digest: str) -> bool:
        """Whether some request is made of the blob with this SHA-256."""
        ...

    def batch(self, job_id: str) -> Batch | None:
        """A batch, or None."""
        ...

    def items(self, batch: str) -> list[Job]:
        """The items of a batch, in no order."""
        ...

    def item(self, batch: str, wanted: int | str) -> str | None:
        """The job of an item, by its number or its id; or None."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What became different since the changes were last taken, as of the event `sequence`."""

    sequence: int
    jobs: tuple[Job, ...]
    drops: Mapping[str, tuple[Drop, ...]]
    owed: Mapping[str, int | None]
    """None where nothing is owed any more."""
    ids: Mapping[str, tuple[str, str]]
    request_blobs: frozenset[str]
    held: Mapping[str, int]
    """All of them, whether they changed or not: there are few."""
    counts: Mapping[str, int]
    paused: bool
    accounts: Mapping[str, Json]
    hour: tuple[str, int]
    fetched: tuple[str, ...]
    """Names that were only read from the archive."""
    batches: tuple[Batch, ...] = ()


@dataclass(slots=True)
class Touched:
    """What changed since the changes were last taken."""

    jobs: dict[str, None] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    owed: dict[str, None] = field(default_factory=dict)
    ids: dict[str, None] = field(default_factory=dict)
    blobs: set[str] = field(default_factory=set)
    fetched: list[str] = field(default_factory=list)
    """Names that were only read."""
    batches: dict[str, None] = field(default_factory=dict)


class Nothing:
    """The archive of a state that has everything at hand."""

    def job(self, _: str) -> None:
        return None

    def drops(self, _: str) -> None:
        return None

    def drops_of(self, _: Iterable[str]) -> dict[str, dict[str, Drop]]:
        return {}

    def sender_id(self, _: str) -> None:
        return None

    def is_request_blob(self, _: str) -> bool:
        return False

    def batch(self, _: str) -> None:
        return None

    def items(self, _: str) -> list[Job]:
        return []

    def item(self, _: str, __: int | str) -> None:
        return None


class Items:
    """The items of batches that are at hand, by their numbers and their ids."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[int | str, str]] = {}

    def put(self, job: Job) -> None:
        """Have an item at hand; nothing, where the job is none."""
        if job.batch is None:
            return
        items = self._jobs.setdefault(job.batch, {})
        items[job.item] = job.id
        if job.item_id is not None:
            items[job.item_id] = job.id

    def drop(self, job: Job) -> None:
        """Let go of an item."""
        items = self._jobs.get(job.batch) if job.batch is not None else None
        if items is None or job.batch is None:
            return
        items.pop(job.item, None)
        if job.item_id is not None:
            items.pop(job.item_id, None)
        if not items:
            del self._jobs[job.batch]

    def find(self, batch: str, wanted: int | str) -> str | None:
        """The job of an item, by its number or its id."""
        return self._jobs.get(batch, {}).get(wanted)

    def of(self, batch: str) -> set[str]:
        """The jobs of a batch's items."""
        return set(self._jobs.get(batch, {}).values())
