"""`darkroom doctor` on real roots and in real environments: what it says, and that it leaves no
trace."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.checkups.watching import watches_of
from daemon.doctor import CHECKS
from tests.edges.test_commands import on_a_terminal
from tests.support import (
    REPOSITORY,
    Root,
    command,
    daemon,
    darkroom,
    drain,
    environment,
    wait_until,
)

DRY = {"task": "generate_image", "prompt": "x", "dry_run": True}
NAMES = {"settings", *(check.name for check in CHECKS)}


def doctor(root: Path, code: int = 0, **env: str) -> dict[str, Any]:
    """What it finds, by the names of the checks."""
    done = darkroom(root, "doctor", "--json", **env)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return {found["check"]: found for found in json.loads(done.stdout)}


def says(finding: dict[str, Any], state: str, *parts: str) -> None:
    assert finding["state"] == state, finding
    for part in parts:
        assert part in f"{finding['found']}\n{finding['hint']}", finding


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones as well, and what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.fixture
def drained(root: Root) -> Root:
    """A root on which a daemon has run."""
    root.drop("x.json", DRY)
    drain(root.path)
    return root


# ---------------------------------------------------------------- roots


def test_a_root_that_has_run_is_well_and_nothing_in_it_is_changed(drained: Root) -> None:
    before = tree(drained.path)
    found = doctor(drained.path)
    assert set(found) == NAMES
    assert [set(finding) for finding in found.values()] == [
        {"check", "state", "found", "hint"}
    ] * len(found)
    says(found["root"], "ok", str(drained.path))
    says(found["lock"], "ok", "no daemon runs")
    says(found["log"], "ok", f"{len(drained.lines())} events")
    says(found["watcher"], "ok", "a notification comes")
    assert tree(drained.path) == before


def test_a_root_that_is_not_there_yet_is_no_fault_and_not_made(tmp_path: Path) -> None:
    found = doctor(tmp_path / "not" / "yet")
    says(found["root"], "warning", "no root here yet", "`darkroom run --root")
    assert {"disk", "filesystem", "python"} <= set(found) < NAMES
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_no_root_is_left_alone(root: Root) -> None:
    (root.path / "tmp").mkdir()
    before = tree(root.path)
    says(doctor(root.path)["root"], "warning", "no root here yet")
    assert tree(root.path) == before


def test_a_root_whose_folders_were_removed_is_told_of_them(drained: Root) -> None:
    shutil.rmtree(drained.inbox)
    shutil.rmtree(drained.path / ".darkroom")
    found = doctor(drained.path)
    says(found["root"], "warning", f"missing: {drained.inbox}, {drained.path}/.darkroom")
    assert {"log", "permissions", "names"} & set(found) == {"log", "permissions"}
    assert not drained.inbox.exists()


def test_a_file_where_a_folder_should_be_is_a_fault(drained: Root, tmp_path: Path) -> None:
    shutil.rmtree(drained.inbox)
    drained.inbox.touch()
    says(doctor(drained.path, 1)["root"], "fault", f"no folder: {drained.inbox}")
    (tmp_path / "file").touch()
    says(doctor(tmp_path / "file" / "root", 1)["root"], "fault", f"no folder: {tmp_path}/file")


def test_a_running_daemon_is_seen_and_not_disturbed(root: Root) -> None:
    with daemon(
        root.path, DARKROOM_SCAN_INTERVAL="0.2", OPENCLAW_MEDIA_PROVIDER="local"
    ) as running:
        root.drop("x.json", DRY)
        root.wait_result("x.json")
        wait_until(lambda: watches_of(running.process.pid), "it watches")
        wait_until(lambda: "result.emitted" in root.types(), "all is said")
        before = root.lines()
        found = doctor(root.path)
        says(found["lock"], "ok", f"served by process {running.process.pid}")
        says(found["watcher"], "ok", "a notification comes")
        root.drop("y.json", DRY)
        assert root.wait_result("y.json")["ok"]
        assert {line.get("subject") for line in root.lines()[len(before) :]} == {"y.json"}
        assert "warning" not in running.diagnostics()


def test_a_daemon_that_does_not_watch_is_noticed(root: Root) -> None:
    with daemon(root.path, DARKROOM_WATCH="false"):
        says(doctor(root.path)["watcher"], "warning", "watches nothing", "DARKROOM_WATCH=false")


# ---------------------------------------------------------------- the log


def segment(root: Root) -> Path:
    return root.path / "events" / "00000001.jsonl"


def test_a_log_that_a_crash_cut_short_is_a_warning(drained: Root) -> None:
    with segment(drained).open("ab") as file:
        file.write(b'{"specversion"')
    says(doctor(drained.path)["log"], "warning", "14 bytes", "the next start")


def test_a_log_whose_last_line_was_changed_is_a_fault(drained: Root) -> None:
    segment(drained).write_bytes(segment(drained).read_bytes().replace(b"drained", b"dreamed"))
    says(doctor(drained.path, 1)["log"], "fault", "00000001.jsonl", "darkroom verify")


def test_a_log_that_lacks_a_segment_is_a_fault(drained: Root) -> None:
    segment(drained).rename(segment(drained).with_name("00000002.jsonl"))
    says(doctor(drained.path, 1)["log"], "fault", "00000001.jsonl", "missing")


@pytest.mark.slow
def test_a_log_from_the_future_is_a_warning_about_the_clock(drained: Root) -> None:
    """The clock itself cannot be set here; what it shows can be, by whoever asks for it."""
    script = (
        "import sys; from datetime import datetime, UTC; from daemon.clock import SystemClock\n"
        "SystemClock.now = lambda self: datetime(2025, 6, 1, tzinfo=UTC)\n"
        "from daemon.cli import main; main()"
    )
    arguments = ["doctor", "--json", "--root", str(drained.path)]
    done = run([sys.executable, "-c", script, *arguments], env=environment())
    found = {each["check"]: each for each in json.loads(done.stdout)}
    says(found["clock"], "warning", "2025-06-01", "timedatectl")


def run(arguments: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
    more.setdefault("cwd", REPOSITORY)
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=60, check=False, **more
    )


# ---------------------------------------------------------------- disks and users


def test_a_log_in_memory_is_a_warning(tmp_path: Path) -> None:
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("everything is in memory here")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        root = Root(Path(folder) / "root")
        drain(root.path, MEDIA_GENERATION_OUTPUT_ROOT=str(tmp_path / "media"))
        found = doctor(root.path, MEDIA_GENERATION_OUTPUT_ROOT=str(tmp_path / "media"))
    says(found["filesystem"], "warning", "what is in events", "in memory")
    says(found["links"], "ok", "media are written twice")


def test_a_full_disk_is_a_fault_for_each_check_that_meets_it(mount: Any, tmp_path: Path) -> None:
    mount(tmp_path / "disk", "-t", "tmpfs", "-o", "size=2m", "darkroom-test")
    root = Root(tmp_path / "disk")
    drain(root.path)
    with (root.path / "filler").open("wb") as file:
        usage = os.statvfs(root.path)
        os.posix_fallocate(file.fileno(), 0, usage.f_bavail * usage.f_frsize)
    before = tree(root.path)
    found = doctor(root.path, 1)
    says(found["disk"], "fault", "0 bytes", "nothing new is taken in", "free some space")
    says(found["fsync"], "fault", "no space left on device")
    assert tree(root.path) == before


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command, so that permissions count for root as well."""
    if os.geteuid() != 0:
        return []
    inside = ["setpriv", "--bounding-set", "-all"]
    if shutil.which("setpriv") is None or run([*inside, "true"]).returncode:
        pytest.skip("root may do everything here")
    return inside


