"""The anchor of throughput and latency: a file-drop loop without anything that makes it a daemon.

One process and one loop: list, read, parse, append four plain lines a job, put the answer in place.
It syncs its log twice for each batch, as darkroom does: once before any work (accepted), once
before any answer (ended). It checks nothing, chains nothing, survives nothing and tells no errors.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from tests.bench.dropping import Inbox
from tests.bench.inotify import Inotify

BATCH = 256
"""Requests that share two syncs; more of them gained nothing where it was tried."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def answer(inbox: Inbox, count: int, *, told: bool = False) -> float:
    """Answer so many requests; the moment at which it began.

    Args:
        inbox: where they are dropped.
        count: how many.
        told: wait for the kernel's notices, instead of listing the folder again and again.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    log = os.open(f"{inbox.root}/log.jsonl", flags, 0o644)
    batches = _told(inbox) if told else _listed(inbox)
    began = time.time()
    while count:
        batch = next(batches)
        _answer(inbox, log, batch)
        count -= len(batch)
    os.close(log)
    return began


def answer_lines(inbox: Inbox, queue: str, rows: str) -> float:
    """Answer each line of a queue with a row; the seconds that it took.

    Args:
        inbox: where it lies.
        queue: its file.
        rows: the file for the rows.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    log = os.open(f"{inbox.root}/log.jsonl", flags, 0o644)
    answers = os.open(f"{inbox.folder}/{rows}", flags, 0o644)
    began = time.time()
    with open(f"{inbox.folder}/{queue}", "rb") as file:
        numbered = enumerate(map(json.loads, file), start=1)
        while batch := [(f"{queue}#{number}", item) for number, item in islice(numbered, BATCH)]:
            _log_two(log, batch)
            _append(answers, [_encode(_result(name, item)) for name, item in batch])
            _append(log, [_event("emitted", name, {"file": rows}) for name, _ in batch])
    return time.time() - began


def _listed(inbox: Inbox) -> Iterator[Sequence[str]]:
    """What listing the folder shows, in batches."""
    seen: set[str] = set()
    while True:
        with os.scandir(inbox.folder) as entries:
            found = [entry.name for entry in entries if _is_request(entry.name)]
        fresh = [name for name in found if name not in seen]
        seen.update(fresh)
        for start in range(0, len(fresh), BATCH):
            yield fresh[start : start + BATCH]
        if not fresh:
            time.sleep(0.001)


def _told(inbox: Inbox) -> Iterator[Sequence[str]]:
    """What the kernel tells of, in batches."""
    notices = Inotify(inbox.folder)
    before = next(_listed(inbox))  # what came before it listened, and may be told of as well
    yield before
    while True:
        names = [name for name in notices.names(60) if name is not None and name not in before]
        if batch := list(filter(_is_request, names)):
            yield batch


def _is_request(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(".result.json")


def _answer(inbox: Inbox, log: int, batch: Sequence[str]) -> None:
    requests = [(name, _read(f"{inbox.folder}/{name}")) for name in batch]
    _log_two(log, requests)
    for name, request in requests:
        _put(inbox, name, _result(name, request))
    _append(log, [_event("emitted", name, {"file": name}) for name in batch])


def _log_two(log: int, requests: Sequence[tuple[str, Any]]) -> None:
    """Log that requests were accepted, and then that they ended; each time the log is synced."""
    _append(log, [_event("accepted", name, request) for name, request in requests])
    os.fdatasync(log)
    ended = [("started", {"attempt": 1}), ("succeeded", {"artifacts": [], "error": None})]
    _append(log, [_event(kind, name, data) for name, _ in requests for kind, data in ended])
    os.fdatasync(log)


def _result(name: str, request: Any) -> Any:
    return {"status": "succeeded", "request": name, "task": request["task"]}


def _read(path: str) -> Any:
    with open(path, "rb") as file:
        return json.loads(file.read())


def _event(kind: str, name: str, data: Any) -> str:
    return _encode({"type": kind, "subject": name, "time": time.time(), "data": data})


def _append(log: int, lines: Sequence[str]) -> None:
    os.write(log, ("\n".join(lines) + "\n").encode())


def _put(inbox: Inbox, name: str, result: Any) -> None:
    staged = f"{inbox.root}/staged"
    with open(staged, "w") as file:
        file.write(_encode(result))
    os.rename(staged, f"{inbox.folder}/{name.removesuffix('.json')}.result.json")
