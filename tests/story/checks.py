"""What must hold of a root after any crash and a restart, read from the disk alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

from daemon.client import rebuild
from daemon.events import BatchEnded, BatchOpened, ItemRejected, JobEnded, QueueExtended
from daemon.reading import Reading, load
from daemon.results import build, render, result_parts, row
from daemon.rows import rows_parts
from daemon.settings import load_settings
from daemon.state import fold

ENDS = {"darkroom.job.succeeded.v1", "darkroom.job.failed.v1", "darkroom.job.cancelled.v1"}
COUNTED = ("succeeded", "failed", "cancelled", "rejected")


def check(
    root: Path, requests: dict[str, bytes], others: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Everything that darkroom promises, of a root that was drained.

    Args:
        root: the root.
        requests: what was dropped, by name.
        others: what lies in the inbox besides.

    Returns:
        The results, by request.
    """
    settings = load_settings({"root": root}, {})
    state, segments = load(settings)  # verifies every line
    events = list(segments.read(0, state.sequence))
    assert fold(events) == state
    assert not state.open_jobs
    assert not state.owed

    results = {}
    for name, data in requests.items():
        text = root.joinpath("inbox", *result_parts(name)).read_bytes()
        results[name] = json.loads(text)
        assert results[name]["request_sha256"] == hashlib.sha256(data).hexdigest()
        drop = state.newest(name)
        assert drop is not None
        ending = Reading(state, segments, None).answer(drop)
        assert ending is not None
        assert render(build(name, drop, ending, segments.get)) == text

    check_events(events)
    check_batches(root, state, events)
    check_files(root, state, events, {*requests, *others, *answers_to(requests)})
    check_rebuild(root, settings, requests)
    return results


def answers_to(requests: Collection[str]) -> set[str]:
    """The files that answer some requests."""
    queues = [name for name in requests if name.endswith(".jsonl")]
    parts = [*map(result_parts, requests), *map(rows_parts, queues)]
    return {"/".join(one) for one in parts}


def check_events(events: list[Any]) -> None:
    """Each job was accepted once, and ended once more than it was retried; one that is an item and
    was rejected has but that event; a batch may end whenever one of its items does."""
    types = Counter((event.job, event.event.TYPE) for event in events if event.job)
    for job in {event.job for event in events if event.job}:
        if types[job, "darkroom.item.rejected.v1"]:
            assert [event.event.TYPE for event in events if event.job == job] == [ItemRejected.TYPE]
            continue
        assert types[job, "darkroom.job.accepted.v1"] == 1
        ends = sum(types[job, kind] for kind in ENDS)
        if types[job, BatchEnded.TYPE]:
            assert ends == 0
        else:
            assert ends == 1 + types[job, "darkroom.job.retry_requested.v1"], types


def check_batches(root: Path, state: Any, events: list[Any]) -> None:
    """Each item of a batch was admitted once, and is told of: in the rows of a queue in the order
    in which they ended, elsewhere in the result."""
    get = {event.sequence: event for event in events}.__getitem__
    for job in [one for one in state.jobs.values() if one.is_batch and one.status != "failed"]:
        own = [event.event for event in events if event.job == job.id]
        lines = sum(one.lines for one in own if isinstance(one, QueueExtended))
        opened = sum(one.count for one in own if isinstance(one, BatchOpened))
        items = state.items(job.id)
        numbers = [item.item for item in items]
        assert numbers == list(range(1, lines + opened + 1)), (job.name, numbers, own)
        assert sum(getattr(one.event, "batch", None) == job.id for one in events) == len(items)
        last = own[-1]
        assert isinstance(last, BatchEnded)
        stand = Counter(item.status for item in items)
        assert [last.counts[status] for status in COUNTED] == [stand[one] for one in COUNTED]
        assert last.counts["count"] == len(items)
        ids = {item.id for item in items}
        ends = [one for one in events if one.job in ids and _is_end(one.event)]
        if lines:
            text = root.joinpath("inbox", *rows_parts(job.name)).read_bytes()
            assert text.endswith(b"\n")
            assert [json.loads(line) for line in text.splitlines()] == [row(e, get) for e in ends]
        elif opened:
            newest = {one.job: one.sequence for one in ends}
            assert list(last.items) == [newest[item.id] for item in items]


def _is_end(event: Any) -> bool:
    return isinstance(event, JobEnded | ItemRejected)


def check_files(root: Path, state: Any, events: list[Any], wanted: Collection[str]) -> None:
    """No stray file: every one is what the log says, and all that the log says is there."""
    saved = {
        event.event.artifact["path"]: event.event.artifact["sha256"]
        for event in events
        if event.event.TYPE == "darkroom.artifact.saved.v1"
    }
    for event in events:
        if isinstance(event.event, BatchEnded):  # its contact sheet
            saved |= {one["path"]: one["sha256"] for one in event.event.artifacts}
    found = {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (root / "tmp").rglob("*")
        if path.is_file()
    }
    assert found == saved
    assert list((root / ".darkroom" / "staging").iterdir()) == []
    blobs = {path.name for path in (root / "events" / "blobs").iterdir()}
    assert blobs == {*state.held, *state.request_blobs}
    inbox = {path.relative_to(root / "inbox").as_posix() for path in (root / "inbox").rglob("*.*")}
    assert inbox == set(wanted)


def check_rebuild(root: Path, settings: Any, requests: dict[str, bytes]) -> None:
    """Every result comes back from the log alone, equal to the byte."""
    before = {}
    for name in requests:
        path = root.joinpath("inbox", *result_parts(name))
        before[path] = path.read_bytes()
        path.unlink()
    rebuild(settings)
    assert {path: path.read_bytes() for path in before} == before


def paid_calls(root: Path) -> Counter[str]:
    """How often each paid call reached the provider."""
    calls = root / "calls"
    return (
        Counter(json.loads(line) for line in calls.read_text().splitlines())
        if calls.exists()
        else Counter()
    )
