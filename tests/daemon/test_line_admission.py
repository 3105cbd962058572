"""Queues that grow, are rewritten and cut at any byte, under daemons that die at any event: no line
is admitted twice, none is lost, and each has one row.

The daemon's own parts are at work, with a log in memory that takes only so many events and then
answers nobody, as a process does that was killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon import batches, queuefiles
from daemon.acceptance import Acceptor
from daemon.batches import Batches
from daemon.closing import Closing
from daemon.decisions import Run, Succeed, decide
from daemon.eventlog import Append
from daemon.events import (
    BatchEnded,
    ItemRejected,
    JobAccepted,
    JobEnded,
    QueueExtended,
    Recorded,
)
from daemon.expansion import Manifests
from daemon.opening import Opening
from daemon.queues import Queues
from daemon.recall import Recall
from daemon.results import row
from daemon.rows import Rows
from daemon.testing import MemoryEventLog
from tests.builders import Bench, scripted
from tests.examples import examples

NAME = "q.jsonl"
ONE, TWO, THREE = (json.dumps({"prompt": word}).encode() for word in ("one", "two", "three"))
BAD, END = b"{no", b'{"end": true}'
LINES = st.sampled_from([ONE, TWO, THREE, BAD, b"", END])


class Mortal(MemoryEventLog):
    """Takes events until one too many comes: then it is dead, and no append ever comes back."""

    limit = 1 << 60
    rows: Path | None = None
    synced = 0
    """Bytes of the rows that a crash cannot take any more."""

    @property
    def dead(self) -> bool:
        return self._last >= self.limit

    def _commit(self, appends: Sequence[Append], future: asyncio.Future[Any]) -> None:
        if self.dead:
            return
        events = [(append, event) for append in appends for event in append.events]
        if self._last + len(events) <= self.limit:
            if self.rows is not None and any(isinstance(event, BatchEnded) for _, event in events):
                self.synced = self.rows.stat().st_size if self.rows.exists() else 0
            super()._commit(appends, future)
            return
        for append, event in events[: self.limit - self._last]:  # torn; nobody is told
            self._write(
                Recorded(self._last + 1, "x", "2026-01-01T00:00:00.000Z", *append[1:3], event)
            )
            self._last += 1


class Answers:
    """Of what a publisher does, nothing is needed."""

    def remove(self, names: Sequence[str]) -> None:
        """There is none."""

    def ensure(self, name: str, drop: Any) -> None:
        """There is none."""


class Life:
    """A daemon's part that has to do with queues, from a start to its death or its stop."""

    def __init__(self, folder: Path, lines: Sequence[bytes], kill_after: int | None) -> None:
        self.bench = bench = Bench(folder, scripted(), lines=lines, kind=Mortal)
        self.log = cast("Mortal", bench.log)
        if kill_after is not None:
            self.log.limit = len(self.log.lines) + kill_after
        bench.settings.inbox.mkdir(exist_ok=True)
        state, log, blobs, door = bench.state, bench.log, bench.blobs, bench.door
        recall = Recall(log, blobs, door)
        acceptor = Acceptor(bench.clock, bench.roster, blobs, bench.disk)
        manifests = Manifests(1000)
        self.rows = Rows(bench.settings.inbox, log, state)
        self.log.rows = bench.settings.inbox / f"{NAME}.result.jsonl"
        opening = Opening(
            bench.settings, bench.clock, state, log, blobs, recall, bench.services.inputs, acceptor,
            manifests,
        )  # fmt: skip
        closing = Closing(state, recall, self.rows, cast("Any", None), manifests.options)
        self.queues = Queues(bench.settings, log, state, blobs, acceptor, cast("Any", Answers()))
        self.batches = Batches(
            log, bench.disk, state, recall, door, acceptor, opening, closing, lambda _: False
        )
        log.subscribe(self._work)
        log.subscribe(self.rows.committed)
        log.subscribe(self.batches.committed)

    def _work(self, batch: Sequence[Recorded]) -> None:
        """Whatever is admitted succeeds at once."""
        for recorded in batch:
            event = recorded.event
            if isinstance(event, JobAccepted) and event.batch is not None:
                self._succeed(recorded.job or "")

    def _succeed(self, job_id: str) -> None:
        decision = decide(self.bench.state, Succeed(job_id, Run()))
        self.bench.log.append(job_id, decision.version, decision.events, subject=decision.subject)

    async def live(self) -> bool:
        """Take in the queue as it is, and have all of it done; whether that came to its end."""
        self.batches.begin()
        for job_id in tuple(self.bench.state.open_jobs):
            if self.bench.state.jobs[job_id].batch is not None:
                self._succeed(job_id)
        taking = asyncio.create_task(self._take())
        async with asyncio.timeout(20):
            while not self.log.dead and not (taking.done() and not self.bench.state.open_jobs):
                if taking.done():
                    taking.result()
                await asyncio.sleep(0.0005)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await self.batches.close()
        await self.rows.close()
        self.bench.close()
        return not self.log.dead

    async def _take(self) -> None:
        for name in [*self.queues.unread(), NAME]:
            while (await self.queues.take(name, settled=True)).state == "busy":
                pass