@pytest.fixture
def closed() -> Iterator[Callable[[Path, int], None]]:
    """Change a mode for the time of a test; without that, nobody could clean up."""
    before: dict[Path, int] = {}

    def close(path: Path, mode: int) -> None:
        before[path] = path.stat().st_mode
        path.chmod(mode)

    yield close
    for path, mode in before.items():
        path.chmod(mode)


def test_folders_that_may_not_be_written_to_are_a_fault(
    drained: Root, unprivileged: list[str], closed: Callable[[Path, int], None]
) -> None:
    drained.inbox.chmod(0o777)
    says(doctor(drained.path)["permissions"], "ok", "every user may drop requests")
    closed(drained.path / ".darkroom", 0o555)
    closed(segment(drained), 0o444)
    done = run([*unprivileged, *command(drained.path, "doctor", "--json")], env=environment())
    assert (done.returncode, done.stderr) == (1, "")
    found = {each["check"]: each for each in json.loads(done.stdout)}
    told = f"{drained.path}/.darkroom, {segment(drained)}"
    says(found["permissions"], "fault", f"may not write to {told}", "chown")
    says(found["fsync"], "fault", f"{drained.path}/.darkroom", "permission denied")


@pytest.mark.slow
def test_a_root_that_cannot_be_made_is_a_fault(
    tmp_path: Path, unprivileged: list[str], closed: Callable[[Path, int], None]
) -> None:
    closed(tmp_path, 0o555)
    done = run([*unprivileged, *command(tmp_path / "r", "doctor")], env=environment())
    assert (done.returncode, done.stderr) == (1, "")
    assert f"no root here yet, and {tmp_path} may not be written to" in done.stdout


