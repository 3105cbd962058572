"""How long it takes to start on a long log: from the process's start until it serves."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench import history
from tests.bench.place import Place, Scale
from tests.bench.processes import helper, peak
from tests.bench.rows import Pair, Row, duration, megabytes, seconds
from tests.bench.serving import calm, serving, started_at

SNAPSHOT = 1.0
"""Seconds that a start may take after an orderly stop."""

_READS = """\
Nothing but that it started is written; the files are in memory already, for both.
darkroom checks every hash and builds its state; the plain read parses each line as JSON, and neither checks nor keeps anything.
"""
_CACHE = """\
What the stop before has left under `.darkroom/` may be deleted at any time: the log alone is the truth.
"""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a daemon."""

    seconds: float
    peak: int


def measure(place: Place, scale: Scale) -> list[Row]:
    """Rounds of: reading the log plainly, the first start on it, and the next."""
    events = scale.events[-1]
    empty = nothing(place)
    plain, first, second = [], [], []
    for _ in range(scale.rounds):
        root = history.root_with(place, events)
        calm()
        plain.append(_read_plainly(root))
        first.append(start(root))
        second.append(start(root))
    pairs = [Pair(own.seconds - empty, bare) for own, bare in zip(first, plain, strict=True)]
    again = median(own.seconds for own in second)
    most = max(own.peak for own in first)
    what = f"Start with {events:,} events in the log"
    return [
        duration(what, pairs, "plain read and parse", 3, _READS),
        Row(
            f"{what}, after an orderly stop",
            f"{seconds(again - empty)} ({seconds(again)} with Python's own start)",
            _CACHE,
            goal=f"under {seconds(SNAPSHOT)}",
            met=again - empty < SNAPSHOT,
        ),
        Row(f"{what}: most memory", megabytes(most), _READS),
    ]


def start(root: Path) -> Start:
    """Start a daemon, and stop it in good order."""
    began = time.time()
    with serving(root) as daemon:
        most = peak(daemon.process.pid)
    return Start(started_at(root) - began, most)


def nothing(place: Place) -> float:
    """Seconds of a start on an empty root: Python's own, and that of everything imported."""
    return median(start(place.fresh("empty")).seconds for _ in range(3))


def _read_plainly(root: Path) -> float:
    """Seconds that a fresh process needs to read and parse the log; it is in memory by then."""
    paths = history.segments(root / "events")
    for path in paths:
        path.read_bytes()
    with helper() as reader:
        return reader.apply(_parse, (paths,))


def _parse(paths: Sequence[Path]) -> float:
    began = time.perf_counter()
    for path in paths:
        with path.open("rb") as file:
            for line in file:
                json.loads(line)
    return time.perf_counter() - began
