"""Clips larger than anybody should hold in memory, from a provider's address to a file."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import daemon.staging as staging_module
from tests.handlers.media.clipmaking import clip
from tests.story.paid_victim import KEY, configure
from tests.story.stage import Cast, play
from tests.support import Daemon, Root, daemon, wait_until
from tests.wire import faults
from tests.wire.server import ProviderServer
from tests.wire.talking import Reply, json_reply

MEBIBYTE = 1 << 20
ENV = {"PAPER_KEY": KEY, "DARKROOM_RETRY_SECONDS": "0.01"}
FILM = {"task": "generate_video", "prompt": "x", "provider": "paper", "model": "paper-1"}


def long_clip(size: int) -> bytes:
    """A clip that decodes, with so many bytes more in a box that nobody reads."""
    return clip() + (8 + size).to_bytes(4, "big") + b"free" + os.urandom(4096) * (size // 4096)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as running:
        yield running


def rooted(path: Path, server: ProviderServer) -> Root:
    configure(path, server.base_url)
    return Root(path)


def film(root: Root, server: ProviderServer, name: str, data: bytes) -> None:
    """Ask for a clip that lies at an address."""
    server.script(json_reply({"data": [{"url": server.media(f"/media/{name}.mp4", data)}]}))
    root.drop(f"{name}.json", FILM)


def peak(daemon: Daemon) -> int:
    """Bytes: the most memory that a daemon has held so far."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024


def staging(root: Root) -> list[str]:
    return os.listdir(root.path / ".darkroom" / "staging")


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def saved(root: Root, result: Any) -> bytes:
    assert result["status"] == "succeeded", result["error"]
    return (root.path / result["artifacts"][0]["path"]).read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["generate_video", "fetch_generated_media"])
def test_a_clip_is_never_held_in_memory(tmp_path: Path, server: ProviderServer, task: str) -> None:
    root, large = rooted(tmp_path, server), long_clip(64 * MEBIBYTE)
    with daemon(tmp_path, **ENV) as running:
        film(root, server, "small", clip())
        root.wait_result("small.json")  # whatever has to be imported is by now
        before = peak(running)
        if task == "generate_video":
            film(root, server, "large", large)
        else:
            (root.inbox / "large.mp4").write_bytes(large)
            root.drop("large.json", {"task": task, "file": "inbox/large.mp4"})
        result = root.wait_result("large.json")
        grown = peak(running) - before
        assert digest(saved(root, result)) == result["artifacts"][0]["sha256"] == digest(large)
        assert staging(root) == []
    assert grown < 16 * MEBIBYTE


def test_what_is_cut_short_or_cancelled_leaves_no_file(
    tmp_path: Path, server: ProviderServer
) -> None:
    root, large = rooted(tmp_path, server), long_clip(4 * MEBIBYTE)
    server.script(faults.reset_in_body(Reply(200, large)), at="/media/cut.mp4")
    server.script(faults.hang_in_body(Reply(200, large)), at="/media/left.mp4")
    with daemon(tmp_path, **ENV):
        film(root, server, "cut", large)
        assert saved(root, root.wait_result("cut.json")) == large
        assert (len(server.downloads), staging(root)) == (2, [])
        film(root, server, "left", large)
        wait_until(lambda: staging(root), "a part of it is here")
        (root.inbox / "left.cancel").touch()
        assert root.wait_result("left.json")["status"] == "cancelled"
        wait_until(lambda: staging(root) == [], "it is gone")


def test_a_disk_that_is_full_for_a_while_costs_an_attempt_and_no_money(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = staging_module.write_all, [errno.ENOSPC]

    def write_once_there_is_room(descriptor: int, data: bytes) -> None:
        if full:
            raise OSError(full.pop(), "no room")
        write(descriptor, data)

    monkeypatch.setattr(staging_module, "write_all", write_once_there_is_room)
    folder = tmp_path / "coming"
    folder.mkdir()
    large = [long_clip(2 * MEBIBYTE), long_clip(3 * MEBIBYTE)]
    data = [{"url": server.media(f"/media/{size}.mp4", one)} for size, one in enumerate(large)]
    server.script(json_reply({"data": data}))
    cast = Cast(network={"staging": folder, "max_media_bytes": 1 << 23})
    end = play(tmp_path, server, cast, task="generate_video")
    assert end.ok, end.end.error
    assert (len(server.creates), len(end.retries)) == (1, 1)
    assert end.first_error["code"] == "disk_full"
    assert [one for one in end.files() if one in large] == large
    assert os.listdir(folder) == []


@pytest.mark.slow
def test_after_a_crash_what_came_goes_and_all_of_it_is_fetched_again(
    tmp_path: Path, server: ProviderServer
) -> None:
    root, large = rooted(tmp_path, server), long_clip(4 * MEBIBYTE)
    server.script(faults.hang_in_body(Reply(200, large)), at="/media/a.mp4")
    victim = Daemon(tmp_path, **ENV)
    victim.wait_serving()
    film(root, server, "a", large)
    wait_until(lambda: staging(root), "a part of it is here")
    left = staging(root)
    victim.kill()
    assert staging(root) == left
    with daemon(tmp_path, **ENV):
        assert not {*left} & {*staging(root)}
        assert saved(root, root.wait_result("a.json")) == large
        assert staging(root) == []
    assert len(server.creates) == 1
