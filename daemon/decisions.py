"""`decide(state, command) -> Decision`: what a wish comes to, as events. Pure.

A decision names the version of the job that it was made from. Where the job has moved on by the
time of the append, the log refuses it, and whoever asked looks at the state and decides again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from daemon.archive import Drop
from daemon.errors import FRESH_ON_RETRY, Problem
from daemon.events import (
    BatchEnded,
    Event,
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
    RequestMatched,
    RequestRejected,
)
from daemon.jobs import Job
from daemon.state import State
from handlers.contract import Json

# ---------------------------------------------------------------- commands


class Accept(NamedTuple):
    """A good request was dropped."""

    name: str
    key: str
    new_job: str
    """The id of the job that it becomes, if it becomes one."""
    event: JobAccepted
    again: bool = False
    """Judge it anew, although these bytes were rejected before."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Something was dropped that is wrong in itself."""

    name: str
    key: str
    request_sha256: str | None
    task: str | None
    labels: Mapping[str, Json]
    problem: Problem
    again: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Somebody wants a job ended."""

    job: str


@dataclass(frozen=True, slots=True)
class Retry:
    """Somebody wants a finished job to run again; `key` says which control file asks."""

    job: str
    key: str


class Start(NamedTuple):
    """A place for a job is free."""

    job: str


class Next(NamedTuple):
    """The attempt that follows one that failed."""

    due: str
    """When (RFC 3339)."""
    counts: bool = True
    """Whether the one that failed counts as an attempt."""
    provider: str | None = None
    """Who is asked, where several may be."""
    hold: str | None = None
    """Until when (RFC 3339) the one that failed is left alone, with all its jobs."""


class Run(NamedTuple):
    """What one run of a handler came to, as far as the job's end tells of it."""

    provider: str | None = None
    model: str | None = None
    artifacts: Sequence[Mapping[str, Json]] = ()
    references: Sequence[Mapping[str, Json]] = ()
    warnings: Sequence[str] = ()
    usage: Mapping[str, Json] | None = None


class Park(NamedTuple):
    """Providers took calls of the job, and it waits for them."""

    job: str
    due: str
    """When the first of them is asked for (RFC 3339)."""
    steps: tuple[str, ...]


class Hold(NamedTuple):
    """A budget has nothing left for the job's next call."""

    job: str
    budget: str
    """Its name."""


class Succeed(NamedTuple):
    """The handler came to its end."""

    job: str
    run: Run


@dataclass(frozen=True, slots=True)
class Fail:
    """The handler failed; `after` is the next attempt, None for never. `provider` is who was
    asked."""

    job: str
    run: Run
    problem: Problem
    after: Next | None = None
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class EndCancelled:
    """The handler was stopped because somebody wanted the job ended."""

    job: str
    run: Run


class EndBatch(NamedTuple):
    """All items of a batch have ended."""

    job: str
    run: Run
    status: str
    counts: Mapping[str, Json]
    items: Sequence[int]
    """The sequences of the events that ended them, in their order."""
    summary: str | None = None
    problem: Problem | None = None


JobCommand = Cancel | Retry | Start | Park | Hold | Succeed | Fail | EndCancelled | EndBatch
Command = Accept | Reject | JobCommand


class Decision(NamedTuple):
    """What to append, and to which version of which stream."""

    events: tuple[Event, ...]
    job: str | None = None
    version: int | None = None
    subject: str | None = None


NOTHING = Decision(())
"""The wish comes to nothing: it is already so, or no longer possible."""


def decide(state: State, command: Command) -> Decision:
    """What a command comes to, given the state."""
    match command:
        case Accept():
            return _accept(state, command)
        case Reject():
            return _reject(state, command)
    job = state.jobs.get(command.job)
    return decide_job(job, command) if job is not None else NOTHING


def decide_job(job: Job, command: JobCommand) -> Decision:
    """What a command comes to for this job."""
    match command:
        case Cancel():
            events = _cancel(job)
        case Retry():
            events = _retry(job, command.key)
        case Start():
            events = _start(job)
        case Park():
            events = (JobParked(command.due, command.steps),)
        case Hold():
            events = (JobHeld(command.budget),)
        case Succeed():
            events = (_ended(JobSucceeded, job, command.run, None),)
        case EndCancelled():
            events = (_cancelled(job, command.run),)
        case Fail():
            events = (_failed(job, command),)
        case EndBatch():
            events = () if job.ended else (_batch_ended(job, command),)
    return Decision(events, job.id, job.version, job.name) if events else NOTHING


# ---------------------------------------------------------------- drops


