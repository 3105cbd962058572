"""Files: names as text and back, no link ever followed, everything published whole."""

import multiprocessing
import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import daemon.files
from daemon.errors import RootBusy
from daemon.files import (
    NAME_MAX,
    Unreadable,
    fitted,
    folder_beneath,
    name_to_text,
    publish,
    read_whole,
    remove_beneath,
    signature_of,
    status_beneath,
    text_to_name,
    write_durable,
)
from daemon.locks import RootLock, lock_holder
from tests.examples import examples

RAW_NAMES = st.binary(min_size=1, max_size=40) | st.lists(
    st.sampled_from([b"\\", b"x", b"41", b"\xff", b"\xc3", b"\xa9", b"\\x41", b"\\\\", b"/", b"\n"])
).map(b"".join)

# ---------------------------------------------------------------- names


@settings(max_examples=examples(300), deadline=None)
@given(RAW_NAMES)
@example(b"\\xff")
@example(b"\xff")
@example(b"\\\xff")
@example(b"\\\\xff")
@example(b"\xe6\xbc")
def test_every_name_has_a_text_and_the_text_leads_back(raw: bytes) -> None:
    name = os.fsdecode(raw)
    text = name_to_text(name)
    text.encode()
    assert os.fsencode(text_to_name(text)) == raw


@settings(max_examples=examples(300), deadline=None)
@given(RAW_NAMES, RAW_NAMES)
def test_no_two_names_share_a_text(one: bytes, other: bytes) -> None:
    same = name_to_text(os.fsdecode(one)) == name_to_text(os.fsdecode(other))
    assert same == (one == other)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"plain.json", "plain.json"),
        ("ü 漢.json".encode(), "ü 漢.json"),
        (b"bad\xff.json", "bad\\xff.json"),
        (b"back\\slash.json", "back\\\\slash.json"),
        (b"\\xff", "\\\\xff"),
    ],
)
def test_names_that_are_text_stay_as_they_are(raw: bytes, text: str) -> None:
    assert name_to_text(os.fsdecode(raw)) == text


@settings(max_examples=examples(200), deadline=None)
@given(RAW_NAMES, st.integers(0, 12))
def test_a_fitted_name_is_never_too_long(raw: bytes, times: int) -> None:
    stem = os.fsdecode(raw * (1 + times * 2))
    name = fitted(stem, ".result.json")
    assert len(os.fsencode(name)) <= NAME_MAX
    assert name.endswith(".result.json")


def test_a_name_that_fits_is_not_touched() -> None:
    assert fitted("x" * 243, ".result.json") == "x" * 243 + ".result.json"


def test_long_names_that_differ_in_their_ends_stay_apart() -> None:
    one, other = (fitted("x" * 300 + end, ".result.json") for end in "ab")
    assert one != other
    assert len(one) == NAME_MAX


def test_a_name_is_cut_between_characters() -> None:
    name = fitted("漢" * 100, ".result.json")
    name.encode()
    assert name.startswith("漢漢")
    assert len(name.encode()) <= NAME_MAX


# ---------------------------------------------------------------- reading


def read(base: Path, name: str, limit: int = 100) -> bytes:
    return read_whole(base, tuple(name.split("/")), limit)[0]


def unreadable(base: Path, name: str, limit: int = 100) -> Unreadable:
    with pytest.raises(Unreadable) as caught:
        read(base, name, limit)
    return caught.value


