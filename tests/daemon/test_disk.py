"""Room on the disk: intake pauses before it runs out, and resumes by itself."""

import asyncio
import errno
import os
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from daemon.disk import Disk
from daemon.errors import LogFull
from daemon.testing import FrozenClock, MemoryEventLog
from handlers.contract import HandlerError

MIB = 1 << 20


class Filesystem:
    """A disk whose free space the test sets."""

    def __init__(self, free: int = 1000 * MIB, size: int = 100_000 * MIB) -> None:
        self.free, self.size = free, size

    def __call__(self, _: Path) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.free, f_frsize=1, f_blocks=self.size)


@pytest.fixture
def filesystem(monkeypatch: pytest.MonkeyPatch) -> Filesystem:
    filesystem = Filesystem()
    monkeypatch.setattr("daemon.disk.os.statvfs", filesystem)
    return filesystem


class Bench:
    def __init__(self, folder: Path, *, floor: int = 64 * MIB, paused: bool = False) -> None:
        self.log = MemoryEventLog(FrozenClock())
        self.resumed: list[int] = []
        self.reserve = folder / "reserve"
        self.disk = Disk(
            [folder],
            floor,
            self.reserve,
            self.log,
            paused=paused,
            resumed=lambda: self.resumed.append(1),
        )

    async def said(self) -> list[Any]:
        await self.log.append(None, None, ())
        return [recorded.event for recorded in self.log.read(1)]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 20))


def names(events: list[Any]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_with_room_nothing_is_said_and_a_reserve_is_kept(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        bench.disk.check()
        bench.disk.check()
        assert not bench.disk.paused
        assert await bench.said() == []
        assert bench.reserve.stat().st_size == 64 << 10

    run(main())


def test_below_the_floor_intake_pauses_once_and_gives_up_the_reserve(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        bench.disk.check()
        filesystem.free = 64 * MIB - 1
        bench.disk.check()
        bench.disk.check()
        assert bench.disk.paused
        (event,) = await bench.said()
        assert (event.reason, event.free, event.floor) == ("disk space", 64 * MIB - 1, 64 * MIB)
        assert not bench.reserve.exists()

    run(main())


def test_at_the_floor_there_is_room_still(tmp_path: Path, filesystem: Filesystem) -> None:
    async def main() -> None:
        filesystem.free = 64 * MIB
        bench = Bench(tmp_path)
        bench.disk.check()
        assert not bench.disk.paused

    run(main())


def test_intake_resumes_by_itself_and_tells_who_waits(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        filesystem.free = 0
        bench.disk.check()
        waiting = asyncio.create_task(bench.disk.wait_for_room("media"))
        await asyncio.sleep(0)
        assert not waiting.done()
        filesystem.free = 1000 * MIB
        bench.disk.check()
        await waiting
        assert not bench.disk.paused
        assert bench.resumed == [1]
        assert names(await bench.said()) == ["IntakePaused", "IntakeResumed"]

    run(main())


def test_a_small_disk_has_a_small_floor(tmp_path: Path, filesystem: Filesystem) -> None:
    async def main() -> None:
        filesystem.size, filesystem.free = 100 * MIB, 6 * MIB
        bench = Bench(tmp_path)
        bench.disk.check()
        assert not bench.disk.paused
        filesystem.free = 4 * MIB
        bench.disk.check()
        (event,) = await bench.said()
        assert event.floor == 5 * MIB

    run(main())


def test_after_a_restart_that_was_paused_it_is_not_said_twice_but_the_end_is(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    async def main() -> None:
        filesystem.free = 0
        bench = Bench(tmp_path, paused=True)
        bench.disk.check()
        assert bench.disk.paused
        assert await bench.said() == []
        filesystem.free = 1000 * MIB
        bench.disk.check()
        assert names(await bench.said()) == ["IntakeResumed"]

    run(main())


def test_room_that_came_back_while_nobody_looked_is_said_at_the_first_look(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, paused=True)
        bench.disk.check()
        assert names(await bench.said()) == ["IntakeResumed"]

    run(main())


def test_a_folder_that_somebody_removed_breaks_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path / "tmp" / "gone", floor=0)
        bench.disk.check()
        assert not bench.disk.paused

    run(main())


# ---------------------------------------------------------------- writing patiently


def test_work_that_writes_returns_what_it_made(tmp_path: Path, filesystem: Filesystem) -> None:
    async def main() -> int:
        return await Bench(tmp_path).disk.patiently(lambda: 7)

    assert run(main()) == 7


@pytest.mark.parametrize(
    "full", [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), LogFull("full")]
)
def test_a_full_disk_is_waited_for_and_the_work_done_again(
    tmp_path: Path, filesystem: Filesystem, full: Exception
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path)
        filesystem.free = 0
        tries: list[int] = []

        def work() -> str:
            tries.append(1)
            if len(tries) == 1:
                raise full
            return "done"

        task = asyncio.create_task(bench.disk.patiently(work))
        while not bench.disk.paused:
            await asyncio.sleep(0)
        assert not task.done()
        filesystem.free = 1000 * MIB
        bench.disk.check()
        assert await task == "done"
        assert len(tries) == 2

    run(main())


def test_no_room_where_there_is_room_by_our_measure_is_a_failure_that_is_retried(
    tmp_path: Path, filesystem: Filesystem
) -> None:
    def work() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main() -> None:
        with pytest.raises(HandlerError) as caught:
            await Bench(tmp_path).disk.patiently(work)
        assert caught.value.code == "disk_full"

    run(main())


def test_any_other_failure_is_told_at_once(tmp_path: Path, filesystem: Filesystem) -> None:
    def work() -> None:
        raise PermissionError(errno.EACCES, "no")

    async def main() -> None:
        with pytest.raises(PermissionError):
            await Bench(tmp_path).disk.patiently(work)

    run(main())
