"""Items of batches: what stands in a manifest -> a request, or why it is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from daemon.envelope import MAX_ID, Envelope
from daemon.errors import BadRequest, Problem
from daemon.jobs import BATCH
from daemon.lines import compact
from daemon.longstrings import LONG, without_long_strings
from daemon.requests import Door, Request, digest_of
from handlers.contract import Json

_OWN = frozenset({"id", "labels", "vars"})
"""What a batch says of itself, and not for its items."""


class Wanted(NamedTuple):
    """An item as it is to be run: with all names filled in."""

    number: int
    """From 1."""
    value: Json
    problem: Problem | None = None
    """Why it cannot be run, where that is known already."""


class Ready(NamedTuple):
    """An item that is a request."""

    number: int
    request: Request
    raw: Mapping[str, Json]
    """The whole of it, with "" in the place of each long string."""
    long: Mapping[str, str]
    """The long strings, by JSON pointer."""
    digest: str

    @property
    def id(self) -> str | None:
        """What other items call it."""
        return self.request.envelope.id


class Refused(NamedTuple):
    """An item that is none."""

    number: int
    raw: Json
    long: Mapping[str, str]
    problem: Problem
    task: str | None = None
    labels: Mapping[str, Json] = {}
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """What a batch says for all of its items."""

    fields: Mapping[str, Json]
    """Of the envelope, under their own names: an item's own go over them."""
    labels: Mapping[str, Json]


NOTHING = Shared({}, {})

_NO_OBJECT = Problem("invalid_request", "an item is an object")
_NO_BATCH = Problem("invalid_request", "a batch cannot be an item of another batch")


def shared_by(request: Request) -> Shared:
    """What a batch says for all of its items: every field that each task takes."""
    spelled = {**{name: name for name in Envelope.model_fields}, **Envelope.ALIASES}
    own = set(type(request.fields).model_fields) | _OWN
    fields = {
        spelled[name]: value / 1000 if name == "timeoutMs" else value
        for name, value in request.raw.items()
        if name in spelled and spelled[name] not in own
    }
    return Shared(fields, request.envelope.labels)


def judge(door: Door, wanted: Wanted, shared: Shared) -> Ready | Refused:
    """Judge an item as if it had been dropped by itself."""
    value = with_shared(wanted.value, shared) if isinstance(wanted.value, dict) else wanted.value
    problem = wanted.problem or (None if isinstance(value, dict) else _NO_OBJECT)
    if problem is not None:
        return _refused(door, wanted.number, value, problem)
    try:
        request = door.validate(value)
    except BadRequest as error:
        return _refused(door, wanted.number, value, error.problem)
    if request.task == BATCH:
        return _refused(door, wanted.number, value, _NO_BATCH)
    text = compact(value)
    raw, long = without_long_strings(value) if len(text) > LONG else (value, {})
    return Ready(wanted.number, request, raw, long, digest_of(text.encode()))


def with_shared(value: Mapping[str, Json], shared: Shared) -> Mapping[str, Json]:
    """An item with what its batch says for all of them."""
    given = {Envelope.ALIASES.get(name, name) for name in value}
    fields = {name: one for name, one in shared.fields.items() if name not in given}
    labels = value.get("labels", {})
    if shared.labels and isinstance(labels, dict):
        fields["labels"] = {**shared.labels, **labels}
        return {**value, **fields}
    return {**fields, **value} if fields else value


def _refused(door: Door, number: int, value: Json, problem: Problem) -> Refused:
    task, labels = door.echo(value)
    if not isinstance(value, dict):
        return Refused(number, None, {}, problem)
    raw, long = without_long_strings(value)
    named = value.get("id")
    item_id = named if isinstance(named, str) and 0 < len(named) <= MAX_ID else None
    return Refused(number, raw, long, problem, task, labels, item_id)
