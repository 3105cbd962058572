"""What must hold of a root after any crash and a restart, read from the disk alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

from daemon.client import rebuild
from daemon.reading import Reading, load
from daemon.results import build, render, result_parts
from daemon.settings import load_settings
from daemon.state import fold

ENDS = {"darkroom.job.succeeded.v1", "darkroom.job.failed.v1", "darkroom.job.cancelled.v1"}


def check(root: Path, requests: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """Everything that darkroom promises, of a root that was drained.

    Args:
        root: the root.
        requests: what was dropped, by name.

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
    check_files(root, state, events, requests)
    check_rebuild(root, settings, requests)
    return results


def check_events(events: list[Any]) -> None:
    """Each job was accepted once, and ended once more than it was retried."""
    types = Counter((event.job, event.event.TYPE) for event in events if event.job)
    for job in {event.job for event in events if event.job}:
        assert types[job, "darkroom.job.accepted.v1"] == 1
        ends = sum(types[job, kind] for kind in ENDS)
        assert ends == 1 + types[job, "darkroom.job.retry_requested.v1"], types


def check_files(root: Path, state: Any, events: list[Any], requests: dict[str, bytes]) -> None:
    """No stray file: every one is what the log says, and all that the log says is there."""
    saved = {
        event.event.artifact["path"]: event.event.artifact["sha256"]
        for event in events
        if event.event.TYPE == "darkroom.artifact.saved.v1"
    }
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
    answers = {"/".join(result_parts(name)) for name in requests}
    assert inbox == {*requests, *answers}


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