def test_a_file_is_read_with_what_it_looked_like(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.json").write_bytes(b"{}")
    data, signature = read_whole(tmp_path, ("a", "b", "x.json"), 2)
    status = (tmp_path / "a" / "b" / "x.json").stat()
    assert data == b"{}"
    assert signature == signature_of(status)
    assert status_beneath(tmp_path, ("a", "b", "x.json")) == status


def test_what_is_missing_is_missing(tmp_path: Path) -> None:
    for name in ("x.json", "a/x.json"):
        with pytest.raises(FileNotFoundError):
            read(tmp_path, name)


def test_a_file_as_large_as_the_limit_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read(tmp_path, "x", 5) == b"12345"
    error = unreadable(tmp_path, "x", 4)
    assert error.oversize
    assert (error.reason, error.size) == ("larger than the limit of 4 bytes", 5)


def test_an_empty_file_is_no_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert read(tmp_path, "x", 0) == b""


@pytest.mark.parametrize("target", ["real.json", "/etc/passwd", "nowhere", "."])
def test_a_link_is_refused_wherever_it_leads(tmp_path: Path, target: str) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "x.json").symlink_to(target)
    assert unreadable(tmp_path, "x.json").reason == "a link (links are never followed)"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_link_is_not_followed_at_any_place_of_the_way(tmp_path: Path, depth: int) -> None:
    outside = tmp_path / "outside"
    (outside / "b" / "c").mkdir(parents=True)
    base = tmp_path / "base"
    folders = ["a", "b", "c"]
    way = base
    for number, folder in enumerate(folders):
        way.mkdir()
        if number == depth:
            (way / folder).symlink_to(outside, target_is_directory=True)
            break
        way = way / folder
    for place in outside.rglob("*"):
        if place.is_dir():
            (place / "x").write_text("secret")
    (outside / "x").write_text("secret")
    with pytest.raises(OSError) as caught:
        read(base, "/".join([*folders, "x"]))
    assert not isinstance(caught.value, FileNotFoundError)
    with pytest.raises(NotADirectoryError):
        read(base, "/".join([*folders[: depth + 1], "x"]))


def test_the_base_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "x").write_text("y")
    (tmp_path / "base").symlink_to("real")
    assert read(tmp_path / "base", "x") == b"y"


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    assert unreadable(tmp_path, "x").reason == "a FIFO"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert unreadable(tmp_path, "x").reason == "a directory"


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("x")
        assert unreadable(tmp_path, "x").reason == "a socket"


def test_a_device_is_refused() -> None:
    assert unreadable(Path("/dev"), "zero").reason == "a device"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("y")
    (tmp_path / "x").chmod(0)
    assert unreadable(tmp_path, "x").reason == "not readable: permission denied"


