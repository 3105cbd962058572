"""One job: where it stands, and how each event of its stream takes it on. Pure.

A job points into the log instead of copying it: the request is the event `first`, its recorded
steps are the events `journal`, its answer is the event `last`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from daemon.errors import RESUMES
from daemon.events import (
    ArtifactSaved,
    BatchEnded,
    BatchOpened,
    Event,
    InputRead,
    ItemRejected,
    JobAccepted,
    JobCancelled,
    JobCancelRequested,
    JobEnded,
    JobFailed,
    JobHeld,
    JobParked,
    JobRetrying,
    JobRetryRequested,
    JobStarted,
    JobSucceeded,
    ProviderAccepted,
    ProviderAnswered,
    ProviderProgressed,
    ProviderRequested,
    QueueExtended,
    Recorded,
)
from handlers.contract import Json

Status = Literal[
    "waiting",
    "running",
    "polling",
    "retrying",
    "succeeded",
    "partial",
    "failed",
    "cancelled",
    "rejected",
]

ENDED: frozenset[Status] = frozenset({"succeeded", "partial", "failed", "cancelled", "rejected"})
BATCH = "generate_batch_media"
"""The task of a job whose items are jobs of their own."""
QUEUE = ".jsonl"
"""How the name of a queue ends."""

_ENDS: Mapping[type[Event], Status] = {
    JobSucceeded: "succeeded",
    JobFailed: "failed",
    JobCancelled: "cancelled",
}
_NO_LABELS: Mapping[str, Json] = {}
_NO_POLLS: Mapping[str, int] = {}


class Job(NamedTuple):
    """Where one job stands. Sequences point into the log."""

    id: str
    name: str
    """The request's name, relative to the inbox."""
    task: str
    provider: str
    """Who is asked in this attempt; empty where that could not be chosen yet."""
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
    """How often it was started in this attempt, crashes counted; a run that ended in good order, as
    the call was taken, is not."""
    due: str | None = None
    """When the next attempt, or the first, may begin, or a provider is asked for what it took
    (RFC 3339); None for at once."""
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
    labels: Mapping[str, Json] = _NO_LABELS
    hold: tuple[str, ...] = ()
    """SHA-256 of the media blobs that it may still need."""
    priority: int = 0
    deadline: str | None = None
    """When it must have ended (RFC 3339); None for whenever."""
    matched: tuple[str, ...] = ()
    """Names other than its own that it answers as well; no event of its own stream says so."""
    released: int = 0
    """The sequence of the last `job.retrying`, or 0: failures from before it bind nobody."""
    inputs: tuple[str, ...] = ()
    """Those of `hold` that it read: they can be read again, unless it goes on with a call."""
    progressed: int = 0
    """The sequence of its last `provider.progressed`, or 0."""
    polls: Mapping[str, int] = _NO_POLLS
    """By step, how often a call that was taken was asked for, as far as the log tells."""
    batch: str | None = None
    """The job of the batch that it is an item of."""
    item: int = 0
    """Its number there, from 1."""
    item_id: str | None = None
    """What other items of that batch call it."""
    after: tuple[str, ...] = ()
    """What must succeed before it starts, as its request names it."""
    asked_at: str = ""
    """When somebody asked for it last: by dropping it, or for a retry (RFC 3339)."""

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def is_batch(self) -> bool:
        """Whether its items are jobs of their own, and it does nothing itself."""
        return self.task == BATCH

    @property
    def is_queue(self) -> bool:
        """Whether it is a batch whose items are the lines of a file that may grow."""
        return self.is_batch and self.name.endswith(QUEUE)


def item_name(batch: str, number: int) -> str:
    """What an item is called: the name of its batch, and its number there."""
    return f"{batch}#{number}"


def parent_of(name: str) -> tuple[str, int]:
    """The batch and the number that the name of an item says; 0 where it is no item's."""
    batch, _, number = name.rpartition("#")
    if not batch.endswith((".json", ".jsonl")) or not (number.isascii() and number.isdigit()):
        return name, 0
    return batch, int(number[:18])


def account_of(job: Job) -> str | None:
    """The batch to whose account the job's calls go, if it is of one."""
    return job.batch


def evolve(job: Job | None, recorded: Recorded) -> Job | None:
    """A job after one more event of its stream.

    Total: an event that fits nowhere (of a job that was never accepted) changes nothing.
    """
    event = recorded.event
    if job is None:
        begin = _BEGINNINGS.get(type(event)) if event is not None else None
        return begin(recorded, event) if begin is not None else None
    change = _CHANGES.get(type(event)) if event is not None else None
    changed = change(job, recorded.sequence, event) if change is not None else {}
    if type(event) is JobRetryRequested:
        changed["asked_at"] = recorded.time
    return job._replace(version=job.version + 1, **changed)


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
        due=event.not_before,
        labels=event.labels or _NO_LABELS,
        priority=event.priority,
        deadline=event.deadline,
        batch=event.batch,
        item=event.item,
        item_id=event.item_id,
        after=tuple(event.after),
        asked_at=recorded.time,
    )


def _rejected(recorded: Recorded, event: ItemRejected) -> Job:
    return Job(
        id=recorded.job or "",
        name=recorded.subject or "",
        task=event.task or "",
        provider="",
        status="rejected",
        version=1,
        first=recorded.sequence,
        accepted_at=recorded.time,
        asked_at=recorded.time,
        last=recorded.sequence,
        error=event.error["code"],
        labels=event.labels or _NO_LABELS,
        batch=event.batch,
        item=event.item,
        item_id=event.item_id,
    )


