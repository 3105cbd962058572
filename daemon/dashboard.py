"""What `darkroom status` and `darkroom watch` show: a root at one moment, and as it changes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from daemon import bars
from daemon.archive import Drop
from daemon.clock import SystemClock
from daemon.locks import lock_holder
from daemon.overview import Overview, Rate, Spending, counts, paused_by, rate
from daemon.reading import Reading, look
from daemon.settings import Settings
from daemon.showing import console, plain, row
from daemon.tally import Pace, Tally
from handlers.contract import Json

if TYPE_CHECKING:
    from rich.table import Table


def show_all(settings: Settings, most: int, *, as_json: bool) -> None:
    """Counts, rates, lanes, and the newest requests with what each one waits for."""
    glance = Glance.of(settings, most)
    if as_json:
        print(json.dumps(glance.to_json(), indent=2, ensure_ascii=False))
        return
    for line in glance.headlines():
        print(line)
    for table in glance.tables():
        print()
        console().print(table)


@dataclass(frozen=True, slots=True)
class Glance:
    """A root at one moment, ready to be shown."""

    settings: Settings
    reading: Reading
    overview: Overview
    paused: Mapping[str | None, str]
    rate: Rate
    spending: Spending
    holder: int | None
    rows: list[tuple[str, Drop]]

    @classmethod
    def of(cls, settings: Settings, most: int) -> Glance:
        """Read everything.

        Raises:
            UsageError: there is no log.
            LogCorrupt: a line is not what was once written.
        """
        reading, clock = look(settings), SystemClock()
        paused = paused_by(settings.inbox)
        return cls(
            settings,
            reading,
            Overview(
                reading.state, clock.stamp(), frozenset(paused), settings.provider_concurrency
            ),
            paused,
            rate(settings.events, clock.now()),
            Spending(reading.state.accounts, clock.now()),
            lock_holder(settings.lock),
            reading.newest(most)[::-1],
        )

    def to_json(self) -> dict[str, Json]:
        """For programs."""
        state = self.reading.state
        return {
            "root": str(self.settings.root),
            "daemon": self.holder,
            "paused": state.paused,
            "pauses": sorted(self.paused.values()),
            "counts": dict(counts(state)),
            "rate": asdict(self.rate),
            "money": self.spending.to_json(),
            "lanes": {name: asdict(lane) for name, lane in self.overview.lanes.items()},
            "requests": [self._row(name, drop) for name, drop in self.rows],
        }

    def _row(self, name: str, drop: Drop) -> dict[str, Json]:
        job = self.reading.state.jobs.get(drop.job or "")
        waits = self.overview.waits_for(job) if job is not None else None
        return {**row(self.reading, name, drop), "waits_for": waits}

    def headlines(self) -> list[str]:
        """Who serves, how many stand where, how fast it goes, what was spent."""
        state = self.reading.state
        served = f"served by process {self.holder}" if self.holder is not None else "no daemon runs"
        full = ", paused: the disk is full" if state.paused else ""
        files = "".join(f", paused by inbox/{plain(name)}" for name in self.paused.values())
        some = ", ".join(f"{count} {status}" for status, count in counts(state).items())
        pace = self.rate.answered / self.rate.seconds
        answered = f"{self.rate.answered} answered in the last {self.rate.seconds:.0f} s"
        return [
            f"{self.settings.root}: {served}{full}{files}",
            some or "no requests yet",
            f"{answered} ({pace:.3g} a second)",
            *self.spending.in_words(),
        ]

    def tables(self) -> list[Table]:
        """Lanes and requests, those that are not empty."""
        return [table for table in (self._lanes(), self._requests()) if table.row_count]

    def batches(self, paces: dict[str, Pace], most: int) -> list[Table]:
        """Bars of the batches that run, if any do.

        Args:
            paces: how fast each went so far, by its job; kept up here.
            most: how many to list.
        """
        state, now = self.reading.state, time.monotonic()
        jobs = [state.jobs[job_id] for job_id in state.open_jobs]
        running: dict[str, tuple[str, Tally, Pace]] = {}
        for job in jobs:
            tally = self.reading.tally(job)
            if tally is not None:
                running[job.id] = job.name, tally, paces.get(job.id, Pace())
                running[job.id][2].add(now, tally.done)
        paces.clear()
        paces.update((job_id, pace) for job_id, (_, __, pace) in running.items())
        return [bars.table(list(running.values())[:most])] if running else []

    def _lanes(self) -> Table:
        """The providers that have something to do."""
        from rich.table import Table

        table = Table("lane", box=None, header_style="bold")
        for header in ("running", "waiting", "later", "blocked", "needs", "polling"):
            table.add_column(header, justify="right")
        for name, lane in sorted(self.overview.lanes.items()):
            table.add_row(plain(name), *map(str, asdict(lane).values()))
        return table

    def _requests(self) -> Table:
        """The newest requests, and what each one waits for."""
        from rich.table import Table

        table = Table("request", "status", "task", "provider", box=None, header_style="bold")
        table.add_column("job", no_wrap=True)
        for name, drop in self.rows:
            job = self.reading.state.jobs.get(drop.job or "")
            waits = self.overview.waits_for(job) if job is not None else None
            error = f" ({job.error})" if job is not None and job.error else ""
            table.add_row(
                plain(name),
                plain(f"waits for {waits}" if waits else self.reading.standing(job)) + error,
                job.task if job is not None else "",
                job.provider if job is not None else "",
                drop.job or "",
            )
        return table


def watch(settings: Settings, most: int, seconds: float) -> None:
    """Show a root as it changes, until somebody ends it: live on a terminal, otherwise a line
    whenever the counts changed.

    Args:
        settings: which root.
        most: how many requests to list.
        seconds: between two looks; longer where a look takes long.
    """
    if sys.stdout.isatty():
        _live(settings, most, seconds)
    before = ""
    while True:
        began = time.monotonic()
        _, counted, pace, *_ = Glance.of(settings, 0).headlines()
        if counted != before:
            print(f"{SystemClock().stamp()}  {counted}; {pace}", flush=True)
            before = counted
        time.sleep(_pause(began, seconds))


def _live(settings: Settings, most: int, seconds: float) -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, screen=True) as live:
        paces: dict[str, Pace] = {}
        while True:
            began = time.monotonic()
            room = max(1, live.console.height - 12)
            glance = Glance.of(settings, min(most, room))
            batches = glance.batches(paces, max(1, room // 2))
            left = max(1, room - sum(table.row_count + 2 for table in batches))
            del glance.rows[:-left]
            live.update(Group(*glance.headlines(), *batches, *glance.tables()), refresh=True)
            time.sleep(_pause(began, seconds))


def _pause(began: float, seconds: float) -> float:
    """To look takes a tenth of the time at the most."""
    return max(seconds, 9 * (time.monotonic() - began))
