"""Which names of the inbox concern us, and what the watcher and the scan tell."""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
)

from daemon.files import text_to_name
from daemon.inbox import (
    Hints,
    Watcher,
    _Handler,
    _Overflow,
    concerns_us,
    glance,
    identity_of,
    is_pause,
    scan,
)
from tests.examples import examples
from tests.support import wait_until

# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name",
    [
        "a.json",
        "a.jsonl",
        "a.cancel",
        "a.retry",
        "a.jsonl.cancel",
        "me/a.json",
        "a b.json",
        "-.json",
        "result.json",
        "x.result.json.json",
        "a.tmp/b.json",
        "PAUSE",
        "PAUSE.local",
        "PAUSE.x.y",
        "PAUSE.json",
    ],
)
def test_requests_and_control_files_concern_us(name: str) -> None:
    assert concerns_us(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a.txt",
        "a.JSON",
        ".json",
        ".a.json",
        "a.result.json",
        "a.jsonl.result.json",
        "a.jsonl.result.jsonl",
        "a.json.tmp",
        "a.json.part",
        "a.json~",
        "a.json.swp",
        "a.json.crdownload",
        "me/PAUSE",
        "PAUSE/x",
        "PAUSE.",
        "PAUSED",
        "pause",
        ".PAUSE",
        ".hidden/a.json",
        "me/.hidden/a.json",
        "a.json/b.json",
        "x.retry/b.json",
    ],
)
def test_everything_else_does_not(name: str) -> None:
    assert not concerns_us(name)


@pytest.mark.parametrize("name", ["PAUSE.json", "PAUSE.cancel", "PAUSE.result.json", "x/PAUSE"])
def test_what_ends_like_a_request_or_a_result_pauses_nobody(name: str) -> None:
    assert not is_pause(name)


# ---------------------------------------------------------------- scanning


def test_a_scan_finds_pause_files_at_the_top_and_requests_in_a_folder_of_that_name(
    tmp_path: Path,
) -> None:
    (tmp_path / "PAUSE").mkdir()
    (tmp_path / "PAUSE" / "a.json").touch()
    (tmp_path / "PAUSE.local").symlink_to("/nowhere")
    (tmp_path / "me").mkdir()
    (tmp_path / "me" / "PAUSE").touch()
    wanted = ["PAUSE", "PAUSE.local", "PAUSE/a.json"]
    assert sorted(scan(tmp_path).found) == sorted(glance(tmp_path, {})) == wanted


