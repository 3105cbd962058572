"""Results: built from the log alone, put beside their requests.

A result is the reading of one event, the one that ended the job or refused the request, so it can
be built again at any time, equal to the byte. Files are staged elsewhere and renamed in; they are
not synced, because the log makes a lost or torn one rebuildable and a sync for each would cost
five times what the log does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import to_json

from daemon.errors import DarkroomError
from daemon.events import JobEnded, Recorded, RequestRejected
from daemon.files import (
    Unreadable,
    fitted,
    name_to_text,
    publish,
    read_whole,
    remove_beneath,
    text_to_name,
)
from daemon.state import Drop
from handlers.contract import Json

SCHEMA = "darkroom.result/1"
RESULT = ".result.json"

_STATUS = {
    "darkroom.job.succeeded.v1": "succeeded",
    "darkroom.job.failed.v1": "failed",
    "darkroom.job.cancelled.v1": "cancelled",
}


def build(name: str, drop: Drop, ending: Recorded) -> dict[str, Json]:
    """The result of a request.

    Args:
        name: the request's name.
        drop: the drop that is answered.
        ending: the event that ended its job, or that rejected it.
    """
    match ending.event:
        case JobEnded() as event:
            return _ended(name, drop, ending, event)
        case RequestRejected() as event:
            return _rejected(name, ending, event)
    raise DarkroomError(f"event {ending.sequence} ends no job and rejects no request")


def _ended(name: str, drop: Drop, ending: Recorded, event: JobEnded) -> dict[str, Json]:
    status = _STATUS[event.TYPE]
    return {
        "schema": SCHEMA,
        "status": status,
        "ok": status == "succeeded",
        "request": name,
        "request_sha256": drop.request_sha256,
        "job": ending.job,
        "task": event.task,
        "provider": event.provider,
        "model": event.model,
        "artifacts": list(event.artifacts),
        "references": list(event.references),
        "warnings": list(event.warnings),
        "error": event.error,
        "usage": event.usage,
        "labels": event.labels,
        "attempts": event.attempts,
        "accepted_at": event.accepted_at,
        "finished_at": ending.time,
        "events": {"first": event.first, "last": ending.sequence},
    }


def _rejected(name: str, ending: Recorded, event: RequestRejected) -> dict[str, Json]:
    return {
        "schema": SCHEMA,
        "status": "rejected",
        "ok": False,
        "request": name,
        "request_sha256": event.request_sha256,
        "job": None,
        "task": event.task,
        "provider": None,
        "model": None,
        "artifacts": [],
        "references": [],
        "warnings": [],
        "error": event.error,
        "usage": None,
        "labels": event.labels,
        "attempts": 0,
        "accepted_at": None,
        "finished_at": ending.time,
        "events": {"first": ending.sequence, "last": ending.sequence},
    }


def render(result: Json) -> bytes:
    """The bytes of a result file."""
    return to_json(result, indent=2) + b"\n"


def result_parts(name: str) -> tuple[str, ...]:
    """Where the answer to a request lies, as folder names and file name beneath the inbox.

    `x.json` is answered by `x.result.json`, anything else keeps its suffix
    (`x.jsonl.result.json`), and a name that would be too long is shortened with a digest.
    """
    *folders, file = text_to_name(name).split("/")
    stem = file.removesuffix(".json")
    # `x.jsonl.json` keeps its suffix, for `x.jsonl` has the answer `x.jsonl.result.json` already.
    return (*folders, fitted(file if stem.endswith((".json", ".jsonl")) else stem, RESULT))


@dataclass(frozen=True, slots=True)
class Put:
    """Write a result. `unless_whole`: only where there is none, or a torn or another one."""

    name: str
    drop: Drop
    answers: int
    """The sequence of the event that ended its job, or that rejected it."""
    unless_whole: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Take away the result of a drop that another one has replaced."""

    name: str


@dataclass(frozen=True, slots=True)
class Emitted:
    """A result is in place: in which file, and whether it had to be written."""

    file: str
    written: bool


class ResultFolder:
    """Puts results beside their requests; for one thread, in the order it is asked.

    Args:
        inbox: the folder of requests.
        staging: where files are made, on the inbox's filesystem but unwatched.
        get: an event of the log, by its sequence.
    """

    def __init__(self, inbox: Path, staging: Path, get: Callable[[int], Recorded]) -> None:
        self._inbox = inbox
        self._get = get
        self._staged = staging / "result"

    def work(self, items: Sequence[Put | Remove]) -> list[Emitted | Exception]:
        """Do these, in order.

        Returns:
            For each where its result is, or why it could not be put there.
        """
        return [self._one(item) for item in items]

    def _one(self, item: Put | Remove) -> Emitted | Exception:
        parts = result_parts(item.name)
        file = name_to_text("/".join(parts))
        try:
            if isinstance(item, Remove):
                remove_beneath(self._inbox, parts)
                return Emitted(file, written=False)
            data = render(build(item.name, item.drop, self._get(item.answers)))
            if item.unless_whole and self._is(parts, data):
                return Emitted(file, written=False)
            self._staged.write_bytes(data)
            publish(self._staged, self._inbox, parts)
        except OSError as error:
            return error
        return Emitted(file, written=True)

    def _is(self, parts: tuple[str, ...], data: bytes) -> bool:
        try:
            return read_whole(self._inbox, parts, len(data))[0] == data
        except (OSError, Unreadable):  # a FIFO or a link, say, which is replaced and never read
            return False
