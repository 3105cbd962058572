"""The disk fails under the log of a real daemon: it stops with its own exit code, and recovers."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

import daemon.segments
from tests.story.checks import check, paid_calls
from tests.story.victim import forkserver, serve, spawn

REQUESTS = {
    "local.json": json.dumps({"prompt": "a fox", "size": "32x32"}).encode(),
    "paid.json": json.dumps({"prompt": "once", "provider": "counting"}).encode(),
}


def serve_on_failing_disk(root: str, fail_at: int) -> None:
    """A daemon whose nth fsync of the log fails, and only that one: the next would "succeed"."""
    real, count = os.fdatasync, 0

    def failing(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count == fail_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        assert count < fail_at, "an fsync after the failed one"
        real(descriptor)

    daemon.segments.os.fdatasync = failing  # type: ignore[assignment]
    serve(root, 0, {})


@pytest.mark.parametrize(
    "fail_at",
    [1, 4, 7, *(pytest.param(one, marks=pytest.mark.slow) for one in (2, 3, 5, 6))],
)
def test_a_failed_fsync_stops_the_daemon_with_its_own_code_and_nothing_is_lost(
    fail_at: int, tmp_path: Path
) -> None:
    (tmp_path / "inbox").mkdir()
    for name, data in REQUESTS.items():
        (tmp_path / "inbox" / name).write_bytes(data)
    arguments: Any = (str(tmp_path), fail_at)
    process = forkserver().Process(target=serve_on_failing_disk, args=arguments)
    process.start()
    process.join(20)
    diagnostics = (tmp_path / "stderr.log").read_text()
    assert process.exitcode == 5, diagnostics
    assert "the event log cannot be used" in diagnostics
    assert "an fsync after" not in diagnostics

    assert spawn(tmp_path) == 0
    results = check(tmp_path, REQUESTS)
    assert results["local.json"]["status"] == "succeeded"
    assert sum(paid_calls(tmp_path).values()) <= 1