def test_a_scan_finds_what_concerns_us_at_every_depth(tmp_path: Path) -> None:
    for name in ("a.json", "me/b.jsonl", "me/too/c.retry", ".hidden/d.json", "e.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = scan(tmp_path)
    assert sorted(found.found) == ["a.json", "me/b.jsonl", "me/too/c.retry"]
    assert found.identity == (tmp_path.stat().st_dev, tmp_path.stat().st_ino)


def test_a_scan_tells_what_is_no_file_but_has_a_requests_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    (tmp_path / "a.json" / "inner.json").touch()
    os.mkfifo(tmp_path / "b.json")
    (tmp_path / "c.json").symlink_to("/nowhere")
    assert sorted(scan(tmp_path).found) == ["a.json", "b.json", "c.json"]


def test_a_scan_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.json").touch()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "link").symlink_to("../outside")
    (tmp_path / "inbox" / "loop").symlink_to(".")
    assert scan(tmp_path / "inbox").found == {}


def test_a_missing_inbox_is_empty_and_has_no_identity(tmp_path: Path) -> None:
    found = scan(tmp_path / "inbox")
    assert (found.found, found.identity) == ({}, None)
    assert identity_of(tmp_path / "inbox") is None


def test_another_folder_in_the_inboxs_place_has_another_identity(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    before = identity_of(tmp_path / "inbox")
    (tmp_path / "inbox").rename(tmp_path / "old")
    (tmp_path / "inbox").mkdir()
    assert identity_of(tmp_path / "inbox") != before


def test_folders_may_nest_deeper_than_pythons_stack(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(1500):
            os.mkdir("d", dir_fd=descriptor)
            below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        os.close(os.open("a.json", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    finally:
        os.close(descriptor)
    assert list(scan(tmp_path).found) == ["d/" * 1500 + "a.json"]
    _remove_deep(tmp_path)


def _remove_deep(folder: Path) -> None:
    """`rmtree` recurses, so pull the tree apart from above."""
    while (folder / "d").exists():
        (folder / "d").rename(folder / "top")
        if (folder / "top" / "d").exists():
            (folder / "top" / "d").rename(folder / "d")
        for left in (folder / "top").iterdir():
            left.unlink()
        (folder / "top").rmdir()


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(min_size=1, max_size=20).filter(lambda raw: not {0, 47} & set(raw)))
def test_any_name_is_told_so_that_it_leads_back(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    folder = tmp_path_factory.mktemp("inbox")
    name = os.fsdecode(b"x" + raw + b".json")
    (folder / name).touch()
    (told,) = scan(folder).found
    assert text_to_name(told) == name
    told.encode()


# ---------------------------------------------------------------- hints


def on_loop(test: Callable[[Hints, list[int]], None]) -> None:
    async def main() -> None:
        woken: list[int] = []
        test(Hints(lambda: woken.append(1)), woken)

    asyncio.run(main())


def test_names_are_taken_once_and_in_order() -> None:
    def check(hints: Hints, _: list[int]) -> None:
        for name in ("b.json", "a.json", "b.json"):
            hints.tell(name)
        assert hints.take() == (["b.json", "a.json"], False)
        assert hints.take() == ([], False)

    on_loop(check)


def test_everything_is_a_hint_too() -> None:
    def check(hints: Hints, _: list[int]) -> None:
        hints.tell(None)
        hints.tell("a.json")
        assert hints.take() == (["a.json"], True)

    on_loop(check)


def test_who_sleeps_is_woken_once_for_many_hints_and_again_for_the_next() -> None:
    async def main() -> list[int]:
        woken: list[int] = []
        hints = Hints(lambda: woken.append(1))
        await asyncio.gather(*[asyncio.to_thread(hints.tell, f"{n}.json") for n in range(20)])
        await asyncio.sleep(0)
        assert woken == [1]
        assert len(hints.take()[0]) == 20
        hints.tell("late.json")
        await asyncio.sleep(0)
        return woken

    assert asyncio.run(main()) == [1, 1]


# ---------------------------------------------------------------- the watcher


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (FileCreatedEvent("/in/a.json"), (["a.json"], False)),
        (FileClosedEvent("/in/me/a.json"), (["me/a.json"], False)),
        (FileMovedEvent("/in/.a.tmp", "/in/a.json"), (["a.json"], False)),
        (FileMovedEvent("/in/a.json", "/in/b.txt"), ([], False)),
        (FileCreatedEvent("/in/a.txt"), ([], False)),
        (FileCreatedEvent("/in/a.result.json"), ([], False)),
        (FileCreatedEvent("/in/" + os.fsdecode(b"\xff.json")), (["\\xff.json"], False)),
        (DirCreatedEvent("/in/me"), ([], True)),
        (DirMovedEvent("/tmp/x", "/in/me"), ([], True)),
        (DirCreatedEvent("/in/a.json"), (["a.json"], False)),
    ],
)
def test_the_watcher_hands_over_names(event: FileSystemEvent, told: tuple[list[str], bool]) -> None:
    def check(hints: Hints, _: list[int]) -> None:
        _Handler(Path("/in"), hints).on_any_event(event)
        assert hints.take() == told

    on_loop(check)


def test_a_notification_that_breaks_the_watcher_makes_a_scan() -> None:
    def check(hints: Hints, _: list[int]) -> None:
        _Handler(Path("/in"), hints).on_any_event(FileCreatedEvent(None))  # type: ignore[arg-type]
        assert hints.take() == ([], True)

    on_loop(check)


def test_an_overflow_makes_a_scan_and_other_messages_do_not() -> None:
    def record(text: str) -> logging.LogRecord:
        return logging.LogRecord("watchdog", logging.WARNING, "x", 1, text, (), None)

    def check(hints: Hints, _: list[int]) -> None:
        handler = _Overflow(hints)
        handler.emit(record("something else"))
        assert hints.take() == ([], False)
        handler.emit(record("inotify queue overflow"))
        assert hints.take() == ([], True)

    on_loop(check)


def test_a_real_watcher_tells_of_a_file_and_heals_when_the_inbox_is_replaced(
    tmp_path: Path,
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    async def main() -> None:
        hints = Hints(lambda: None)
        watcher = Watcher(inbox, hints)
        watcher.start()
        try:
            (inbox / "a.json").touch()
            wait_until(lambda: "a.json" in hints.take()[0], "the watcher tells of a file")
            assert not watcher.heal(identity_of(inbox))
            inbox.rename(tmp_path / "old")
            inbox.mkdir()
            assert watcher.heal(identity_of(inbox))
            (inbox / "b.json").touch()
            wait_until(lambda: "b.json" in hints.take()[0], "the healed watcher tells of a file")
        finally:
            watcher.stop()
        watcher.stop()

    asyncio.run(main())


def test_a_watcher_of_a_missing_inbox_waits_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        watcher = Watcher(tmp_path / "inbox", Hints(lambda: None))
        watcher.start()
        assert not watcher.heal(None)
        (tmp_path / "inbox").mkdir()
        assert watcher.heal(identity_of(tmp_path / "inbox"))
        watcher.stop()

    asyncio.run(main())
