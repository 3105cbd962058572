"""Events to lines and back: nothing lost, nothing changed unseen."""

import asyncio
import hashlib
import json
import math
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import LogCorrupt
from daemon.eventlog import FileEventLog
from daemon.events import (
    BY_TYPE,
    DaemonStopped,
    Event,
    JobSucceeded,
    ProviderProgressed,
    Recorded,
)
from daemon.lines import NO_HASH, compact, decode, draft, encode
from daemon.segments import Segments
from daemon.testing import FrozenClock
from tests.builders import ANY_EVENT, EPOCH, TEXTS, accepted, ended, events_of, requested
from tests.examples import examples

SOURCE = "/darkroom/01K"


def line_of(event: Event, prevhash: str = NO_HASH, **fields: object) -> bytes:
    given = {"sequence": 41, "id": "01K", "time": EPOCH, "subject": "a.json", "job": "01J"}
    return encode(Recorded(**{**given, **fields}, event=event), SOURCE, prevhash)[0]  # type: ignore[arg-type]


def rehashed(line: bytes) -> bytes:
    """A line that was changed by somebody who knows how to hash."""
    body = line.rpartition(b',"hash":"')[0]
    return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


# ---------------------------------------------------------------- round trips


@pytest.mark.parametrize("name", sorted(BY_TYPE))
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_every_type_survives_its_line(name: str, data: st.DataObject) -> None:
    event = data.draw(events_of(BY_TYPE[name]))
    recorded = Recorded(7, "01K", EPOCH, "a.json", "01J", event)
    line, digest = encode(recorded, SOURCE, "f" * 64)
    back, read = decode(line, "x:1", "f" * 64)
    assert back == recorded
    assert read == digest


@settings(max_examples=examples(60), deadline=None)
@given(ANY_EVENT, st.none() | TEXTS)
def test_a_line_is_one_line_of_utf8_whatever_the_event_holds(
    event: Event, subject: str | None
) -> None:
    line = line_of(event, subject=subject)
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1
    line.decode()
    assert decode(line, "x:1")[0].subject == subject


def test_the_names_of_types_are_those_of_the_protocol() -> None:
    short = {name.removeprefix("darkroom.").removesuffix(".v1") for name in BY_TYPE}
    assert short == {
        "log.opened",
        "log.repaired",
        "daemon.started",
        "daemon.stopped",
        "intake.paused",
        "intake.resumed",
        "request.rejected",
        "request.matched",
        "item.rejected",
        "batch.opened",
        "batch.ended",
        "queue.extended",
        "job.accepted",
        "job.started",
        "job.parked",
        "job.retrying",
        "job.cancel_requested",
        "job.retry_requested",
        "job.succeeded",
        "job.failed",
        "job.cancelled",
        "input.read",
        "job.held",
        "budget.reached",
        "budget.freed",
        "provider.requested",
        "provider.progressed",
        "provider.accepted",
        "provider.answered",
        "artifact.saved",
        "result.emitted",
    }


def test_a_line_is_a_cloud_event_with_its_members_in_order() -> None:
    members = list(json.loads(line_of(accepted())))
    assert members == [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "sequence",
        "job",
        "data",
        "prevhash",
        "hash",
    ]


def test_an_event_of_no_job_and_no_request_names_neither() -> None:
    line = json.loads(line_of(DaemonStopped("SIGTERM"), subject=None, job=None))
    assert "subject" not in line
    assert "job" not in line
    assert line["data"] == {"reason": "SIGTERM"}


def test_an_event_of_an_unknown_type_is_not_written() -> None:
    with pytest.raises(ValueError, match="unknown type"):
        encode(Recorded(1, "01K", EPOCH, None, None, None), SOURCE, NO_HASH)


# ---------------------------------------------------------------- hashes


def test_sed_and_sha256sum_can_check_a_line() -> None:
    tricky = accepted(labels={"hash": 'not this ,"hash":" one', "deep": {"hash": "nor this"}})
    line = line_of(tricky)
    checked = subprocess.run(
        ["sh", "-c", """sed -z 's/,"hash":"[0-9a-f]*"}\\n$//' | sha256sum"""],
        input=line,
        capture_output=True,
        check=True,
    )
    assert checked.stdout.split()[0].decode() == json.loads(line)["hash"]


def test_the_hash_is_of_the_bytes_before_the_last_hash_member() -> None:
    line = line_of(requested())
    body = line[: line.rindex(b',"hash":"')]
    assert json.loads(line)["hash"] == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize(
    "event",
    [accepted(labels={"hash": "x", "a": ',"hash":"'}), DaemonStopped("é\u2028")],
    ids=["accepted", "stopped"],
)
def test_no_single_bit_can_be_flipped_unseen(event: Event) -> None:
    line = line_of(event)
    for position in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[position] ^= 1 << bit
            with pytest.raises(LogCorrupt):
                decode(bytes(flipped), "x:1", NO_HASH)


