"""`darkroom doctor`: how each check judges what it found. What it finds on real roots, the tests of
edges show."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from watchdog.events import FileSystemEventHandler
from watchdog.observers.inotify_c import InotifyFD

from daemon.checkups import (
    Finding,
    fault,
    filesystems,
    folders,
    history,
    installation,
    ok,
    warning,
    watching,
)
from daemon.checkups.configuration import judge_variables, read_settings
from daemon.checkups.filesystems import Mount, judge_mounts, mount_of, parse_mounts
from daemon.checkups.folders import Space, judge_spaces, judge_sync
from daemon.checkups.history import Tail, judge_clock, judge_tail, last_line
from daemon.checkups.watching import watcher, watches_of
from daemon.doctor import CHECKS, Check, _looked, is_well
from daemon.events import Recorded
from daemon.inbox import observe
from daemon.settings import Settings, variable_of

GIB = 1 << 30
MIB = 1 << 20
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def says(finding: Finding, state: str, *parts: str) -> None:
    """It is of this state, holds these parts, and has a hint exactly where it is not well."""
    assert finding.state == state, finding
    for part in parts:
        assert part in f"{finding.found}\n{finding.hint}", finding
    assert (finding.hint is None) == (state == "ok")


# ---------------------------------------------------------------- the list


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/x/events"), "/x/events: permission"),
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
        (OSError("odd"), "odd"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_a_check_that_breaks_is_a_fault(error: Exception, said: str) -> None:
    def breaks(_: Settings) -> Finding:
        raise error

    says(_looked(Check("x", breaks), Settings()), "fault", said)


def test_no_two_checks_have_one_name() -> None:
    names = [check.name for check in CHECKS]
    assert len({*names, "settings"}) == len(names) + 1


def test_a_warning_leaves_it_well_and_a_fault_does_not() -> None:
    assert is_well({"a": ok(""), "b": warning("", "")})
    assert not is_well({"a": ok(""), "b": fault("", "")})


# ---------------------------------------------------------------- inputs


def test_folders_for_inputs_are_there_and_no_wider_than_meant(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    root = tmp_path / "root"
    says(folders.inputs(Settings(root=root)), "ok", "inbox", "tmp")
    says(folders.inputs(Settings(root=root, input_roots=(photos,))), "ok", "photos")
    says(folders.inputs(Settings(root=root, input_roots=(root / "x",))), "fault", "no folder")
    for wide in (Path("/"), Path("/tmp"), Path.home(), tmp_path):  # the last one holds the root
        if wide.is_dir():
            says(folders.inputs(Settings(root=root, input_roots=(wide,))), "warning", str(wide))


# ---------------------------------------------------------------- the installation


@pytest.mark.parametrize("running", ["3.11.0", "3.14.2", "3.15.0a1"])
def test_a_python_that_is_new_enough_is_ok(running: str) -> None:
    says(installation.judge_python(running, ">=3.11"), "ok", running)


def test_a_python_that_is_too_old_is_a_fault() -> None:
    says(installation.judge_python("3.10.9", ">=3.11"), "fault", "3.10.9", ">=3.11")


def test_packages_that_are_missing_or_do_not_fit_are_named_with_one_command_for_all() -> None:
    finding = installation.judge_requirements(
        {
            Requirement("numpy>=2.2"): "2.4.6",
            Requirement("rich>=14.0"): None,
            Requirement("watchdog>=7.1,<8"): "8.0",
            Requirement("typer>=0.20"): "1.0rc1",
        }
    )
    says(finding, "fault", "rich is missing", "watchdog is 8.0", '"rich>=14.0" "watchdog<8,>=7.1"')
    assert "numpy" not in finding.found
    assert "typer" not in finding.found


def test_extras_and_what_is_for_other_systems_are_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = ["rich>=14", 'aiohttp; extra == "web"', 'colorama; sys_platform == "win32"']
    monkeypatch.setattr(installation, "distribution", lambda _: SimpleNamespace(requires=asked))
    assert [each.name for each in installation._wanted()] == ["rich"]


def test_an_installation_without_its_metadata_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "OURS", "no-such-darkroom")
    says(installation.package(Settings()), "fault", "no-such-darkroom", "pip install")


def test_files_that_another_package_took_along_are_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uninstalling python-daemon removes `daemon/__init__.py`, whoever wrote it."""
    info = tmp_path / "darkroomd-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: darkroomd\nVersion: 1.0\n")
    (info / "RECORD").write_text("daemon/__init__.py,,\ndaemon/app.py,,\ndaemon/app.pyc,,\n")
    (tmp_path / "daemon").mkdir()
    (tmp_path / "daemon" / "app.py").touch()
    here = str(tmp_path / "daemon" / "checkups" / "installation.py")
    monkeypatch.setattr(installation, "distribution", lambda _: Distribution.at(info))
    monkeypatch.setattr(installation, "__file__", here)
    finding = installation.package(Settings())
    says(finding, "fault", "missing: daemon/__init__.py", "install it again")
    assert "app" not in finding.found
    (tmp_path / "daemon" / "__init__.py").touch()
    says(installation.package(Settings()), "ok", "darkroom 1.0")


