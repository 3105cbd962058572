"""When jobs start and end: chosen times, deadlines, pauses, cancels; with a real daemon."""

from __future__ import annotations

import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.clock import parse_rfc3339
from tests.support import Root, daemon, darkroom, drain, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
PAINTING = {"task": "generate_image", "prompt": "x", "size": "1024x1024", "n": 10}
TIMES_OUT = {**DRY, "dry_run": False, "size": "64x64", "timeout": 0.0001, "max_attempts": 5}
NEVER = {"DARKROOM_RETRY_SECONDS": "1e7", "DARKROOM_RETRY_SECONDS_MAX": "1e7"}
SELDOM = {"DARKROOM_SCAN_INTERVAL": "3600"}


def within(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def moment(root: Root, kind: str, name: str) -> datetime:
    """When the last event of a type happened to a request."""
    times = [
        line["time"]
        for line in root.lines()
        if line.get("subject") == name and line["type"] == f"darkroom.{kind}.v1"
    ]
    return parse_rfc3339(times[-1])


def error_of(root: Root, name: str) -> tuple[str, str]:
    result = root.wait_result(name)
    return result["status"], result["error"]["code"]


def wait_taken(root: Root, *names: str) -> None:
    for name in names:
        wait_until(lambda name=name: "job.accepted" in root.types(name), f"{name} is taken in")


# ---------------------------------------------------------------- not_before


def test_a_job_starts_at_its_time(root: Root) -> None:
    with daemon(root.path):
        time = within(0.7)
        root.drop("x.json", {**DRY, "not_before": time})
        root.drop("past.json", {**DRY, "not_before": "2001-01-01T00:00:00+14:00"})
        assert root.wait_result("past.json")["ok"]
        assert root.wait_result("x.json")["ok"]
    late = moment(root, "job.started", "x.json") - parse_rfc3339(time)
    assert timedelta(milliseconds=-1) < late < timedelta(seconds=5)


def test_a_job_starts_at_its_time_although_the_daemon_was_restarted(root: Root) -> None:
    time = within(12)
    root.drop("x.json", {**DRY, "not_before": time})
    with daemon(root.path) as running:
        wait_taken(root, "x.json")
        running.kill()
    with daemon(root.path):
        assert "waiting until" in darkroom(root.path, "status", "x").stdout
        assert root.wait_result("x.json")["ok"]
    assert root.types("x.json").count("job.accepted") == 1
    assert moment(root, "job.started", "x.json") > parse_rfc3339(time) - timedelta(milliseconds=1)


def test_a_time_without_an_offset_is_refused_with_how_it_should_look(root: Root) -> None:
    root.drop("x.json", {**DRY, "not_before": "2026-11-22 10:00"})
    drain(root.path)
    (fault,) = root.wait_result("x.json")["error"]["faults"]
    assert fault["pointer"] == "/not_before"
    assert "write 2026-11-22T10:00Z for UTC" in fault["message"]


def test_a_drain_answers_what_it_can_and_says_what_it_leaves(root: Root) -> None:
    root.drop("x.json", {**DRY, "not_before": "2999-01-01T00:00:00Z"})
    root.drop("y.json", DRY)
    done = darkroom(root.path, "run", "--drain")
    assert done.returncode == 3
    assert "1 job waits for its time, the first at 2999-01-01T00:00:00.000Z" in done.stderr
    assert root.wait_result("y.json")["ok"]
    assert root.types("x.json") == ["job.accepted"]


def test_a_drain_waits_for_a_retry_that_is_due(root: Root) -> None:
    root.drop("x.json", {**TIMES_OUT, "max_attempts": 3})
    drain(root.path, DARKROOM_RETRY_SECONDS="0.1")
    assert root.wait_result("x.json")["attempts"] == 3


# ---------------------------------------------------------------- deadlines


def test_a_job_that_runs_ends_at_its_deadline_and_a_retry_runs_it_without(root: Root) -> None:
    with daemon(root.path):
        root.drop("x.json", {**PAINTING, "n": 5, "deadline_seconds": 0.5})
        assert error_of(root, "x.json") == ("failed", "deadline_exceeded")
        assert "job.started" in root.types("x.json")
        (root.inbox / "x.retry").touch()
        again = wait_until(lambda: (root.result("x.json") or {}).get("ok"), "it runs again")
        assert again


def test_a_deadline_holds_while_everything_is_paused(root: Root) -> None:
    (root.inbox / "PAUSE").touch()
    with daemon(root.path):
        root.drop("x.json", {**DRY, "deadline_seconds": 0.3})
        assert error_of(root, "x.json") == ("failed", "deadline_exceeded")
    assert "job.started" not in root.types("x.json")


def test_a_deadline_that_passed_while_no_daemon_ran_ends_the_job_before_it_starts(
    root: Root,
) -> None:
    (root.inbox / "PAUSE").touch()
    root.drop("x.json", {**DRY, "deadline_seconds": 0.5})
    with daemon(root.path) as running:
        wait_taken(root, "x.json")
        running.kill()
    (root.inbox / "PAUSE").unlink()
    passed = moment(root, "job.accepted", "x.json") + timedelta(seconds=0.6)
    wait_until(lambda: datetime.now(UTC) > passed, "the deadline passes")
    drain(root.path)
    assert error_of(root, "x.json") == ("failed", "deadline_exceeded")
    assert "job.started" not in root.types("x.json")


# ---------------------------------------------------------------- pauses


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_a_pause_holds_starts_and_its_removal_lets_them_go_within_a_second(
    root: Root, kind: str
) -> None:
    pause = root.inbox / "PAUSE"
    with daemon(root.path, **SELDOM) as running:
        make: dict[str, Any] = {
            "file": pause.touch,
            "folder": pause.mkdir,
            "link": lambda: pause.symlink_to("/nowhere"),
        }
        make[kind]()
        root.drop("x.json", DRY)
        wait_taken(root, "x.json")
        wait_until(lambda: "starting is paused" in running.diagnostics(), "it is told")
        assert root.types("x.json") == ["job.accepted"]
        shutil.rmtree(pause) if kind == "folder" else pause.unlink()
        gone = datetime.now(UTC)
        assert root.wait_result("x.json")["ok"]
        assert "starting goes on" in running.diagnostics()
    assert moment(root, "job.started", "x.json") - gone < timedelta(seconds=1.5)
    assert sorted(path.name for path in root.inbox.iterdir()) == ["x.json", "x.result.json"]


def test_a_pause_of_one_provider_holds_nobody_else(root: Root) -> None:
    (root.inbox / "PAUSE.local").touch()
    with daemon(root.path, **SELDOM) as running:
        root.drop("held.json", DRY)
        root.drop("other.json", {**DRY, "provider": "other"})
        assert error_of(root, "other.json") == ("failed", "provider_not_found")
        wait_taken(root, "held.json")
        assert "job.started" not in root.types("held.json")
        said = [json.loads(line) for line in running.diagnostics().splitlines()]
        (line,) = [line for line in said if line["event"] == "starting is paused"]
        assert (line["provider"], line["file"]) == ("local", "PAUSE.local")
        (root.inbox / "PAUSE.local").unlink()
        assert root.wait_result("held.json")["ok"]


def test_a_job_of_before_does_not_start_while_the_pause_is_still_to_be_found(root: Root) -> None:
    (root.inbox / "PAUSE").touch()
    root.drop("x.json", DRY)
    with daemon(root.path) as running:
        wait_taken(root, "x.json")
        running.kill()
    for _ in range(3):
        assert darkroom(root.path, "run", "--drain").returncode == 3
    assert "job.started" not in root.types("x.json")


def test_a_paused_root_is_drained_of_everything_else_and_says_so(root: Root) -> None:
    (root.inbox / "PAUSE.local").touch()
    root.drop("held.json", DRY)
    root.drop("bad.json", {"task": "no_such_task"})
    done = darkroom(root.path, "run", "--drain")
    assert done.returncode == 3
    assert "1 job waits for the end of a pause" in done.stderr
    assert root.wait_result("bad.json")["status"] == "rejected"
    (root.inbox / "PAUSE.local").unlink()
    drain(root.path)
    assert root.wait_result("held.json")["ok"]


@pytest.mark.slow
def test_a_pause_that_comes_in_a_crowd_is_found(root: Root) -> None:
    with daemon(root.path, **SELDOM) as running:
        bulk = root.path / "bulk"
        bulk.mkdir()
        for number in range(2000):
            (bulk / f"{number}.json").write_text(json.dumps(DRY))
        (root.inbox / "bulk").mkdir()
        for number, path in enumerate(sorted(bulk.iterdir())):
            path.rename(root.inbox / "bulk" / path.name)
            if number == 1000:
                (root.inbox / "PAUSE.local").touch()
        wait_until(lambda: "starting is paused" in running.diagnostics(), "it is found")
        root.drop("after.json", DRY)
        wait_taken(root, "after.json")
        assert "job.started" not in root.types("after.json")
        (root.inbox / "PAUSE.local").unlink()
        assert root.wait_result("after.json")["ok"]


def test_without_a_watcher_a_pause_is_found_by_looking(root: Root) -> None:
    with daemon(root.path, DARKROOM_WATCH="false", DARKROOM_SCAN_INTERVAL="0.2") as running:
        (root.inbox / "PAUSE").touch()
        wait_until(lambda: "starting is paused" in running.diagnostics(), "it is found")
        (root.inbox / "PAUSE").unlink()
        wait_until(lambda: "starting goes on" in running.diagnostics(), "it is gone")


def test_what_only_looks_like_a_pause_is_a_request_or_nothing(root: Root) -> None:
    root.drop("PAUSE.json", DRY)
    root.drop("alice/x.json", DRY)
    (root.inbox / "alice" / "PAUSE").touch()
    (root.inbox / "PAUSED").touch()
    drain(root.path)
    assert root.wait_result("PAUSE.json")["ok"]
    assert root.wait_result("alice/x.json")["ok"]
    drain(root.path)


def test_idle_and_paused_costs_next_to_nothing(root: Root) -> None:
    (root.inbox / "PAUSE").touch()
    with daemon(root.path) as running:
        root.drop("x.json", {**DRY, "not_before": within(0.1)})
        wait_until(lambda: "starting is paused" in running.diagnostics(), "it is found")
        wait_taken(root, "x.json")
        before, began = cpu_of(running.process.pid), datetime.now(UTC)
        wait_until(lambda: datetime.now(UTC) - began > timedelta(seconds=2), "two seconds pass")
        assert cpu_of(running.process.pid) - before < 0.2


def cpu_of(pid: int) -> float:
    """Seconds of processor time that a process had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------- cancel, whatever it does


def waits_for_its_turn(root: Root) -> None:
    for number in range(4):
        root.drop(f"before-{number}.json", PAINTING)
    for number in range(4):
        name = f"before-{number}.json"
        wait_until(lambda name=name: "job.started" in root.types(name), "it runs")
    root.drop("x.json", DRY)


def is_blocked_by_an_older_drop(root: Root) -> None:
    root.drop("x.json", {**DRY, "not_before": "2999-01-01T00:00:00Z"})
    wait_taken(root, "x.json")
    root.drop("x.json", DRY)
    wait_until(lambda: root.types("x.json").count("job.accepted") == 2, "both are taken in")


def waits_for_its_time(root: Root) -> None:
    root.drop("x.json", {**DRY, "not_before": "2999-01-01T00:00:00Z"})


def waits_for_its_retry(root: Root) -> None:
    root.drop("x.json", TIMES_OUT)
    wait_until(lambda: "job.retrying" in root.types("x.json"), "it failed once")


def runs(root: Root) -> None:
    root.drop("x.json", PAINTING)
    wait_until(lambda: "job.started" in root.types("x.json"), "it runs")


def is_paused(root: Root) -> None:
    (root.inbox / "PAUSE").touch()
    root.drop("x.json", DRY)


@pytest.mark.parametrize(
    "state",
    [
        waits_for_its_turn,
        is_blocked_by_an_older_drop,
        waits_for_its_time,
        waits_for_its_retry,
        runs,
        is_paused,
    ],
    ids=lambda state: state.__name__,
)
def test_a_cancel_ends_a_job_that(root: Root, state: Any) -> None:
    with daemon(root.path, **NEVER):
        state(root)
        wait_taken(root, "x.json")
        starts = root.types("x.json").count("job.started")
        (root.inbox / "x.cancel").touch()
        assert error_of(root, "x.json") == ("cancelled", "cancelled")
        wait_until(lambda: not (root.inbox / "x.cancel").exists(), "the file is removed")
    assert root.types("x.json").count("job.cancelled") == root.types("x.json").count("job.accepted")
    assert root.types("x.json").count("job.started") == starts
