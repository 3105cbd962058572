"""Results: a reading of one event, equal to the byte however often it is built."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.archive import Drop
from daemon.errors import DarkroomError
from daemon.events import (
    Event,
    JobCancelled,
    JobEnded,
    JobFailed,
    JobStarted,
    JobSucceeded,
    Recorded,
    RequestRejected,
)
from daemon.files import name_to_text, text_to_name
from daemon.lines import NO_HASH, decode, encode
from daemon.results import Emitted, Put, Remove, ResultFolder, build, render, result_parts
from tests.builders import EPOCH, ended, events_of, problem
from tests.examples import examples

FIELDS = [
    "schema",
    "status",
    "ok",
    "request",
    "request_sha256",
    "job",
    "task",
    "provider",
    "model",
    "artifacts",
    "references",
    "warnings",
    "error",
    "usage",
    "labels",
    "attempts",
    "accepted_at",
    "finished_at",
    "events",
]
REJECTED = RequestRejected("c1", None, "generate_image", {"l": 1}, problem("invalid_json"))
DROP = Drop("c1", "sha", "J1", 2)


def get(_: int) -> Recorded:
    raise KeyError


def ending(event: Event, sequence: int = 9) -> Recorded:
    return Recorded(sequence, "01K", EPOCH, "a.json", "J1", event)


# ---------------------------------------------------------------- building


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ended(JobSucceeded), "succeeded"),
        (ended(JobFailed), "failed"),
        (ended(JobCancelled), "cancelled"),
        (REJECTED, "rejected"),
    ],
)
def test_every_field_is_always_there_in_one_order(event: Event, status: str) -> None:
    result = build("a.json", DROP, ending(event), get)
    assert list(result) == FIELDS
    assert result["status"] == status
    assert result["ok"] is (status == "succeeded")


def test_a_result_tells_what_the_end_told() -> None:
    event = ended(
        JobSucceeded,
        artifacts=[{"path": "x"}],
        references=[{"url": "y"}],
        warnings=["w"],
        usage={"t": 1},
        labels={"l": 1},
        attempts=2,
        first=2,
    )
    assert build("a.json", DROP, ending(event), get) == {
        "schema": "darkroom.result/1",
        "status": "succeeded",
        "ok": True,
        "request": "a.json",
        "request_sha256": "sha",
        "job": "J1",
        "task": "generate_image",
        "provider": "local",
        "model": "stand-in",
        "artifacts": [{"path": "x"}],
        "references": [{"url": "y"}],
        "warnings": ["w"],
        "error": None,
        "usage": {"t": 1},
        "labels": {"l": 1},
        "attempts": 2,
        "accepted_at": EPOCH,
        "finished_at": EPOCH,
        "events": {"first": 2, "last": 9},
    }


def test_a_result_names_the_request_and_the_bytes_that_it_answers() -> None:
    """One job may answer several names, each with bytes of its own."""
    event = ended(JobSucceeded)
    one = build("a.json", Drop("c1", "sha 1", "J1", 2), ending(event), get)
    other = build("b.json", Drop("c2", "sha 2", "J1", 5), ending(event), get)
    assert (one["request"], one["request_sha256"]) == ("a.json", "sha 1")
    assert (other["request"], other["request_sha256"]) == ("b.json", "sha 2")


def test_a_rejection_has_no_job_and_no_attempt() -> None:
    result = build("a.json", Drop("c1", None, None, 9), ending(REJECTED), get)
    assert (result["job"], result["attempts"], result["accepted_at"]) == (None, 0, None)
    assert result["events"] == {"first": 9, "last": 9}
    assert (result["task"], result["labels"]) == ("generate_image", {"l": 1})
    assert result["error"]["code"] == "invalid_json"


def test_an_event_that_ends_nothing_has_no_result() -> None:
    with pytest.raises(DarkroomError):
        build("a.json", DROP, ending(JobStarted(1, 1)), get)


@pytest.mark.parametrize("kind", [JobSucceeded, JobFailed, JobCancelled, RequestRejected])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_result_built_from_the_log_is_the_same_to_the_byte(
    kind: type[JobEnded], data: st.DataObject
) -> None:
    recorded = ending(data.draw(events_of(kind)))
    line, _ = encode(recorded, "/darkroom/x", NO_HASH)
    fresh = render(build("a.json", DROP, recorded, get))
    rebuilt = render(build("a.json", DROP, decode(line, "x:1")[0], get))
    assert fresh == rebuilt
    assert json.loads(fresh)["events"]["last"] == 9
    assert fresh.endswith(b"}\n")


# ---------------------------------------------------------------- where


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("x.json", ("x.result.json",)),
        ("a/b/x.json", ("a", "b", "x.result.json")),
        ("x.jsonl", ("x.jsonl.result.json",)),
        ("x.y.json", ("x.y.result.json",)),
        ("ü.json", ("ü.result.json",)),
        ("bad\\xff.json", (os.fsdecode(b"bad\xff.result.json"),)),
        ("back\\\\slash.json", ("back\\slash.result.json",)),
    ],
)
def test_a_result_lies_beside_its_request(name: str, parts: tuple[str, ...]) -> None:
    assert result_parts(name) == parts


def test_a_name_too_long_for_its_results_name_gets_a_shorter_one() -> None:
    (one,) = result_parts("x" * 250 + ".json")
    (other,) = result_parts("x" * 249 + "y.json")
    assert len(one) == len(other) == 255
    assert one != other
    assert one.endswith(".result.json")
    assert one.startswith("x" * 200)


@settings(max_examples=examples(100), deadline=None)
@given(st.binary(min_size=1, max_size=250).filter(lambda raw: b"/" not in raw and b"\0" not in raw))
def test_any_name_of_a_file_has_a_name_for_its_result(raw: bytes) -> None:
    name = name_to_text(os.fsdecode(raw)) + ".json"
    (file,) = result_parts(name)
    assert 0 < len(os.fsencode(file)) <= 255
    assert text_to_name(name_to_text(file)) == file


# ---------------------------------------------------------------- putting


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "staging").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def folder(inbox: Path) -> ResultFolder:
    events: dict[int, Event] = {9: ended(JobSucceeded), 10: REJECTED, 11: JobStarted(1, 1)}
    return ResultFolder(
        inbox, inbox.parent / "staging", inbox.parent / "tmp", lambda n: ending(events[n], n)
    )


def put(name: str = "a.json", answers: int = 9, *, unless_whole: bool = True) -> Put:
    return Put(name, DROP, answers, unless_whole)


def result(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_bytes())
    return value


def test_a_result_is_written_once(folder: ResultFolder, inbox: Path) -> None:
    assert folder.work([put(), put()]) == [
        Emitted("a.result.json", written=True),
        Emitted("a.result.json", written=False),
    ]
    assert result(inbox / "a.result.json")["status"] == "succeeded"
    assert os.listdir(inbox) == ["a.result.json"]
    assert os.listdir(inbox.parent / "staging") == []


@pytest.mark.parametrize("there", [b"", b'{"schema"', b"x" * 100_000])
def test_a_torn_or_another_result_is_written_again(
    folder: ResultFolder, inbox: Path, there: bytes
) -> None:
    (inbox / "a.result.json").write_bytes(there)
    assert folder.work([put()]) == [Emitted("a.result.json", written=True)]
    assert result(inbox / "a.result.json")["events"]["last"] == 9


def test_a_result_can_be_written_all_the_same(folder: ResultFolder) -> None:
    again = put(unless_whole=False)
    assert [one.written for one in folder.work([put(), again]) if isinstance(one, Emitted)] == [
        True,
        True,
    ]


def test_a_planted_link_is_replaced_even_where_its_target_is_equal(
    folder: ResultFolder, inbox: Path
) -> None:
    folder.work([put()])
    outside = inbox.parent / "outside"
    (inbox / "a.result.json").rename(outside)
    (inbox / "a.result.json").symlink_to(outside)
    assert folder.work([put()]) == [Emitted("a.result.json", written=True)]
    assert not (inbox / "a.result.json").is_symlink()


def test_a_planted_fifo_is_replaced_and_not_waited_for(folder: ResultFolder, inbox: Path) -> None:
    os.mkfifo(inbox / "a.result.json")
    assert folder.work([put()]) == [Emitted("a.result.json", written=True)]
    assert result(inbox / "a.result.json")["ok"] is True


def test_one_that_cannot_be_put_fails_alone(folder: ResultFolder, inbox: Path) -> None:
    (inbox / "a.result.json").mkdir()
    replies = folder.work([put(), put("gone/b.json"), put("c.json", 10)])
    assert [type(reply) for reply in replies] == [
        IsADirectoryError,
        FileNotFoundError,
        Emitted,
    ]
    assert result(inbox / "c.result.json")["status"] == "rejected"


def test_results_of_folders_lie_in_them(folder: ResultFolder, inbox: Path) -> None:
    (inbox / "me").mkdir()
    assert folder.work([put("me/a.json")]) == [Emitted("me/a.result.json", written=True)]
    assert result(inbox / "me" / "a.result.json")["request"] == "me/a.json"


def test_removing_takes_away_the_result_and_nothing_else(folder: ResultFolder, inbox: Path) -> None:
    (inbox / "a.json").write_text("{}")
    folder.work([put(), Remove(("a.json",)), Remove(("a.json",))])
    assert os.listdir(inbox) == ["a.json"]


def test_no_two_requests_share_an_answer() -> None:
    names = ["x.json", "x.jsonl", "x.json.json", "x.jsonl.json", "x.json.jsonl", "a/x.json"]
    assert len({result_parts(name) for name in names}) == len(names)
