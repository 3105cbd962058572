"""A disk that runs full, and folders that lie on other disks."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from daemon.locks import lock_holder
from tests.edges.conftest import Mount
from tests.support import Daemon, Root, daemon, darkroom, drain, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
PAINTING = {"task": "generate_image", "prompt": "x", "size": "64x64"}
OFTEN = {"DARKROOM_SCAN_INTERVAL": "0.2"}
SOON = {"DARKROOM_RETRY_SECONDS": "0.1", "DARKROOM_RETRY_SECONDS_MAX": "0.2"}


def tmpfs(size: str = "2m") -> list[str]:
    return ["-t", "tmpfs", "-o", f"size={size}", "darkroom-test"]


@pytest.fixture
def small(tmp_path: Path, mount: Mount) -> Root:
    """A root that has two megabytes, of which five percent must stay free."""
    mount(tmp_path / "disk", *tmpfs())
    return Root(tmp_path / "disk")


def free(root: Root) -> int:
    usage = os.statvfs(root.path)
    return usage.f_bavail * usage.f_frsize


def fill(root: Root, leave: int = 0) -> Path:
    """Fill the disk with a file, but for so many bytes, while others write to it as well."""
    path = root.path / "filler"
    with path.open("ab") as file:
        while (size := free(root) - leave) > 0:
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
    return path


def wait_answers(root: Root, names: list[str]) -> None:
    wait_until(lambda: all(root.result(name) is not None for name in names), "all are answered")


def check_log(root: Root) -> None:
    """Every line is whole, chained, and every request was done once."""
    done = darkroom(root.path, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cut short" not in done.stdout
    each = Counter(
        (line.get("subject"), line["type"]) for line in root.lines() if "subject" in line
    )
    doubled = {
        key: count
        for key, count in each.items()
        if count > 1 and key[1].split(".")[2] in ("accepted", "succeeded")
    }
    assert not doubled


# ---------------------------------------------------------------- a disk that runs full


def test_a_disk_below_the_floor_pauses_intake_and_room_resumes_it(small: Root) -> None:
    with daemon(small.path, **OFTEN):
        small.drop("before.json", DRY)
        small.wait_result("before.json")
        filler = fill(small, leave=50_000)
        wait_until(lambda: "intake.paused" in small.types(), "intake pauses")
        names = [f"{number}.json" for number in range(5)]
        for name in names:
            small.drop(name, DRY)
        (paused,) = [line for line in small.lines() if "paused" in line["type"]]
        assert paused["data"]["free"] < paused["data"]["floor"] <= 2 << 20
        assert "paused" in darkroom(small.path, "status").stdout
        assert "job.accepted" not in [kind for name in names for kind in small.types(name)]
        filler.unlink()
        wait_answers(small, names)
        assert small.types().count("intake.paused") == small.types().count("intake.resumed") == 1
    check_log(small)


def test_a_pause_is_said_once_however_long_it_lasts_and_over_restarts(small: Root) -> None:
    drain(small.path)
    small.drop("x.json", DRY)
    filler = fill(small, leave=50_000)
    for _ in range(3):
        done = darkroom(small.path, "run", "--drain", "--max-wait", "5")
        assert done.returncode == 3, done.stderr
    assert small.types().count("intake.paused") == 1
    assert "intake.resumed" not in small.types()
    filler.unlink()
    drain(small.path)
    assert small.types().count("intake.resumed") == 1
    assert small.wait_result("x.json")["ok"]
    check_log(small)


def test_a_disk_without_a_single_byte_loses_nothing(small: Root) -> None:
    names = [f"{number}.json" for number in range(60)]
    aside = small.path / "aside"  # on the same disk, so that renaming them in needs no room
    aside.mkdir()
    for name in names:
        (aside / name).write_text(json.dumps(DRY))
    with daemon(small.path, DARKROOM_SCAN_INTERVAL="0.1") as running:
        for number, name in enumerate(names):
            (aside / name).rename(small.inbox / name)
            if number == 30:
                filler = fill(small)
                filled = wait_until(lambda: "paused" in running.diagnostics(), "it pauses")
                assert filled
                for segment in (small.path / "events").glob("0*.jsonl"):
                    assert segment.read_bytes()[-1:] in (b"\n", b"")
        wait_until(lambda: running.process.poll() is None and free(small) >= 0, "it lives")
        filler.unlink()
        wait_answers(small, names)
    check_log(small)
    assert all((small.result(name) or {})["ok"] for name in names)


def test_a_disk_that_is_full_again_and_again_loses_nothing_and_tears_no_line(
    tmp_path: Path, mount: Mount
) -> None:
    """The log meets the end of the disk in the middle of a batch, at several places."""
    mount(tmp_path / "disk", *tmpfs("8m"))
    root = Root(tmp_path / "disk")
    names = [f"{number}.json" for number in range(200)]
    aside = root.path / "aside"  # on the same disk, so that renaming them in needs no room
    aside.mkdir()
    request = {**DRY, "max_attempts": 100, "labels": {"weight": "w" * 700}}
    for name in names:
        (aside / name).write_text(json.dumps(request))
    with daemon(root.path, **OFTEN, **SOON, DARKROOM_FREE_FLOOR="0") as running:
        for pages, start in enumerate(range(0, len(names), 40)):
            filler = fill(root, leave=pages * 3 * 4096)
            for name in names[start : start + 40]:
                (aside / name).rename(root.inbox / name)
            time.sleep(0.3)  # to run against the end of the disk; nothing waits for this
            done = darkroom(root.path, "verify")
            assert done.returncode == 0, done.stderr
            filler.unlink()
            wait_answers(root, names[: start + 40])
        assert running.process.poll() is None, running.diagnostics()
    check_log(root)
    assert all((root.result(name) or {})["ok"] for name in names)


def test_a_daemon_that_starts_on_a_full_disk_lives_pauses_and_resumes(small: Root) -> None:
    """Its diagnostics go to a file on that disk too, and cannot be written."""
    drain(small.path)
    small.drop("x.json", DRY)
    filler = fill(small)
    running = Daemon(small.path, **OFTEN)
    try:
        lock = small.path / ".darkroom" / "lock"
        wait_until(lambda: lock_holder(lock) == running.process.pid, "it serves")
        before = len(small.types())
        filler.unlink()
        assert small.wait_result("x.json")["ok"]
        assert "job.accepted" in small.types()[before:]
        assert running.stop() == 0
    finally:
        running.kill()
    check_log(small)


def test_a_daemon_that_is_paused_stops_at_once(small: Root) -> None:
    running = Daemon(small.path, **OFTEN)
    try:
        running.wait_serving()
        small.drop("x.json", {**PAINTING, "size": "1024x1024", "n": 10})
        wait_until(lambda: "job.started" in small.types(), "it runs")
        fill(small)
        wait_until(lambda: "intake.paused" in small.types(), "it pauses")
        assert running.stop() == 0
    finally:
        running.kill()
    assert darkroom(small.path, "verify").returncode == 0


def test_a_picture_that_does_not_fit_is_saved_once_there_is_room(small: Root) -> None:
    big = {**PAINTING, "size": "1024x1024", "max_attempts": 100}
    filler = fill(small, leave=350_000)
    with daemon(small.path, **OFTEN, **SOON):
        small.drop("x.json", big)
        wait_until(
            lambda: {"job.retrying", "intake.paused"} & set(small.types()),
            "there is no room for it",
        )
        filler.unlink()
        result = small.wait_result("x.json")
    assert result["status"] == "succeeded"
    (artifact,) = result["artifacts"]
    assert (small.path / artifact["path"]).stat().st_size == artifact["bytes"]
    assert not list((small.path / ".darkroom" / "staging").iterdir())
    check_log(small)


def test_a_job_that_finds_no_room_at_its_last_attempt_fails_and_says_so(small: Root) -> None:
    fill(small, leave=350_000)
    small.drop("x.json", {**PAINTING, "size": "1024x1024", "max_attempts": 1})
    darkroom(small.path, "run", "--drain", "--max-wait", "20")
    result = small.wait_result("x.json")
    assert (result["status"], result["error"]["code"]) == ("failed", "disk_full")
    assert result["error"]["retryable"]


@pytest.mark.parametrize("command", ["status", "verify", "events"])
def test_looking_needs_no_room(small: Root, command: str) -> None:
    small.drop("x.json", DRY)
    drain(small.path)
    fill(small)
    assert darkroom(small.path, command).returncode == 0


def test_submit_on_a_full_disk_says_so_and_leaves_nothing_behind(small: Root) -> None:
    fill(small)
    data = json.dumps({**DRY, "prompt": "x" * 9000}).encode()
    done = darkroom(small.path, "submit", "-", stdin=data)
    assert done.returncode == 2
    assert "no space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(small.inbox) == []


# ---------------------------------------------------------------- folders on other disks


def put(root: Root, name: str, request: Any) -> None:
    """Drop by a plain write: a rename would have to come from the same mount."""
    path = root.inbox / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(request))


FOLDERS = ["inbox", "inbox/alice", "tmp", "events", ".darkroom"]


@pytest.mark.parametrize(
    ("kind", "folders"),
    [
        ("a disk", FOLDERS),
        ("a bind mount", FOLDERS),
        *(("a bind mount", [one]) for one in FOLDERS[:4]),
    ],
)
def test_each_folder_of_the_root_may_be_a_mount_of_its_own(
    root: Root, mount: Mount, tmp_path: Path, kind: str, folders: list[str]
) -> None:
    for number, folder in enumerate(folders):
        if kind == "a disk":
            mount(root.path / folder, *tmpfs("20m"))
        else:  # of the same device, and no rename goes into it all the same: so are the volumes of a container
            (tmp_path / str(number)).mkdir()
            mount(root.path / folder, "--bind", str(tmp_path / str(number)))
    put(root, "x.json", PAINTING)
    put(root, "alice/y.json", PAINTING)
    done = drain(root.path)
    assert "cannot be put in place" not in done.stderr
    for name in ("x.json", "alice/y.json"):
        result = root.wait_result(name)
        assert result["status"] == "succeeded", result["error"]
        (artifact,) = result["artifacts"]
        assert (root.path / artifact["path"]).stat().st_size == artifact["bytes"]
    left = {path.name for path in root.inbox.rglob("*") if path.is_file()}
    assert left == {"x.json", "x.result.json", "y.json", "y.result.json"}


def test_rebuild_restores_an_inbox_on_another_disk(root: Root, mount: Mount) -> None:
    mount(root.inbox, *tmpfs())
    put(root, "x.json", DRY)
    drain(root.path)
    result = (root.inbox / "x.result.json").read_bytes()
    (root.inbox / "x.result.json").unlink()
    done = darkroom(root.path, "rebuild")
    assert (done.returncode, done.stderr) == (0, "")
    assert (root.inbox / "x.result.json").read_bytes() == result


def test_a_disk_that_is_mounted_over_the_inbox_is_served(root: Root, mount: Mount) -> None:
    with daemon(root.path, **OFTEN):
        root.drop("x.json", DRY)
        root.wait_result("x.json")
        mount(root.inbox, *tmpfs())
        put(root, "y.json", DRY)
        assert root.wait_result("y.json")["ok"]


def test_an_output_root_that_was_removed_is_made_again(root: Root) -> None:
    with daemon(root.path):
        shutil.rmtree(root.path / "tmp")
        root.drop("a.json", {"prompt": "x", "size": "16x16"})
        result = root.wait_result("a.json")
        assert result["ok"]
        assert (root.path / result["artifacts"][0]["path"]).exists()
