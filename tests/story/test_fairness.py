"""One request beside thousands of somebody else's, and beside the items of large batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import Root, daemon, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
AHEAD = 1300
"""Jobs that may be under way when another one comes: of them a thousand that do nothing wait for the
disk at once."""
ENDS = ("darkroom.job.succeeded.v1", "darkroom.batch.ended.v1")


def passed_over(root: Root, name: str) -> int:
    """How many others ended between a request's acceptance, or of a batch that of its items, and
    its end."""
    types = [(line["type"], line.get("subject")) for line in root.lines()]
    first = ("darkroom.job.accepted.v1", f"{name}#1")
    accepted = types.index(first if first in types else ("darkroom.job.accepted.v1", name))
    ends = [types.index((kind, name)) for kind in ENDS if (kind, name) in types]
    own = f"{name}#"  # its items, where it is a batch
    return sum(
        kind == "darkroom.job.succeeded.v1" and not (subject or "").startswith(own)
        for kind, subject in types[accepted : ends[0]]
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bulk", [1000, pytest.param(3000, marks=pytest.mark.slow)])
def test_alice_is_answered_long_before_thousands_of_bulk_are(root: Root, bulk: int) -> None:
    aside = root.path / "bulk"
    aside.mkdir()
    for number in range(bulk):
        (aside / f"{number}.json").write_text(json.dumps(DRY))
    with daemon(root.path):
        aside.rename(root.inbox / "bulk")
        root.drop("alice/one.json", DRY)
        assert root.wait_result("alice/one.json")["ok"]
        wait_until(lambda: root.types().count("job.succeeded") == bulk + 1, "all are done")
    # What runs when she comes, and what is on its way to the disk.
    assert passed_over(root, "alice/one.json") < bulk // 10


def dropped_beside(root: Path, bulk: int, small: dict[str, Any]) -> Root:
    """A root on which requests were dropped while most of a large batch waited."""
    here = Root(root)
    here.drop("bulk/big.json", [DRY] * bulk)
    with daemon(root):
        wait_until(lambda: mentions(root, b'"bulk/big.json#5"'), "its items wait")
        for name, request in small.items():
            here.drop(name, request)
        for name in ["bulk/big.json", *small]:
            assert here.wait_result(name, 100)["ok"]
    return here


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bulk", [2000, pytest.param(5000, marks=pytest.mark.slow)])
def test_small_requests_are_answered_long_before_a_large_batch_is(root: Root, bulk: int) -> None:
    small = {
        "alice/one.json": DRY,
        "bulk/urgent.json": {**DRY, "priority": 5},
        "bulk/beside.json": DRY,
        "bulk/few.json": [DRY] * 20,
    }
    here = dropped_beside(root.path, bulk, small)
    for name in small:
        # What runs when it comes, and what is on its way to the disk; and as two batches of a
        # folder share, each item of the small one lets one of the large one go.
        assert passed_over(here, name) < AHEAD, name


LINES = 100_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_hundred_thousand_lines_are_answered_as_they_come_in_bounded_memory(root: Root) -> None:
    lines = (json.dumps({**DRY, "labels": {"n": number}}) for number in range(LINES))
    data = "".join(f"{line}\n" for line in lines).encode()
    rows = root.inbox / "q.jsonl.result.jsonl"
    with daemon(root.path, fresh=True) as running:
        root.drop("q.jsonl", data)
        wait_until(lambda: rows.exists() and rows.read_bytes().count(b"\n"), "a first row")
        accepted = mentions(root.path, b"darkroom.job.accepted.v1")
        assert accepted < LINES // 2  # most lines are no jobs yet
        root.drop("alice/one.json", DRY)
        assert root.wait_result("alice/one.json")["ok"]
        summary = root.wait_result("q.jsonl", 800)
        peak = peak_memory(running.process.pid)
    assert (summary["count"], summary["succeeded"]) == (LINES, LINES)
    found = [json.loads(line) for line in rows.read_bytes().splitlines()]
    assert sorted(row["item"]["labels"]["n"] for row in found) == list(range(LINES))
    assert passed_over(root, "alice/one.json") < LINES // 50
    assert peak < 220 << 20


def mentions(root: Path, what: bytes) -> int:
    """How often something stands in the log."""
    return sum(one.read_bytes().count(what) for one in (root / "events").glob("0*.jsonl"))


def peak_memory(pid: int) -> int:
    """The most bytes that a process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(kilobytes) << 10
