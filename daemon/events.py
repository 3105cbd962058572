"""One frozen type per event, with an explicit name and version.

Events carry plain JSON data: what a line of the log says is what the event holds. `daemon.lines`
writes them as lines and reads them back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar, NamedTuple

from handlers.contract import Json

FORMAT = 1
"""The version of the log's format, in every `log.opened`."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `TYPE` is its name in the log for ever."""

    TYPE: ClassVar[str]


# ---------------------------------------------------------------- the log and the daemon


@dataclass(frozen=True, slots=True)
class LogOpened(Event):
    """The first line of every segment; `previous` is the last hash of the segment before."""

    TYPE: ClassVar[str] = "darkroom.log.opened.v1"
    root: str
    format: int
    segment: int
    previous: str


@dataclass(frozen=True, slots=True)
class LogRepaired(Event):
    """A torn tail (a write that a crash cut short) was moved to `quarantine`."""

    TYPE: ClassVar[str] = "darkroom.log.repaired.v1"
    segment: str
    offset: int
    bytes: int
    quarantine: str


@dataclass(frozen=True, slots=True)
class DaemonStarted(Event):
    TYPE: ClassVar[str] = "darkroom.daemon.started.v1"
    version: str
    pid: int
    host: str


@dataclass(frozen=True, slots=True)
class DaemonStopped(Event):
    TYPE: ClassVar[str] = "darkroom.daemon.stopped.v1"
    reason: str


@dataclass(frozen=True, slots=True)
class IntakePaused(Event):
    """Nothing new is accepted or started. `free` and `floor` are bytes."""

    TYPE: ClassVar[str] = "darkroom.intake.paused.v1"
    reason: str
    free: int
    floor: int


@dataclass(frozen=True, slots=True)
class IntakeResumed(Event):
    TYPE: ClassVar[str] = "darkroom.intake.resumed.v1"
    free: int


@dataclass(frozen=True, slots=True)
class BudgetReached(Event):
    """A paid call would go beyond a budget, so no more begin for these `providers`, or for the
    batch, until it is freed. All amounts are texts, in `currency`.

    `name` tells it from all others; `budget` is "day", "month", "batch", or "unknown" where a
    call is held because nobody can say what it costs. `needed` is what that call may cost."""

    TYPE: ClassVar[str] = "darkroom.budget.reached.v1"
    name: str
    budget: str
    batch: str | None
    providers: Sequence[str]
    currency: str
    limit: str | None
    spent: str
    reserved: str
    needed: str | None
    until: str | None


@dataclass(frozen=True, slots=True)
class BudgetFreed(Event):
    """Paid calls begin again that a budget held; `reason` says why."""

    TYPE: ClassVar[str] = "darkroom.budget.freed.v1"
    name: str
    budget: str
    batch: str | None
    reason: str


# ---------------------------------------------------------------- requests


@dataclass(frozen=True, slots=True)
class RequestRejected(Event):
    """Something dropped was wrong in itself. `key` says which drop: the digest of its bytes, or
    for what could not be read the reason, size and mtime."""

    TYPE: ClassVar[str] = "darkroom.request.rejected.v1"
    key: str
    request_sha256: str | None
    task: str | None
    labels: Mapping[str, Json]
    error: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class RequestMatched(Event):
    """Other bytes under a name that ask for what the job `answered_by` answers. Written for a
    known id, for a change in outer white space, and for a return to earlier bytes. It belongs to
    no job's stream, as it changes nothing about the job."""

    TYPE: ClassVar[str] = "darkroom.request.matched.v1"
    key: str
    request_sha256: str
    answered_by: str
    reason: str


# ---------------------------------------------------------------- jobs


