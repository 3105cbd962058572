"""Reading a root that a daemon may be serving: for commands, which never write to the log."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path

from daemon.archive import Drop
from daemon.batch import Batch
from daemon.blame import needed
from daemon.clock import SystemClock
from daemon.errors import IndexFailed, UsageError
from daemon.events import ProviderProgressed, Recorded
from daemon.index import Index
from daemon.jobs import Job
from daemon.references import unmet
from daemon.segments import Segments, segment_paths
from daemon.settings import Settings
from daemon.state import State
from daemon.tally import Tally
from handlers.contract import Json

POLL_SECONDS = 0.2


def check_root(settings: Settings) -> None:
    """Make sure that there is a log.

    Raises:
        UsageError: there is none.
    """
    if not settings.events.is_dir():
        raise UsageError(
            f"no darkroom has run in {settings.root}: it has no events/; "
            "choose another --root, or start one with `darkroom run`"
        )


def load(settings: Settings) -> tuple[State, Segments]:
    """The state of a root by its whole log, every line of it checked; and the log itself.

    Raises:
        UsageError: there is no log.
        LogCorrupt: a line is not what was once written.
    """
    check_root(settings)
    segments, state = Segments(settings.events, 0), State()
    for recorded in segments.load():
        state.apply(recorded)
    return state, segments


@dataclass(frozen=True, slots=True)
class Reading:
    """A root as it stands."""

    state: State
    segments: Segments
    index: Index | None

    def newest(self, most: int) -> list[tuple[str, Drop]]:
        """The newest drop of each of the requests that were dropped last, the newest first."""
        rows = {name: drop for name in self.state.drops if (drop := self.state.newest(name))}
        for name, drops in self.index.newest(most + len(rows)) if self.index is not None else ():
            rows.setdefault(name, next(reversed(drops.values())))
        return nlargest(most, rows.items(), key=lambda row: row[1].event)

    def find(self, wanted: str) -> tuple[str, Drop]:
        """The request that somebody means, by its name, its name without .json or .jsonl, or its
        job; an item of a batch by its number, as in shoes.json#3, or its job.

        Raises:
            UsageError: there is none.
        """
        state = self.state
        job = state.jobs.get(wanted) or state.item_named(wanted)
        if job is not None and job.batch is not None:
            return job.name, Drop("", None, job.id, job.first)
        for name in (
            wanted,
            f"{wanted}.json",
            f"{wanted}.jsonl",
            job.name if job is not None else "",
        ):
            drop = state.newest(name)
            if drop is not None:
                if job is not None and drop.job != job.id:
                    known = state.drops[name].values()
                    drop = next((one for one in known if one.job == job.id), drop)
                return name, drop
        near = [name for name in state.drops if wanted.lower() in name.lower()]
        near += self.index.similar(wanted, 5) if self.index is not None else []
        more = f"; similar: {', '.join(list(dict.fromkeys(near))[:5])}" if near else ""
        raise UsageError(f"the log knows no request or job {wanted!r}{more}")

    def answer(self, drop: Drop) -> Recorded | None:
        """The event that answers a drop, or None while its job is open."""
        if drop.job is None:
            return self.segments.get(drop.event)
        last = self.state.jobs[drop.job].last
        return self.segments.get(last) if last else None

    def tally(self, job: Job | None) -> Tally | None:
        """How many items of a batch stand where; None of what is no batch, or not opened yet."""
        batch = self.batch(job)
        return Tally.of(batch) if batch is not None else None

    def batch(self, job: Job | None) -> Batch | None:
        """What is known of the items of a job; None where it has none."""
        return self.state.batches.get(job.id) if job is not None and job.is_batch else None

    def failed(self, job: Job, most: int) -> list[Job]:
        """The first items of a batch that failed or were none, in their order."""
        at_hand = [one for one in self.state.jobs.values() if one.batch == job.id]
        known = {one.id for one in at_hand}
        found = [one for one in at_hand if one.status in ("failed", "rejected")]
        if self.index is not None:
            archived = self.index.failed_items(job.id, most + len(known))
            found += [one for one in archived if one.id not in known]
        return sorted(found, key=lambda one: one.item)[:most]

    def progress(self, job: Job | None) -> Recorded | None:
        """What was told last of how far an open job is."""
        if job is None or job.ended or not job.progressed:
            return None
        return self.segments.get(job.progressed)

    def standing(self, job: Job | None) -> str:
        """Where a job stands, and how far it is."""
        if job is not None and job.status == "waiting" and (needs := unmet(self.state, job)):
            return f"waiting for {needed(needs)}"
        tally = self.tally(job)
        if tally is not None:
            return f"{describe(job)} {tally.in_words()}"
        told = self.progress(job)
        event = told.event if told is not None else None
        if told is None or not isinstance(event, ProviderProgressed):
            return describe(job)
        return ", ".join([f"{describe(job)}: {event.message}", *_how_far(event), told.time])


def look(settings: Settings) -> Reading:
    """A root as it stands, by its index and what the log says since.

    Raises:
        UsageError: there is no log.
        LogCorrupt: a line is not what was once written.
    """
    check_root(settings)
    segments = Segments(settings.events, 0)
    try:
        index = Index(settings.index, read_only=True)
        start = index.position()
        if start is not None and segments.fits(start):
            state = State()
            index.restore(state)
            state.use(index)
            for recorded in segments.load(start):
                state.apply(recorded)
            return Reading(state, segments, index)
    except IndexFailed:
        pass  # the log has all that is in it
    state, segments = load(settings)
    return Reading(state, segments, None)


def lines(folder: Path, *, follow: bool) -> Iterator[bytes]:
    """The lines of a log as they are, without checking them; with `follow`, for ever."""
    number = 0
    while True:
        paths = segment_paths(folder)
        for path in paths[number:]:
            number += 1
            yield from _segment(folder, path, number, follow=follow)
        if not follow:
            return
        time.sleep(POLL_SECONDS)


def _segment(folder: Path, path: Path, number: int, *, follow: bool) -> Iterator[bytes]:
    with path.open("rb") as file:
        rest = b""
        while True:
            newer = len(segment_paths(folder)) > number  # asked before the end is looked for
            for line in file:
                rest += line
                if rest.endswith(b"\n"):
                    yield rest
                    rest = b""
            if newer or not follow:
                return
            time.sleep(POLL_SECONDS)


def concerns(line: Json, wanted: str) -> bool:
    """Whether an event is about a job or a request."""
    data = line.get("data", {})
    return wanted in (
        line.get("job"),
        line.get("subject"),
        data.get("of"),
        data.get("answered_by"),
    ) or f"{wanted}.json" == line.get("subject")


def parse(line: bytes) -> Json:
    """An event's line as a value; `{}` where it is none."""
    try:
        return json.loads(line)
    except ValueError:
        return {}


def _how_far(event: ProviderProgressed) -> Iterator[str]:
    if event.fraction is not None:
        yield f"{event.fraction:.0%} done"
    if event.polls:
        yield f"{event.polls} polls"


def describe(job: Job | None) -> str:
    """Where a job stands, in a few words."""
    if job is None:
        return "rejected"
    if job.status == "retrying":
        return f"retrying, attempt {job.attempt} at {job.due}"
    if job.status == "waiting" and job.due is not None and job.due > SystemClock().stamp():
        return f"waiting until {job.due}"
    return "cancelling" if job.cancelling and not job.ended else job.status
