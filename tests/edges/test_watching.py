"""Notifications are hints, the scan is the truth: whatever happens to the watcher or to the inbox
costs time, never a request."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent, InotifyFD

from daemon.inbox import Hints, Watcher, identity_of
from tests.support import PATIENCE, Daemon, Root, command, daemon, drain, environment, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
OFTEN = {"DARKROOM_SCAN_INTERVAL": "0.2"}
SELDOM = {"DARKROOM_SCAN_INTERVAL": "3600"}


# ---------------------------------------------------------------- the inbox itself


def test_drops_in_an_inbox_that_replaced_the_old_one_are_answered(root: Root) -> None:
    with daemon(root.path, **OFTEN):
        root.drop("before.json", DRY)
        root.wait_result("before.json")
        root.inbox.rename(root.path / "old")
        root.inbox.mkdir()
        root.drop("after.json", DRY)
        root.drop("alice/after.json", DRY)
        assert root.wait_result("after.json")["ok"]
        assert root.wait_result("alice/after.json")["ok"]
    assert not list(root.inbox.glob("before*"))


def test_drops_in_an_inbox_that_was_removed_and_made_again_are_answered(root: Root) -> None:
    with daemon(root.path, **OFTEN) as running:
        for number in range(3):
            shutil.rmtree(root.inbox)
            root.inbox.mkdir()
            root.drop(f"{number}.json", DRY)
            assert root.wait_result(f"{number}.json")["ok"]
        assert running.process.poll() is None


def test_an_answer_that_is_due_while_the_inbox_is_away_is_put_in_it_later(root: Root) -> None:
    root.drop("x.json", {"task": "generate_image", "prompt": "x", "size": "512x512", "n": 4})
    with daemon(root.path, **OFTEN):
        wait_until(lambda: "job.started" in root.types(), "it runs")
        root.inbox.rename(root.path / "away")
        wait_until(lambda: "job.succeeded" in root.types(), "it ran")
        (root.path / "away").rename(root.inbox)
        assert root.wait_result("x.json")["ok"]
    assert root.types("x.json").count("job.started") == 1


def test_an_inbox_that_is_a_link_to_a_folder_elsewhere_is_served(
    root: Root, tmp_path: Path
) -> None:
    root.inbox.rename(tmp_path / "elsewhere")
    root.inbox.symlink_to(tmp_path / "elsewhere")
    with daemon(root.path, **SELDOM):
        root.drop("x.json", DRY)
        assert root.wait_result("x.json")["ok"]


# ---------------------------------------------------------------- without, or with a poor, watcher


def test_with_the_watcher_switched_off_scanning_finds_everything(root: Root) -> None:
    with daemon(root.path, DARKROOM_WATCH="false", **OFTEN):
        root.drop("x.json", DRY)
        root.drop("alice/y.json", DRY)
        assert root.wait_result("x.json")["ok"]
        assert root.wait_result("alice/y.json")["ok"]
        (root.inbox / "x.retry").touch()
        wait_until(lambda: root.types("x.json").count("job.succeeded") == 2, "it is retried")


def test_with_the_watcher_alone_a_request_is_found_at_once(root: Root) -> None:
    with daemon(root.path, **SELDOM):
        root.drop("x.json", DRY)
        assert root.wait_result("x.json")["ok"]
        root.drop("alice/bob/y.json", DRY)  # the folders are new as well
        assert root.wait_result("alice/bob/y.json")["ok"]
        (root.inbox / "z.json").write_text(json.dumps(DRY))
        assert root.wait_result("z.json")["ok"]
        root.drop("w.json.tmp", DRY).rename(root.inbox / "w.json")
        assert root.wait_result("w.json")["ok"]
        (root.inbox / "torn.json").write_text("{")
        assert root.wait_result("torn.json")["status"] == "rejected"


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_without_a_watch_left_the_daemon_says_so_and_scans(root: Root, limit: str) -> None:
    script = f'echo 0 > /proc/sys/user/{limit} && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("this needs a user namespace to set limits in")
    with (root.path / "stderr.log").open("wb") as stderr:
        running = subprocess.Popen(
            [*inside, *command(root.path, "run")], env=environment(**OFTEN), stderr=stderr
        )
        try:
            root.drop("x.json", DRY)
            assert root.wait_result("x.json")["ok"]
            root.drop("y.json", DRY)
            assert root.wait_result("y.json")["ok"]
            running.terminate()
            assert running.wait(PATIENCE) == 0
        finally:
            running.kill()
            running.wait()
    said = (root.path / "stderr.log").read_text()
    assert said.count("cannot watch the inbox") == 1  # and not at every scan
    assert "fs.inotify" in said
    assert "Traceback" not in said


# ---------------------------------------------------------------- a watcher that dies


def watching(folder: Path, test: Callable[[Watcher, Heard], Awaitable[None]]) -> None:
    """Run a test with a watcher in this process."""

    async def run() -> None:
        heard = Heard()
        heard.hints = Hints(lambda: None)
        watcher = Watcher(folder, heard.hints)
        await asyncio.to_thread(watcher.start)
        try:
            await test(watcher, heard)
        finally:
            await asyncio.to_thread(watcher.stop)

    asyncio.run(run())


class Heard:
    """What the watcher told so far."""

    hints: Hints

    def __init__(self) -> None:
        self.names: list[str] = []
        self.rescan = False

    async def wait(self, name: str) -> None:
        """Until the watcher told of a name."""
        await asyncio.to_thread(
            wait_until, lambda: self._has(name), f"the watcher tells of {name}", 5
        )

    def _has(self, name: str) -> bool:
        names, rescan = self.hints.take()
        self.names += names
        self.rescan = self.rescan or rescan
        return name in self.names


def reader_of(watcher: Watcher) -> InotifyFD:
    observer: Any = watcher._observer
    assert isinstance(observer._inotify_fd, InotifyFD)
    return observer._inotify_fd


def test_a_watcher_that_is_well_is_not_started_again(tmp_path: Path) -> None:
    async def test(watcher: Watcher, heard: Heard) -> None:
        assert not watcher.heal(identity_of(tmp_path))
        (tmp_path / "x.json").touch()
        await heard.wait("x.json")

    watching(tmp_path, test)


@pytest.mark.parametrize("which", ["observer", "emitter"])
def test_a_watcher_whose_thread_died_is_started_again(tmp_path: Path, which: str) -> None:
    async def test(watcher: Watcher, heard: Heard) -> None:
        observer = watcher._observer
        assert observer is not None
        (emitter,) = observer.emitters
        thread: Any = observer if which == "observer" else emitter
        thread.stop()
        thread.join(5)
        assert watcher.heal(identity_of(tmp_path))
        (tmp_path / "x.json").touch()
        await heard.wait("x.json")
        assert not watcher.heal(identity_of(tmp_path))

    watching(tmp_path, test)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_whose_reader_died_of_folders_that_moved_is_started_again(tmp_path: Path) -> None:
    """Watchdog 7.1 has one reading thread for all, which dies of a KeyError in this order: a
    folder is moved out, another made in its place and removed, and then the first one is."""
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    async def test(watcher: Watcher, heard: Heard) -> None:
        folder, away = inbox / "alice", tmp_path / "away"
        folder.mkdir()
        (folder / "1.json").touch()
        await heard.wait("alice/1.json")
        (folder / "1.json").unlink()
        folder.rename(away)
        folder.mkdir()
        (folder / "2.json").touch()
        await heard.wait("alice/2.json")
        shutil.rmtree(folder)
        (inbox / "3.json").touch()
        await heard.wait("3.json")
        away.rmdir()
        reader = reader_of(watcher)
        await asyncio.to_thread(reader.join, 5)
        if reader.is_alive():
            pytest.skip("this watchdog does not die of it")
        assert watcher.heal(identity_of(inbox))
        (inbox / "4.json").touch()
        await heard.wait("4.json")
        assert not watcher.heal(identity_of(inbox))

    watching(inbox, test)


def test_a_watcher_follows_the_inbox_that_took_the_old_one_s_place(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    async def test(watcher: Watcher, heard: Heard) -> None:
        inbox.rename(tmp_path / "old")
        assert not watcher.heal(identity_of(inbox))  # there is none yet
        inbox.mkdir()
        assert watcher.heal(identity_of(inbox))
        (inbox / "x.json").touch()
        await heard.wait("x.json")

    watching(inbox, test)


def test_a_watcher_that_cannot_start_says_so_and_starts_when_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as no instance of inotify is left, say, or no watch."""

    def no_instance_left(*_: Any) -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    async def test(watcher: Watcher, heard: Heard) -> None:
        await asyncio.to_thread(watcher.stop)
        with monkeypatch.context() as broken:
            broken.setattr(InotifyFD, "_create_inotify_fd", no_instance_left)
            watcher.start()
            assert not watcher.heal(identity_of(tmp_path))
        assert watcher.heal(identity_of(tmp_path))
        (tmp_path / "x.json").touch()
        await heard.wait("x.json")

    watching(tmp_path, test)