@dataclass(frozen=True, slots=True)
class JobAccepted(Event):
    """The whole request. Strings too long for a line lie in blobs: `blobs` maps the JSON pointer
    of each to its SHA-256, and the request holds an empty string there. `body_sha256` goes with
    `request_id`, to tell whether the same id comes with the same body. `not_before` and `deadline`
    are moments (RFC 3339): what was asked for in seconds is counted from the acceptance. `after`
    names the requests that must succeed first, as the request does, in whichever field."""

    TYPE: ClassVar[str] = "darkroom.job.accepted.v1"
    request_sha256: str
    content_sha256: str
    task: str
    provider: str
    request_id: str | None
    body_sha256: str | None
    request: Mapping[str, Json]
    blobs: Mapping[str, str]
    labels: Mapping[str, Json]
    priority: int = 0
    not_before: str | None = None
    deadline: str | None = None
    batch: str | None = None
    """The job of the batch that it is an item of."""
    item: int = 0
    """Its number there, from 1."""
    item_id: str | None = None
    """What other items of that batch call it."""
    after: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ItemRejected(Event):
    """An item of a batch was wrong in itself: the first and last event of a job of its own. As far
    as it could be read it stands in `request`, with long strings in blobs."""

    TYPE: ClassVar[str] = "darkroom.item.rejected.v1"
    batch: str
    item: int
    item_id: str | None
    task: str | None
    request: Json
    blobs: Mapping[str, str]
    labels: Mapping[str, Json]
    error: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class BatchOpened(Event):
    """How many items a batch has. What it is made of beside its request lies in blobs that are
    durable already: the `manifest` and the file of shared `variables`, by their SHA-256; `name` is
    what the manifest is called."""

    TYPE: ClassVar[str] = "darkroom.batch.opened.v1"
    count: int
    manifest: str | None = None
    variables: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class QueueExtended(Event):
    """A queue was read, and `lines` of it are new: they stand in `text`, or in the `blob` with that
    SHA-256 where they are many, each behind its number in the file and a tab; the file may be
    deleted from now on. `known` of its `in_file` lines were there before. `size` bytes of it, up to
    the end of a line, were read; their SHA-256 is `prefix`. `request_sha256` is that of the whole
    file, and the same as `prefix` where reading goes on. `expected` is what a last line says of
    their number, where one says that it is the `end`; `rest` tells whether bytes are left that are
    no line yet."""

    TYPE: ClassVar[str] = "darkroom.queue.extended.v1"
    request_sha256: str
    size: int
    prefix: str
    lines: int
    known: int
    in_file: int
    text: str | None
    blob: str | None
    end: bool
    expected: int | None
    rest: bool


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """`attempt` counts from 1 and grows after a failure; `run` counts every start, also those
    after a crash."""

    TYPE: ClassVar[str] = "darkroom.job.started.v1"
    attempt: int
    run: int


@dataclass(frozen=True, slots=True)
class JobParked(Event):
    """Providers took calls of the job (`steps`) and work on them. Until one is done the job needs
    nobody; the first is asked for at `due` (RFC 3339)."""

    TYPE: ClassVar[str] = "darkroom.job.parked.v1"
    due: str
    steps: Sequence[str]


@dataclass(frozen=True, slots=True)
class JobHeld(Event):
    """The job was about to make a paid call for which a budget has nothing left (`budget` is the
    name of it). It waits until that is freed, and goes on with what it has."""

    TYPE: ClassVar[str] = "darkroom.job.held.v1"
    budget: str


@dataclass(frozen=True, slots=True)
class JobRetrying(Event):
    """The attempt failed; the next is due at `due` (RFC 3339).

    It does not count where the provider only asked for patience, or where another provider is
    tried instead: `provider` is the one that failed, `next_provider` the one that is asked next.
    Until `hold` (RFC 3339) no job is started for the one that failed."""

    TYPE: ClassVar[str] = "darkroom.job.retrying.v1"
    attempt: int
    error: Mapping[str, Json]
    due: str
    counts: bool = True
    provider: str | None = None
    next_provider: str | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class JobCancelRequested(Event):
    TYPE: ClassVar[str] = "darkroom.job.cancel_requested.v1"


@dataclass(frozen=True, slots=True)
class JobRetryRequested(Event):
    """A finished job runs again. `fresh`: what was answered before is not used again. `key` says
    which control file asked, so that one is obeyed once."""

    TYPE: ClassVar[str] = "darkroom.job.retry_requested.v1"
    fresh: bool
    key: str


@dataclass(frozen=True, slots=True)
class JobEnded(Event):
    """How a job ended: everything that its result needs. The three ends differ in name only."""

    provider: str | None
    model: str | None
    artifacts: Sequence[Mapping[str, Json]]
    references: Sequence[Mapping[str, Json]]
    warnings: Sequence[str]
    error: Mapping[str, Json] | None
    usage: Mapping[str, Json] | None
    attempts: int
    task: str
    labels: Mapping[str, Json]
    accepted_at: str
    first: int


@dataclass(frozen=True, slots=True)
class JobSucceeded(JobEnded):
    TYPE: ClassVar[str] = "darkroom.job.succeeded.v1"


@dataclass(frozen=True, slots=True)
class JobFailed(JobEnded):
    TYPE: ClassVar[str] = "darkroom.job.failed.v1"