@pytest.mark.parametrize(
    ("running", "missing", "state", "said"),
    [
        ("13.0.0", [], "ok", "13.0.0"),
        ("12.9.9", [], "fault", 'pip install --force-reinstall "pillow>=13.0.0"'),
        ("13.1.0", ["WebP"], "fault", "cannot decode WebP"),
    ],
)
def test_pillow_is_as_new_and_as_able_as_it_must(
    running: str, missing: list[str], state: str, said: str
) -> None:
    floor = SpecifierSet(">=13.0.0")
    says(installation.judge_pillow(running, floor, missing), state, said)


# ---------------------------------------------------------------- what was set


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_variable_of_a_setting_is_known(name: str) -> None:
    says(judge_variables({variable_of(name): "1", "HOME": "/x"}), "ok", f"${variable_of(name)}")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DARKROOM_SETTEL", "$DARKROOM_SETTEL may mean $DARKROOM_SETTLE"),
        ("DARKROOM_OUTPUT_ROOT", "may mean $MEDIA_GENERATION_OUTPUT_ROOT"),
        ("DARKROOM_XYZZY", "unset $DARKROOM_XYZZY"),
    ],
)
def test_a_variable_that_names_no_setting_is_told_with_the_nearest(name: str, hint: str) -> None:
    says(judge_variables({name: "1", "DARKROOM_WATCH": "1"}), "warning", name, hint)


def test_bad_settings_are_a_fault_and_the_rest_of_the_root_is_still_looked_at(
    tmp_path: Path,
) -> None:
    environment = {"DARKROOM_SETTLE": "soon", "DARKROOM_ROOT": str(tmp_path)}
    settings, finding = read_settings(None, environment)
    says(finding, "fault", "$DARKROOM_SETTLE", "'soon'")
    assert settings.root == tmp_path.resolve()


# ---------------------------------------------------------------- folders


def space(free: int = GIB, inodes: int = 10**6, *, has_inodes: bool = True) -> Space:
    return Space(["inbox", "events"], free, 64 * MIB, inodes, has_inodes)


@pytest.mark.parametrize(
    ("spaces", "state", "said"),
    [
        ([space()], "ok", "1.0 GiB and 1,000,000 files free for inbox, events"),
        ([space(free=64 * MIB)], "ok", "64 MiB"),
        ([space(), space(free=64 * MIB - 1)], "fault", "free some space for inbox, events"),
        ([space(free=0)], "fault", "0 bytes"),
        ([space(inodes=999)], "warning", "999 files"),
        ([space(inodes=0)], "fault", "0 files"),
        ([space(inodes=0, has_inodes=False)], "ok", "1.0 GiB free"),
    ],
)
def test_room_is_judged_by_the_floor_and_by_inodes(
    spaces: list[Space], state: str, said: str
) -> None:
    says(judge_spaces(spaces), state, said)


