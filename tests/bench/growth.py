"""How cost grows with the number of requests, events and files: for the picture."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from daemon.inbox import scan
from tests.bench import dropping, history, starting
from tests.bench.dropping import Inbox, drop
from tests.bench.place import Place, Scale
from tests.bench.serving import calm, serving, started_at

Points = Sequence[tuple[int, float]]
"""How much there was, and the seconds that something took."""


@dataclass(frozen=True, slots=True)
class Growth:
    """The three curves."""

    job: Points
    """Seconds for each job, by the number of requests that lie there."""
    start: Points
    """Seconds of a start, by the number of events in the log."""
    scan: Points
    """Seconds of one look at the inbox, by the number of files in it."""


def measure(place: Place, scale: Scale) -> Growth:
    """Measure each once, the smallest first."""
    job, looks = [], []
    for count in scale.lying:
        inbox = Inbox(place.fresh(f"lying-{count}")).make()
        job.append((count, _answer(inbox, count)))
        looks.append(_look(inbox.folder))
    empty = starting.nothing(place)
    start = []
    for events in scale.events:
        root = history.root_with(place, events)
        start.append((events, max(0.0, starting.start(root).seconds - empty)))
    return Growth(job, start, looks)


def _answer(inbox: Inbox, count: int) -> float:
    """Seconds for each of so many requests, of a daemon that finds them when it starts."""
    wanted = dropping.names(count)
    drop(inbox, wanted)
    calm()
    with serving(inbox.root):
        ended = inbox.wait(wanted)
    return (ended - started_at(inbox.root)) / count


def _look(folder: Path) -> tuple[int, float]:
    """How many files there are, results too, and the seconds that one look takes."""
    files = sum(1 for _ in folder.iterdir())
    took = []
    for _ in range(5):
        began = time.perf_counter()
        scan(folder)
        took.append(time.perf_counter() - began)
    return files, median(took)
