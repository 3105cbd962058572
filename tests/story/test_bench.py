"""The benchmark works, and its page has every row that it measures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.reading import load
from daemon.settings import load_settings
from tests.bench import history, steady
from tests.bench.dropping import Inbox, drop
from tests.bench.inotify import Inotify
from tests.support import REPOSITORY, environment

PAGE = REPOSITORY / "docs" / "performance.md"


def whats(page: str) -> list[str]:
    """What each row of a page's table says it is of, every number left out."""
    rows = re.findall(r"^\| \d+ \| ([^|]+) \|", page, re.MULTILINE)
    return [re.sub(r"[\d,]+", "N", row) for row in rows]


@pytest.mark.slow
def test_a_quick_run_has_the_rows_of_the_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.bench", "--quick", "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=REPOSITORY, env=environment(), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    quick = (tmp_path / "performance.md").read_text()
    assert whats(quick) == whats(PAGE.read_text())
    assert "none lost" in quick
    picture = (tmp_path / "pictures" / "performance.svg").read_text()
    assert all(of in picture for of in ("requests lying there", "events in the log", "files"))
    assert not list(tmp_path.glob("run-*"))


def test_the_history_is_a_log_of_jobs_that_ended_and_were_answered(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    history.write(tmp_path / "events", 1_200)
    state, segments = load(load_settings({"root": tmp_path}, {}))
    assert len(state.jobs) == len(state.drops) == 1_200
    assert not state.open_jobs
    assert not state.owed
    assert segments.torn == 0


@pytest.mark.slow
def test_a_soak_loses_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    assert steady.burst(tmp_path / "burst", 0.5) == []
    assert steady.steady(tmp_path / "steady", 2.0) == []


def test_a_soak_tells_what_was_lost_and_what_was_left(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path).make()
    client = steady.Client(inbox, Inotify(inbox.folder), dropped=2)
    drop(inbox, ["left"])
    assert steady.losses(client) == [
        "2 requests were dropped, and 0 accepted",
        "1 files lie in the inbox, though all were removed",
    ]
    client.open.add("lost")
    assert "1 of 2 requests were not answered" in steady.losses(client)
    client.news.close()


def test_memory_that_grows_is_a_fault_and_memory_that_stays_is_none() -> None:
    flat = [100_000_000 + sample % 7 * 1_000_000 for sample in range(360)]
    growing = [100_000_000 + sample * 200_000 for sample in range(360)]
    assert steady.growth(flat) == []
    assert "memory grew from 111 MB to 160 MB" in steady.growth(growing)[0]
