"""A daemon as users start it, with its defaults, and what its log says of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from tests.bench.dropping import PATIENCE, Inbox, drop_first
from tests.support import Daemon


@contextmanager
def serving(root: Path, **env: str) -> Iterator[Daemon]:
    """A daemon that serves for as long as the block, and then stops in good order."""
    running = Daemon(root, fresh=True, DARKROOM_SETTLE="", **env)
    try:
        running.wait_serving(PATIENCE)
        yield running
        running.process.terminate()
        assert running.wait(PATIENCE) == 0, running.diagnostics()[-2000:]
    finally:
        if running.process.poll() is None:
            running.kill()


@contextmanager
def serving_idle(inbox: Inbox) -> Iterator[Daemon]:
    """The same, once it has answered a request and waits for the next."""
    with serving(inbox.root) as running:
        drop_first(inbox)
        yield running


def calm() -> None:
    """Have the disk finish what was written so far, so that nobody pays for somebody else."""
    os.sync()


def started_at(root: Path) -> float:
    """When the last daemon on a root began to serve, as its own event says."""
    *_, line = _lines(root, "daemon.started")
    return datetime.fromisoformat(json.loads(line)["time"]).timestamp()


def subjects(root: Path, kind: str) -> list[str]:
    """The requests that the log has a type of event for, once for each such event."""
    return [json.loads(line)["subject"] for line in _lines(root, kind)]


def _lines(root: Path, kind: str) -> Iterator[bytes]:
    """The lines of one type of event in a root's log."""
    mark = f'"type":"darkroom.{kind}.v1"'.encode()
    for segment in sorted((root / "events").glob("0*.jsonl")):
        with segment.open("rb") as file:
            yield from (line for line in file if mark in line)
