"""Daemons that die while a provider works on twenty jobs, over real HTTP: each job is made once,
brought home once and answered once, whatever the provider says on the way."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.story.checks import check
from tests.story.paid_victim import KEY, configure, run
from tests.support import Daemon, Root, daemon, darkroom, wait_until
from tests.wire import failures, faults
from tests.wire.jobs import job
from tests.wire.pictures import picture
from tests.wire.server import ProviderServer

JOBS = 20
PATH = "/v1/images/generations"
FLAPPING = (
    *("queued", "in_progress", "queued", "IN-PROGRESS", "percolating", "in_progress", "running"),
    *("Pending", "processing", "preparing", "in_progress", "weighing anchor", "in_progress"),
)
"""Words of a provider that cannot make up its mind; each job is done behind them."""
QUICK = {
    "PAPER_KEY": KEY,
    "DARKROOM_POLL_SECONDS": "0.05",
    "DARKROOM_POLL_SECONDS_MAX": "0.15",
    "DARKROOM_RETRY_SECONDS": "0.01",
    "DARKROOM_RETRY_SECONDS_MAX": "0.05",
}
SIZES = {f"film-{number:02}.json": f"{16 + number}x12" for number in range(JOBS)}
"""Each request asks for a size of its own, so that its picture is known by it."""


def request(name: str) -> bytes:
    wanted = {"prompt": name, "size": SIZES[name], "provider": "paper", "model": "paper-1"}
    return json.dumps(wanted).encode()


DROPPED = {name: request(name) for name in SIZES}


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


def judge(root: Root, server: ProviderServer, lost: int = 0) -> None:
    """All promises were kept.

    Args:
        root: drained.
        server: who was asked.
        lost: how many deaths there were at which an answer may have been lost.
    """
    results = check(root.path, DROPPED)
    creates = [one for one in server.creates if one.whole]
    made = Counter(one.fields["prompt"] for one in creates)
    assert set(made.values()) == {1}, made
    unknown = [name for name, one in results.items() if one["status"] != "succeeded"]
    assert len(unknown) <= 4 * lost  # calls at once
    for name in unknown:
        assert results[name]["error"]["code"] == "ambiguous_submit", results[name]
    numbers = {one.fields["prompt"]: number for number, one in enumerate(creates, 1)}
    for name in results.keys() - unknown:
        width, height = map(int, SIZES[name].split("x"))
        (artifact,) = results[name]["artifacts"]
        bytes_ = (root.path / artifact["path"]).read_bytes()
        assert shown(bytes_) == shown(picture(numbers[name], 0, (width, height)))


def shown(data: bytes) -> tuple[Any, ...]:
    """The pixels of a picture: what its file tells of itself is our own."""
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(data)).convert("RGB")
    return image.size, image.tobytes()


def status(root: Root) -> dict[str, Any]:
    done = darkroom(root.path, "status", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def parked(root: Root) -> int:
    return root.types().count("job.parked")


# ---------------------------------------------------------------- killed while all is waited for


def test_a_daemon_killed_again_and_again_while_twenty_jobs_are_polled(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.always(job(*FLAPPING * 2, "completed"), PATH)
    root = drop_all(tmp_path, server)
    for _ in range(2):
        polls = len(server.polls)
        victim = Daemon(tmp_path, DARKROOM_CONCURRENCY="8", **QUICK)
        wait_until(lambda: parked(root) == JOBS, "all are parked")
        wait_until(lambda: len(server.polls) > polls + JOBS, "all are asked for")  # noqa: B023
        victim.kill()
        told = status(root)
        assert told["counts"] == {"polling": JOBS}
        assert told["lanes"]["paper"]["polling"] == JOBS
    server.script(
        failures.overloaded(), faults.reset_after_request(), failures.page(502), at="poll"
    )
    last = Daemon(tmp_path, "--drain", **{**QUICK, "DARKROOM_POLL_SECONDS_MAX": "0.03"})
    assert last.wait() == 0, last.diagnostics()[-4000:]
    judge(root, server)
    assert Counter(one.path for one in server.downloads).most_common(1)[0][1] == 1
    assert len(server.downloads) == JOBS
    types = Counter(root.types())
    assert types["provider.accepted"] == types["provider.answered"] == types["job.parked"] == JOBS
    assert types["job.started"] == 2 * JOBS


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


# ---------------------------------------------------------------- killed anywhere


def tell(path: Path, seed: int, kills: int) -> None:
    """Twenty jobs, and so many deaths at boundaries that are chosen by chance."""
    chance, lost = random.Random(seed), 0
    with ProviderServer(key=KEY) as server:
        words = [*chance.sample(FLAPPING, chance.randint(1, len(FLAPPING))), "completed"]
        server.always(job(*words), PATH)
        root = drop_all(path, server)
        for _ in range(kills):
            faulty = [failures.overloaded(), faults.reset_after_request(), failures.not_found()]
            server.script(*chance.choices(faulty, k=chance.randint(0, 5)), at="poll")
            created = len(server.creates)
            if run(path, chance.randint(1, 700)) == 0:
                break
            lost += len(server.creates) < JOBS or created < JOBS
        assert run(path) == 0, (path / "stderr.log").read_text()[-4000:]
        try:
            judge(root, server, lost)
            assert len(server.downloads) <= JOBS + 4 * kills  # those that were cut short again
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def test_kills_anywhere_in_twenty_polled_jobs_make_nothing_twice(tmp_path: Path) -> None:
    tell(tmp_path, 0, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_so_do_kills_elsewhere(tmp_path: Path, seed: int) -> None:
    tell(tmp_path, seed, kills=3)


@pytest.mark.slow
def test_random_kills_of_polled_jobs_for_minutes(tmp_path: Path) -> None:
    for seed in range(1000, 1000 + int(os.environ.get("DARKROOM_POLLED_KILLS", "120"))):
        path = tmp_path / str(seed)
        path.mkdir()
        tell(path, seed, kills=random.Random(seed).randint(1, 6))
        shutil.rmtree(path)