def test_a_file_that_changes_while_it_is_read_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("one")
    real = os.read

    def read_and_grow(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        if data:
            with (tmp_path / "x").open("a") as file:
                file.write("more")
        return data

    monkeypatch.setattr(daemon.files.os, "read", read_and_grow)
    with pytest.raises(BlockingIOError):
        read(tmp_path, "x")


def test_a_file_that_became_a_fifo_meanwhile_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("one")
    real = os.open

    def replaced(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if path == "x":
            (tmp_path / "x").unlink()
            os.mkfifo(tmp_path / "x")
        return real(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(daemon.files.os, "open", replaced)
    with pytest.raises(BlockingIOError):
        read(tmp_path, "x")


def test_a_file_that_became_a_link_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("one")
    (tmp_path / "secret").write_text("secret")
    real = os.open

    def replaced(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        if path == "x":
            (tmp_path / "x").unlink()
            (tmp_path / "x").symlink_to("secret")
        return real(path, flags, *rest, dir_fd=dir_fd)

    monkeypatch.setattr(daemon.files.os, "open", replaced)
    assert unreadable(tmp_path, "x").reason.startswith("not readable: too many levels")


def test_a_file_that_was_rewritten_in_its_own_size_meanwhile_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_text("one")
    real = os.read

    def rewritten(descriptor: int, size: int) -> bytes:
        data = real(descriptor, size)
        (tmp_path / "x").write_text("two")
        os.utime(tmp_path / "x", ns=(1, 1))
        return data

    monkeypatch.setattr(daemon.files.os, "read", rewritten)
    with pytest.raises(BlockingIOError):
        read(tmp_path, "x")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to("x")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a/link", "a/missing", "no/way", "a"):
        with pytest.raises((OSError, Unreadable)):
            read(tmp_path, name)
    assert len(os.listdir("/proc/self/fd")) == before


# ---------------------------------------------------------------- writing


def test_a_durable_file_is_new_or_nothing(tmp_path: Path) -> None:
    write_durable(tmp_path / "x", b"data")
    assert (tmp_path / "x").read_bytes() == b"data"


def test_a_file_is_published_whole(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_text("new")
    (tmp_path / "x").write_text("old")
    publish(staged, tmp_path, ("x",))
    assert (tmp_path / "x").read_text() == "new"
    assert not staged.exists()


def test_a_planted_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "x").symlink_to(victim)
    staged = tmp_path / "staged"
    staged.write_text("new")
    publish(staged, tmp_path, ("x",))
    assert victim.read_text() == "precious"
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "x").read_text() == "new"


def test_nothing_is_published_through_a_linked_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a").symlink_to(tmp_path / "outside")
    staged = tmp_path / "staged"
    staged.write_text("new")
    with pytest.raises(NotADirectoryError):
        publish(staged, tmp_path / "base", ("a", "x"), make=True)
    assert list((tmp_path / "outside").iterdir()) == []
    assert staged.exists()


def test_missing_folders_are_made_only_on_request(tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.write_text("new")
    with pytest.raises(FileNotFoundError):
        publish(staged, tmp_path, ("a", "b", "x"))
    publish(staged, tmp_path, ("a", "b", "x"), make=True)
    assert (tmp_path / "a" / "b" / "x").read_text() == "new"


def test_a_directory_of_that_name_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    staged = tmp_path / "staged"
    staged.write_text("new")
    with pytest.raises(IsADirectoryError):
        publish(staged, tmp_path, ("x",))


def test_to_another_filesystem_a_file_is_carried_over_whole(tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm") / f"darkroom-test-{os.getpid()}"
    elsewhere.mkdir()
    try:
        if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is one filesystem only")
        staged = tmp_path / "staged"
        staged.write_bytes(b"new")
        publish(staged, elsewhere, ("x",))
        assert (elsewhere / "x").read_bytes() == b"new"
        assert os.listdir(elsewhere) == ["x"]
        assert not staged.exists()
    finally:
        for left in elsewhere.iterdir():
            left.unlink()
        elsewhere.rmdir()


def test_removing_takes_away_a_file_or_a_link_and_no_target(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "x").symlink_to("victim")
    remove_beneath(tmp_path, ("x",))
    assert not (tmp_path / "x").is_symlink()
    assert (tmp_path / "victim").exists()


def test_removing_what_is_missing_or_a_directory_or_behind_a_link_does_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x").write_text("y")
    (tmp_path / "link").symlink_to("outside")
    for way in (("nothing",), ("no", "way"), ("outside",), ("link", "x")):
        remove_beneath(tmp_path, way)
    assert (tmp_path / "outside" / "x").exists()


def test_a_folder_is_reached_by_its_descriptor(tmp_path: Path) -> None:
    with folder_beneath(tmp_path, ("a", "b"), make=True) as descriptor:
        assert os.fstat(descriptor).st_ino == (tmp_path / "a" / "b").stat().st_ino


# ---------------------------------------------------------------- one daemon per root


def test_one_root_has_one_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first, second = RootLock(path), RootLock(path)
    first.take()
    with pytest.raises(RootBusy, match=f"process {os.getpid()} already serves"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_who_holds_the_lock_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert lock_holder(path) is None
    lock = RootLock(path)
    lock.take()
    assert lock_holder(path) == os.getpid()
    lock.release()
    assert lock_holder(path) is None


def test_asking_does_not_take_the_lock_away(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = RootLock(path)
    lock.take()
    for _ in range(5):
        assert lock_holder(path) == os.getpid()
    with pytest.raises(RootBusy):
        RootLock(path).take()
    lock.release()


def test_a_lock_can_be_released_twice(tmp_path: Path) -> None:
    lock = RootLock(tmp_path / "lock")
    lock.take()
    lock.release()
    lock.release()


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(OSError):
        RootLock(tmp_path / "lock").take()
    assert lock_holder(tmp_path / "lock") is None
    assert (tmp_path / "victim").read_text() == "precious"


def _hold_and_die(path: str) -> None:
    RootLock(Path(path)).take()
    os._exit(9)


def test_a_killed_process_holds_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    process = multiprocessing.get_context("fork").Process(target=_hold_and_die, args=(str(path),))
    process.start()
    process.join()
    assert process.exitcode == 9
    lock = RootLock(path)
    lock.take()
    assert lock_holder(path) == os.getpid()
    lock.release()
