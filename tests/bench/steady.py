"""`make soak`: an hour of steady load, by a client that removes what is answered.

    python -m tests.bench.steady [--minutes N] [--folder FOLDER]

First 2,000 drops a second for a minute, of which none may be lost; then 200 a second, during which
the daemon's memory must stay flat. Exits 1 where either is not so.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from tests.bench.dropping import PATIENCE, Inbox, drop
from tests.bench.inotify import Inotify
from tests.bench.processes import resident
from tests.bench.rows import megabytes
from tests.bench.serving import serving, subjects
from tests.support import REPOSITORY, Daemon

BURST, BURST_SECONDS = 2_000, 60.0
STEADY = 200
SAMPLES = 10.0
"""Seconds between two looks at the memory, in an hour; a shorter run looks more often."""


@dataclass(slots=True)
class Client:
    """Drops requests of fresh names at a steady rate, and removes each once it is answered."""

    inbox: Inbox
    news: Inotify
    dropped: int = 0
    open: set[str] = field(default_factory=set)
    """Names of requests that are not answered yet."""

    def load(self, rate: int, seconds: float) -> float:
        """Drop so many a second; the rate that was reached."""
        began, before = time.monotonic(), self.dropped
        while (passed := time.monotonic() - began) < seconds:
            due = before + int(passed * rate) - self.dropped
            for _ in range(min(due, rate // 20)):  # what is answered meanwhile must not wait long
                self._drop()
            self.clear(1 / rate)
        return (self.dropped - before) / passed

    def _drop(self) -> None:
        name = f"s{self.dropped:07d}"
        self.dropped += 1
        self.open.add(name)
        drop(self.inbox, [name])

    def clear(self, seconds: float) -> int:
        """Remove what is answered, waiting so long for something; how many that were."""
        heard = self.news.names(seconds)
        if None in heard:
            return self._clear_all()
        answers = (name.removesuffix(".result.json") for name in heard if name is not None)
        return sum(map(self._remove, self.open.intersection(answers)))

    def _clear_all(self) -> int:
        """Notices were lost: look for every answer."""
        answered = [name for name in self.open if self.inbox.answer(name).exists()]
        return sum(map(self._remove, answered))

    def _remove(self, name: str) -> bool:
        (self.inbox.folder / f"{name}.json").unlink()  # first, or its answer might be missed
        self.inbox.answer(name).unlink()
        self.open.remove(name)
        return True

    def finish(self) -> None:
        """Wait until all is answered, or nothing is any more."""
        ends = time.monotonic() + PATIENCE
        while self.open and time.monotonic() < ends:
            if self.clear(1.0) or self._clear_all():
                ends = time.monotonic() + PATIENCE


def main() -> None:
    """Soak it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # ends the daemon
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steady", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="of the steady load")
    parser.add_argument("--folder", type=Path, default=REPOSITORY / ".scratch", help="which disk")
    arguments = parser.parse_args()
    folder = arguments.folder / f"soak-{time.time_ns()}"
    folder.mkdir(parents=True)
    try:
        faults = burst(folder / "burst", BURST_SECONDS)
        faults += steady(folder / "steady", arguments.minutes * 60)
    finally:
        shutil.rmtree(folder)
    sys.exit("\n".join(faults) or 0)


def burst(root: Path, seconds: float) -> list[str]:
    """Thousands of drops a second; what was wrong."""
    with _client(root) as (client, _):
        reached = client.load(BURST, seconds)
        print(f"burst: {client.dropped:,} dropped, {reached:,.0f} a second", flush=True)
        client.finish()
    return losses(client)


def steady(root: Path, seconds: float) -> list[str]:
    """A steady load on a daemon of its own, so that nothing hides what it keeps; what was wrong."""
    samples = []
    with _client(root) as (client, daemon):
        for number in range(max(60, round(seconds / SAMPLES))):
            client.load(STEADY, min(SAMPLES, seconds / 60))
            samples.append(resident(daemon.process.pid))
            if number % 30 == 0:
                print(f"steady: {client.dropped:,} dropped, {megabytes(samples[-1])}", flush=True)
        client.finish()
    return [*losses(client), *growth(samples)]


@contextmanager
def _client(root: Path) -> Iterator[tuple[Client, Daemon]]:
    """A daemon on a fresh root, and its client."""
    root.mkdir()
    inbox = Inbox(root).make()
    news = Inotify(inbox.folder)
    try:
        with serving(root) as daemon:
            yield Client(inbox, news), daemon
    finally:
        news.close()


def losses(client: Client) -> list[str]:
    """What was not answered once and for good, now that the daemon has stopped."""
    accepted = len(subjects(client.inbox.root, "job.accepted"))
    left = sum(1 for _ in client.inbox.folder.iterdir())
    dropped, unanswered = client.dropped, len(client.open)
    faults = {
        f"{unanswered:,} of {dropped:,} requests were not answered": unanswered,
        f"{dropped:,} requests were dropped, and {accepted:,} accepted": dropped != accepted,
        f"{left:,} files lie in the inbox, though all were removed": left and not unanswered,
    }
    return [fault for fault, is_so in faults.items() if is_so]


def growth(samples: Sequence[int]) -> list[str]:
    """Whether the memory of the last third is above that of the second tenth, and by how much."""
    count = len(samples)
    early = median(samples[count // 10 : count // 5])
    late = median(samples[-count // 3 :])
    print(f"memory: {megabytes(early)} early, {megabytes(late)} late")
    if late <= early * 1.1 + 10e6:
        return []
    return [f"memory grew from {megabytes(early)} to {megabytes(late)}; it should stay flat"]


if __name__ == "__main__":
    main()
