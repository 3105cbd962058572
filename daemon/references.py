"""What requests name of each other: by `after`, and by `{"from": ...}` in any field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from daemon.envelope import Envelope
from daemon.events import ItemRejected, JobAccepted, Recorded, RequestMatched, RequestRejected
from daemon.jobs import Job, parent_of
from daemon.state import State
from handlers.contract import Earlier, TaskRequest

_SUFFIXES = (".json", ".jsonl")
_NESTED = (BaseModel, Mapping, list, tuple)
_PLAIN = frozenset({str, int, float, bool, type(None)})
_TAKES_IN = JobAccepted | ItemRejected | RequestMatched | RequestRejected


class Target(NamedTuple):
    """What a reference names, as the state knows it now."""

    name: str
    """The request, relative to the inbox."""
    job: Job | None = None
    """The job that answers it; None where it was rejected, or is not there."""
    rejected: int = 0
    """The sequence of the event that rejected it, or 0."""


def references_of(envelope: Envelope, fields: TaskRequest) -> tuple[str, ...]:
    """Everything that must succeed before a request, each named once and as it was written."""
    return tuple(dict.fromkeys([*envelope.after, *_earlier(fields)]))


def _earlier(value: Any) -> Iterator[str]:
    """The requests whose artifacts are named, however deep."""
    if isinstance(value, Earlier):
        yield value.request
    elif isinstance(value, _NESTED):
        inner = value.__dict__ if isinstance(value, BaseModel) else value
        for one in inner.values() if isinstance(inner, Mapping) else inner:
            if type(one) not in _PLAIN:  # most are, and to look into each would cost much
                yield from _earlier(one)


def resolve(state: State, job: Job, reference: str) -> Target:
    """What a job's reference names: an item of its batch by its id, else a request of the same
    folder by its newest drop, or an item of another batch there, as `shoes.json#3`."""
    item = _item(state, job, reference)
    if item is not None:
        return Target(item.name, item)
    name = name_of(job, reference)
    drop = state.newest(name) if not is_elsewhere(reference) else None
    if drop is None:
        return Target(name)
    if drop.job is None:
        return Target(name, rejected=drop.event)
    return Target(name, state.jobs[drop.job])


def unmet(state: State, job: Job) -> list[Target]:
    """What has to succeed before a job that waits starts, as far as it has not."""
    targets = (resolve(state, job, reference) for reference in job.after)
    return [one for one in targets if one.job is None or one.job.status != "succeeded"]


def _item(state: State, job: Job, reference: str) -> Job | None:
    """The item that a job's reference names."""
    found = state.item(job.batch, reference) if job.batch is not None else None
    if found is not None:
        return state.jobs[found]
    return None if is_elsewhere(reference) else state.item_named(name_of(job, reference))


def keys_of(job: Job, reference: str) -> tuple[str, ...]:
    """Under which names that are taken in a reference may come to name something else."""
    names = () if is_elsewhere(reference) else (name_of(job, reference),)
    return (item_key(job.batch, reference), *names) if job.batch is not None else names


def names_taken_in(recorded: Recorded) -> tuple[str, ...]:
    """The names that an event has name something else: that of what was dropped, and the id of an
    item."""
    event = recorded.event
    if not isinstance(event, _TAKES_IN):
        return ()
    name = recorded.subject or ""
    if isinstance(event, JobAccepted | ItemRejected) and event.item_id and event.batch:
        return (name, item_key(event.batch, event.item_id))
    return (name,)


def item_key(batch: str, item_id: str) -> str:
    """The name under which an item with an id is taken in; no file is called so."""
    return f"{batch}\n{item_id}"


def name_of(job: Job, reference: str) -> str:
    """The request that a job's reference is the name of, relative to the inbox."""
    named = reference.endswith(_SUFFIXES) or parent_of(reference)[1]
    name = reference if named else f"{reference}.json"
    folder = job.name.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def is_elsewhere(reference: str) -> bool:
    """Whether a reference names a folder: there is none but the request's own."""
    return "/" in reference
