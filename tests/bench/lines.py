"""One long queue, beside the bare loop that answers the same lines."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.bench.bareloop import answer_lines
from tests.bench.dropping import PATIENCE, Inbox
from tests.bench.place import Place, Scale
from tests.bench.processes import helper, peak
from tests.bench.rows import Row, megabytes, seconds
from tests.bench.serving import calm, serving_idle
from tests.support import wait_until

QUEUE = "queue.jsonl"
ROWS = f"{QUEUE}.result.jsonl"

MEMORY = 300e6
FIRST = 1.0
"""Seconds, at the most: the first rows are there while later lines are still read."""

_DURABLE = """\
darkroom has the lines on the disk before it says that it took them, each item before any work on it, and its end before its row.
Rows are not synced before the summary: the log can rebuild them.
The bare loop syncs its log twice for 256 lines, and its rows never.
"""


class _Queue(NamedTuple):
    seconds: float
    first: float
    peak: int


def measure(place: Place, scale: Scale) -> list[Row]:
    """One long queue, and before and after it the bare loop with the same."""
    before = _bare(place, scale.lines)
    queue = _darkroom(place, scale.lines)
    after = _bare(place, scale.lines)
    what = f"{scale.lines:,} lines in one queue that do nothing"
    ours, bare = scale.lines / queue.seconds, [scale.lines / took for took in (before, after)]
    return [
        Row(
            f"{what}: items",
            f"{ours:,.0f} a second",
            _DURABLE,
            f"bare loop: {median(bare):,.0f} a second",
            f"{median(ours / one for one in bare):.2f}",
        ),
        Row(
            f"{what}: most memory",
            megabytes(queue.peak),
            _DURABLE,
            goal=f"under {megabytes(MEMORY)}",
            met=queue.peak < MEMORY,
        ),
        Row(
            f"{what}: until the first row",
            seconds(queue.first),
            _DURABLE,
            goal=f"under {seconds(FIRST)}",
            met=queue.first < FIRST,
        ),
    ]


def _write(folder: Path, count: int) -> Path:
    """Write a queue aside."""
    path = folder / QUEUE
    with path.open("w") as file:
        for number in range(count):
            prompt = f"a lighthouse, {number:06d}"
            line = {"task": "generate_image", "prompt": prompt, "dry_run": True}
            file.write(json.dumps(line) + "\n")
    return path


def _darkroom(place: Place, count: int) -> _Queue:
    inbox = Inbox(place.fresh("queue")).make()
    aside, rows = _write(inbox.aside, count), inbox.folder / ROWS
    with aside.open("a") as file:
        file.write(json.dumps({"end": True, "count": count}) + "\n")
    calm()
    with serving_idle(inbox) as daemon:
        began = time.time()
        aside.rename(inbox.folder / QUEUE)
        wait_until(lambda: rows.exists() and rows.stat().st_size, "a row", PATIENCE)
        first = time.time() - began
        ended = _complete(inbox.folder, count)
        most = peak(daemon.process.pid)
    statuses = [row["status"] for row in _read(rows)]
    assert statuses == ["succeeded"] * count, f"{len(statuses)} rows"
    return _Queue(ended - began, first, most)


def _complete(folder: Path, count: int) -> float:
    """Until the summary has all items; the moment at which it appeared."""
    summary = folder / f"{QUEUE}.result.json"

    def is_complete() -> bool:
        time.sleep(0.02)  # looking costs the two cores something
        return summary.exists() and bool(json.loads(summary.read_text())["complete"])

    wait_until(is_complete, f"a summary of {count} items", PATIENCE + count / 200)
    return summary.stat().st_ctime


def _read(rows: Path) -> Iterator[Any]:
    with rows.open("rb") as file:
        yield from map(json.loads, file)


def _bare(place: Place, count: int) -> float:
    """Seconds that the bare loop takes."""
    inbox = Inbox(place.fresh("bare-queue")).make()
    _write(inbox.folder, count)
    calm()
    with helper() as loop:
        return loop.apply(answer_lines, (inbox, QUEUE, ROWS))
