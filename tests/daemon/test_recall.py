"""The requests of jobs, from memory or from the log."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from daemon import recall as module
from daemon.errors import LogError
from daemon.eventlog import RECENT
from daemon.events import DaemonStopped
from daemon.recall import Recall
from tests.builders import Bench, job


def scene(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that needs an event loop."""

    @functools.wraps(test)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 30))

    return wrapped


def recall(bench: Bench) -> Recall:
    return Recall(bench.log, bench.blobs, bench.door)


@scene
async def test_a_request_is_read_back_as_it_came_through_the_door(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    job_id = await bench.accept(prompt="a fox", size="64x64")
    request = await recall(bench).request(bench.state.jobs[job_id])
    assert request.raw["prompt"] == "a fox"
    assert request.fields == bench.door.validate(request.raw).fields
    bench.close()


@scene
async def test_one_that_is_at_hand_is_not_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    known = bench.door.validate({"prompt": "another"})
    remembering = recall(bench)
    job_id = await bench.accept(prompt="a fox")
    remembering.remember(job_id, known)
    assert await remembering.request(bench.state.jobs[job_id]) is known
    assert (await remembering.request(bench.state.jobs[job_id])).raw["prompt"] == "a fox"


@scene
async def test_one_that_ended_is_let_go(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    remembering = recall(bench)
    job_id = await bench.accept(prompt="a fox")
    remembering.remember(job_id, bench.door.validate({"prompt": "another"}))
    remembering.forget(job_id)
    assert (await remembering.request(bench.state.jobs[job_id])).raw["prompt"] == "a fox"


@scene
async def test_those_that_follow_in_the_log_are_read_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    jobs = [await bench.accept(f"{number}.json", prompt=f"p{number}") for number in range(40)]
    for _ in range(RECENT // 100 + 1):  # until they are at hand no longer
        await bench.log.append(None, None, [DaemonStopped("x")] * 100)
    reads: list[int] = []
    real = bench.log.read
    monkeypatch.setattr(
        bench.log, "read", lambda after, kind: reads.append(after) or real(after, kind)
    )
    remembering = recall(bench)
    prompts = [(await remembering.request(bench.state.jobs[one])).raw["prompt"] for one in jobs]
    assert prompts == [f"p{number}" for number in range(40)]
    assert len(reads) < 10


@scene
async def test_a_job_that_the_log_does_not_accept_is_the_log_s_fault(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(LogError, match="does not accept"):
        await recall(bench).request(job(first=1))


@scene
async def test_no_more_are_kept_than_memory_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT", 2)
    bench = Bench(tmp_path)
    remembering = recall(bench)
    jobs = [await bench.accept(f"{number}.json", prompt="logged") for number in range(3)]
    for one in jobs:
        remembering.remember(one, bench.door.validate({"prompt": "kept"}))
    prompts = [(await remembering.request(bench.state.jobs[one])).raw["prompt"] for one in jobs]
    assert prompts == ["kept", "kept", "logged"]