def _accept(state: State, command: Accept) -> Decision:
    """A job, or the answer of one that there is: same bytes, same id, earlier bytes."""
    event, name = command.event, command.name
    newest, known = state.newest(name), state.known(name, command.key)
    if newest is not None and newest.job is None and _is_same(newest, command):
        return NOTHING
    if known is not None and known.job is not None:
        if known is newest and known.request_sha256 == event.request_sha256:
            return NOTHING
        same = "white space" if known is newest else "the same bytes as before"
        return _match(state.jobs[known.job], command, same)
    sent_before = state.ids.get(event.request_id) if event.request_id is not None else None
    if sent_before is not None:
        body, job_id = sent_before
        if body == event.body_sha256:
            return _match(state.jobs[job_id], command, "the same id and body")
        return _duplicate_id(state, command, job_id)
    return Decision((event,), command.new_job, 0, name)


def _is_same(newest: Drop, command: Accept | Reject) -> bool:
    """Whether the drop is the one that was judged last, and nobody asks to judge it again."""
    digest = command.request_sha256 if isinstance(command, Reject) else command.event.request_sha256
    known = newest.key == command.key and newest.request_sha256 == digest
    return known and not command.again


def _match(job: Job, command: Accept, reason: str) -> Decision:
    event = RequestMatched(command.key, command.event.request_sha256, job.id, reason)
    return Decision((event,), subject=command.name)


def _duplicate_id(state: State, command: Accept, job_id: str) -> Decision:
    problem = Problem(
        "duplicate_id",
        f"the id {command.event.request_id!r} was used before, with another body, "
        f"by {state.jobs[job_id].name}",
        hints=("An id names one request for ever: choose another one, or leave it out.",),
    )
    event = command.event
    return _reject(
        state,
        Reject(
            command.name,
            command.key,
            event.request_sha256,
            event.task,
            event.labels,
            problem,
            command.again,
        ),
    )


def _reject(state: State, command: Reject) -> Decision:
    newest = state.newest(command.name)
    if newest is not None and _is_same(newest, command):
        return NOTHING
    event = RequestRejected(
        command.key,
        command.request_sha256,
        command.task,
        command.labels,
        command.problem.to_json(),
    )
    return Decision((event,), subject=command.name)


# ---------------------------------------------------------------- jobs


def _cancel(job: Job) -> tuple[Event, ...]:
    if job.ended or job.cancelling:
        return ()
    if job.status in ("running", "polling") or job.journal or job.is_batch:
        return (JobCancelRequested(),)  # whoever runs it ends it, and knows what it leaves behind
    return (JobCancelRequested(), _cancelled(job, Run()))


def _retry(job: Job, key: str) -> tuple[Event, ...]:
    if not job.ended or job.retry_key == key or job.status == "rejected":
        return ()  # what is wrong in itself stays so
    fresh = job.status == "succeeded" or job.error in FRESH_ON_RETRY
    return (JobRetryRequested(fresh, key),)


def _start(job: Job) -> tuple[Event, ...]:
    return () if job.ended else (JobStarted(job.attempt, job.runs + 1),)


def _failed(job: Job, command: Fail) -> Event:
    after = command.after
    if after is not None:
        moved = after.provider is not None
        return JobRetrying(
            job.attempt,
            command.problem.to_json(),
            after.due,
            after.counts,
            command.provider if moved else None,
            after.provider,
            after.hold,
        )
    return _ended(JobFailed, job, command.run, command.problem)


def _cancelled(job: Job, run: Run) -> Event:
    problem = Problem(
        "cancelled",
        "the job was cancelled before it was done",
        hints=("Drop the request under another name, or use retry, to run it again.",),
    )
    return _ended(JobCancelled, job, run, problem)


def _batch_ended(job: Job, command: EndBatch) -> BatchEnded:
    run, problem = command.run, command.problem
    return BatchEnded(
        provider=None,
        model=None,
        artifacts=list(run.artifacts),
        references=[],
        warnings=list(run.warnings),
        error=problem.to_json() if problem is not None else None,
        usage=run.usage,
        attempts=job.attempt,
        task=job.task,
        labels=job.labels,
        accepted_at=job.accepted_at,
        first=job.first,
        status=command.status,
        counts=command.counts,
        items=command.items,
        summary=command.summary,
    )


def _ended(kind: type[JobEnded], job: Job, run: Run, problem: Problem | None) -> JobEnded:
    return kind(
        provider=run.provider or (None if kind is JobSucceeded else job.provider or None),
        model=run.model,
        artifacts=list(run.artifacts),
        references=list(run.references),
        warnings=list(run.warnings),
        error=problem.to_json() if problem is not None else None,
        usage=run.usage,
        attempts=job.attempt if job.runs or job.status == "polling" else job.attempt - 1,
        task=job.task,
        labels=job.labels,
        accepted_at=job.accepted_at,
        first=job.first,
    )