def test_a_slow_sync_is_a_warning() -> None:
    says(judge_sync(50.0), "ok", "50.0 ms")
    says(judge_sync(50.1), "warning", "50.1 ms")


# ---------------------------------------------------------------- filesystems

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
36 27 0:40 /share /mnt/my\040disk rw,noatime master:1 shared:7 - nfs4 nas:/share rw,hard
37 27 0:41 / /mnt rw - ext4 /dev/vdb rw
38 37 0:42 / /mnt/cloud rw master:2 - fuse.sshfs me@there:/ rw
39 38 0:43 / /mnt/cloud rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "point", "kind"),
    [
        ("/home/me", "/", "ext4"),
        ("/mnt/my disk/studio", "/mnt/my disk", "nfs4"),
        ("/mnt/my", "/mnt", "ext4"),
        ("/mnt/cloud/a/b", "/mnt/cloud", "tmpfs"),  # what was mounted last lies on top
    ],
)
def test_a_folder_lies_on_its_innermost_mount(folder: str, point: str, kind: str) -> None:
    mounts = parse_mounts(MOUNTS.strip())
    assert mount_of(Path(folder), mounts) == Mount(Path(point), kind)


def test_a_folder_on_no_mount_is_of_unknown_kind() -> None:
    assert mount_of(Path("/x"), parse_mounts("38 37 0:42 / /mnt rw - ext4 x rw")).kind == "unknown"


def lies(**kinds: str) -> dict[str, Mount]:
    kinds = {"inbox": "ext4", "events": "ext4", ".darkroom": "ext4", "output": "ext4", **kinds}
    return {name: Mount(Path("/"), kind) for name, kind in kinds.items()}


@pytest.mark.parametrize(
    ("kinds", "state", "said"),
    [
        ({}, "ok", "ext4: inbox, events, .darkroom, output"),
        ({"output": "xfs"}, "ok", "ext4: inbox, events, .darkroom; xfs: output"),
        ({"inbox": "nfs4"}, "warning", "every 5 s"),
        ({"inbox": "fuse.sshfs"}, "warning", "every 5 s"),
        ({"inbox": "fuseblk"}, "ok", "fuseblk"),
        ({"inbox": "tmpfs"}, "ok", "tmpfs: inbox"),
        ({"events": "tmpfs"}, "warning", "what is in events is in memory"),
        ({"events": "tmpfs", "output": "ramfs"}, "warning", "events and output"),
        ({"events": "cifs", "output": "9p"}, "warning", "move events, output to a local disk"),
    ],
)
def test_kinds_of_filesystems_are_judged(kinds: dict[str, str], state: str, said: str) -> None:
    says(judge_mounts(lies(**kinds), 5.0), state, said)


def test_a_filesystem_that_knows_no_case_is_noticed(tmp_path: Path) -> None:
    probe = tmp_path / ".doctor-ab"
    assert not filesystems._folds(probe)
    (tmp_path / ".DOCTOR-AB").touch()  # what the other name would find there
    assert filesystems._folds(probe)


def test_folders_without_hard_links_between_them_are_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "to").mkdir()
    assert filesystems._can_link(tmp_path, tmp_path / "to")

    def no_link(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(filesystems.os, "link", no_link)
    assert not filesystems._can_link(tmp_path, tmp_path / "to")
    assert [path.name for path in tmp_path.rglob("*")] == ["to"]


# ---------------------------------------------------------------- the log and the clock


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=6),
    st.binary(max_size=30).map(lambda tail: tail.replace(b"\n", b"")),
)
def test_the_last_line_is_found_from_the_end(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], torn: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    path.write_bytes(b"".join(line + b"\n" for line in lines) + torn)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "_CHUNK", 4)
        assert last_line(path) == (lines[-1] + b"\n" if lines else b"", len(torn))


