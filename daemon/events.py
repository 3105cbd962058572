"""One frozen type per event, with an explicit name and version; to and from a line of the log.

A line is a CloudEvents 1.0 JSON object (https://github.com/cloudevents/spec). Its last member
`hash` is the SHA-256 of the line's bytes before it, and those bytes hold the hash of the line
before: a chain that `sed` and `sha256sum` can check.

Events carry plain JSON data: what a line says is what the event holds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from daemon.errors import LogCorrupt
from handlers.contract import Json

FORMAT = 1
"""The version of the log's format, in every `log.opened`."""

NO_HASH = "0" * 64
"""What the very first line names as the hash before it."""


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
    `request_id`, to tell whether the same id comes with the same body."""

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


@dataclass(frozen=True, slots=True)
class JobStarted(Event):
    """`attempt` counts from 1 and grows after a failure; `run` counts every start, also those
    after a crash."""

    TYPE: ClassVar[str] = "darkroom.job.started.v1"
    attempt: int
    run: int


@dataclass(frozen=True, slots=True)
class JobRetrying(Event):
    """The attempt failed; the next is due at `due` (RFC 3339)."""

    TYPE: ClassVar[str] = "darkroom.job.retrying.v1"
    attempt: int
    error: Mapping[str, Json]
    due: str


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


# ---------------------------------------------------------------- steps of a job


@dataclass(frozen=True, slots=True)
class ProviderRequested(Event):
    """A call is about to leave. `digest` is the SHA-256 of the whole call, its inputs included."""

    TYPE: ClassVar[str] = "darkroom.provider.requested.v1"
    step: str
    operation: str
    provider: str
    model: str | None
    paid: bool
    digest: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ProviderProgressed(Event):
    TYPE: ClassVar[str] = "darkroom.provider.progressed.v1"
    message: str
    fraction: float | None


@dataclass(frozen=True, slots=True)
class ProviderAnswered(Event):
    """What came back: media (each a blob, durable before this line), or an error."""

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

_FIELDS: dict[type[Event], tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in BY_TYPE.values()
}


# ---------------------------------------------------------------- lines


@dataclass(frozen=True, slots=True)
class Recorded:
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


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def compact(value: Json) -> str:
    """JSON on one line, as short as it goes; the one way anything is written to the log."""
    return _ENCODER.encode(value)


@dataclass(frozen=True, slots=True)
class Draft:
    """An event and its data as text, ready to become a line."""

    event: Event
    data: str


def draft(event: Event) -> Draft:
    """An event as a log can hold it.

    Where a plug-in or a provider put in what is no JSON (NaN, half a surrogate pair, an object of
    its own), what comes nearest to it stands instead: no answer is lost because of what is in it,
    and nothing else that waits to be written either.
    """
    data = {name: getattr(event, name) for name in _FIELDS[type(event)]}
    try:
        text = compact(data)
        text.encode()
    except (TypeError, ValueError, RecursionError):
        data = {name: _nearest(value) for name, value in data.items()}
        return Draft(replace(event, **data), compact(data))
    return Draft(event, text)


def _nearest(value: object, levels: int = 64) -> Json:
    """The JSON value that comes nearest to some value."""
    if value is None or isinstance(value, int) or not levels:
        return value if isinstance(value, int) else None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_nearest(str(k))): _nearest(v, levels - 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_nearest(item, levels - 1) for item in value]
    return str(value).encode("utf-8", "backslashreplace").decode()


def encode(
    recorded: Recorded, source: str, prevhash: str, data: str | None = None
) -> tuple[bytes, str]:
    """The line of an event, with its newline, and the line's hash.

    Args:
        recorded: the event; its `event` must not be None.
        source: the CloudEvents source, "/darkroom/<root id>".
        prevhash: the hash of the line before.
        data: the event's data, where it is text already.
    """
    event = recorded.event
    if event is None:
        raise ValueError("an event of an unknown type cannot be written")
    data = draft(event).data if data is None else data
    subject = f'"subject":{compact(recorded.subject)},' if recorded.subject is not None else ""
    job = f'"job":"{recorded.job}",' if recorded.job is not None else ""
    body = (
        f'{{"specversion":"1.0","id":"{recorded.id}","source":"{source}","type":"{event.TYPE}",'
        f'{subject}"time":"{recorded.time}","sequence":"{recorded.sequence:016d}",{job}'
        f'"data":{data},"prevhash":"{prevhash}"'
    ).encode()
    digest = hashlib.sha256(body).hexdigest()
    return body + f',"hash":"{digest}"}}\n'.encode(), digest


def decode(line: bytes, where: str, prevhash: str | None = None) -> tuple[Recorded, str]:
    """Read a line back, and its hash.

    Args:
        line: the bytes, with or without the newline.
        where: segment and line, for the message.
        prevhash: the hash of the line before; None leaves the chain unchecked.

    Raises:
        LogCorrupt: it is no line of a log, its hash is wrong, it does not follow the one before,
            or it is of a type that this version must not ignore.
    """
    body, mark, _ = line.rpartition(b',"hash":"')
    try:
        fields_ = json.loads(line)
        digest = fields_["hash"]
        if not mark or hashlib.sha256(body).hexdigest() != digest:
            raise LogCorrupt(where, "the line's hash does not fit its bytes")
        if prevhash is not None and fields_["prevhash"] != prevhash:
            raise LogCorrupt(where, "the line does not follow the one before it")
        return _recorded(fields_, where), digest
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LogCorrupt(where, f"not an event: {type(error).__name__}: {error}") from None


def _recorded(line: Mapping[str, Json], where: str) -> Recorded:
    kind = BY_TYPE.get(line["type"])
    if kind is None and not line.get("mayignore", False):
        raise LogCorrupt(
            where,
            f"this version does not know the event type {line['type']!r}; "
            "a newer darkroom wrote it, so run that one",
        )
    event = kind(**line["data"]) if kind is not None else None
    return Recorded(
        int(line["sequence"]), line["id"], line["time"], line.get("subject"), line.get("job"), event
    )
