"""A long log, as years of use would leave it: valid, chained, of jobs that have all ended.

Made once and kept, as long as the sources that it was made by stay the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import daemon.events
import daemon.lines
import daemon.segments
from daemon.clock import SystemClock, rfc3339
from daemon.events import JobAccepted, JobStarted, JobSucceeded, ResultEmitted
from daemon.lines import draft
from daemon.segments import Segments, Writing
from tests.bench.place import Place

EVENTS_OF_A_JOB = 4
_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_SEGMENT_BYTES = 64 << 20
_AT_ONCE = 1_000


def root_with(place: Place, events: int) -> Path:
    """A fresh root whose log holds so many events, or a few more.

    All segments but the newest are links to the kept ones: a log is only ever appended to.
    """
    kept = _kept(place, events)
    root = place.fresh(f"history-{events}")
    folder = root / "events"
    folder.mkdir()
    *older, newest = segments(kept)
    for segment in older:
        os.link(segment, folder / segment.name)
    shutil.copyfile(newest, folder / newest.name)
    return root


def segments(folder: Path) -> list[Path]:
    """The files of a log, in order."""
    return sorted(folder.glob("0*.jsonl"))


def _kept(place: Place, events: int) -> Path:
    sources = (__file__, daemon.events.__file__, daemon.lines.__file__, daemon.segments.__file__)
    made_by = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources))
    kept = place.cache / f"log-{events}-{made_by.hexdigest()[:16]}"
    if not kept.exists():
        half_made = place.fresh("log")
        write(half_made, events // EVENTS_OF_A_JOB)
        half_made.rename(kept)
    return kept


def write(folder: Path, jobs: int) -> None:
    """Write the log of so many dry runs that were answered."""
    log, clock = Segments(folder, _SEGMENT_BYTES), SystemClock()
    for start in range(0, jobs, _AT_ONCE):
        writing = log.begin(clock)
        for number in range(start, min(jobs, start + _AT_ONCE)):
            _add_job(writing, number)
        log.write(writing)
    log.close()


def _add_job(writing: Writing, number: int) -> None:
    """The four lines of one job."""
    name, job, ids = f"old{number:07d}.json", _id(number, 0), _ids(number)
    moment = rfc3339(_BEGINNING + timedelta(seconds=number))
    accepted = writing.add(draft(_accepted(name)), moment, next(ids), name, job)
    writing.add(draft(JobStarted(1, 1)), moment, next(ids), name, job)
    ended = draft(_succeeded(moment, accepted.sequence))
    answers = writing.add(ended, moment, next(ids), name, job).sequence
    emitted = ResultEmitted(job, answers, f"{name.removesuffix('.json')}.result.json")
    writing.add(draft(emitted), moment, next(ids), name)


def _id(number: int, of: int) -> str:
    """An id in the form of a ULID, without the cost of chance."""
    return f"01M0{number:021d}{of}"


def _ids(number: int) -> Iterator[str]:
    return (_id(number, of) for of in range(1, EVENTS_OF_A_JOB + 1))


def _accepted(name: str) -> JobAccepted:
    request = {"task": "generate_image", "prompt": f"a lighthouse, {name}", "dry_run": True}
    digest = hashlib.sha256(json.dumps(request).encode()).hexdigest()
    return JobAccepted(
        request_sha256=digest,
        content_sha256=digest,
        task="generate_image",
        provider="local",
        request_id=None,
        body_sha256=None,
        request=request,
        blobs={},
        labels={},
    )


def _succeeded(accepted_at: str, first: int) -> JobSucceeded:
    return JobSucceeded(
        provider="local",
        model=None,
        artifacts=(),
        references=(),
        warnings=("dry run: local would have been asked to generate_image",),
        error=None,
        usage=None,
        attempts=1,
        task="generate_image",
        labels={},
        accepted_at=accepted_at,
        first=first,
    )
