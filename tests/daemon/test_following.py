"""Following a batch by the end of the log comes to the same as reading all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from daemon.following import Following, may_be_batch
from daemon.reading import look
from daemon.requests import digest_of
from daemon.tally import Tally
from tests.daemon.test_batches import Stage, say, until


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path, segment_bytes=3000)  # many segments: a look crosses from one to the next


def follow(stage: Stage, name: str) -> Following:
    """Follow what lies in the inbox now."""
    return Following(stage.settings, name, digest_of((stage.root.inbox / name).read_bytes()))


def whole(stage: Stage, name: str) -> Tally | None:
    """What the whole log says."""
    reading = look(stage.settings)
    return reading.tally(reading.state.jobs.get(reading.find(name)[1].job or ""))


async def ended(stage: Stage, following: Following, name: str, count: int) -> None:
    """Until so many batches of a name have ended; the follower looks on all the while."""

    def has() -> bool:
        tally = following.look()
        assert tally is None or tally.done <= tally.total
        return stage.root.types(name).count("batch.ended") == count

    await until(has)


def test_a_batch_is_followed_from_before_it_was_accepted(stage: Stage) -> None:
    async def scene() -> None:
        stage.drop("first.json", say("x"))
        await until(lambda: stage.root.result("first.json"))
        following = Following(stage.settings, "a.json", "0" * 64)
        assert following.look() is None
        stage.drop("a.json", [say("1"), say("2", fails=True), 7, say("3", waits=True)])
        following = follow(stage, "a.json")
        await until(lambda: following.look() == Tally(4, succeeded=1, failed=1, rejected=1))
        stage.go.set()
        await ended(stage, following, "a.json", 1)
        assert following.look() == whole(stage, "a.json") == Tally(4, 2, 1, 0, 1)

    assert asyncio.run(stage.during(scene)) == 0


def test_of_two_drops_of_a_name_the_one_that_was_dropped_is_followed(stage: Stage) -> None:
    async def scene() -> None:
        stage.drop("a.json", [say("1"), say("2", waits=True)])
        older = follow(stage, "a.json")
        await until(lambda: older.look() == Tally(2, succeeded=1))
        stage.drop("a.json", [say("3")])
        newer = follow(stage, "a.json")
        await until(lambda: stage.root.types("a.json").count("job.accepted") == 2)
        assert (newer.look(), older.look()) == (None, Tally(2, succeeded=1))
        stage.go.set()
        await ended(stage, newer, "a.json", 2)
        assert newer.look() == whole(stage, "a.json") == Tally(1, succeeded=1)

    assert asyncio.run(stage.during(scene)) == 0


def test_a_queue_that_grows_and_runs_again_is_followed(stage: Stage) -> None:
    lines: list[Any] = [say("1"), say("2", fails=True), "{"]

    async def scene() -> None:
        stage.queue("q.jsonl", *lines)
        following = follow(stage, "q.jsonl")
        await ended(stage, following, "q.jsonl", 1)
        assert following.look() == Tally(3, succeeded=1, failed=1, rejected=1)
        stage.queue("q.jsonl", *lines, say("4"))
        late = follow(stage, "q.jsonl")
        await ended(stage, late, "q.jsonl", 2)
        assert late.look() == following.look() == Tally(4, succeeded=2, failed=1, rejected=1)
        (stage.root.inbox / "q.jsonl.retry").touch()
        newest = follow(stage, "q.jsonl")
        await ended(stage, newest, "q.jsonl", 3)
        assert newest.look() == late.look() == following.look() == whole(stage, "q.jsonl")

    assert asyncio.run(stage.during(scene)) == 0


def test_what_is_no_batch_is_not_told_of(stage: Stage) -> None:
    async def scene() -> None:
        stage.drop("a.json", say("generate_batch_media"))
        following = follow(stage, "a.json")
        await until(lambda: stage.root.result("a.json"))
        assert following.look() is None

    assert asyncio.run(stage.during(scene)) == 0


@pytest.mark.parametrize(
    ("name", "data", "may"),
    [
        ("q.jsonl", b"", True),
        ("a.json", b' \n[{"prompt": "x"}]', True),
        ("a.json", b'{"task":"generate_batch_media"}', True),
        ("a.json", b'{"prompt": "x"}', False),
    ],
)
def test_whether_it_may_be_a_batch_is_seen_without_parsing(
    name: str, data: bytes, may: bool
) -> None:
    assert may_be_batch(name, data) == may