@settings(max_examples=examples(200), deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_line_are_corrupt_and_nothing_worse(data: bytes) -> None:
    with pytest.raises(LogCorrupt, match="here:3"):
        decode(data, "here:3")


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b"null",
        b'"x"',
        b'{"hash":1}',
        rehashed(b'{"type":[],"data":{},"hash":"'),
        rehashed(b'{"type":"darkroom.daemon.stopped.v1","data":[],"hash":"'),
        rehashed(b'{"type":"darkroom.daemon.stopped.v1","data":{"reason":"x"},"hash":"'),
        rehashed(
            b'{"type":"darkroom.daemon.stopped.v1","data":{"reason":"x","more":1},'
            b'"sequence":"1","id":"i","time":"t","hash":"'
        ),
        rehashed(
            b'{"type":"darkroom.daemon.stopped.v1","data":{"reason":"x"},'
            b'"sequence":"one","id":"i","time":"t","hash":"'
        ),
    ],
)
def test_a_line_with_a_good_hash_and_a_bad_form_is_corrupt(line: bytes) -> None:
    with pytest.raises(LogCorrupt):
        decode(line, "x:1")


def test_a_line_with_a_good_hash_and_a_good_form_is_read() -> None:
    line = rehashed(
        b'{"type":"darkroom.daemon.stopped.v1","data":{"reason":"x"},'
        b'"sequence":"1","id":"i","time":"t","hash":"'
    )
    assert decode(line, "x:1")[0] == Recorded(1, "i", "t", None, None, DaemonStopped("x"))


def test_a_line_that_follows_another_one_is_corrupt() -> None:
    line = line_of(DaemonStopped("x"), prevhash="a" * 64)
    assert decode(line, "x:1", "a" * 64)
    with pytest.raises(LogCorrupt, match="does not follow"):
        decode(line, "x:1", "b" * 64)


def test_without_a_hash_to_follow_the_chain_is_left_unchecked() -> None:
    line = line_of(DaemonStopped("x"), prevhash="a" * 64)
    assert decode(line, "x:1")[0].event == DaemonStopped("x")


# ---------------------------------------------------------------- unknown types


def newer(line: bytes, extra: bytes = b"") -> bytes:
    line = line.replace(b"darkroom.daemon.stopped.v1", b"darkroom.daemon.stopped.v2")
    return rehashed(line.replace(b',"prevhash"', extra + b',"prevhash"'))


def test_a_type_of_a_newer_version_is_refused_by_its_name() -> None:
    with pytest.raises(LogCorrupt, match=r"darkroom\.daemon\.stopped\.v2.*newer darkroom"):
        decode(newer(line_of(DaemonStopped("x"))), "x:1")


@pytest.mark.parametrize("said", [b"false", b"null", b"0"])
def test_a_type_of_a_newer_version_that_must_not_be_ignored_is_refused(said: bytes) -> None:
    with pytest.raises(LogCorrupt):
        decode(newer(line_of(DaemonStopped("x")), b',"mayignore":' + said), "x:1")


def test_a_type_of_a_newer_version_that_may_be_ignored_is_an_event_without_content() -> None:
    line = newer(line_of(DaemonStopped("x")), b',"mayignore":true')
    recorded, digest = decode(line, "x:1", NO_HASH)
    assert recorded == Recorded(41, "01K", EPOCH, "a.json", "01J", None)
    assert digest.encode() in line


# ---------------------------------------------------------------- what plug-ins put in


def test_an_event_that_is_json_is_stored_as_it_is() -> None:
    event = ended(JobSucceeded, usage={"tokens": 3}, warnings=["ü"])
    assert draft(event).event is event


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (math.nan, None),
        (math.inf, None),
        ("\ud800", "\\ud800"),
        ({"\udfff": (1, 2.5, True, None)}, {"\\udfff": [1, 2.5, True, None]}),
        ({1: {"x": math.nan}}, {"1": {"x": None}}),
        (b"abc", "b'abc'"),
    ],
)
def test_what_is_no_json_is_stored_as_what_comes_nearest(given: object, stored: object) -> None:
    event = draft(ended(JobSucceeded, usage={"x": given})).event
    assert isinstance(event, JobSucceeded)
    assert event.usage == {"x": stored}
    assert decode(line_of(event), "x:1")[0].event == event


def test_a_value_that_holds_itself_or_nests_without_end_is_cut_off() -> None:
    circle: list[object] = []
    circle.append(circle)
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    for value in (circle, deep):
        event = draft(ended(JobSucceeded, usage={"x": value})).event
        assert len(line_of(event)) < 1000


@settings(max_examples=examples(60), deadline=None)
@given(st.floats() | st.text(), st.floats())
def test_any_progress_can_be_stored(message: object, fraction: float) -> None:
    event = draft(ProviderProgressed(message, fraction)).event  # type: ignore[arg-type]
    assert decode(line_of(event), "x:1")[0].event == event


def test_compact_json_has_no_spaces_and_keeps_characters() -> None:
    assert compact({"a": [1, "ü"], "b": None}) == '{"a":[1,"ü"],"b":null}'


def test_what_is_no_json_stops_neither_its_own_line_nor_those_after_it(tmp_path: Path) -> None:
    async def main() -> list[Event | None]:
        log = FileEventLog(tmp_path, FrozenClock())
        log.open(lambda _: None)
        for reason in ("\ud800", math.nan, object(), "last"):
            await log.append(None, None, [DaemonStopped(reason)])  # type: ignore[arg-type]
        await log.close()
        return [recorded.event for recorded in Segments(tmp_path, 0).load()]

    half, nothing, text, last = asyncio.run(main())[1:]
    assert half == DaemonStopped("\\ud800")
    assert nothing == DaemonStopped(None)  # type: ignore[arg-type]
    assert isinstance(text, DaemonStopped)
    assert text.reason.startswith("<object object at")
    assert last == DaemonStopped("last")