@dataclass(frozen=True, slots=True)
class JobCancelled(JobEnded):
    TYPE: ClassVar[str] = "darkroom.job.cancelled.v1"


@dataclass(frozen=True, slots=True)
class BatchEnded(JobEnded):
    """Every item of a batch has ended. `items` are the sequences of the events that ended them, in
    their order; none for a queue, whose rows lie in a file of their own. `counts` tells how many
    ended how, and of a queue what its file says."""

    TYPE: ClassVar[str] = "darkroom.batch.ended.v1"
    status: str
    counts: Mapping[str, Json]
    items: Sequence[int]
    summary: str | None = None
    """A second place for the result, where one was asked for."""


# ---------------------------------------------------------------- steps of a job


@dataclass(frozen=True, slots=True)
class InputRead(Event):
    """An input of the job is at hand, as a blob that is durable already: whatever becomes of its
    `source` (a path or an address, shortened), the job goes on with these bytes."""

    TYPE: ClassVar[str] = "darkroom.input.read.v1"
    step: str
    source: str
    sha256: str
    bytes: int
    media_type: str | None
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ProviderRequested(Event):
    """A call is about to leave. `digest` is the SHA-256 of what is asked for, inputs included;
    with an `idempotency_key` the provider does a call that comes twice once. `estimate` is what a
    paid one may cost, by the price table; None where nobody can say."""

    TYPE: ClassVar[str] = "darkroom.provider.requested.v1"
    step: str
    operation: str
    provider: str
    model: str | None
    paid: bool
    digest: str
    attempt: int
    idempotency_key: str | None = None
    estimate: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ProviderAccepted(Event):
    """The provider took a call, which is never sent again: what is left is to ask how far it is
    (`ticket`), or to fetch what it made (`media`: each a blob that is durable already, or the URL
    at which it lies). `cost` is what that cost, if it is known by now."""

    TYPE: ClassVar[str] = "darkroom.provider.accepted.v1"
    step: str
    attempt: int
    ticket: Mapping[str, Json] | None
    media: Sequence[Mapping[str, Json]]
    references: Sequence[Mapping[str, Json]]
    model: str | None
    usage: Mapping[str, Json] | None
    warnings: Sequence[str]
    left_out: Sequence[str] = ()
    cost: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ProviderProgressed(Event):
    """How far it is. Where a provider said so of a call that it took, `polls` tells how often the
    call of this `step` was asked for until then: a restart goes on counting."""

    TYPE: ClassVar[str] = "darkroom.provider.progressed.v1"
    message: str
    fraction: float | None
    step: str | None = None
    polls: int = 0


@dataclass(frozen=True, slots=True)
class ProviderAnswered(Event):
    """What came back: media (each a blob, durable before this line), or an error. `left_out` names
    the inputs that did not go along. `cost` is what a paid call cost; None where nobody knows."""

    TYPE: ClassVar[str] = "darkroom.provider.answered.v1"
    step: str
    attempt: int
    seconds: float
    model: str | None
    media: Sequence[Mapping[str, Json]]
    references: Sequence[Mapping[str, Json]]
    warnings: Sequence[str]
    usage: Mapping[str, Json] | None
    error: Mapping[str, Json] | None
    left_out: Sequence[str] = ()
    cost: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True)
class ArtifactSaved(Event):
    """A file of the job is durable under its final name, which ends in `number`."""

    TYPE: ClassVar[str] = "darkroom.artifact.saved.v1"
    step: str
    number: int
    artifact: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ResultEmitted(Event):
    """The result file was put in place. `answers` is the sequence of the event it tells of. It
    belongs to no job's stream, as it changes nothing about the job."""

    TYPE: ClassVar[str] = "darkroom.result.emitted.v1"
    of: str | None
    answers: int
    file: str


def _types(base: type[Event]) -> list[type[Event]]:
    below = [kind for child in base.__subclasses__() for kind in _types(child)]
    return ([base] if "TYPE" in vars(base) else []) + below


BY_TYPE: dict[str, type[Event]] = {kind.TYPE: kind for kind in _types(Event)}
"""Every event this version knows, by its name in the log."""

FIELDS: dict[type[Event], tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in BY_TYPE.values()
}
"""The names of an event's data, in the order in which they are written."""


class Recorded(NamedTuple):
    """An event as it stands in the log."""

    sequence: int
    """Its position in the log, from 1."""
    id: str
    time: str
    subject: str | None
    """The request's name, relative to the inbox."""
    job: str | None
    event: Event | None
    """None where this version does not know the type and the line says it may be ignored."""
