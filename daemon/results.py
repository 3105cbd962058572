"""Results: built from the log alone, put beside their requests.

A result is the reading of one event, the one that ended the job or refused the request, so it can
be built again at any time, equal to the byte. Files are staged elsewhere and renamed in; they are
not synced, because the log makes a lost or torn one rebuildable and a sync for each would cost
five times what the log does.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import structlog
from pydantic_core import to_json

from daemon.archive import Drop
from daemon.errors import DarkroomError
from daemon.events import (
    BatchEnded,
    ItemRejected,
    JobAccepted,
    JobEnded,
    Recorded,
    RequestRejected,
)
from daemon.files import (
    OpenFolders,
    Unreadable,
    fitted,
    name_to_text,
    publish,
    publish_at,
    read_whole,
    remove_at,
    text_to_name,
    write_file,
)
from daemon.longstrings import placeholders
from handlers.contract import Json

SCHEMA = "darkroom.result/1"
RESULT = ".result.json"

_log = structlog.get_logger(__name__)

_STATUS = {
    "darkroom.job.succeeded.v1": "succeeded",
    "darkroom.job.failed.v1": "failed",
    "darkroom.job.cancelled.v1": "cancelled",
}


Get = Callable[[int], Recorded]


def build(name: str, drop: Drop, ending: Recorded, get: Get) -> dict[str, Json]:
    """The result of a request.

    Args:
        name: the request's name.
        drop: the drop that is answered.
        ending: the event that ended its job, or that rejected it.
        get: an event of the log, by its sequence: what ended the items of a batch.
    """
    match ending.event:
        case BatchEnded() as event:
            rows = [row(get(sequence), get) for sequence in event.items]
            answer = _ended(name, drop.request_sha256, ending, event, event.status)
            return {**answer, **event.counts, "results": rows}
        case JobEnded() as event:
            return _ended(name, drop.request_sha256, ending, event, _STATUS[event.TYPE])
        case RequestRejected() as event:
            return _rejected(name, ending, event)
        case ItemRejected() as event:
            return _item_rejected(name, ending, event)
    raise DarkroomError(f"event {ending.sequence} ends no job and rejects no request")


def row(ending: Recorded, get: Get) -> dict[str, Json]:
    """What became of an item of a batch: its number, the item as it was run, and its own result.

    Args:
        ending: the event that ended its job, or that rejected it.
        get: an event of the log, by its sequence.
    """
    name = ending.subject or ""
    match ending.event:
        case ItemRejected() as event:
            item = placeholders(event.request, event.blobs)
            return {"index": event.item, "item": item, **_item_rejected(name, ending, event)}
        case JobEnded() as event:
            accepted = get(event.first).event
            if isinstance(accepted, JobAccepted):
                item = placeholders(accepted.request, accepted.blobs)
                status, sha256 = _STATUS[event.TYPE], accepted.request_sha256
                answer = _ended(name, sha256, ending, event, status)
                return {"index": accepted.item, "item": item, **answer}
    raise DarkroomError(f"event {ending.sequence} ends no item of a batch")


def _ended(
    name: str, sha256: str | None, ending: Recorded, event: JobEnded, status: str
) -> dict[str, Json]:
    return {
        "schema": SCHEMA,
        "status": status,
        "ok": status == "succeeded",
        "request": name,
        "request_sha256": sha256,
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


def _item_rejected(name: str, ending: Recorded, event: ItemRejected) -> dict[str, Json]:
    return _refused(name, ending, event.task, event.labels, event.error, None)


def _rejected(name: str, ending: Recorded, event: RequestRejected) -> dict[str, Json]:
    sha256 = event.request_sha256
    return _refused(name, ending, event.task, event.labels, event.error, sha256)


def _refused(
    name: str,
    ending: Recorded,
    task: str | None,
    labels: Mapping[str, Json],
    error: Mapping[str, Json],
    sha256: str | None,
) -> dict[str, Json]:
    return {
        "schema": SCHEMA,
        "status": "rejected",
        "ok": False,
        "request": name,
        "request_sha256": sha256,
        "job": None,
        "task": task,
        "provider": None,
        "model": None,
        "artifacts": [],
        "references": [],
        "warnings": [],
        "error": error,
        "usage": None,
        "labels": labels,
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


class Put(NamedTuple):
    """Write a result. `unless_whole`: only where there is none, or a torn or another one."""

    name: str
    drop: Drop
    answers: int
    """The sequence of the event that ended its job, or that rejected it."""
    unless_whole: bool = False
    ending: Recorded | None = None
    """That event, where it is at hand."""


class Remove(NamedTuple):
    """Take away the results of drops that others have replaced."""

    names: tuple[str, ...]


class Emitted(NamedTuple):
    """A result is in place: in which file (none where some were removed), and whether it had to be
    written."""

    file: str
    written: bool


def without_result(inbox: Path, names: Iterable[str]) -> list[str]:
    """Those of some requests beside which no result lies."""
    missing = []
    with OpenFolders(inbox) as folders:
        for name in names:
            parts = result_parts(name)
            try:
                folder = folders.of(parts[:-1])
                status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
                lies_there = stat.S_ISREG(status.st_mode)
            except OSError:
                lies_there = False
            if not lies_there:
                missing.append(name)
    return missing


class ResultFolder:
    """Puts results beside their requests; for one thread, in the order it is asked.

    Args:
        inbox: the folder of requests.
        staging: where files are made, on the inbox's filesystem but unwatched.
        output: the output root, where a batch may want its result as well.
        get: an event of the log, by its sequence.
    """

    def __init__(self, inbox: Path, staging: Path, output: Path, get: Get) -> None:
        self._inbox = inbox
        self._output = output
        self._get = get
        self._staged = str(staging / "result")

    def work(self, items: Sequence[Put | Remove]) -> list[Emitted | Exception]:
        """Do these, in order.

        Returns:
            For each where its result is, or why it could not be put there.
        """
        with OpenFolders(self._inbox) as folders:
            return [self._one(item, folders) for item in items]

    def _one(self, item: Put | Remove, folders: OpenFolders) -> Emitted | Exception:
        try:
            if isinstance(item, Remove):
                for parts in map(result_parts, item.names):
                    with suppress(OSError):  # what cannot be removed will be replaced
                        remove_at(folders.of(parts[:-1]), parts[-1])
                return Emitted("", written=False)
            return self._put(item, folders)
        except OSError as error:
            return error

    def _put(self, item: Put, folders: OpenFolders) -> Emitted:
        parts = result_parts(item.name)
        file = name_to_text("/".join(parts))
        ending = item.ending or self._get(item.answers)
        data = render(build(item.name, item.drop, ending, self._get))
        if item.unless_whole and self._is(parts, data):
            return Emitted(file, written=False)
        if isinstance(ending.event, BatchEnded) and ending.event.summary is not None:
            self._put_summary(ending.event.summary, data)
        write_file(self._staged, data)
        publish_at(self._staged, folders.of(parts[:-1]), parts[-1])
        return Emitted(file, written=True)

    def _put_summary(self, path: str, data: bytes) -> None:
        """Put the result of a batch in the second place that was asked for: beside the first, if it
        can be; that one is the answer."""
        try:
            write_file(self._staged, data)
            publish(Path(self._staged), self._output, tuple(path.split("/")), make=True)
        except OSError as error:
            reason = (error.strerror or "").lower()
            _log.warning("a summary cannot be put in place", path=path, error=reason)

    def _is(self, parts: tuple[str, ...], data: bytes) -> bool:
        try:
            return read_whole(self._inbox, parts, len(data))[0] == data
        except (OSError, Unreadable):  # a FIFO or a link, say, which is replaced and never read
            return False
