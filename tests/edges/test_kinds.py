"""What lies under a request's name need not be a file that can be read: each kind is refused once,
with its reason, and never waited for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import Daemon, Root, command, daemon, darkroom, drain, environment, wait_until

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
LIMIT = {"DARKROOM_MAX_REQUEST_BYTES": "1000"}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    try:
        os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))  # /dev/zero, which has no end
    except PermissionError:
        pytest.skip("making a device node needs root")


def listening_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket may have no more than 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


def directory(path: Path) -> None:
    path.mkdir()
    (path / "inside.json").write_text(json.dumps(DRY))


def link(path: Path) -> None:
    target = path.parent.parent / "target"
    target.write_text(json.dumps(DRY))
    path.symlink_to(target)


def dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def oversize(path: Path) -> None:
    path.write_text(json.dumps({**DRY, "prompt": "x" * 1000}))


def far_too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)  # sparse


def empty(path: Path) -> None:
    path.touch()


def zeros(path: Path) -> None:
    path.write_bytes(bytes(500))


def no_json(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n")


def nested(path: Path) -> None:
    path.write_bytes(b"[" * 900)


def number(path: Path) -> None:
    path.write_bytes(b"42")


KINDS: dict[Callable[[Path], None], tuple[str, str]] = {
    fifo: ("unreadable_request", "a FIFO"),
    device: ("unreadable_request", "a device"),
    listening_socket: ("unreadable_request", "a socket"),
    directory: ("unreadable_request", "a directory"),
    link: ("unreadable_request", "a link"),
    dangling_link: ("unreadable_request", "a link"),
    link_to_itself: ("unreadable_request", "a link"),
    oversize: ("limit_exceeded", "limit of 1000 bytes"),
    far_too_large: ("limit_exceeded", "limit of 1000 bytes"),
    empty: ("invalid_json", "empty"),
    zeros: ("invalid_json", "empty"),
    no_json: ("invalid_json", "not UTF-8"),
    nested: ("invalid_json", "line 1"),
    number: ("invalid_request", "a number"),
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Root, Daemon]]:
    """One daemon that meets all kinds, one after another."""
    root = Root(tmp_path_factory.mktemp("kinds") / "root")
    with daemon(
        root.path, DARKROOM_SCAN_INTERVAL="0.05", DARKROOM_SETTLE="0.1", **LIMIT
    ) as running:
        yield root, running


def wait_a_scan(root: Root) -> None:
    """Until a lost result was written again, which only a scan does."""
    marker = root.drop("marker.json", DRY)
    root.wait_result("marker.json")
    (root.inbox / "marker.result.json").unlink()
    os.utime(marker)
    root.wait_result("marker.json")


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_it_is_refused_once_with_its_reason_and_stops_nobody(
    serving: tuple[Root, Daemon], make: Callable[[Path], None]
) -> None:
    root, running = serving
    name = f"{make.__name__}.json"
    code, reason = KINDS[make]
    make(root.inbox / name)
    result = root.wait_result(name)
    assert (result["status"], result["ok"]) == ("rejected", False)
    assert result["error"]["code"] == code
    assert reason in result["error"]["message"]
    for _ in range(4):
        wait_a_scan(root)
    assert root.types(name) == ["request.rejected", "result.emitted"]
    assert root.types(f"{name}/inside.json") == []
    assert running.process.poll() is None, running.diagnostics()


def test_all_kinds_at_once_are_refused_once_also_over_restarts(root: Root) -> None:
    made = [make for make in KINDS if make is not device or os.geteuid() == 0]
    for make in made:
        make(root.inbox / f"{make.__name__}.json")
    root.drop("good.json", DRY)
    for _ in range(3):
        drain(root.path, DARKROOM_SETTLE="0.1", **LIMIT)
    answers = {path.name: json.loads(path.read_text()) for path in root.inbox.glob("*.result.json")}
    assert answers.pop("good.result.json")["ok"]
    assert {answer["status"] for answer in answers.values()} == {"rejected"}
    assert set(answers) == {f"{make.__name__}.result.json" for make in made}
    assert root.types().count("request.rejected") == len(made)
    assert root.types().count("result.emitted") == len(made) + 1


def test_the_target_of_a_link_is_not_opened(root: Root) -> None:
    os.mkfifo(root.path / "fifo")  # whoever opened it would wait for ever
    (root.inbox / "x.json").symlink_to(root.path / "fifo")
    drain(root.path, DARKROOM_SETTLE="0.05")
    assert root.wait_result("x.json")["status"] == "rejected"


def test_what_was_no_file_is_answered_once_it_is_one(root: Root) -> None:
    with daemon(root.path, DARKROOM_SCAN_INTERVAL="0.1", DARKROOM_SETTLE="0.05"):
        for make in (fifo, directory, dangling_link):
            make(root.inbox / "x.json")
            wait_until(lambda: (root.result("x.json") or {}).get("ok") is False, "it is refused")
            remove(root.inbox / "x.json")
            root.drop("x.json", {**DRY, "prompt": make.__name__})
            wait_until(lambda: (root.result("x.json") or {}).get("ok"), "it is answered")
            (root.inbox / "x.json").unlink()


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def test_a_limit_is_met_to_the_byte(root: Root) -> None:
    size = len(json.dumps({**DRY, "prompt": ""}))
    root.drop("fits.json", {**DRY, "prompt": "x" * (1000 - size)})
    root.drop("over.json", {**DRY, "prompt": "x" * (1001 - size)})
    assert (root.inbox / "fits.json").stat().st_size == 1000
    drain(root.path, DARKROOM_SETTLE="0.05", **LIMIT)
    assert root.wait_result("fits.json")["ok"]
    assert root.wait_result("over.json")["error"]["code"] == "limit_exceeded"


def test_an_oversize_request_is_accepted_once_the_limit_is_raised_and_it_is_retried(
    root: Root,
) -> None:
    oversize(root.inbox / "x.json")
    drain(root.path, DARKROOM_SETTLE="0.05", **LIMIT)
    (root.inbox / "x.retry").touch()
    drain(root.path)
    assert root.wait_result("x.json")["ok"]


# ---------------------------------------------------------------- files that may not be read


def drain_without_privilege(root: Root) -> subprocess.CompletedProcess[Any]:
    """Drain as root without root's right to read everything."""
    bounded = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]
    return subprocess.run(
        [*bounded, *command(root.path, "run", "--drain")],
        env=environment(DARKROOM_SETTLE="0.05"),
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def unprivileged(root: Root) -> Root:
    """A root where modes count, which they do not for root."""
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("as root, this needs setpriv to give up the right to read everything")
        done = subprocess.run(
            [
                "setpriv",
                "--bounding-set=-dac_override,-dac_read_search",
                "--",
                "cat",
                "/etc/shadow",
            ],
            capture_output=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            pytest.skip("setpriv cannot give up capabilities here")
    return root


def test_a_file_that_may_not_be_read_is_refused_once_and_answered_when_it_may(
    unprivileged: Root,
) -> None:
    root, run = unprivileged, drain_without_privilege if os.geteuid() == 0 else None
    path = root.drop("x.json", DRY)
    path.chmod(0)
    root.drop("y.json", DRY)
    for _ in range(3):
        done = run(root) if run else drain(root.path, DARKROOM_SETTLE="0.05")
        assert done.returncode == 0, done.stderr
    result = root.wait_result("x.json")
    assert (result["status"], result["error"]["code"]) == ("rejected", "unreadable_request")
    assert "permission denied" in result["error"]["message"]
    assert root.wait_result("y.json")["ok"]
    assert root.types("x.json") == ["request.rejected", "result.emitted"]
    path.chmod(0o644)
    done = run(root) if run else drain(root.path)
    assert root.wait_result("x.json")["ok"]


def test_a_folder_that_may_not_be_listed_stops_nobody_and_is_said(unprivileged: Root) -> None:
    root = unprivileged
    root.drop("closed/x.json", DRY)
    root.drop("y.json", DRY)
    (root.inbox / "closed").chmod(0)
    try:
        done = (
            drain_without_privilege(root)
            if os.geteuid() == 0
            else darkroom(root.path, "run", "--drain")
        )
        assert done.returncode == 0
        assert "cannot be listed" in str(done.stderr)
        assert root.wait_result("y.json")["ok"]
    finally:
        (root.inbox / "closed").chmod(0o755)
    drain(root.path)
    assert root.wait_result("closed/x.json")["ok"]
