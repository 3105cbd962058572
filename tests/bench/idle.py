"""What it costs while nothing happens."""

from __future__ import annotations

import time

from tests.bench import dropping
from tests.bench.dropping import Inbox, drop
from tests.bench.place import Place, Scale
from tests.bench.processes import processor_seconds, resident
from tests.bench.rows import Row
from tests.bench.serving import serving_idle

PROCESSOR = 0.005
GROWTH = 256_000
"""Bytes that the allocator may move to and fro; whatever a dozen scans keep is more than that."""

_DURABLE = "Nothing is written while it idles."


def measure(place: Place, scale: Scale) -> list[Row]:
    """An idle while, with answered requests lying in the inbox."""
    inbox, wanted = Inbox(place.fresh("idle")).make(), dropping.names(scale.answered)
    with serving_idle(inbox) as daemon:
        pid = daemon.process.pid
        drop(inbox, wanted)
        inbox.wait(wanted)
        time.sleep(scale.rest)
        memory, used, began = resident(pid), processor_seconds(pid), time.monotonic()
        time.sleep(scale.idle)
        busy = (processor_seconds(pid) - used) / (time.monotonic() - began)
        grown = resident(pid) - memory
    what = f"Idle for {scale.idle:g} s beside {scale.answered:,} answered requests"
    return [
        Row(
            f"{what}: processor",
            f"{busy:.2%} of a core",
            _DURABLE,
            goal=f"under {PROCESSOR:.1%}",
            met=busy < PROCESSOR,
        ),
        Row(
            f"{what}: growth",
            f"{grown / 1e3:,.0f} kB",
            _DURABLE,
            goal=f"none (under {GROWTH / 1e3:.0f} kB)",
            met=grown < GROWTH,
        ),
    ]