def test_a_watcher_that_cannot_start_keeps_neither_threads_nor_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_watch_left(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    async def test(watcher: Watcher, heard: Heard) -> None:
        await asyncio.to_thread(watcher.stop)
        with monkeypatch.context() as broken:
            broken.setattr(InotifyFD, "add_callback", no_watch_left)
            for _ in range(5):
                assert not watcher.heal(identity_of(tmp_path))
        assert not [thread for thread in threading.enumerate() if isinstance(thread, InotifyFD)]
        assert not [link for link in open_files() if "inotify" in link]

    watching(tmp_path, test)


def open_files() -> list[str]:
    return [
        os.readlink(f"/proc/self/fd/{entry.name}")
        for entry in os.scandir("/proc/self/fd")
        if os.path.lexists(entry.path)
    ]


def test_an_overflow_that_watchdog_logs_asks_for_a_scan(tmp_path: Path) -> None:
    async def test(watcher: Watcher, heard: Heard) -> None:
        overflow = InotifyEvent(-1, InotifyConstants.IN_Q_OVERFLOW, 0, b"")
        await asyncio.to_thread(reader_of(watcher).handle_event, overflow)
        assert heard.hints.take()[1]

    watching(tmp_path, test)


# ---------------------------------------------------------------- crowds and idleness


def crowd(root: Root, count: int, limit: float) -> None:
    """Rename files in while the daemon is stopped, let it go on, and count."""
    aside = root.path / "aside"
    aside.mkdir()
    data = json.dumps(DRY)
    for number in range(count):
        (aside / str(number)).write_text(data)
    with daemon(root.path) as running:
        running.process.send_signal(signal.SIGSTOP)
        for number in range(count):
            (aside / str(number)).rename(root.inbox / f"{number}.json")
        began = time.monotonic()
        running.process.send_signal(signal.SIGCONT)
        wait_until(lambda: answered(root) >= count, f"{count} answers", limit)
        print(f"{count} answers in {time.monotonic() - began:.1f} s")
    drain(root.path)
    kinds = Counter(root.types())
    for kind in ("job.accepted", "job.started", "job.succeeded", "result.emitted"):
        assert kinds[kind] == count, kind
    names = {line["subject"] for line in root.lines() if "job.accepted" in line["type"]}
    assert names == {f"{number}.json" for number in range(count)}
    assert answered(root) == count


def answered(root: Root) -> int:
    time.sleep(0.2)  # a look over so many files is work that the daemon should not wait for
    return sum(1 for entry in os.scandir(root.inbox) if entry.name.endswith(".result.json"))


@pytest.mark.timeout(90)
def test_a_crowd_that_came_while_the_daemon_stood_still_is_answered_once_each(root: Root) -> None:
    crowd(root, 600, 60)


@pytest.mark.slow
@pytest.mark.timeout(170)
def test_a_crowd_larger_than_the_kernel_s_queue_is_answered_once_each(root: Root) -> None:
    """The kernel drops notifications behind 16,384."""
    crowd(root, 20_000, 140)


def cpu_seconds(running: Daemon) -> float:
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_while_idle(running: Daemon, seconds: float) -> float:
    before = cpu_seconds(running)
    time.sleep(seconds)  # what is measured is this very time
    return cpu_seconds(running) - before


def test_an_idle_daemon_uses_hardly_any_processor(root: Root) -> None:
    with daemon(root.path) as running:
        root.drop("x.json", DRY)
        root.wait_result("x.json")
        assert cpu_while_idle(running, 2) < 0.2


def test_a_daemon_beside_what_it_cannot_answer_uses_hardly_any_processor(root: Root) -> None:
    """A result without a place, a job that waits, a control file that cannot be removed, and a
    file that is never whole."""
    (root.inbox / "blocked.result.json" / "mine").mkdir(parents=True)
    root.drop("blocked.json", DRY)
    root.drop(
        "late.json", {**DRY, "dry_run": False, "size": "64x64", "timeout": 0.001, "max_attempts": 9}
    )
    (root.inbox / "late.retry").mkdir()
    (root.inbox / "torn.json").write_text("{")
    with daemon(
        root.path,
        DARKROOM_SETTLE="60",
        DARKROOM_RETRY_SECONDS="1e6",
        DARKROOM_RETRY_SECONDS_MAX="1e6",
    ) as running:
        wait_until(lambda: "job.retrying" in root.types("late.json"), "it waits")
        wait_until(lambda: "job.succeeded" in root.types("blocked.json"), "it ran")
        # The picture that came too late is painted to its end, in a thread that nobody can stop.
        wait_until(lambda: cpu_while_idle(running, 0.3) < 0.03, "that is done")
        assert cpu_while_idle(running, 2) < 0.1