LAST = Recorded(1234, "id", "2026-11-22T12:00:00.000Z", None, None, None)


@pytest.mark.parametrize(
    ("tail", "served", "state", "said"),
    [
        (Tail(LAST, 0), False, "ok", "1,234 events"),
        (Tail(None, 0), False, "ok", "no events yet"),
        (Tail(LAST, 17), False, "warning", "17 bytes"),
        (Tail(LAST, 17), True, "ok", "1,234 events"),  # it is being written
    ],
)
def test_the_end_of_a_log_is_judged(tail: Tail, served: bool, state: str, said: str) -> None:
    says(judge_tail(tail, served=served), state, said)


@pytest.mark.parametrize(
    ("now", "newest", "state"),
    [
        (NOW, None, "ok"),
        (NOW, NOW - timedelta(days=900), "ok"),
        (NOW, NOW + timedelta(seconds=60), "ok"),
        (NOW, NOW + timedelta(seconds=61), "warning"),
        (datetime(2025, 1, 1, tzinfo=UTC), None, "ok"),
        (datetime(2024, 12, 31, 23, 59, 59, tzinfo=UTC), None, "fault"),
    ],
)
def test_the_clock_is_judged(now: datetime, newest: datetime | None, state: str) -> None:
    says(judge_clock(now, newest), state, f"{now:%Y-%m-%d}")


# ---------------------------------------------------------------- watching


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A root with folders and nothing in them."""
    settings = Settings(root=tmp_path)
    for folder in (settings.inbox / "alice", settings.private):
        folder.mkdir(parents=True)
    return settings


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_an_inbox_that_tells_of_new_files_is_ok_and_left_as_it_was(settings: Settings) -> None:
    says(watcher(settings), "ok", "a notification comes", "watches", "instances")
    assert not files_in(settings.root)


def test_an_inbox_that_tells_nothing_is_a_warning_and_left_as_it_was(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(_: Path, handler: FileSystemEventHandler, **more: Any) -> Any:
        return observe(settings.inbox / "alice", handler, **more)

    monkeypatch.setattr(watching, "observe", elsewhere)
    monkeypatch.setattr(watching, "PATIENCE", 0.05)
    says(watcher(settings), "warning", "no notification", "max_user_watches")
    assert not files_in(settings.root)


def test_an_inbox_that_cannot_be_watched_is_a_warning(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_instance_left(*_: Any) -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", no_instance_left)
    says(watcher(settings), "warning", "instance limit reached", "max_user_instances")


@pytest.mark.parametrize(
    ("watches", "state"), [([], "warning"), ([0], "warning"), ([0, 3], "ok"), (None, "ok")]
)
def test_a_daemon_without_a_watch_is_a_warning(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, watches: list[int] | None, state: str
) -> None:
    monkeypatch.setattr(watching, "lock_holder", lambda _: os.getpid())
    monkeypatch.setattr(watching, "watches_of", lambda _: watches)
    says(watcher(settings), state)


def test_a_watcher_that_is_switched_off_is_no_matter(settings: Settings) -> None:
    says(watcher(settings.model_copy(update={"watch": False})), "ok", "every 5 s")


def test_the_watches_of_a_process_are_counted(settings: Settings) -> None:
    before = watches_of(os.getpid())
    assert before is not None
    observer = observe(settings.inbox, FileSystemEventHandler())
    try:
        after = watches_of(os.getpid())
    finally:
        observer.stop()
        observer.join(5)
    assert after is not None
    assert sum(after) == sum(before) + 2  # the inbox, and the folder in it


def test_the_watches_of_a_process_that_is_gone_are_unknown() -> None:
    assert watches_of(2**30) is None


def test_limits_that_a_container_does_not_show_are_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(watching, "_LIMITS", tmp_path / "none")
    says(watcher(settings), "ok", "of unknown watches")
