"""One suite for every event log: what the one on disk promises, the one in memory promises too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import Conflict
from daemon.eventlog import EventLog, FileEventLog
from daemon.events import (
    JobCancelRequested,
    JobStarted,
    LogOpened,
    ProviderProgressed,
    Recorded,
)
from daemon.testing import FrozenClock, MemoryEventLog

Story = Callable[[EventLog], Awaitable[Any]]
Tell = Callable[[Story], Any]


@pytest.fixture(params=["file", "memory"])
def tell(request: pytest.FixtureRequest, tmp_path: Path) -> Tell:
    """Runs a story on a log; a second story goes on with the same log, opened again."""
    lines: list[bytes] = []

    async def on_file(story: Story) -> Any:
        log = FileEventLog(tmp_path, FrozenClock(), segment_bytes=2000)
        log.open(lambda _: None)
        value = await story(log)
        await log.close()
        return value

    async def in_memory(story: Story) -> Any:
        log = MemoryEventLog(FrozenClock(), lines=lines)
        value = await story(log)
        await log.close()
        lines[:] = log.lines
        return value

    run = on_file if request.param == "file" else in_memory
    return lambda story: asyncio.run(run(story))


def progress(text: str) -> ProviderProgressed:
    return ProviderProgressed(text, None)


def told(events: Any) -> list[str]:
    """The messages of the progress events among these."""
    return [e.event.message for e in events if isinstance(e.event, ProviderProgressed)]


def test_a_new_log_begins_with_log_opened(tell: Tell) -> None:
    async def story(log: EventLog) -> list[Recorded]:
        await log.append("j", 0, [progress("a")])
        return list(log.read())

    events = tell(story)
    assert isinstance(events[0].event, LogOpened)
    assert [event.sequence for event in events] == [1, 2]


def test_what_was_appended_is_read_back_as_it_was_recorded(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        recorded = await log.append(
            "j", 0, [progress("ä\n\u2028"), JobStarted(1, 2)], subject="x\n.json"
        )
        assert [event.job for event in recorded] == ["j", "j"]
        assert list(log.read(recorded[0].sequence - 1)) == list(recorded)
        assert log.get(recorded[1].sequence) == recorded[1]
        assert log.recent(recorded[1].sequence) == recorded[1]

    tell(story)


def test_an_append_for_another_version_is_a_conflict_and_writes_nothing(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        await log.append("j", 0, [progress("a")])
        for wrong in (0, 2, None):
            with pytest.raises(Conflict):
                log.append("j", wrong, [progress("b")])
        await log.append("j", 1, [progress("c")])
        assert told(log.read()) == ["a", "c"]

    tell(story)


def test_queued_events_count_for_the_version_before_they_are_durable(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        first = log.append("j", 0, [progress("a"), progress("b")])
        assert log.version("j") == 2
        with pytest.raises(Conflict):
            log.append("j", 0, [progress("c")])
        second = log.append("j", 2, [progress("d")])
        await asyncio.gather(first, second)
        assert log.version("j") == 3
        assert told(log.read()) == ["a", "b", "d"]

    tell(story)


def test_versions_of_jobs_are_their_own_and_events_of_no_job_have_none(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        log.append(None, None, [progress("nobody")])
        log.append("j", 0, [progress("j")])
        await log.append("k", 0, [progress("k")])
        assert (log.version("j"), log.version("k"), log.version("none")) == (1, 1, 0)

    tell(story)


def test_subscribers_know_before_the_append_is_done_and_in_order(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        heard: list[Recorded] = []
        log.subscribe(heard.extend)
        appends = [log.append("j", n, [progress(str(n))]) for n in range(50)]
        recorded = await appends[-1]
        assert recorded[-1] in heard
        assert told(heard) == [str(n) for n in range(50)]
        assert [e.sequence for e in heard] == sorted(e.sequence for e in heard)

    tell(story)


def test_an_empty_append_waits_for_what_was_queued_before_it(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        before = log.append("j", 0, [progress("a")])
        assert await log.append(None, None, ()) == ()
        assert before.done()

    tell(story)


def test_follow_tells_what_there_is_and_then_what_comes(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        await log.append("j", 0, [progress("old")])
        heard: list[Recorded] = []

        async def listen() -> None:
            async for recorded in log.follow():
                heard.append(recorded)
                if told([recorded]) == ["last"]:
                    return

        async with asyncio.timeout(10):
            listening = asyncio.create_task(listen())
            for number in range(30):
                await log.append("j", log.version("j"), [progress(str(number))])
            await log.append("k", 0, [progress("last")])
            await listening
        assert told(heard) == ["old", *map(str, range(30)), "last"]
        assert [e.sequence for e in heard] == list(range(1, len(heard) + 1))

    tell(story)


def test_a_log_opened_again_goes_on_where_it_was(tell: Tell) -> None:
    async def first(log: EventLog) -> None:
        for number in range(20):
            await log.append("j", number, [progress(str(number) * 40)])

    async def second(log: EventLog) -> list[Recorded]:
        assert log.version("j") == 20
        await log.append("j", 20, [JobCancelRequested()])
        return list(log.read())

    tell(first)
    events = tell(second)
    assert told(events) == [str(number) * 40 for number in range(20)]
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
    assert isinstance(events[-1].event, JobCancelRequested)


def test_there_is_no_event_behind_the_end(tell: Tell) -> None:
    async def story(log: EventLog) -> None:
        await log.append("j", 0, [progress("a")])
        for sequence in (0, 3, 10**9):
            with pytest.raises(KeyError):
                log.get(sequence)

    tell(story)