def test_a_root_that_may_not_be_looked_into_is_a_fault_and_no_traceback(
    drained: Root, unprivileged: list[str], closed: Callable[[Path, int], None]
) -> None:
    closed(drained.path.parent, 0o000)
    done = run([*unprivileged, *command(drained.path, "doctor")], env=environment())
    assert (done.returncode, done.stderr) == (1, "")
    assert f"fault    root          {drained.path}" in done.stdout


@pytest.mark.slow
def test_without_a_watch_left_it_says_which_limit_to_raise(drained: Root) -> None:
    script = 'echo 0 > /proc/sys/user/max_inotify_watches && exec "$@"'
    inside = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    if shutil.which("unshare") is None or run([*inside, "true"]).returncode:
        pytest.skip("this needs a user namespace to set limits in")
    done = run([*inside, *command(drained.path, "doctor")], env=environment())
    assert done.returncode == 0, done.stderr
    assert "warning  watcher       the inbox cannot be watched" in done.stdout
    assert "fs.inotify.max_user_watches" in done.stdout


# ---------------------------------------------------------------- installations


def install(folder: Path, name: str, version: str, entry_points: str = "") -> dict[str, str]:
    """Put what looks like an installed package on the path; the environment that has it."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(entry_points)
    return {"PYTHONPATH": f"{folder}:{REPOSITORY}"}


@pytest.mark.slow
def test_python_daemon_in_the_same_environment_is_a_fault(tmp_path: Path) -> None:
    env = install(tmp_path / "site", "python-daemon", "3.1.2")
    says(
        doctor(tmp_path / "r", 1, **env)["package"],
        "fault",
        "python-daemon 3.1.2",
        "python3 -m venv",
    )


@pytest.mark.slow
def test_code_that_was_not_installed_is_a_fault(tmp_path: Path) -> None:
    for package in ("daemon", "handlers"):
        shutil.copytree(REPOSITORY / package, tmp_path / "copy" / package)
    done = run(
        command(tmp_path / "r", "doctor", "--json"),
        env=environment(PYTHONPATH=str(tmp_path / "copy")),
        cwd=tmp_path / "copy",
    )
    assert done.returncode == 1
    assert f"{tmp_path}/copy/daemon, which darkroomd" in done.stdout


@pytest.mark.slow
def test_a_package_that_is_too_old_is_a_fault_with_the_command_that_mends_it(
    tmp_path: Path,
) -> None:
    env = install(tmp_path / "site", "structlog", "1.0")
    found = doctor(tmp_path / "r", 1, **env)["requirements"]
    says(found, "fault", "structlog is 1.0", "-m pip install", '"structlog>=')


def test_a_plug_in_that_cannot_be_loaded_is_a_fault(tmp_path: Path) -> None:
    entry = "[darkroom.providers]\nbroken = broken_plug_in\n"
    env = install(tmp_path / "site", "broken-plug-in", "1.0", entry)
    (tmp_path / "site" / "broken_plug_in.py").write_text("1 / 0\n")
    says(doctor(tmp_path / "r", 1, **env)["providers"], "fault", "ZeroDivisionError", "uninstall")


# ---------------------------------------------------------------- what is printed


def test_lines_are_plain_in_a_pipe_and_each_hint_has_its_own(tmp_path: Path) -> None:
    done = darkroom(tmp_path / "r", "doctor", DARKROOM_SETTEL="1")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    at = lines.index("warning  settings      names no setting, and does nothing: $DARKROOM_SETTEL")
    assert lines[at + 1] == "    hint settings      $DARKROOM_SETTEL may mean $DARKROOM_SETTLE"
    assert "2 warning" in lines[-1]


def test_a_path_that_is_no_text_is_printed_all_the_same(tmp_path: Path) -> None:
    root = tmp_path / os.fsdecode(b"my r\xff\x9b")
    says(doctor(root)["root"], "warning", f"--root '{root}'")
    done = darkroom(root, "doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"my r\udcff\udc9b" in done.stdout


def test_bad_settings_are_told_with_everything_else(drained: Root) -> None:
    found = doctor(drained.path, 1, DARKROOM_SETTLE="soon")
    says(found["settings"], "fault", "$DARKROOM_SETTLE", "'soon'")
    assert set(found) == NAMES


@pytest.mark.slow
def test_on_a_terminal_it_is_a_table_that_no_name_can_speak_through(tmp_path: Path) -> None:
    code, said = on_a_terminal("doctor", "--root", str(tmp_path / "evil\x1b]0;pwned\x07"))
    assert code == 0
    assert "→ `darkroom run --root" in said
    assert "\x1b]0;" not in said
    assert "\x07" not in said
