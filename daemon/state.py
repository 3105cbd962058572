"""The state: a fold over the log and nothing else. And `decide`: what may happen next.

Both are pure. `evolve` takes one job from one event to the next; `State.apply` does so for all of
them, in place, because copying a hundred thousand jobs for each event is not to be paid for.

A job points into the log instead of copying it: the request is the event `first`, its recorded
steps are the events `journal`, its answer is the event `last`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from daemon.events import (
    ArtifactSaved,
    Event,
    IntakePaused,
    IntakeResumed,
    JobAccepted,
    JobCancelled,
    JobCancelRequested,
    JobEnded,
    JobFailed,
    JobRetrying,
    JobRetryRequested,
    JobStarted,
    JobSucceeded,
    ProviderAnswered,
    ProviderRequested,
    Recorded,
    RequestMatched,
    RequestRejected,
    ResultEmitted,
)
from handlers.contract import Json

Status = Literal["waiting", "running", "retrying", "succeeded", "failed", "cancelled"]

ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})
_ENDS: Mapping[type[Event], Status] = {
    JobSucceeded: "succeeded",
    JobFailed: "failed",
    JobCancelled: "cancelled",
}


@dataclass(frozen=True, slots=True)
class Job:
    """Where one job stands. Sequences point into the log."""

    id: str
    name: str
    """The request's name, relative to the inbox."""
    task: str
    provider: str
    status: Status
    version: int
    """How many events its stream has."""
    first: int
    """The sequence of its `job.accepted`."""
    accepted_at: str
    last: int = 0
    """The sequence of the event that ended it, or 0."""
    attempt: int = 1
    runs: int = 0
    """How often it was started in this attempt, crashes counted."""
    due: str | None = None
    """When the next attempt may begin (RFC 3339); None for at once."""
    journal: tuple[int, ...] = ()
    """The sequences of its recorded steps."""
    number: int = 0
    """The highest number of an artifact that it ever saved."""
    number_before: int = 0
    """The same, before its last fresh start: no file up to that may be replaced."""
    retried: int = 0
    """The sequence of the last `job.retry_requested`, or 0."""
    retry_key: str | None = None
    """Which control file asked for the last retry."""
    cancelling: bool = False
    error: str | None = None
    """The code of the latest error."""
    labels: Mapping[str, Json] = field(default_factory=dict)
    hold: tuple[str, ...] = ()
    """SHA-256 of the media blobs that it may still need."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED


@dataclass(frozen=True, slots=True)
class Drop:
    """One version of the bytes that were dropped under a name, and what answers it."""

    key: str
    """Which drop: the digest of its content, or why it could not be read."""
    request_sha256: str | None
    job: str | None
    """None where it was rejected."""
    event: int
    """The sequence of the event that took it in."""


@dataclass(slots=True)
class State:
    """Everything known, folded from the log."""

    jobs: dict[str, Job] = field(default_factory=dict)
    drops: dict[str, dict[str, Drop]] = field(default_factory=dict)
    """By name and key, the newest last. Changed in place: a name may be used for years."""
    ids: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The senders' ids: id -> (digest of the body, job)."""
    open_jobs: dict[str, None] = field(default_factory=dict)
    """Jobs that have not ended, in the order of their acceptance."""
    owed: dict[str, int] = field(default_factory=dict)
    """Names whose newest answer has not been put in place: name -> the sequence it tells of."""
    matched: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Job -> names other than its own that it answers as well."""
    held: Counter[str] = field(default_factory=Counter)
    """SHA-256 of a media blob -> how many jobs may still need it."""
    request_blobs: set[str] = field(default_factory=set)
    """SHA-256 of the blobs that requests are made of; kept for as long as the log."""
    paused: bool = False
    sequence: int = 0

    def apply(self, recorded: Recorded) -> None:
        """Take in the next event of the log."""
        self.sequence = recorded.sequence
        event = recorded.event
        if recorded.job is not None and event is not None:
            self._apply_to_job(recorded.job, recorded, event)
        match event:
            case RequestMatched():
                self._match(recorded, event)
            case RequestRejected():
                self._drop(recorded, Drop(event.key, event.request_sha256, None, self.sequence))
                self.owed[recorded.subject or ""] = self.sequence
            case ResultEmitted():
                if self.owed.get(recorded.subject or "") == event.answers:
                    del self.owed[recorded.subject or ""]
            case IntakePaused():
                self.paused = True
            case IntakeResumed():
                self.paused = False

    def _apply_to_job(self, job_id: str, recorded: Recorded, event: Event) -> None:
        before = self.jobs.get(job_id)
        job = evolve(before, recorded)
        if job is None:
            return
        self.jobs[job_id] = job
        if job.hold != (before.hold if before is not None else ()):
            self._hold(before, job)
        match event:
            case JobAccepted():
                self._accept(job, recorded, event)
            case JobRetryRequested():
                self.open_jobs[job_id] = None
                for name in self.names_of(job):
                    self.owed.pop(name, None)
            case JobEnded():
                self.open_jobs.pop(job_id, None)
                for name in self.names_of(job):
                    self.owed[name] = self.sequence

    def _accept(self, job: Job, recorded: Recorded, event: JobAccepted) -> None:
        self.open_jobs[job.id] = None
        self.request_blobs.update(event.blobs.values())
        if event.request_id is not None and event.body_sha256 is not None:
            self.ids[event.request_id] = (event.body_sha256, job.id)
        drop = Drop(event.content_sha256, event.request_sha256, job.id, self.sequence)
        self._drop(recorded, drop)

    def _match(self, recorded: Recorded, event: RequestMatched) -> None:
        name, job = recorded.subject or "", self.jobs.get(event.answered_by)
        if job is None:
            return
        self._drop(recorded, Drop(event.key, event.request_sha256, job.id, self.sequence))
        if name != job.name and name not in self.matched.get(job.id, ()):
            self.matched[job.id] = (*self.matched.get(job.id, ()), name)
        if job.ended:
            self.owed[name] = job.last

    def _hold(self, before: Job | None, after: Job) -> None:
        self.held.update(after.hold)
        self.held.subtract(before.hold if before is not None else ())
        for digest in before.hold if before is not None else ():
            if self.held[digest] <= 0:
                del self.held[digest]

    def _drop(self, recorded: Recorded, drop: Drop) -> None:
        name = recorded.subject or ""
        drops = self.drops.setdefault(name, {})
        drops.pop(drop.key, None)
        drops[drop.key] = drop
        self.owed.pop(name, None)

    def needs(self, digest: str) -> bool:
        """Whether a job or a request may still need the blob with this SHA-256."""
        return digest in self.held or digest in self.request_blobs

    def newest(self, name: str) -> Drop | None:
        """The newest drop under a name."""
        drops = self.drops.get(name)
        return next(reversed(drops.values())) if drops else None

    def known(self, name: str, key: str) -> Drop | None:
        """The drop of a name with this key, newest or not."""
        return self.drops.get(name, {}).get(key)

    def names_of(self, job: Job) -> list[str]:
        """The names whose newest drop this job answers."""
        names = [job.name, *self.matched.get(job.id, ())]
        return [
            name
            for name in names
            if (newest := self.newest(name)) is not None and newest.job == job.id
        ]


def fold(events: Iterable[Recorded]) -> State:
    """The state after these events."""
    state = State()
    for recorded in events:
        state.apply(recorded)
    return state


def evolve(job: Job | None, recorded: Recorded) -> Job | None:
    """A job after one more event of its stream.

    Total: an event that fits nowhere (of a job that was never accepted) changes nothing.
    """
    event = recorded.event
    if job is None:
        return _accepted(recorded, event) if isinstance(event, JobAccepted) else None
    change: Mapping[str, object] = {}
    match event:
        case JobStarted():
            change = {"status": "running", "attempt": event.attempt, "runs": event.run, "due": None}
        case JobRetrying():
            change = {
                "status": "retrying",
                "attempt": event.attempt + 1,
                "runs": 0,
                "due": event.due,
                "error": event.error["code"],
            }
        case JobCancelRequested():
            change = {"cancelling": True}
        case JobRetryRequested():
            change = _again(job, recorded.sequence, event)
        case JobEnded():
            change = _ended(recorded.sequence, event)
        case ProviderRequested():
            change = {"journal": (*job.journal, recorded.sequence)}
        case ArtifactSaved():
            change = {
                "journal": (*job.journal, recorded.sequence),
                "number": max(job.number, event.number),
            }
        case ProviderAnswered():
            media = tuple(medium["sha256"] for medium in event.media)
            change = {"journal": (*job.journal, recorded.sequence), "hold": (*job.hold, *media)}
    return replace(job, version=job.version + 1, **change)  # type: ignore[arg-type]


def _accepted(recorded: Recorded, event: JobAccepted) -> Job:
    return Job(
        id=recorded.job or "",
        name=recorded.subject or "",
        task=event.task,
        provider=event.provider,
        status="waiting",
        version=1,
        first=recorded.sequence,
        accepted_at=recorded.time,
        labels=event.labels,
    )


def _again(job: Job, sequence: int, event: JobRetryRequested) -> dict[str, object]:
    change: dict[str, object] = {
        "status": "waiting",
        "attempt": 1,
        "runs": 0,
        "due": None,
        "retried": sequence,
        "retry_key": event.key,
        "cancelling": False,
        "error": None,
        "last": 0,
    }
    fresh = {"journal": (), "hold": (), "number_before": job.number}
    return {**change, **fresh} if event.fresh else change


def _ended(sequence: int, event: JobEnded) -> dict[str, object]:
    change: dict[str, object] = {
        "status": _ENDS.get(type(event), "failed"),
        "last": sequence,
        "error": event.error["code"] if event.error is not None else None,
        "due": None,
    }
    return {**change, "hold": ()} if isinstance(event, JobSucceeded) else change
