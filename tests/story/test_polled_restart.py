"""Twenty pictures that a provider works on for long, over real HTTP: how they are shown, counted over
a restart, let go of and called off. What deaths of the daemon do to such jobs is told of clips, in
`test_film_kills`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.films import FLAPPING, QUICK, film
from tests.story.paid_victim import KEY, configure
from tests.support import Daemon, Root, daemon, darkroom, wait_until
from tests.wire.jobs import job
from tests.wire.server import ProviderServer

JOBS = 20
PATH = "/v1/images/generations"


def request(name: str) -> bytes:
    wanted = {"prompt": name, "size": "16x12", "provider": "paper", "model": "paper-1"}
    return json.dumps(wanted).encode()


DROPPED = {name: request(name) for name in map(film, range(JOBS))}


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer(key=KEY) as running:
        running.always(job(*FLAPPING, "completed"), PATH)
        yield running


def drop_all(path: Path, server: ProviderServer) -> Root:
    root = Root(path)
    configure(path, server.base_url)
    for name, data in DROPPED.items():
        root.inbox.joinpath(name).write_bytes(data)
    return root


def status(root: Root) -> dict[str, Any]:
    done = darkroom(root.path, "status", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def parked(root: Root) -> int:
    return root.types().count("job.parked")


# ---------------------------------------------------------------- killed while all is waited for


def test_a_restart_under_way_counts_polls_on_and_ends_after_so_many(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.always(job(*[f"step {number}" for number in range(100)]), PATH)
    root = Root(tmp_path)
    configure(tmp_path, server.base_url)
    root.drop(
        "a.json", {**json.loads(request("film-00.json")), "max_polls": 4, "poll_interval": 0.4}
    )
    victim = Daemon(tmp_path, **QUICK)
    wait_until(lambda: "provider.progressed" in root.types(), "its progress is told")
    victim.kill()
    with daemon(tmp_path, **QUICK):
        result = root.wait_result("a.json")
    assert result["error"]["code"] == "provider_timeout"
    assert "after 4 polls" in result["error"]["message"]
    assert 4 <= len(server.polls) <= 5  # one may have been on its way when the daemon died
    assert len(server.creates) == 1


# ---------------------------------------------------------------- watched, stopped, cancelled


def test_polled_jobs_are_shown_drained_and_let_go_of(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.always(job(*FLAPPING[:2], "in_progress"), PATH)
    root = drop_all(tmp_path, server)
    with daemon(tmp_path, **QUICK):
        wait_until(lambda: parked(root) == JOBS, "all are parked")
        wait_until(
            lambda: all(row["progress"] for row in status(root)["requests"]), "progress is told"
        )
        (row,) = [one for one in status(root)["requests"] if one["request"] == "film-07.json"]
        assert row["status"] == "polling"
        assert row["waits_for"] is None
        assert row["progress"]["message"] in FLAPPING
        assert row["progress"]["polls"] >= 1
        text = darkroom(tmp_path, "status", "film-07.json").stdout
        assert "polling: " in text
        assert " polls, " in text
        began = time.monotonic()
    assert time.monotonic() - began < 5  # a stop waits for none of them
    done = darkroom(tmp_path, "run", "--drain", "--max-wait", "1", **QUICK)
    assert done.returncode == 3, done.stderr  # a drain does
    assert root.types().count("job.started") == JOBS


@pytest.mark.parametrize("key", ["cancel_url", "urls"])
def test_a_cancel_reaches_the_provider_where_its_answer_said_how(
    tmp_path: Path, server: ProviderServer, key: Any
) -> None:
    server.always(job("queued", "in_progress", cancel=key), PATH)
    root = Root(tmp_path)
    configure(tmp_path, server.base_url)
    root.drop("a.json", json.loads(request("film-00.json")))
    with daemon(tmp_path, **QUICK):
        wait_until(lambda: server.polls, "it is asked for")
        root.inbox.joinpath("a.cancel").touch()
        result = root.wait_result("a.json")
    assert result["status"] == "cancelled"
    (told,) = [one for one in server.requests if one.path.endswith("/cancel")]
    assert (told.method, told.key) == ("PUT" if key == "cancel_url" else "POST", KEY)
    (warning,) = result["warnings"]
    assert "paper was told to cancel what it worked on, and agreed" in warning
    assert "may still be billed" in warning
    assert server.jobs.all["job-1"].word == "cancelled"
    assert len(server.creates) == 1
