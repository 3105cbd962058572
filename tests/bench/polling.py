"""What it costs to wait for a provider with many jobs, beside a bare loop that polls the same."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.dropping import PATIENCE, Inbox, names
from tests.bench.place import Place, Scale
from tests.bench.processes import helper, processor_seconds, resident
from tests.bench.rows import Pair, Row, megabytes
from tests.bench.serving import calm, serving, subjects
from tests.bench.slowprovider import SlowProvider, slow_provider
from tests.support import wait_until

GOAL = 3.0
"""Of the bare loop's processor time, at the most: each poll is driven, judged and maybe told."""
MEMORY = 20_000
"""Bytes for each job that waits, at the most."""

_DURABLE = """\
Every call that was taken is in the log before it is polled; how far it is, every 30 s where nothing is new.
The bare loop forgets everything.
"""


class Polled(NamedTuple):
    """A while of polling."""

    share: float
    """Of a core."""
    polls: float
    """A second."""
    memory: int
    """Bytes that the process holds."""

    @property
    def cost(self) -> float:
        """Processor seconds a poll."""
        return self.share / self.polls


def measure(place: Place, scale: Scale) -> list[Row]:
    """Rounds of: a daemon that goes on polling after a start, and the bare loop."""
    inbox = Inbox(place.fresh("polling")).make()
    ours, bare = [], []
    with slow_provider() as provider:
        idle = _park(inbox, provider, scale)
        for _ in range(scale.rounds):
            calm()
            ours.append(_daemon(inbox.root, provider, scale))
            bare.append(_bare(provider, scale))
    pairs = [Pair(one.cost, other.cost) for one, other in zip(ours, bare, strict=True)]
    what = f"{scale.waiting:,} jobs that a provider works on, each polled every {scale.pace:g} s"
    each = (median(one.memory for one in ours) - idle) / scale.waiting
    ratio = median(pair.ratio for pair in pairs)
    return [
        Row(
            f"{what}: processor",
            _told(ours),
            _DURABLE,
            f"bare poll loop: {_told(bare)}",
            f"{ratio:.2f}",
            f"at most {GOAL:g}",
            ratio <= GOAL,
        ),
        Row(
            f"{what}: memory",
            f"{megabytes(median(one.memory for one in ours))}, of which {megabytes(idle)} idle: "
            f"{each / 1e3:.1f} kB for each job",
            _DURABLE,
            f"bare poll loop: {megabytes(median(one.memory for one in bare))}",
            goal=f"under {MEMORY / 1e3:g} kB each",
            met=each < MEMORY,
        ),
    ]


def _told(rounds: list[Polled]) -> str:
    share, polls = median(one.share for one in rounds), median(one.polls for one in rounds)
    return f"{share:.1%} of a core at {polls:.0f} polls a second"


# ---------------------------------------------------------------- the daemon


def _park(inbox: Inbox, provider: SlowProvider, scale: Scale) -> int:
    """Have all jobs taken by the provider; bytes that the daemon held when one was."""
    (inbox.root / "darkroom.toml").write_text(
        f'[providers.slow]\nbase_url = "{provider.base_url}"\napi_key = "none"\n'
    )
    wanted = names(scale.waiting)
    with serving(inbox.root, **_pace(scale)) as daemon:
        _drop(inbox, wanted[:1])
        _wait_parked(inbox.root, 1)
        time.sleep(2 * scale.pace)  # what polls need is loaded by then
        idle = resident(daemon.process.pid)
        _drop(inbox, wanted[1:])
        _wait_parked(inbox.root, scale.waiting)
    return idle


def _pace(scale: Scale) -> dict[str, str]:
    return {
        "DARKROOM_POLL_SECONDS": f"{scale.pace}",
        "DARKROOM_POLL_SECONDS_MAX": f"{scale.pace}",
        "DARKROOM_POLL_TIMEOUT": "86400",
    }


def _drop(inbox: Inbox, wanted: list[str]) -> None:
    for name in wanted:
        aside = inbox.aside / f"{name}.json"
        aside.write_text(json.dumps({"prompt": name, "provider": "slow", "model": "m"}))
        inbox.rename(name)


def _wait_parked(root: Path, count: int) -> None:
    def parked() -> bool:
        time.sleep(0.2)  # reading the log again and again would take the daemon's processor
        return len(subjects(root, "job.parked")) >= count

    wait_until(parked, f"{count} jobs are parked", PATIENCE)


def _daemon(root: Path, provider: SlowProvider, scale: Scale) -> Polled:
    """A daemon that was started again: each job has been polled once before it is measured."""
    with serving(root, **_pace(scale)) as daemon:
        pid, before = daemon.process.pid, provider.polls()
        wait_until(lambda: provider.polls() >= before + scale.waiting, "all are polled", PATIENCE)
        time.sleep(scale.pace)
        used, polls, began = processor_seconds(pid), provider.polls(), time.monotonic()
        time.sleep(scale.polled)
        seconds = time.monotonic() - began
        share = (processor_seconds(pid) - used) / seconds
        return Polled(share, (provider.polls() - polls) / seconds, resident(pid))


# ---------------------------------------------------------------- the bare loop


def _bare(provider: SlowProvider, scale: Scale) -> Polled:
    urls = [provider.job(number) for number in range(1, scale.waiting + 1)]
    with helper() as loop:
        return loop.apply(_poll_all, (urls, scale.pace, scale.polled))


def _poll_all(urls: list[str], pace: float, seconds: float) -> Polled:
    """One client, and a task for each address."""
    return asyncio.run(_polling(urls, pace, seconds))


async def _polling(urls: list[str], pace: float, seconds: float) -> Polled:
    import httpx

    polls = 0

    async def watch(client: httpx.AsyncClient, url: str, first: float) -> None:
        nonlocal polls
        await asyncio.sleep(first)
        while (await client.get(url)).json()["status"] == "in_progress":
            polls += 1
            await asyncio.sleep(pace)

    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        tasks = [
            asyncio.create_task(watch(client, url, pace * number / len(urls)))
            for number, url in enumerate(urls)
        ]
        await asyncio.sleep(2 * pace)
        used, done, began = time.process_time(), polls, time.monotonic()
        await asyncio.sleep(seconds)
        passed = time.monotonic() - began
        share, count = (time.process_time() - used) / passed, (polls - done) / passed
        memory = resident(os.getpid())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Polled(share, count, memory)
