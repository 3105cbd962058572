"""The daemon is killed at every boundary of batches and of queues that grow and are rewritten: each
line is admitted once, none is lost, and nothing is paid for twice."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.events import ItemRejected, JobAccepted
from daemon.jobs import BATCH
from daemon.reading import load
from daemon.settings import load_settings
from tests.story.boundaries import PARTS
from tests.story.checks import check, paid_calls
from tests.story.victim import spawn

LOCAL = {"size": "48x32", "provider": "local"}
PAID = {"provider": "counting"}
DRY = {"prompt": "a fox", "dry_run": True}
BAD = "{no json"
LONG = {"prompt": "long " * 600, "dry_run": True}
"""Too long for an event: its piece is a blob."""

ARRAY = [{"prompt": "flaky shoe", **PAID}, {"prompt": 7}, {"prompt": "a shoe", **LOCAL}]
MANIFEST = {"task": BATCH, "manifest": "inbox/list", "contact_sheet": True}
LIST = [{"prompt": "a {index}", **LOCAL}, {"prompt": "a {index}", **LOCAL, "size": "32x48"}]

FIRST: list[Any] = [
    {"prompt": "q paid", **PAID},
    BAD,
    DRY,
    {"prompt": "gone", "dry_run": True},
    DRY,
]
APPENDED: list[Any] = [*FIRST, {"prompt": "q flaky", **PAID}, DRY, LONG]
REWRITTEN: list[Any] = [
    LONG, DRY, {"prompt": "q new", **PAID}, {"prompt": "q flaky", **PAID}, DRY, BAD,
    {"prompt": "q paid", **PAID}, DRY, {"end": True, "count": 8},
]  # fmt: skip
CALLS = {"flaky shoe": 2, "q paid": 1, "q flaky": 2, "q new": 1}


def as_queue(lines: Sequence[Any]) -> bytes:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    return "".join(f"{text}\n" for text in texts).encode()


QUEUES = [as_queue(lines) for lines in (FIRST, APPENDED, REWRITTEN)]
DROPPED = {
    "shoes.json": json.dumps(ARRAY).encode(),
    "sheet.json": json.dumps(MANIFEST).encode(),
    "alice/q.jsonl": QUEUES[-1],
}


def put(root: Path, name: str, data: bytes) -> None:
    """As a client does it: whole."""
    aside = root / "aside"
    aside.write_bytes(data)
    aside.rename(root / "inbox" / name)


def drop_all(root: Path) -> None:
    (root / "inbox" / "alice").mkdir(parents=True)
    (root / "inbox" / "list").write_text(json.dumps(LIST))
    for name, data in {**DROPPED, "alice/q.jsonl": QUEUES[0]}.items():
        put(root, name, data)


def change(root: Path, edition: int) -> None:
    """The queue is appended to, or rewritten."""
    put(root, "alice/q.jsonl", QUEUES[edition])


def texts_of(lines: Sequence[Any]) -> Counter[str]:
    return Counter(json.dumps(line) for line in lines if line != BAD and "end" not in line)


def admitted(root: Path) -> Counter[str]:
    """What was admitted of the queue, by content."""
    state, segments = load(load_settings({"root": root}, {}))
    drop = state.newest("alice/q.jsonl")
    assert drop is not None
    found: Counter[str] = Counter()
    for recorded in segments.read(0, state.sequence):
        event = recorded.event
        if isinstance(event, JobAccepted) and event.batch == drop.job:
            long = dict.fromkeys(event.blobs, LONG["prompt"])
            found[
                json.dumps({**event.request, **{name[1:]: one for name, one in long.items()}})
            ] += 1
        elif isinstance(event, ItemRejected) and event.batch == drop.job:
            found[BAD] += 1
    return found


def judge(root: Path) -> dict[str, dict[str, Any]]:
    """All promises were kept."""
    results = check(root, DROPPED)
    gone = json.dumps({"prompt": "gone", "dry_run": True})  # it may have gone unseen
    found = admitted(root)
    assert found.pop(gone, 1) == 1
    assert found == texts_of(REWRITTEN) + Counter({BAD: 1})
    summary = results["alice/q.jsonl"]
    assert (summary["complete"], summary["missing"], summary["rejected"]) == (True, 0, 1)
    calls, lost = paid_calls(root), judge_items(root, results)
    for prompt, count in calls.items():
        assert count <= CALLS[prompt], (prompt, count)
    if not lost:
        assert calls == CALLS
    return results


def judge_items(root: Path, results: dict[str, dict[str, Any]]) -> set[str]:
    """Every item succeeded but for what is wrong in itself, and for paid ones of which nobody knows
    whether they were done: their prompts."""
    queue = (root / "inbox" / "alice" / "q.jsonl.result.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in queue]
    rows += results["shoes.json"]["results"] + results["sheet.json"]["results"]
    lost = set()
    for row in rows:
        if (row["error"] or {}).get("code") == "ambiguous_submit":
            lost.add(row["item"]["prompt"])
        elif row["status"] != "succeeded":
            assert row["status"] == "rejected", row
    assert [row["status"] for row in results["shoes.json"]["results"]][1:] == [
        "rejected", "succeeded",
    ]  # fmt: skip
    (sheet,) = results["sheet.json"]["artifacts"]
    assert sheet["path"].rpartition("/")[2].startswith("summary-")
    assert lost <= set(CALLS)
    return lost


def live(root: Path, kills: Sequence[int], editions: Sequence[int]) -> None:
    """Die at each of these boundaries, and find another edition of the queue after each; then live
    on: all promises must have been kept."""
    drop_all(root)
    for kill_at, edition in zip(kills, editions, strict=True):
        assert spawn(root, kill_at) in (-9, 0)
        change(root, edition)
    if editions[-1] != 2:
        assert spawn(root) == 0
        change(root, 2)
    assert spawn(root) == 0, (kills, (root / "stderr.log").read_text()[-4000:])
    try:
        judge(root)
    except AssertionError as error:
        error.add_note(f"killed at {kills}, editions {editions}")
        raise
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The boundaries that an undisturbed run passes, of which one finds all there is to do."""
    root = tmp_path_factory.mktemp("undisturbed")
    drop_all(root)
    assert spawn(root) == 0
    tally = (root / "tally").read_text().splitlines()
    for edition in (1, 2):
        change(root, edition)
        assert spawn(root) == 0, (root / "stderr.log").read_text()[-4000:]
    results = judge(root)
    assert results["shoes.json"]["status"] == "partial"
    assert results["sheet.json"]["status"] == "succeeded"
    assert results["alice/q.jsonl"]["count"] == 9
    assert results["alice/q.jsonl"]["known"] == 7
    return tally


@pytest.mark.timeout(600)
@pytest.mark.parametrize("chosen", PARTS)
def test_a_kill_at_every_boundary_admits_each_line_once_and_pays_nothing_twice(
    chosen: Any, passed: list[str], tmp_path: Path
) -> None:
    assert {"inside a write to a queue's rows", "after a queue's rows"} <= set(passed)
    for number, kill_at in enumerate(chosen(passed)):
        # Every fourth time it is dead while the queue grows, else while it is written anew, which
        # spares a life.
        live(tmp_path / str(kill_at), [kill_at], [1 if number % 4 == 0 else 2])


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seeds", [2, pytest.param(60, marks=pytest.mark.slow)])
def test_kills_again_and_again_while_a_queue_changes_lose_nothing_either(
    seeds: int, passed: list[str], tmp_path: Path
) -> None:
    for seed in range(seeds):
        chance = random.Random(seed)
        kills = [chance.randint(1, len(passed)) for _ in range(chance.randint(2, 5))]
        editions = sorted(chance.randint(0, 2) for _ in kills)
        live(tmp_path / str(seed), kills, editions)
