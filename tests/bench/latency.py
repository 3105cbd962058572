"""One request at a time, of a daemon that idles: from the rename to the result."""

from __future__ import annotations

import time
from statistics import quantiles

from tests.bench import bareloop, dropping
from tests.bench.dropping import PATIENCE, Inbox
from tests.bench.inotify import Inotify
from tests.bench.place import Place, Scale
from tests.bench.processes import helper
from tests.bench.rows import Pair, Row, duration
from tests.bench.serving import calm, serving_idle

_DURABLE = """\
Both sync their log twice before the result: when the request is accepted, and when it has ended.
"""


def measure(place: Place, scale: Scale) -> list[Row]:
    """Rounds of both, the daemon and the bare loop taking turns in being the first."""
    turns = [_darkroom, _bare]
    rounds = []
    for number in range(scale.rounds):
        took = {turn: turn(place, scale) for turn in turns[:: -1 if number % 2 else 1]}
        rounds.append((took[_darkroom], took[_bare]))
    what = "One request when idle, drop to result"
    half = [Pair(ours[49], bare[49]) for ours, bare in rounds]
    most = [Pair(ours[98], bare[98]) for ours, bare in rounds]
    return [
        duration(f"{what}, p50", half, "bare loop told by inotify", 2, _DURABLE),
        duration(f"{what}, p99", most, "bare loop told by inotify", 3, _DURABLE),
    ]


def _darkroom(place: Place, scale: Scale) -> list[float]:
    inbox = Inbox(place.fresh("single")).make()
    calm()
    with serving_idle(inbox):
        return _percentiles(inbox, scale)


def _bare(place: Place, scale: Scale) -> list[float]:
    inbox = Inbox(place.fresh("bare-single")).make()
    calm()
    with helper() as loop:
        loop.apply_async(bareloop.answer, (inbox, scale.singles + 1), {"told": True})
        dropping.drop_first(inbox)
        return _percentiles(inbox, scale)


def _percentiles(inbox: Inbox, scale: Scale) -> list[float]:
    """The seconds within which 1, 2, ... 99 of a hundred requests were answered."""
    news = Inotify(inbox.folder)
    took = []
    for name in dropping.names(scale.singles):
        time.sleep(scale.pause)
        inbox.write(name)
        began = time.perf_counter()
        inbox.rename(name)
        _wait(news, inbox.answer(name).name)
        took.append(time.perf_counter() - began)
    news.close()
    return quantiles(took, n=100, method="inclusive")


def _wait(news: Inotify, answer: str) -> None:
    heard: list[str | None] = []
    while answer not in heard:
        heard = news.names(PATIENCE)
        assert heard, f"never happened: {answer}"
