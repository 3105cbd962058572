"""Signals: the first one ends the daemon in good order, the second one at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.support import REPOSITORY, Daemon, Root, command, daemon, drain, environment, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
PAINTING = {"task": "generate_image", "prompt": "x", "size": "1024x1024", "n": 5}
NEVER = {"DARKROOM_RETRY_SECONDS": "1e7", "DARKROOM_RETRY_SECONDS_MAX": "1e7"}
TIMES_OUT = {
    "task": "generate_image",
    "prompt": "x",
    "size": "64x64",
    "timeout": 0.0001,
    "max_attempts": 5,
}


def stopped_after(running: Daemon, number: signal.Signals = signal.SIGTERM) -> float:
    """Seconds from a signal to the end, which must be in good order."""
    began = time.monotonic()
    running.process.send_signal(number)
    assert running.wait() == 0, running.diagnostics()
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_daemon_stops_at_once_and_says_so_in_the_log(
    root: Root, number: signal.Signals
) -> None:
    with daemon(root.path) as running:
        assert stopped_after(running, number) < 2
    assert root.types()[-1] == "daemon.stopped"
    assert root.lines()[-1]["data"]["reason"] == number.name
    assert "Traceback" not in running.diagnostics()


def test_a_job_that_waits_for_its_retry_does_not_hold_a_stop_up_and_goes_on_waiting(
    root: Root,
) -> None:
    with daemon(root.path, **NEVER) as running:
        root.drop("x.json", TIMES_OUT)
        wait_until(lambda: "job.retrying" in root.types(), "it waits")
        assert stopped_after(running) < 2
    due = [line["data"]["due"] for line in root.lines() if "retrying" in line["type"]]
    with daemon(root.path, **NEVER) as running:
        root.drop("y.json", DRY)
        root.wait_result("y.json")
        assert root.types("x.json").count("job.started") == 1
    assert len(due) == 1
    assert root.result("x.json") is None


def test_a_job_that_waits_for_its_retry_can_be_cancelled_after_a_restart(root: Root) -> None:
    root.drop("x.json", TIMES_OUT)
    with daemon(root.path, **NEVER):
        wait_until(lambda: "job.retrying" in root.types(), "it waits")
    (root.inbox / "x.cancel").touch()
    drain(root.path, **NEVER)
    assert root.wait_result("x.json")["status"] == "cancelled"
    assert root.wait_result("x.json")["attempts"] == 1


def test_a_file_that_rests_does_not_hold_a_stop_up(root: Root) -> None:
    with daemon(root.path, DARKROOM_SETTLE="3600") as running:
        (root.inbox / "torn.json").write_text("{")
        root.drop("x.json", DRY)
        root.wait_result("x.json")
        assert stopped_after(running) < 2
    assert root.types("torn.json") == []


def test_free_work_is_let_go_of_and_done_after_the_next_start(root: Root) -> None:
    root.drop("x.json", PAINTING)
    with daemon(root.path) as running:
        wait_until(lambda: "provider.requested" in root.types(), "it paints")
        assert stopped_after(running) < 5
    assert "job.succeeded" not in root.types()
    drain(root.path)
    assert len(root.wait_result("x.json")["artifacts"]) == 5
    assert root.types("x.json").count("job.succeeded") == 1


def test_a_stop_amid_a_crowd_loses_nothing(root: Root) -> None:
    names = [f"{number}.json" for number in range(200)]
    for part in range(4):
        with daemon(root.path) as running:
            for name in names[part * 50 : part * 50 + 50]:
                root.drop(name, DRY)
            assert stopped_after(running) < 5
    drain(root.path)
    for kind in ("job.accepted", "job.succeeded"):
        assert root.types().count(kind) == 200
    assert all((root.result(name) or {})["ok"] for name in names)


# ---------------------------------------------------------------- the second signal


PAID = """
import sys, time
from daemon import app
from daemon.testing import ScriptedProvider
from handlers import find_handlers

provider = ScriptedProvider(scripts=[lambda call: time.sleep(60)])
app.find_plugins = lambda: app.Plugins(find_handlers(), {"scripted": provider})
from daemon.cli import main
main()
"""


HERE: Any = {"env": environment(), "cwd": REPOSITORY}


def paid(root: Root, *arguments: str) -> list[str]:
    """A command with a paid provider that takes a minute."""
    return [sys.executable, "-c", PAID, *command(root.path, *arguments)[3:]]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGTERM, signal.SIGINT),
        pytest.param(signal.SIGTERM, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_paid_call_is_waited_for_until_a_second_signal_ends_it_at_once(
    root: Root, first: signal.Signals, second: signal.Signals
) -> None:
    said = root.path / "stderr.log"
    with said.open("wb") as stderr:
        running = subprocess.Popen(paid(root, "run"), stderr=stderr, **HERE)
    try:
        root.drop("x.json", {"task": "generate_image", "prompt": "x", "provider": "scripted"})
        wait_until(lambda: "provider.requested" in root.types(), "it is asked")
        running.send_signal(first)
        wait_until(
            lambda: "waiting for paid calls" in said.read_text(), "it says what it waits for"
        )
        assert running.poll() is None
        began = time.monotonic()
        running.send_signal(second)
        assert running.wait(10) == 128 + second
        assert time.monotonic() - began < 1
    finally:
        running.kill()
        running.wait()
    # Nobody can know what became of it, so it is not asked again.
    subprocess.run(paid(root, "run", "--drain"), check=True, capture_output=True, **HERE)
    result: dict[str, Any] = root.wait_result("x.json")
    assert (result["status"], result["error"]["code"]) == ("failed", "ambiguous_submit")


def test_a_signal_while_it_starts_ends_it_and_the_next_start_is_well(root: Root) -> None:
    for number in range(30):
        root.drop(f"{number}.json", DRY)
    for delay in (0.15, 0.3, 0.4, 0.5):
        running = Daemon(root.path, fresh=True)
        time.sleep(delay)  # at whatever point of its start that is
        running.process.terminate()
        assert running.wait() in (0, -signal.SIGTERM, 130, 143)
    drain(root.path)
    assert root.types().count("job.accepted") == root.types().count("job.succeeded") == 30
