"""What lies under a name, and what it is judged to be."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.files import NO_SIGNATURE, signature_of
from daemon.looking import Bad, Busy, Gone, Good, Looker
from daemon.requests import digest_of, digests_of
from tests.builders import as_bytes, door
from tests.examples import examples

GOOD = {"prompt": "x", "labels": {"l": 1}}


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def looker(inbox: Path) -> Looker:
    return Looker(inbox, door(), 1000)


def drop(inbox: Path, name: str, data: Any) -> bytes:
    raw: bytes = data if isinstance(data, bytes) else as_bytes(data)
    (inbox / name).write_bytes(raw)
    return raw


def bad(looker: Looker, name: str) -> Bad:
    look = looker.look(name)
    assert isinstance(look, Bad)
    return look


def test_a_good_request_comes_with_the_digests_of_its_bytes(looker: Looker, inbox: Path) -> None:
    data = drop(inbox, "a.json", as_bytes(GOOD) + b"\n")
    look = looker.look("a.json")
    assert isinstance(look, Good)
    assert look.request.raw == GOOD
    assert look.request_sha256 == digest_of(data)
    assert look.key == digests_of(data)[1] == digest_of(as_bytes(GOOD))
    assert look.signature == signature_of((inbox / "a.json").stat())


def test_what_is_as_it_was_is_not_looked_at_again(looker: Looker, inbox: Path) -> None:
    drop(inbox, "a.json", GOOD)
    look = looker.look("a.json")
    assert isinstance(look, Good)
    assert looker.look("a.json", look.signature) is None
    assert looker.look_all(["a.json", "b.json"], {"a.json": look.signature}) == [Gone("b.json")]


def test_a_replaced_file_of_the_same_size_is_looked_at_again(looker: Looker, inbox: Path) -> None:
    drop(inbox, "a.json", GOOD)
    look = looker.look("a.json")
    assert isinstance(look, Good)
    (inbox / "b").write_bytes(as_bytes({**GOOD, "prompt": "y"}))
    os.utime(inbox / "b", ns=(0, (inbox / "a.json").stat().st_mtime_ns))
    (inbox / "b").rename(inbox / "a.json")
    again = looker.look("a.json", look.signature)
    assert isinstance(again, Good)
    assert again.request.raw["prompt"] == "y"


@pytest.mark.parametrize("name", ["a.json", "no/such/a.json"])
def test_what_is_gone_is_gone(looker: Looker, name: str) -> None:
    assert looker.look(name) == Gone(name)


def test_a_folder_on_the_way_that_is_a_file_or_a_link_holds_nothing(
    looker: Looker, inbox: Path
) -> None:
    (inbox / "file").write_text("x")
    (inbox / "link").symlink_to("/etc")
    assert looker.look("file/a.json") == Gone("file/a.json")
    assert looker.look("link/passwd.json") == Gone("link/passwd.json")


def test_a_file_that_changes_while_it_is_read_is_busy(
    looker: Looker, inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(inbox, "a.json", GOOD)

    def changed(*_: Any) -> Any:
        raise BlockingIOError("it changed")

    monkeypatch.setattr("daemon.looking.read_at", changed)
    assert looker.look("a.json") == Busy("a.json")


# ---------------------------------------------------------------- bad ones


@pytest.mark.parametrize("data", [b"", b'{"prompt": "x"', b"{} {}", b'{"prompt": NaN}', b"\xff"])
def test_what_does_not_parse_may_still_become_whole(
    looker: Looker, inbox: Path, data: bytes
) -> None:
    drop(inbox, "a.json", data)
    look = bad(looker, "a.json")
    assert not look.whole
    assert look.problem.code == "invalid_json"
    assert look.request_sha256 == digest_of(data)
    assert look.key == digests_of(data)[1]


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(1, len(as_bytes(GOOD)) - 1))
def test_no_beginning_of_a_request_is_taken(tmp_path_factory: Any, cut: int) -> None:
    folder = tmp_path_factory.mktemp("inbox")
    drop(folder, "a.json", as_bytes(GOOD)[:cut])
    look = Looker(folder, door(), 1000).look("a.json")
    assert isinstance(look, Bad)
    assert not look.whole


@pytest.mark.parametrize(
    ("value", "code"),
    [({}, "invalid_request"), (7, "invalid_request"), ({"task": "zzz"}, "unknown_task")],
)
def test_a_whole_value_that_is_no_request_is_refused_at_once(
    looker: Looker, inbox: Path, value: Any, code: str
) -> None:
    drop(inbox, "a.json", value)
    look = bad(looker, "a.json")
    assert look.whole
    assert look.problem.code == code


def test_a_refusal_says_back_the_task_and_the_labels(looker: Looker, inbox: Path) -> None:
    drop(inbox, "a.json", {"task": "edit_image", "labels": {"l": [1]}})
    look = bad(looker, "a.json")
    assert (look.task, look.labels) == ("edit_image", {"l": [1]})


@pytest.mark.parametrize(
    "value",
    [
        {"task": "generate_image", "labels": {"l": "x" * 9000}},
        {"task": "generate_image", "labels": "x"},
        {"task": "generate_image"},
    ],
)
def test_labels_that_are_no_good_are_not_said_back(inbox: Path, value: Any) -> None:
    drop(inbox, "a.json", value)
    look = Looker(inbox, door(), 100_000).look("a.json")
    assert isinstance(look, Bad)
    assert (look.task, look.labels) == ("generate_image", {})


@pytest.mark.parametrize("task", ["x" * 500, 7, None, {"a": 1}])
def test_a_task_that_nobody_knows_is_not_said_back(looker: Looker, inbox: Path, task: Any) -> None:
    drop(inbox, "a.json", {"task": task})
    assert bad(looker, "a.json").task is None


# ---------------------------------------------------------------- unreadable ones


def test_an_oversize_file_is_refused_without_being_read(looker: Looker, inbox: Path) -> None:
    drop(inbox, "a.json", b"x" * 1001)
    look = bad(looker, "a.json")
    assert look.problem.code == "limit_exceeded"
    assert look.request_sha256 is None
    assert (
        look.key
        == f"larger than the limit of 1000 bytes:1001:{(inbox / 'a.json').stat().st_mtime_ns}"
    )


def test_what_is_no_file_is_refused_by_kind_and_known_by_its_looks(
    looker: Looker, inbox: Path
) -> None:
    os.mkfifo(inbox / "a.json")
    (inbox / "b.json").mkdir()
    (inbox / "c.json").symlink_to("/etc/passwd")
    codes = {name: bad(looker, name).problem for name in ("a.json", "b.json", "c.json")}
    assert {problem.code for problem in codes.values()} == {"unreadable_request"}
    assert codes["a.json"].message == "a.json is a FIFO"
    assert codes["b.json"].message == "b.json is a directory"
    assert codes["c.json"].message == "c.json is a link (links are never followed)"
    assert bad(looker, "a.json").key == bad(looker, "a.json").key


def test_a_directory_that_gets_files_is_still_the_one_that_was_refused(
    looker: Looker, inbox: Path
) -> None:
    (inbox / "b.json").mkdir()
    first = bad(looker, "b.json")
    assert first.key.startswith("a directory:0:")


@pytest.mark.parametrize("code", [5, 13, 40, 36])
def test_a_disk_that_fails_makes_a_refusal_and_no_traceback(
    looker: Looker, inbox: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    drop(inbox, "a.json", GOOD)

    def broken(*_: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("daemon.looking.read_at", broken)
    look = bad(looker, "a.json")
    assert look.problem.code == "unreadable_request"
    assert os.strerror(code).lower() in look.problem.message
    assert look.signature == NO_SIGNATURE


def test_names_that_are_not_utf8_are_looked_at_like_others(looker: Looker, inbox: Path) -> None:
    (inbox / os.fsdecode(b"\xff\\.json")).write_text(json.dumps(GOOD))
    assert isinstance(looker.look("\\xff\\\\.json"), Good)


@settings(max_examples=examples(80), deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_good_or_bad(tmp_path_factory: Any, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("inbox")
    drop(folder, "a.json", data)
    assert isinstance(Looker(folder, door(), 1000).look("a.json"), Good | Bad)


# ---------------------------------------------------------------- control files


def test_one_drop_of_a_control_file_is_told_from_the_next(looker: Looker, inbox: Path) -> None:
    assert looker.key_of("a.cancel") is None
    (inbox / "a.cancel").touch()
    first = looker.key_of("a.cancel")
    assert first == looker.key_of("a.cancel")
    os.utime(inbox / "a.cancel", ns=(1, 1))
    assert looker.key_of("a.cancel") != first
