"""Many requests, dropped by rename, to all of their results: beside the bare loop and huey."""

from __future__ import annotations

from tests.bench import bareloop, dropping, hueyload
from tests.bench.dropping import Inbox, drop
from tests.bench.place import Place, Scale
from tests.bench.processes import helper
from tests.bench.rows import Pair, Row, rate
from tests.bench.serving import calm, serving, serving_idle, started_at, subjects

_OURS = """\
darkroom has a request on the disk, in its log, before any work on it, and its end before its result is written.
Results are not synced: the log can rebuild them.
"""
_BARE = f"""\
{_OURS}\
The bare loop syncs its log at the same two points; both sync once for many requests.
"""
_HUEY = f"""\
{_OURS}\
huey has a task on the disk when enqueuing it returns; a dropped file is there for sure once darkroom has accepted it, or its client has synced it.
huey then syncs that a task was taken, and its result; it forgets a task that it was working on when it died.
"""


def measure(place: Place, scale: Scale) -> list[Row]:
    """Rounds in which each of them has its turn, each round beginning with another."""
    turns = {
        "lying": darkroom_lying,
        "bare lying": _bare_lying,
        "dropped": _darkroom_dropped,
        "bare dropped": _bare_dropped,
        "huey": _huey,
    }
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(scale.rounds):
        order = list(turns)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            calm()
            found[name].append(turns[name](place, scale.requests))

    def pairs(ours: str, anchor: str) -> list[Pair]:
        return [Pair(*both) for both in zip(found[ours], found[anchor], strict=True)]

    what = f"{scale.requests:,} requests"
    beside = f"{what} while another process drops them"
    return [
        rate(f"{what} that lie there", pairs("lying", "bare lying"), "bare loop", 0.6, _BARE),
        rate(beside, pairs("dropped", "bare dropped"), "bare loop", 0.5, _BARE),
        rate(f"{beside} (enqueues them)", pairs("dropped", "huey"), "huey", 4, _HUEY),
    ]


def darkroom_lying(place: Place, count: int) -> float:
    """Answers a second, of a daemon that finds its requests when it starts."""
    inbox, wanted = Inbox(place.fresh("lying")).make(), dropping.names(count)
    drop(inbox, wanted)
    calm()
    with serving(inbox.root):
        ended = inbox.wait(wanted)
    assert len(subjects(inbox.root, "job.succeeded")) == count
    return count / (ended - started_at(inbox.root))


def _bare_lying(place: Place, count: int) -> float:
    inbox, wanted = Inbox(place.fresh("bare")).make(), dropping.names(count)
    drop(inbox, wanted)
    calm()
    with helper() as loop:
        began = loop.apply(bareloop.answer, (inbox, count))
    return count / (inbox.wait(wanted) - began)


def _darkroom_dropped(place: Place, count: int) -> float:
    inbox, wanted = Inbox(place.fresh("dropped")).make(), dropping.names(count)
    with helper() as client, serving_idle(inbox):
        began = client.apply(drop, (inbox, wanted))
        ended = inbox.wait(wanted)
    assert len(subjects(inbox.root, "job.succeeded")) == count + 1
    return count / (ended - began)


def _bare_dropped(place: Place, count: int) -> float:
    inbox, wanted = Inbox(place.fresh("bare-dropped")).make(), dropping.names(count)
    with helper() as client, helper() as loop:
        loop.apply_async(bareloop.answer, (inbox, count + 1))
        dropping.drop_first(inbox)
        began = client.apply(drop, (inbox, wanted))
        return count / (inbox.wait(wanted) - began)


def _huey(place: Place, count: int) -> float:
    file = str(place.fresh("huey") / "queue.db")
    with helper() as client, hueyload.consuming(file):
        began = client.apply(hueyload.enqueue, (file, count))
        return count / (hueyload.wait(file, count + 1) - began)
