"""A log opened with the help of an index, and without: the state is the same."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from daemon import archivist as module
from daemon.archivist import open_log
from daemon.errors import IndexFailed
from daemon.eventlog import FileEventLog
from daemon.events import DaemonStopped, JobStarted, JobSucceeded, ResultEmitted
from daemon.index import Index
from daemon.segments import Segments
from daemon.state import State
from daemon.testing import FrozenClock
from tests.builders import accepted, ended


class Place:
    """A log and its index on the disk."""

    def __init__(self, root: Path) -> None:
        self.events = root / "events"
        self.events.mkdir()
        self.index = root / "index.sqlite"
        self.seen: dict[str, Any] = {}

    async def live(self, *jobs: str, finish: bool = True) -> tuple[State, set[str], int]:
        """One life of a daemon: take in these jobs. The state and the names the log told of since
        the index was written, both as the life began; and how many events were read for it."""
        state = State()
        log = FileEventLog(self.events, FrozenClock(), segment_bytes=3000, archived=state.version)
        archivist, told = open_log(log, state, self.index)
        assert archivist is not None
        begun = State()
        begun.jobs.update(state.jobs)
        begun.open_jobs.update(state.open_jobs)
        log.subscribe(lambda batch: [state.apply(recorded) for recorded in batch])
        archivist.follow(lambda: self.seen)
        for job in jobs:
            await log.append(job, 0, [accepted(job)], subject=f"{job}.json")
            if finish:
                events = [JobStarted(1, 1), ended(JobSucceeded)]
                recorded = await log.append(job, 1, events, subject=f"{job}.json")
                said = ResultEmitted(job, recorded[-1].sequence, f"{job}.result.json")
                await log.append(None, None, [said], subject=f"{job}.json")
        await log.close()
        await archivist.close()
        return begun, told, state.sequence

    def whole(self) -> State:
        """The state by every line of the log."""
        state = State()
        for recorded in Segments(self.events, 0).load():
            state.apply(recorded)
        return state


def test_a_second_start_reads_nothing_that_the_index_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live(*(f"J{number}" for number in range(20))))
    read: list[int] = []
    real = State.apply
    monkeypatch.setattr(State, "apply", lambda s, r: read.append(r.sequence) or real(s, r))
    begun, told, last = asyncio.run(place.live())
    assert read == []
    assert (begun.jobs, told) == ({}, set())
    assert last == place.whole().sequence


def test_what_is_open_is_at_hand_after_a_start(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1"))
    asyncio.run(place.live("J2", finish=False))
    begun, _, _ = asyncio.run(place.live())
    assert list(begun.open_jobs) == ["J2"]
    assert begun.jobs == {"J2": place.whole().jobs["J2"]}


def test_a_start_tells_which_requests_the_log_speaks_of_since(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1"))
    index = place.index.read_bytes()
    asyncio.run(place.live("J2"))
    place.index.write_bytes(index)  # as if a crash had lost what was written since
    _, told, _ = asyncio.run(place.live())
    assert told == {"J2.json"}


def test_a_missing_index_is_made_anew_and_is_the_same(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1", "J2"))
    asyncio.run(place.live("J3", finish=False))
    place.index.unlink()
    begun, told, _ = asyncio.run(place.live())
    assert list(begun.open_jobs) == ["J3"]
    assert told == set()
    assert asyncio.run(place.live())[0].jobs == {"J3": place.whole().jobs["J3"]}


def test_an_index_of_another_log_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, two = Place(tmp_path / "one"), Place(tmp_path / "two")
    asyncio.run(one.live("J1", finish=False))
    asyncio.run(two.live("J8", "J9", finish=False))
    two.index.write_bytes(one.index.read_bytes())
    begun, _, _ = asyncio.run(two.live())
    assert list(begun.open_jobs) == ["J8", "J9"]


def test_an_index_that_is_ahead_of_its_log_is_thrown_away(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1"))
    log = {path: path.read_bytes() for path in place.events.glob("0*.jsonl")}
    asyncio.run(place.live("J2", "J3"))
    for path in place.events.glob("0*.jsonl"):
        path.unlink()
    for path, data in log.items():  # a backup
        path.write_bytes(data)
    begun, _, last = asyncio.run(place.live())
    assert begun.jobs.get("J2") is None
    assert last == place.whole().sequence


def test_an_index_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1"))
    place.index.unlink()
    place.index.mkdir()
    (place.index / "in the way").touch()

    async def begin() -> State:
        state = State()
        log = FileEventLog(place.events, FrozenClock(), archived=state.version)
        archivist, _ = open_log(log, state, place.index)
        assert archivist is None
        await log.close()
        return state

    assert asyncio.run(begin()) == place.whole()


def test_a_long_log_is_written_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live(*(f"J{number}" for number in range(30))))
    place.index.unlink()
    monkeypatch.setattr(module, "MANY", 10)
    begun, _, _ = asyncio.run(place.live())
    assert len(begun.jobs) < 10
    assert asyncio.run(place.live())[0].open_jobs == {}


def test_what_was_seen_is_seen_after_a_start(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.seen = {"a.json": 7}
    asyncio.run(place.live("J1"))

    async def seen() -> dict[str, int]:
        state = State()
        log = FileEventLog(place.events, FrozenClock(), archived=state.version)
        archivist, _ = open_log(log, state, place.index)
        assert archivist is not None
        found = archivist.seen()
        archivist.follow(dict)
        await log.close()
        await archivist.close()
        return found

    assert asyncio.run(seen()) == {"a.json": 7}


def test_it_writes_although_there_is_never_a_quiet_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET", 0.01)
    place = Place(tmp_path)

    async def never_quiet() -> None:
        state = State()
        log = FileEventLog(place.events, FrozenClock(), archived=state.version)
        archivist, _ = open_log(log, state, place.index)
        assert archivist is not None
        log.subscribe(lambda batch: [state.apply(recorded) for recorded in batch])
        archivist.follow(dict)
        try:
            while archivist._index.position() is None:
                await log.append(None, None, [DaemonStopped("x")])
        finally:
            await log.close()
            await archivist.close()

    asyncio.run(asyncio.wait_for(never_quiet(), 30))


def test_an_index_that_finds_no_room_while_the_log_is_read_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live(*(f"J{number}" for number in range(30))))
    place.index.unlink()
    monkeypatch.setattr(module, "MANY", 10)
    real, full = Index.write, [True] * 3

    def write(*arguments: Any) -> None:
        if full:
            full.pop()
            raise IndexFailed("no room")
        real(*arguments)

    monkeypatch.setattr(Index, "write", write)
    asyncio.run(place.live())
    monkeypatch.undo()
    asyncio.run(place.live("J99", finish=False))
    begun, _, last = asyncio.run(place.live())
    assert list(begun.open_jobs) == ["J99"]
    assert last == place.whole().sequence


def test_an_index_that_breaks_while_it_is_restored_leaves_no_half_state(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(place.live("J1", "J2", finish=False))
    with sqlite3.connect(place.index) as connection:
        connection.execute("UPDATE jobs SET body = '[1]' WHERE id = 'J2'")
    connection.close()

    async def begin() -> State:
        state = State()
        log = FileEventLog(place.events, FrozenClock(), archived=state.version)
        open_log(log, state, place.index)
        await log.close()
        return state

    assert asyncio.run(begin()) == place.whole()