class Step(NamedTuple):
    """What a writer does, and when the daemon that finds it dies."""

    lines: list[bytes]
    cut: int
    """Bytes that are not written, of what replaces the file."""
    append: bool
    kill_after: int | None
    """Events."""
    torn: int
    """Where the rows are cut then, in bytes behind what is durable."""


STEPS = st.builds(
    Step,
    st.lists(LINES, max_size=8),
    st.integers(0, 40),
    st.booleans(),
    st.none() | st.integers(0, 24),
    st.integers(0, 3000),
)


class Story:
    """A queue and its daemons, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "inbox" / NAME
        self.file.parent.mkdir()
        self.data = b""
        self.log: list[bytes] = []
        self.synced = 0
        self.least: Counter[bytes] = Counter()
        """How often each content must have been admitted,"""
        self.most: Counter[bytes] = Counter()
        """and how often it may have been."""

    def play(self, step: Step) -> None:
        new = b"".join(line + b"\n" for line in step.lines)
        self.data = self.data + new if step.append else new[: max(0, len(new) - step.cut)]
        self.file.write_bytes(self.data)
        self.most |= items_in(self.data)
        if asyncio.run(self._live(step)):
            self.least |= items_in(self.data)
            self.judge()

    async def _live(self, step: Step) -> bool:
        life = Life(self.folder, self.log, step.kill_after)
        life.log.synced = self.synced
        ended = await life.live()
        self.log, self.synced = life.log.lines, life.log.synced
        rows = life.log.rows
        if not ended and rows is not None and rows.exists():
            size = rows.stat().st_size
            os.truncate(rows, self.synced + step.torn % (size - self.synced + 1))
        return ended

    def judge(self) -> None:
        """After a life that nobody ended: all is there, and once."""
        events = [one for one in _decoded(self.log) if one.event is not None]
        admitted = Counter(_content(one.event) for one in events if _begins(one.event))
        assert told_apart(self.least) <= admitted <= told_apart(self.most)
        numbers = sorted(one.event.item for one in events if _begins(one.event))
        lines = sum(one.event.lines for one in events if isinstance(one.event, QueueExtended))
        assert numbers == list(range(1, lines + 1))
        ends = [one for one in events if _ends(one.event)]
        assert len({one.job for one in ends}) == len(ends) == lines
        get = {one.sequence: one for one in events}.__getitem__
        rows = self.file.parent / f"{NAME}.result.jsonl"
        text = rows.read_text() if rows.exists() else ""
        assert [json.loads(line) for line in text.splitlines()] == [row(one, get) for one in ends]


def _decoded(lines: Sequence[bytes]) -> list[Any]:
    from daemon.lines import decode

    return [decode(line, "memory")[0] for line in lines]


def _begins(event: Any) -> bool:
    return isinstance(event, ItemRejected) or getattr(event, "batch", None) is not None


def _ends(event: Any) -> bool:
    return isinstance(event, ItemRejected) or (
        isinstance(event, JobEnded) and not isinstance(event, BatchEnded)
    )


def _content(event: Any) -> bytes:
    """The line that an item was made of."""
    return json.dumps(event.request).encode() if isinstance(event, JobAccepted) else BAD


def items_in(data: bytes) -> Counter[bytes]:
    *whole, rest = data.split(b"\n")
    lines = [line for line in whole if line not in (b"", END)]
    if rest in (ONE, TWO, THREE):  # it parses
        lines.append(rest)
    return Counter(lines)


def told_apart(lines: Counter[bytes]) -> Counter[bytes]:
    """As far as events tell them apart: what is no item stands in none."""
    told: Counter[bytes] = Counter()
    for line, count in lines.items():
        told[line if line in (ONE, TWO, THREE) else BAD] += count
    return told


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.integers(1, 60), st.integers(1, 4))
def test_no_line_is_run_twice_and_none_is_lost(steps: list[Step], block: int, turn: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(queuefiles, "PIECE", block)
        patch.setattr(queuefiles, "_BLOCK", block)
        patch.setattr(batches, "TURN", turn)
        patch.setattr(batches, "WINDOW", 2 * turn)
        story = Story(Path(folder))
        for step in [*steps, Step([], 0, True, None, 0)]:
            story.play(step)
        assert story.log
