"""Where it is measured, how much of everything, and what the disk there is like."""

from __future__ import annotations

import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SLOW_CREATE = 0.0001
"""Seconds that making a file may take. Without a journal ext4 steps over every inode that was
deleted in the last minutes, so it takes ten times as long after something big was deleted."""

BUSY = 0.05
"""The share of the processor that others may have; more of it is felt in the figures."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything is measured."""

    rounds: int = 3
    requests: int = 5_000
    singles: int = 400
    """Requests of which each is dropped when the one before was answered."""
    pause: float = 0.02
    """Seconds between an answer and the next of those."""
    flood: int = 100_000
    events: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    lying: tuple[int, ...] = (1_000, 5_000, 20_000, 100_000)
    answered: int = 1_000
    """Answered requests that lie there while it idles."""
    rest: float = 12.0
    """Seconds it is left alone before its idling is measured: two scans and a bit."""
    idle: float = 60.0
    side: int = 4096
    """Of the pictures for which masks are made."""
    piece: int = 128
    """Of the piece on which the loop over pixels is measured."""
    photo: tuple[int, int] = (6000, 4000)
    waiting: int = 1_000
    """Jobs that a provider works on."""
    pace: float = 15.0
    """Seconds between two polls of each."""
    polled: float = 30.0
    """Seconds for which their polls are measured."""
    lines: int = 100_000
    """Of one queue."""
    items: int = 200
    """Of one batch."""
    by_process: int = 20
    """Those of them that are measured with a process for each."""


QUICK = Scale(
    rounds=1,
    requests=200,
    singles=20,
    pause=0.005,
    flood=500,
    events=(400, 2_000),
    lying=(50, 200),
    answered=50,
    rest=0.5,
    idle=10.0,
    side=256,
    piece=16,
    photo=(600, 400),
    waiting=60,
    pace=1.0,
    polled=4.0,
    lines=600,
    items=8,
    by_process=2,
)
"""Enough to see that all of it works; its figures say nothing."""


class Place:
    """A scratch folder: a fresh folder for each measurement, nothing deleted before the end.

    Args:
        folder: where; what is cached from run to run lies there too.
    """

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self.cache.mkdir(parents=True, exist_ok=True)
        self._run = folder / f"run-{os.getpid()}-{time.time_ns()}"
        self._run.mkdir()
        self._count = 0

    def fresh(self, name: str) -> Path:
        """A new folder, for one measurement."""
        self._count += 1
        folder = self._run / f"{self._count:03d}-{name}"
        folder.mkdir()
        return folder

    def clear(self) -> None:
        """Delete what was measured on; only when nothing more is measured."""
        shutil.rmtree(self._run)


@dataclass(frozen=True, slots=True)
class Machine:
    """What it is measured on."""

    processor: str
    cores: int
    python: str
    system: str
    filesystem: str
    create: float
    """Seconds that making an empty file takes."""
    fsync: float
    """Seconds until a line that was appended is on the disk."""
    load: float
    """Processes that wanted to run in the minute before."""
    others: float = 0.0
    """The share of the processor that other processes had during the run."""

    def warnings(self) -> list[str]:
        """Why the figures may be worth less than usual."""
        found = []
        if self.create > SLOW_CREATE:
            found.append(
                f"Making a file took {self.create * 1e3:.2f} ms at the start, "
                f"{SLOW_CREATE * 1e3:.2f} ms would be normal: "
                "an earlier deletion is still felt, so wait six minutes and measure again."
            )
        if self.load > 0.5:
            found.append(
                f"Other work was under way at the start (load {self.load:.1f}): "
                "measure again on a quiet machine."
            )
        if self.others > BUSY:
            found.append(
                f"Other processes had {self.others:.0%} of the processor during the run: "
                "measure again on a quiet machine."
            )
        return found


def look_at(place: Place) -> Machine:
    """Measure the machine, before anything else is done to it."""
    load = os.getloadavg()[0]
    folder = place.fresh("machine")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()}",
        filesystem=_filesystem(folder),
        create=_typical(200, lambda number: (folder / f"{number}").touch()),
        fsync=_fsync(folder / "line"),
        load=load,
    )


class Others:
    """What other processes do, from now on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._used = self._by_others()

    def share(self) -> float:
        """The share of the processor that they had since; every process of ours must have ended."""
        passed = (time.monotonic() - self._began) * (os.cpu_count() or 1)
        return max(0.0, self._by_others() - self._used) / passed

    @staticmethod
    def _by_others() -> float:
        """Seconds of processor time that all have used, less what is ours."""
        ticks = Path("/proc/stat").read_text().split(maxsplit=11)[1:9]
        user, nice, system, _idle, _waiting, *interrupts_and_stolen = map(int, ticks)
        used = user + nice + system + sum(interrupts_and_stolen)
        return used / os.sysconf("SC_CLK_TCK") - sum(os.times()[:4])


def _typical(times: int, work: Callable[[int], object]) -> float:
    """The median of the seconds that something takes."""
    took = []
    for number in range(times):
        began = time.perf_counter()
        work(number)
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def _fsync(path: Path) -> float:
    with path.open("ab", buffering=0) as file:

        def append(_: int) -> None:
            file.write(b"x" * 500)
            os.fdatasync(file.fileno())

        return _typical(200, append)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _filesystem(folder: Path) -> str:
    """The type of the filesystem that a folder lies on, by the longest mount point above it."""
    found = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) >= len(found[0]):
            found = (mount, kind)
    return found[1]
