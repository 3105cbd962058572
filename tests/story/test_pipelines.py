"""A picture, an object cut out of it, and the canvas around that: dropped in reverse order."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.story.checks import check
from tests.story.victim import spawn
from tests.support import Root, daemon, darkroom, drain, wait_until

LOCAL = {"provider": "local"}
PIPELINE: dict[str, Any] = {
    "wide.json": {
        **LOCAL,
        "task": "outpaint_image",
        "image": {"from": "cut.json"},
        "left": 16,
        "right": 16,
        "mode": "edge",
        "prompt": "the rest of the room",
    },
    "cut.json": {
        **LOCAL,
        "task": "object_select_edit",
        "image": {"from": "cat"},
        "threshold": 24,
        "edit_target": "background",
        "prompt": "a beach",
    },
    "cat.json": {**LOCAL, "prompt": "a cat", "size": "48x32"},
}
DROPPED = {name: json.dumps(request).encode() for name, request in PIPELINE.items()}


def size_of(result: dict[str, Any]) -> tuple[int, int]:
    (made,) = [one for one in result["artifacts"] if one["role"] == "output"]
    return made["width"], made["height"]


def test_three_files_in_reverse_order_are_one_pipeline_through_a_kill(root: Root) -> None:
    with daemon(root.path) as running:
        root.drop("wide.json", PIPELINE["wide.json"])
        root.drop("cut.json", PIPELINE["cut.json"])
        wait_until(lambda: root.types().count("job.accepted") == 2, "both are taken in")
        shown = darkroom(root.path, "status", "wide").stdout
        assert "waiting for cut.json" in shown
        assert "waits for cat.json, not there yet" in darkroom(root.path, "status").stdout
        running.kill()
    root.drop("cat.json", PIPELINE["cat.json"])
    drain(root.path)
    results = check(root.path, DROPPED)
    assert {name: result["status"] for name, result in results.items()} == dict.fromkeys(
        PIPELINE, "succeeded"
    )
    assert size_of(results["cut.json"]) == (48, 32)
    assert size_of(results["wide.json"]) == (80, 32)
    ends = [line["subject"] for line in root.lines() if line["type"] == "darkroom.job.succeeded.v1"]
    assert ends == ["cat.json", "cut.json", "wide.json"]


def drop_all(root: Path) -> None:
    (root / "inbox").mkdir(parents=True)
    for name, data in DROPPED.items():
        (root / "inbox" / name).write_bytes(data)


@pytest.mark.parametrize(
    "kills", [4, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_kill_at_any_boundary_breaks_no_chain(kills: int, tmp_path: Path) -> None:
    drop_all(tmp_path / "undisturbed")
    assert spawn(tmp_path / "undisturbed") == 0
    total = len((tmp_path / "undisturbed" / "tally").read_text().splitlines())
    assert total > 20
    step = max(1, total // kills)
    for kill_at in range(1 + step // 2, total, step):
        root = tmp_path / str(kill_at)
        drop_all(root)
        assert spawn(root, kill_at) in (-9, 0)
        assert spawn(root) == 0, (kill_at, (root / "stderr.log").read_text()[-4000:])
        results = check(root, DROPPED)
        assert {result["status"] for result in results.values()} == {"succeeded"}, kill_at
        shutil.rmtree(root)


def test_a_chain_that_broke_is_told_and_mended_by_retries(root: Root) -> None:
    for name, request in PIPELINE.items():
        root.drop(name, {**request, "provider": "nobody"} if name == "cat.json" else request)
    drain(root.path)
    error = (root.result("wide.json") or {})["error"]
    assert error["code"] == "dependency_failed"
    assert "wide.json needs cut.json, which failed (dependency_failed)" in error["message"]
    assert "cut.json needs cat.json, which failed: provider_not_found" in error["message"]
    root.drop("cat.json", PIPELINE["cat.json"])
    for name in ("cut.retry", "wide.retry"):
        (root.inbox / name).touch()
    drain(root.path)
    assert {(root.result(name) or {})["status"] for name in PIPELINE} == {"succeeded"}


def test_a_drain_waits_for_what_is_not_there_and_then_answers(root: Root) -> None:
    root.drop("x.json", {**LOCAL, "prompt": "x", "after": ["y.json"]})
    drain(root.path, DARKROOM_DEPENDENCY_WAIT="0.5")
    error = (root.result("x.json") or {})["error"]
    assert error["message"] == "x.json needs y.json, which did not come within 0.5 s"


def test_a_drain_leaves_what_waits_for_one_that_is_held(root: Root) -> None:
    later = {**LOCAL, "prompt": "x", "not_before": "2999-01-01T00:00:00Z"}
    root.drop("later.json", later)
    root.drop("x.json", {**LOCAL, "prompt": "x", "after": "later"})
    done = darkroom(root.path, "run", "--drain")
    assert done.returncode == 3
    assert "1 job waits for its time" in done.stderr
    assert "1 job waits for the end of a pause, for a budget, for another request" in done.stderr
