"""Restoring the rows of queues, `queue.jsonl.result.jsonl`, from the log alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic_core import to_json

from daemon.archive import Drop
from daemon.events import Recorded
from daemon.files import append_beneath, folder_beneath, write_all
from daemon.jobs import QUEUE, parent_of
from daemon.results import row
from daemon.rows import batch_of, rows_parts
from daemon.segments import Segments
from daemon.state import State

_MOST = 4 << 20
"""Bytes of rows that are compared, or written, at once."""


@dataclass(slots=True)
class _File:
    """The rows of one queue: what stands there is compared with what the log says."""

    inbox: Path
    name: str
    place: int = 0
    """Bytes of it that are as they should be."""
    rows: bytearray = field(default_factory=bytearray)
    """What comes behind them."""
    written: bool = False
    failed: bool = False
    """Whether there is no place for it."""

    def add(self, data: bytes) -> None:
        """One more row."""
        self.rows += data
        if len(self.rows) >= _MOST:
            self.settle()

    def settle(self, *, at_last: bool = False) -> None:
        """Have the file hold what was added; with `at_last`, nothing else."""
        parts = rows_parts(self.name)
        try:
            with folder_beneath(self.inbox, parts[:-1], make=True):
                pass
            with append_beneath(self.inbox, parts) as descriptor:
                self._write(descriptor, cut=at_last)
        except OSError:
            self.failed = True
        self.rows.clear()

    def _write(self, descriptor: int, *, cut: bool) -> None:
        size = os.fstat(descriptor).st_size
        wrong = os.pread(descriptor, len(self.rows), self.place) != self.rows
        end = self.place + len(self.rows)
        if wrong or (cut and size > end):
            os.ftruncate(descriptor, self.place)
            write_all(descriptor, self.rows)
            self.written = True
        self.place = end


def restore(inbox: Path, state: State, segments: Segments) -> tuple[int, list[str]]:
    """Have the file of rows of each queue hold what the log says, byte for byte.

    Args:
        inbox: the folder of requests; nobody else may write there.
        state: of the whole log.
        segments: that log.

    Returns:
        How many files had to be written, and the queues for whose rows there was no place.
    """
    files = {job_id: _File(inbox, name) for job_id, name in _queues(state).items()}
    first = min((state.jobs[job_id].first for job_id in files), default=state.sequence)
    for ending in segments.read(first, state.sequence):
        file = files.get(_queue_of(ending, segments) or "")
        if file is not None:
            file.add(to_json(row(ending, segments.get)) + b"\n")
    for file in files.values():
        file.settle(at_last=True)
    written = sum(file.written for file in files.values())
    return written, [file.name for file in files.values() if file.failed]


def _queues(state: State) -> Mapping[str, str]:
    """The name of each queue, by its job."""
    return {
        drop.job: name
        for name in state.drops
        if name.endswith(QUEUE)
        for drop in _drops(state, name)
        if drop.job is not None
    }


def _drops(state: State, name: str) -> Iterable[Drop]:
    return state.drops[name].values()


def _queue_of(ending: Recorded, segments: Segments) -> str | None:
    """The job of the queue that an event ended an item of."""
    name, number = parent_of(ending.subject or "")
    return batch_of(ending, segments.get) if number and name.endswith(QUEUE) else None