_BEGINNINGS: Mapping[type[Event], Callable[[Recorded, Any], Job]] = {
    JobAccepted: _accepted,
    ItemRejected: _rejected,
}


_Change = dict[str, Any]


def _started(_: Job, __: int, event: JobStarted) -> _Change:
    return {"status": "running", "attempt": event.attempt, "runs": event.run, "due": None}


def _parked(job: Job, _: int, event: JobParked) -> _Change:
    return {"status": "polling", "runs": max(0, job.runs - 1), "due": event.due}


def _held(job: Job, _: int, __: JobHeld) -> _Change:
    return {"status": "waiting", "runs": max(0, job.runs - 1), "due": None}


def _retrying(job: Job, sequence: int, event: JobRetrying) -> _Change:
    change: _Change = {
        "status": "retrying",
        "attempt": event.attempt + event.counts,
        "runs": 0,
        "due": event.due,
        "error": event.error["code"],
        "released": sequence,
    }
    if event.next_provider is None:
        return change
    return {**change, "provider": event.next_provider, "journal": (*job.journal, sequence)}


def _opened(_: Job, __: int, ___: BatchOpened) -> _Change:
    return {"status": "running"}


def _extended(job: Job, _: int, __: QueueExtended) -> _Change:
    """It is open for as long as one of its items is. Where a retry waits, it goes on waiting."""
    status = "waiting" if job.status == "waiting" and job.retried else "running"
    return {"status": status, "last": 0, "error": None, "cancelling": False}


def _cancelling(_: Job, __: int, ___: JobCancelRequested) -> _Change:
    return {"cancelling": True}


def _again(job: Job, sequence: int, event: JobRetryRequested) -> _Change:
    change: _Change = {
        "status": "waiting",
        "attempt": 1,
        "runs": 0,
        "due": None,
        "deadline": None,
        "retried": sequence,
        "retry_key": event.key,
        "cancelling": False,
        "error": None,
        "last": 0,
        "progressed": 0,
        "polls": _NO_POLLS,
    }
    fresh = {"journal": (), "hold": (), "inputs": (), "number_before": job.number}
    return {**change, **fresh} if event.fresh else change


def _ended(job: Job, sequence: int, event: JobEnded) -> _Change:
    change: _Change = {
        "status": _ENDS.get(type(event), "failed"),
        "last": sequence,
        "error": event.error["code"] if event.error is not None else None,
        "due": None,
    }
    if isinstance(event, JobSucceeded):
        return {**change, "hold": (), "inputs": ()}
    if change["error"] in RESUMES:
        return change
    answered = tuple(digest for digest in job.hold if digest not in job.inputs)
    return {**change, "hold": answered, "inputs": ()}


def _batch_ended(job: Job, sequence: int, event: BatchEnded) -> _Change:
    error = event.error["code"] if event.error is not None else None
    number = job.number + len(event.artifacts)
    change: _Change = {"status": event.status, "last": sequence, "error": error, "due": None}
    return {**change, "number": number, "number_before": number}


def _read(job: Job, sequence: int, event: InputRead) -> _Change:
    change: _Change = {"journal": (*job.journal, sequence)}
    if event.sha256 in job.hold:
        return change
    held = {"hold": (*job.hold, event.sha256), "inputs": (*job.inputs, event.sha256)}
    return {**change, **held}


def _requested(job: Job, sequence: int, _: ProviderRequested) -> _Change:
    return {"journal": (*job.journal, sequence)}


def _accepted_by(job: Job, sequence: int, event: ProviderAccepted) -> _Change:
    """It is another call than before, if there was one: nobody has asked for it yet."""
    others = {step: count for step, count in job.polls.items() if step != event.step}
    return {**_answered(job, sequence, event), "polls": others}


def _progressed(job: Job, sequence: int, event: ProviderProgressed) -> _Change:
    if event.step is None:
        return {"progressed": sequence}
    return {"progressed": sequence, "polls": {**job.polls, event.step: event.polls}}


def _answered(job: Job, sequence: int, event: ProviderAccepted | ProviderAnswered) -> _Change:
    media = (medium.get("sha256") for medium in event.media)
    named = dict.fromkeys(digest for digest in media if digest)
    new = (digest for digest in named if digest not in job.hold)
    read = tuple(digest for digest in job.inputs if digest not in named)
    return {"journal": (*job.journal, sequence), "hold": (*job.hold, *new), "inputs": read}


def _saved(job: Job, sequence: int, event: ArtifactSaved) -> _Change:
    return {"journal": (*job.journal, sequence), "number": max(job.number, event.number)}


_CHANGES: Mapping[type[Event], Callable[[Job, int, Any], _Change]] = {
    JobStarted: _started,
    JobParked: _parked,
    JobHeld: _held,
    JobRetrying: _retrying,
    JobCancelRequested: _cancelling,
    JobRetryRequested: _again,
    JobSucceeded: _ended,
    JobFailed: _ended,
    JobCancelled: _ended,
    BatchOpened: _opened,
    QueueExtended: _extended,
    BatchEnded: _batch_ended,
    InputRead: _read,
    ProviderRequested: _requested,
    ProviderAccepted: _accepted_by,
    ProviderProgressed: _progressed,
    ProviderAnswered: _answered,
    ArtifactSaved: _saved,
}
