"""When to watch and when to look: by a clock that the test moves."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from daemon.lookout import BURST, Lookout
from daemon.pauses import Pauses
from daemon.settings import Settings
from daemon.testing import FrozenClock

Scene = Callable[["Place"], Coroutine[Any, Any, None]]


class Place:
    """An inbox, who looks out for it, and the clock."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.inbox = root / "inbox"
        self.inbox.mkdir()
        self.clock = FrozenClock()
        made = Settings(root=root, **settings)
        pauses = Pauses(made.inbox, lambda _: None)
        self.lookout = Lookout(made, self.clock, lambda: None, pauses)

    def drop(self, *names: str) -> None:
        for name in names:
            (self.inbox / name).parent.mkdir(parents=True, exist_ok=True)
            (self.inbox / name).write_text("{}")

    async def look(self) -> bool:
        return await self.lookout.look(lambda _: False)

    def decide_all(self) -> list[str]:
        """Take everything off the backlog, as decided."""
        names = self.lookout.backlog.take(10**6)
        for name in names:
            if (self.inbox / name).exists():
                self.lookout.decided(name, 0)
        return names


def play(tmp_path: Path, scene: Scene, **settings: Any) -> None:
    async def main() -> None:
        place = Place(tmp_path, **settings)
        await place.lookout.start()
        try:
            await asyncio.wait_for(scene(place), 30)
        finally:
            await place.lookout.stop()

    asyncio.run(main())


def test_the_first_look_is_at_everything(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        place.drop("b.json", "a.json", "alice/c.json", "x.txt", ".hidden.json", "a.result.json")
        assert await place.look()
        assert sorted(place.decide_all()) == ["a.json", "alice/c.json", "b.json"]
        assert not await place.look()

    play(tmp_path, scene, watch=False)


def test_the_next_is_due_after_the_interval(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        await place.look()
        assert place.lookout.seconds_left() == 5.0
        place.drop("a.json")
        place.clock.advance(4.9)
        assert not await place.look()
        place.clock.advance(0.1)
        assert await place.look()
        assert place.decide_all() == ["a.json"]

    play(tmp_path, scene, watch=False)


def test_what_we_are_told_of_waits_for_no_look(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        await place.look()
        place.lookout.hints.tell("told.json")
        assert not await place.look()
        assert place.lookout.backlog.take(9) == ["told.json"]

    play(tmp_path, scene, watch=False)


@pytest.mark.parametrize("watch", [True, False])
def test_many_at_once_begin_a_burst_and_two_quiet_looks_end_it(tmp_path: Path, watch: bool) -> None:
    async def scene(place: Place) -> None:
        place.drop(*(f"{number:03}.json" for number in range(BURST)))
        await place.look()
        assert place.lookout.in_burst
        place.clock.advance(1)
        place.drop("late.json")
        assert not await place.look()  # only at the names
        assert "late.json" in place.lookout.backlog
        assert len(place.decide_all()) == BURST + 1
        for _ in range(2):
            assert place.lookout.in_burst
            place.clock.advance(1)
            await place.look()
        assert not place.lookout.in_burst
        place.drop("after.json")
        assert await place.look()  # once more at everything, as something may have come meanwhile
        assert "after.json" in place.lookout.backlog

    play(tmp_path, scene, watch=watch)


def test_answers_keep_a_burst_going(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        place.drop(*(f"{number:03}.json" for number in range(BURST)))
        await place.look()
        place.decide_all()
        for _ in range(4):
            place.lookout.count_answers(1000)
            place.clock.advance(1)
            await place.look()
            assert place.lookout.in_burst

    play(tmp_path, scene, watch=False)


def test_a_file_that_was_rewritten_is_found_by_a_whole_look(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        place.drop("a.json")
        await place.look()
        place.decide_all()  # as something it no longer looks like
        place.clock.advance(5)
        await place.look()
        assert place.lookout.backlog.take(9) == ["a.json"]

    play(tmp_path, scene, watch=False)


def test_changes_are_taken_once_and_what_is_gone_is_told(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        place.drop("a.json", "b.json")
        await place.look()
        place.decide_all()
        assert place.lookout.take_changes() == {"a.json": 0, "b.json": 0}
        assert place.lookout.take_changes() == {}
        (place.inbox / "a.json").unlink()
        place.clock.advance(5)
        await place.look()
        assert place.lookout.take_changes() == {"a.json": None}

    play(tmp_path, scene, watch=False)


def test_what_is_to_be_left_alone_is(tmp_path: Path) -> None:
    async def scene(place: Place) -> None:
        place.drop("a.json", "rests.json")
        await place.lookout.look(lambda name: name == "rests.json")
        assert place.lookout.backlog.take(9) == ["a.json"]

    play(tmp_path, scene, watch=False)
