"""Far more requests at once than any notice of them can be kept of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.bench import dropping
from tests.bench.dropping import Inbox, rename_all, write_all
from tests.bench.place import Place, Scale
from tests.bench.processes import helper, peak
from tests.bench.rows import Pair, Row, megabytes, rate
from tests.bench.serving import calm, serving_idle, subjects
from tests.bench.throughput import darkroom_lying

MEMORY = 300e6

_DURABLE = "Every one of the requests and its end, as in the rows with fewer of them."


@dataclass(frozen=True, slots=True)
class _Flood:
    rate: float
    peak: int
    answered: int
    accepted: int


def measure(place: Place, scale: Scale) -> list[Row]:
    """One flood, between two of the small loads that its rate is compared with."""
    before = darkroom_lying(place, scale.requests)
    flood = _flood(place, scale.flood)
    after = darkroom_lying(place, scale.requests)
    what = f"{scale.flood:,} requests renamed in as fast as possible"
    return [
        Row(
            f"{what}: none lost",
            f"{flood.answered:,} answered, {flood.accepted:,} accepted",
            _DURABLE,
            goal=f"{scale.flood:,} of both",
            met=flood.answered == flood.accepted == scale.flood,
        ),
        Row(
            f"{what}: most memory",
            megabytes(flood.peak),
            _DURABLE,
            goal=f"under {megabytes(MEMORY)}",
            met=flood.peak < MEMORY,
        ),
        rate(
            f"{what}: answers",
            [Pair(flood.rate, small) for small in (before, after)],
            f"itself, with {scale.requests:,} that lie there",
            0.8,
            _DURABLE,
        ),
    ]


def _flood(place: Place, count: int) -> _Flood:
    inbox, wanted = Inbox(place.fresh("flood")).make(), dropping.names(count)
    write_all(inbox, wanted)
    calm()
    with helper() as client, serving_idle(inbox) as daemon:
        began = client.apply(rename_all, (inbox, wanted))
        ended = inbox.wait(wanted)
        most = peak(daemon.process.pid)
    answered = sum(inbox.answer(name).exists() for name in wanted)
    accepted = subjects(inbox.root, "job.accepted")
    accepted.remove("first.json")
    return _Flood(count / (ended - began), most, answered, len(accepted))
