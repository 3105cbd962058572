"""SIGTERM: paid calls under way are waited for, everything else is let go of."""

from __future__ import annotations

import json
import multiprocessing.process
import os
import signal
from pathlib import Path

import pytest

from daemon.reading import load
from daemon.settings import load_settings
from tests.story.checks import check, paid_calls
from tests.story.victim import forkserver, serve, spawn
from tests.support import wait_until

SLOW = json.dumps({"prompt": "slow", "provider": "counting"}).encode()


@pytest.fixture
def at_work(tmp_path: Path) -> tuple[Path, multiprocessing.process.BaseProcess]:
    """A daemon with a paid call under way, which is answered when a file `go` appears."""
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "slow.json").write_bytes(SLOW)
    process = forkserver().Process(target=serve, args=(str(tmp_path), 0, {}))
    process.start()
    wait_until(lambda: paid_calls(tmp_path), "the paid call left")
    return tmp_path, process


def test_a_paid_call_under_way_is_waited_for_and_not_sent_again(at_work) -> None:
    root, process = at_work
    os.kill(process.pid, signal.SIGTERM)
    wait_until(lambda: "waiting for paid calls" in (root / "stderr.log").read_text(), "it waits")
    assert process.is_alive()
    (root / "go").touch()
    process.join(20)
    assert process.exitcode in (0, 3)  # 3: it drains, and the job is still open
    types = [e.event.TYPE for e in load(load_settings({"root": root}, {}))[1].read(0, 99)]
    assert "darkroom.provider.answered.v1" in types
    assert spawn(root) == 0
    results = check(root, {"slow.json": SLOW})
    assert results["slow.json"]["status"] == "succeeded"
    assert paid_calls(root) == {"slow": 1}


def test_a_second_signal_ends_it_at_once_and_the_lost_answer_is_told(at_work) -> None:
    root, process = at_work
    os.kill(process.pid, signal.SIGTERM)
    wait_until(lambda: "waiting for paid calls" in (root / "stderr.log").read_text(), "it waits")
    os.kill(process.pid, signal.SIGTERM)
    process.join(10)
    assert process.exitcode == 128 + signal.SIGTERM
    assert spawn(root) == 0
    results = check(root, {"slow.json": SLOW})
    assert results["slow.json"]["error"]["code"] == "ambiguous_submit"
    assert paid_calls(root) == {"slow": 1}


def test_a_retry_after_a_lost_answer_may_pay_again(at_work) -> None:
    root, process = at_work
    process.kill()
    process.join()
    assert spawn(root) == 0
    (root / "go").touch()
    (root / "inbox" / "slow.retry").touch()
    assert spawn(root) == 0
    results = check(root, {"slow.json": SLOW})
    assert results["slow.json"]["status"] == "succeeded"
    assert paid_calls(root) == {"slow": 2}


def test_a_paid_call_that_is_cancelled_says_that_it_may_be_billed(at_work) -> None:
    root, process = at_work
    (root / "inbox" / "slow.cancel").touch()
    process.join(20)
    assert process.exitcode == 0
    results = check(root, {"slow.json": SLOW})
    assert results["slow.json"]["status"] == "cancelled"
    assert any("may still bill" in warning for warning in results["slow.json"]["warnings"])
    assert paid_calls(root) == {"slow": 1}
