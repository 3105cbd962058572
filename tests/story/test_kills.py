"""The daemon is killed at every boundary there is, restarted, and must have kept its promises."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from daemon.reading import load
from daemon.settings import load_settings
from tests.story.boundaries import PARTS
from tests.story.checks import check, paid_calls
from tests.story.victim import SHOWN, spawn

LONG = "long " * 2000

REQUESTS = {
    "story.json": {"task": "story", "prompt": "once", "provider": "counting"},
    "local.json": {"prompt": "a fox", "size": "48x32", "n": 2},
    "alice/long.json": {"prompt": LONG, "size": "32x32", "provider": "counting"},
    "wrong.json": {"prompt": 7},
    "dry.json": {"prompt": "a fox", "dry_run": True},
}
DROPPED = {name: json.dumps(request).encode() for name, request in REQUESTS.items()}
EXPECTED_CALLS = {"once left": 1, "once right large": 1, "once flaky last": 2, LONG[:SHOWN]: 1}


def drop_all(root: Path) -> None:
    for name, data in DROPPED.items():
        target = root / "inbox" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def boundaries(root: Path) -> list[str]:
    """The boundaries that an undisturbed run passes."""
    drop_all(root)
    assert spawn(root) == 0
    results = check(root, DROPPED)
    assert {name: result["status"] for name, result in results.items()} == {
        "story.json": "succeeded",
        "local.json": "succeeded",
        "alice/long.json": "succeeded",
        "wrong.json": "rejected",
        "dry.json": "succeeded",
    }
    assert paid_calls(root) == EXPECTED_CALLS
    assert len(results["story.json"]["artifacts"]) == 4
    return (root / "tally").read_text().splitlines()


def judge(root: Path) -> None:
    """After a crash and a restart: all promises kept, and nothing paid for twice."""
    results = check(root, DROPPED)
    calls = paid_calls(root)
    for prompt, count in calls.items():
        assert count <= EXPECTED_CALLS[prompt], (prompt, count)
    lost = {
        name
        for name, result in results.items()
        if (result["error"] or {}).get("code") == "ambiguous_submit"
    }
    for name, result in results.items():
        if name == "wrong.json":
            assert result["status"] == "rejected"
        elif name not in lost:
            assert result["status"] == "succeeded", result
    assert lost <= {"story.json", "alice/long.json"}
    if not lost:
        assert calls == EXPECTED_CALLS


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return boundaries(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def total(passed: list[str]) -> int:
    return len(passed)


@pytest.mark.timeout(170)
@pytest.mark.parametrize("chosen", PARTS)
def test_a_kill_at_every_boundary_loses_nothing_and_pays_nothing_twice(
    chosen: Any, passed: list[str], tmp_path: Path
) -> None:
    assert len(passed) > 60
    for kill_at in chosen(passed):
        root = tmp_path / str(kill_at)
        drop_all(root)
        killed = spawn(root, kill_at)
        assert killed in (-9, 0)  # the last few are not reached when batches fall together
        assert spawn(root) == 0, (kill_at, (root / "stderr.log").read_text()[-4000:])
        try:
            judge(root)
        except AssertionError as error:
            boundary = (root / "tally").read_text().splitlines()
            error.add_note(f"killed at boundary {kill_at}: {boundary[-3:]}")
            raise
        shutil.rmtree(root)


SECOND_DAY = {
    **DROPPED,
    "dry.json": json.dumps({"prompt": "another fox", "size": "32x32"}).encode(),
    "wrong.json": DROPPED["wrong.json"] + b"\n",
    "gone.json": json.dumps(REQUESTS["story.json"] | {"prompt": "gone"}).encode(),
}


def begin_second_day(first_day: Path, root: Path) -> None:
    """A root on which everything is answered, and then changed, retried and cancelled."""
    shutil.copytree(first_day, root, symlinks=True)
    for name, data in SECOND_DAY.items():
        if DROPPED.get(name) != data:
            (root / "inbox" / name).write_bytes(data)
    for control in ("local.retry", "story.retry", "gone.cancel"):
        (root / "inbox" / control).touch()


def judge_second_day(root: Path) -> None:
    results = check(root, SECOND_DAY)
    settings = load_settings({"root": root}, {})
    types = Counter(
        (event.subject, event.event.TYPE)
        for event in load(settings)[1].read(0, 10**9)
        if event.event
    )
    for name in ("local.json", "story.json"):
        assert types[name, "darkroom.job.retry_requested.v1"] == 1
    assert results["local.json"]["status"] == results["dry.json"]["status"] == "succeeded"
    assert results["gone.json"]["status"] in ("cancelled", "succeeded", "failed")
    for prompt, count in paid_calls(root).items():
        once = EXPECTED_CALLS.get(prompt, 2 if "flaky" in prompt else 1)
        # What succeeded is asked anew by a retry, and "flaky" fails only the very first time.
        assert count <= once + (1 if prompt.startswith("once") else 0), (prompt, count)


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("first-day") / "root"
    drop_all(root)
    assert spawn(root) == 0
    return root


@pytest.mark.slow
@pytest.mark.timeout(170)
@pytest.mark.parametrize("chosen", PARTS)
def test_a_kill_at_every_boundary_of_retries_cancels_and_changed_requests(
    chosen: Any, first_day: Path, tmp_path: Path
) -> None:
    begin_second_day(first_day, tmp_path / "0")
    assert spawn(tmp_path / "0") == 0
    judge_second_day(tmp_path / "0")
    passed = (tmp_path / "0" / "tally").read_text().splitlines()
    assert len(passed) > 60
    for kill_at in chosen(passed):
        root = tmp_path / str(kill_at)
        begin_second_day(first_day, root)
        assert spawn(root, kill_at) in (-9, 0)
        assert spawn(root) == 0, (kill_at, (root / "stderr.log").read_text()[-4000:])
        try:
            judge_second_day(root)
        except AssertionError as error:
            error.add_note(f"killed at boundary {kill_at}")
            raise
        shutil.rmtree(root)


def kill_again_and_again(root: Path, seed: int, total: int) -> None:
    chance = random.Random(seed)
    drop_all(root)
    for _ in range(chance.randint(2, 6)):
        if spawn(root, chance.randint(1, total)) == 0:
            break
    assert spawn(root) == 0, (seed, (root / "stderr.log").read_text()[-4000:])
    judge(root)


@pytest.mark.timeout(170)
def test_kills_again_and_again_during_recovery_lose_nothing_either(
    total: int, tmp_path: Path
) -> None:
    for seed in range(4):
        kill_again_and_again(tmp_path / str(seed), seed, total)


@pytest.mark.slow
def test_random_kills_for_minutes(total: int, tmp_path: Path) -> None:
    for seed in range(1000, 1000 + int(os.environ.get("DARKROOM_KILLS", "1500"))):
        root = tmp_path / str(seed)
        kill_again_and_again(root, seed, total)
        shutil.rmtree(root)
