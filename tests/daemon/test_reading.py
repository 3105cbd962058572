"""What commands read of a root that may be served at the same time."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import LogCorrupt, UsageError
from daemon.eventlog import FileEventLog
from daemon.events import Event, JobSucceeded, RequestRejected
from daemon.reading import check_root, concerns, describe, lines, load, look, parse
from daemon.settings import Settings
from daemon.testing import FrozenClock
from tests.builders import accepted, ended, job, problem

ROWS: list[tuple[Event, str | None, str]] = [
    (accepted("c1"), "J1", "a.json"),
    (accepted("c2"), "J2", "a.json"),
    (accepted("c3"), "J3", "me/b.json"),
    (RequestRejected("k", None, None, {}, problem("invalid_json")), None, "bad.json"),
    (ended(JobSucceeded), "J1", "a.json"),
]


@pytest.fixture
def root(tmp_path: Path) -> Settings:
    settings = Settings(root=tmp_path, segment_bytes=1024)
    settings.events.mkdir()

    async def write() -> None:
        log = FileEventLog(settings.events, FrozenClock(), segment_bytes=1024)
        log.open(lambda _: None)
        for event, job_id, name in ROWS:
            version = log.version(job_id) if job_id is not None else None
            await log.append(job_id, version, [event], subject=name)
        await log.close()

    asyncio.run(write())
    return settings


def test_a_root_without_a_log_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no darkroom has run"):
        check_root(Settings(root=tmp_path))
    with pytest.raises(UsageError, match="no darkroom has run"):
        load(Settings(root=tmp_path))


def test_the_state_is_read_back(root: Settings) -> None:
    state, segments = load(root)
    assert list(state.jobs) == ["J1", "J2", "J3"]
    assert state.jobs["J1"].status == "succeeded"
    assert segments.get(state.jobs["J1"].last).event == ROWS[-1][0]


def test_reading_changes_nothing(root: Settings) -> None:
    def looks() -> list[tuple[str, int, int]]:
        return sorted(
            (path.name, path.lstat().st_size, path.lstat().st_mtime_ns)
            for path in root.events.iterdir()
        )

    before = looks()
    load(root)
    assert looks() == before


def test_a_damaged_line_is_told(root: Settings) -> None:
    segment = root.events / "00000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"prompt":"x"', b'"prompt":"y"', 1))
    with pytest.raises(LogCorrupt, match=r"00000001\.jsonl:2"):
        load(root)


@pytest.mark.parametrize(
    ("wanted", "name", "job_id"),
    [
        ("a.json", "a.json", "J2"),
        ("a", "a.json", "J2"),
        ("J1", "a.json", "J1"),
        ("J2", "a.json", "J2"),
        ("me/b", "me/b.json", "J3"),
        ("bad", "bad.json", None),
    ],
)
def test_a_request_is_found_by_name_or_job(
    root: Settings, wanted: str, name: str, job_id: str | None
) -> None:
    found, drop = look(root).find(wanted)
    assert (found, drop.job) == (name, job_id)


def test_what_is_not_found_is_told_with_what_is_like_it(root: Settings) -> None:
    reading = look(root)
    with pytest.raises(UsageError, match=r"'A\.JS'; similar: a\.json"):
        reading.find("A.JS")
    with pytest.raises(UsageError, match=r"no request or job 'zzz'$"):
        reading.find("zzz")
    with pytest.raises(UsageError):
        reading.find("")


@pytest.mark.parametrize(("wanted", "type_"), [("J1", JobSucceeded), ("bad", RequestRejected)])
def test_the_answer_of_a_request_is_its_last_event(
    root: Settings, wanted: str, type_: type[Event]
) -> None:
    reading = look(root)
    recorded = reading.answer(reading.find(wanted)[1])
    assert recorded is not None
    assert isinstance(recorded.event, type_)


def test_an_open_job_has_no_answer_yet(root: Settings) -> None:
    reading = look(root)
    assert reading.answer(reading.find("J2")[1]) is None


def test_the_newest_requests_come_first(root: Settings) -> None:
    assert [name for name, _ in look(root).newest(2)] == ["bad.json", "me/b.json"]


def test_all_lines_of_all_segments_are_read(root: Settings) -> None:
    assert len(list(root.events.glob("0*.jsonl"))) > 1
    sequences = [int(json.loads(line)["sequence"]) for line in lines(root.events, follow=False)]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_torn_last_line_is_not_told(root: Settings) -> None:
    whole = len(list(lines(root.events, follow=False)))
    newest = max(root.events.glob("0*.jsonl"))
    with newest.open("ab") as file:
        file.write(b'{"specversion":"1.0","id"')
    assert len(list(lines(root.events, follow=False))) == whole


def test_who_follows_sees_what_is_appended_later(root: Settings, monkeypatch: Any) -> None:
    newest = max(root.events.glob("0*.jsonl"))
    news = [b'{"half":', b'1}\n{"next":2}\n']

    def sleep(_: float) -> None:
        with newest.open("ab") as file:
            file.write(news.pop(0))

    monkeypatch.setattr("daemon.reading.time.sleep", sleep)
    stream = lines(root.events, follow=True)
    for line in stream:
        if line == b'{"half":1}\n':
            break
    assert next(stream) == b'{"next":2}\n'


def test_who_follows_goes_on_with_the_next_segment(root: Settings, monkeypatch: Any) -> None:
    count = len(list(root.events.glob("0*.jsonl")))

    def sleep(_: float) -> None:
        (root.events / f"{count + 1:08d}.jsonl").write_bytes(b'{"new":1}\n')

    monkeypatch.setattr("daemon.reading.time.sleep", sleep)
    stream = lines(root.events, follow=True)
    assert any(line == b'{"new":1}\n' for line in stream)


@pytest.mark.parametrize(
    ("line", "wanted", "expected"),
    [
        ({"job": "J1"}, "J1", True),
        ({"subject": "a.json"}, "a.json", True),
        ({"subject": "a.json"}, "a", True),
        ({"data": {"of": "J1"}}, "J1", True),
        ({"data": {"answered_by": "J1"}}, "J1", True),
        ({"subject": "a.json", "job": "J1", "data": {}}, "b", False),
        ({}, "a", False),
    ],
)
def test_which_lines_are_about_a_request(line: Any, wanted: str, expected: bool) -> None:
    assert concerns(line, wanted) is expected


def test_a_line_that_is_none_is_nothing() -> None:
    assert parse(b"not json") == {}
    assert parse(b'{"a":1}\n') == {"a": 1}


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (None, "rejected"),
        (job(), "waiting"),
        (job(due="9999-01-01T00:00:00.000Z"), "waiting until 9999-01-01T00:00:00.000Z"),
        (job(due="2026-01-01T00:00:00.000Z"), "waiting"),
        (job(status="running"), "running"),
        (job(status="running", cancelling=True), "cancelling"),
        (job(status="polling", due="9999-01-01T00:00:00.000Z"), "polling"),
        (job(status="polling", cancelling=True), "cancelling"),
        (job(status="cancelled", cancelling=True), "cancelled"),
        (job(status="retrying", attempt=2, due="soon"), "retrying, attempt 2 at soon"),
    ],
)
def test_a_job_in_a_few_words(one: Any, text: str) -> None:
    assert describe(one) == text
