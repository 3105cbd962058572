"""The log on disk: batches, full and failing disks. What every log does is in contracts/."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from daemon import segments
from daemon.errors import LogFailed, LogFull
from daemon.eventlog import FileEventLog
from daemon.events import ProviderProgressed
from daemon.testing import FrozenClock


def progress(text: str) -> ProviderProgressed:
    return ProviderProgressed(text, None)


def messages(folder: Path) -> list[str]:
    log = segments.Segments(folder, 0)
    return [e.event.message for e in log.load() if isinstance(e.event, ProviderProgressed)]


async def opened(folder: Path, **more: Any) -> FileEventLog:
    log = FileEventLog(folder, FrozenClock(), **more)
    log.open(lambda _: None)
    await log.append(None, None, [progress("begin")])
    return log


def test_what_queues_up_during_one_fsync_shares_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    entered, go = threading.Event(), threading.Event()
    real = os.fdatasync

    def slow(descriptor: int) -> None:
        entered.set()
        go.wait(10)
        syncs.append(descriptor)
        real(descriptor)

    async def story() -> None:
        log = await opened(tmp_path)
        monkeypatch.setattr(segments.os, "fdatasync", slow)
        first = log.append("j", 0, [progress("alone")])
        await asyncio.to_thread(entered.wait, 10)
        rest = [log.append("j", n, [progress(str(n))]) for n in range(1, 100)]
        assert not first.done()
        go.set()
        await asyncio.gather(first, *rest)
        await log.close()

    asyncio.run(story())
    assert len(syncs) == 2


def test_an_append_is_not_done_before_its_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = threading.Event()
    real = os.fdatasync

    async def story() -> None:
        log = await opened(tmp_path)
        entered = threading.Event()

        def held(descriptor: int) -> None:
            entered.set()
            go.wait(10)
            real(descriptor)

        monkeypatch.setattr(segments.os, "fdatasync", held)
        append = log.append("j", 0, [progress("a")])
        await asyncio.to_thread(entered.wait, 10)
        assert not append.done()
        assert log.recent(3) is None
        go.set()
        await append
        await log.close()

    asyncio.run(story())


def test_a_short_write_is_truncated_away_and_the_log_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a full disk does it (tried): some bytes first, and only then the error."""
    room = [40]
    real = os.write

    def short(descriptor: int, data: Any) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "full")
        part = bytes(data)[: room[0]]
        room[0] -= len(part)
        return real(descriptor, part)

    async def story() -> None:
        log = await opened(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(segments.os, "write", short)
            lost = [log.append("j", n, [progress("lost")]) for n in range(3)]
            for append in lost:
                with pytest.raises(LogFull):
                    await append
        assert log.version("j") == 0
        await log.append("j", 0, [progress("kept")])
        await log.close()

    asyncio.run(story())
    assert messages(tmp_path) == ["begin", "kept"]


def test_what_was_queued_on_a_lost_append_is_lost_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its version was counted from events that never came to be."""
    entered, go = threading.Event(), threading.Event()

    def full(descriptor: int, data: Any) -> int:
        entered.set()
        go.wait(10)
        raise OSError(errno.ENOSPC, "full")

    async def story() -> None:
        log = await opened(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(segments.os, "write", full)
            first = log.append("j", 0, [progress("lost")])
            await asyncio.to_thread(entered.wait, 10)
        second = log.append("j", 1, [progress("lost with it")])
        go.set()
        for append in (first, second):
            with pytest.raises(LogFull):
                await append
        assert log.version("j") == 0
        await log.append("j", 0, [progress("kept")])
        await log.close()

    asyncio.run(story())
    assert messages(tmp_path) == ["begin", "kept"]


@pytest.mark.parametrize("call", ["fdatasync", "write"])
def test_a_failed_disk_is_never_tried_again(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed fsync the next may "succeed", with the bytes gone."""
    failures: list[LogFailed] = []

    def fails(*_: Any) -> int:
        raise OSError(errno.EIO, "input/output error")

    async def story() -> None:
        log = await opened(tmp_path, failed=failures.append)
        with monkeypatch.context() as patch:
            patch.setattr(segments.os, call, fails)
            with pytest.raises(LogFailed):
                await log.append("j", 0, [progress("a")])
        with pytest.raises(LogFailed):
            await log.append(None, None, [progress("b")])
        await log.close()

    asyncio.run(story())
    assert failures
    assert "b" not in messages(tmp_path)


def test_a_segment_that_could_not_be_begun_for_want_of_room_is_begun_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        log = await opened(tmp_path, segment_bytes=1)

        def full(*_: Any) -> int:
            raise OSError(errno.ENOSPC, "full")

        with monkeypatch.context() as patch:
            patch.setattr(segments.os, "write", full)
            with pytest.raises(LogFull):
                await log.append("j", 0, [progress("lost")])
        await log.append("j", 0, [progress("kept")])
        await log.append("j", 1, [progress("more")])
        await log.close()

    asyncio.run(story())
    assert messages(tmp_path) == ["begin", "kept", "more"]
