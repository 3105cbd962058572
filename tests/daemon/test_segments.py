"""The log's files: rotation, torn tails, and damage of every kind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from daemon.errors import LogCorrupt
from daemon.eventlog import FileEventLog
from daemon.events import LogRepaired, ProviderProgressed, Recorded
from daemon.segments import Segments
from daemon.testing import FrozenClock


def write_log(folder: Path, count: int = 6, segment_bytes: int = 1 << 20) -> None:
    async def story() -> None:
        log = FileEventLog(folder, FrozenClock(), segment_bytes=segment_bytes)
        log.open(lambda _: None)
        for number in range(count):
            await log.append(
                "j", number, [ProviderProgressed(f"event {number}", None)], subject="x.json"
            )
        await log.close()

    folder.mkdir(exist_ok=True)
    asyncio.run(story())


def load(folder: Path) -> list[Recorded]:
    return list(Segments(folder, 0).load())


def reopen(folder: Path) -> list[Recorded]:
    """What a daemon reads at its start, repairs included, and one more event."""
    replayed: list[Recorded] = []

    async def story() -> None:
        log = FileEventLog(folder, FrozenClock())
        log.open(replayed.append)
        await log.append(None, None, [ProviderProgressed("after", None)])
        await log.close()

    asyncio.run(story())
    return replayed


def test_segments_end_at_their_limit_and_chain_to_each_other(tmp_path: Path) -> None:
    write_log(tmp_path, count=20, segment_bytes=1500)
    paths = sorted(tmp_path.glob("0*.jsonl"))
    assert len(paths) > 3
    previous = "0" * 64
    for number, path in enumerate(paths, start=1):
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert lines[0]["type"] == "darkroom.log.opened.v1"
        assert lines[0]["data"]["segment"] == number
        assert lines[0]["data"]["previous"] == lines[0]["prevhash"] == previous
        previous = lines[-1]["hash"]
    assert [e.sequence for e in load(tmp_path)] == list(range(1, 20 + len(paths) + 1))


def test_current_names_the_newest_segment(tmp_path: Path) -> None:
    write_log(tmp_path, count=20, segment_bytes=1500)
    newest = max(tmp_path.glob("0*.jsonl"))
    assert (tmp_path / "current.jsonl").resolve() == newest


def test_sed_and_sha256sum_can_check_a_line(tmp_path: Path) -> None:
    write_log(tmp_path)
    script = (
        """sed -n 3p 00000001.jsonl | sed 's/,"hash":"[0-9a-f]*"}$//' | tr -d '\\n' | sha256sum"""
    )
    printed = subprocess.run(
        script, shell=True, cwd=tmp_path, capture_output=True, check=True
    ).stdout
    line = (tmp_path / "00000001.jsonl").read_bytes().splitlines()[2]
    assert printed.decode().split()[0] == json.loads(line)["hash"]


def test_a_tail_cut_at_any_byte_is_moved_away_and_all_before_it_is_kept(tmp_path: Path) -> None:
    write_log(tmp_path / "whole")
    data = (tmp_path / "whole" / "00000001.jsonl").read_bytes()
    ends = [position + 1 for position, byte in enumerate(data) if byte == 0x0A]
    for cut in range(ends[-3], len(data) + 1, 7):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / "00000001.jsonl").write_bytes(data[:cut])
        kept = max(end for end in ends if end <= cut)
        assert len(reopen(folder)) == ends.index(kept) + 1
        events = load(folder)
        torn = cut - kept
        repaired = [e.event for e in events if isinstance(e.event, LogRepaired)]
        assert [event.bytes for event in repaired] == ([torn] if torn else [])
        if torn:
            assert (folder / repaired[0].quarantine).read_bytes() == data[kept:cut]


def test_zeros_that_a_power_cut_left_are_a_torn_tail_too(tmp_path: Path) -> None:
    write_log(tmp_path)
    path = tmp_path / "00000001.jsonl"
    with path.open("ab") as file:
        file.write(b"\0" * 700 + b"\n" + b"\0" * 300)
    assert len(reopen(tmp_path)) == 7
    assert any(isinstance(e.event, LogRepaired) for e in load(tmp_path))


def test_a_segment_whose_own_first_line_was_torn_is_begun_again(tmp_path: Path) -> None:
    write_log(tmp_path)
    (tmp_path / "00000002.jsonl").write_bytes(b'{"specversion":"1.0","id":"0')
    assert len(reopen(tmp_path)) == 7
    second = [json.loads(line) for line in (tmp_path / "00000002.jsonl").read_bytes().splitlines()]
    assert [line["type"] for line in second][:2] == [
        "darkroom.log.opened.v1",
        "darkroom.log.repaired.v1",
    ]
    assert load(tmp_path)[-1].event == ProviderProgressed("after", None)


def test_any_flipped_bit_is_found_and_its_line_is_named(tmp_path: Path) -> None:
    """Each bit of a log, one after the other (as systemd tests its journal)."""
    write_log(tmp_path, count=2)
    path = tmp_path / "00000001.jsonl"
    data = path.read_bytes()
    head = Segments(tmp_path, 0)
    list(head.load())
    for position in range(len(data)):
        line = data.count(b"\n", 0, position) + 1
        bits = range(8) if position % 10 == 0 else (position % 8,)
        for bit in bits:
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            log = Segments(tmp_path, 0)
            try:
                list(log.load())
            except LogCorrupt as error:
                assert error.where == f"00000001.jsonl:{line}"
            else:  # only the very last newline can be taken for a torn tail, and that is told
                assert line == data.count(b"\n")
                assert log.torn > 0
                assert log.head != head.head


@pytest.mark.parametrize("damage", ["swap", "double", "drop", "edit"])
def test_lines_that_were_moved_doubled_dropped_or_edited_are_found(
    damage: str, tmp_path: Path
) -> None:
    write_log(tmp_path)
    path = tmp_path / "00000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    match damage:
        case "swap":
            lines[2], lines[3] = lines[3], lines[2]
        case "double":
            lines.insert(3, lines[2])
        case "drop":
            del lines[2]
        case "edit":  # even with a hash made to fit, the next line does not follow it
            body = lines[2].replace(b"event 1", b"event X").rpartition(b',"hash":"')[0]
            lines[2] = body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(LogCorrupt) as caught:
        load(tmp_path)
    assert caught.value.where in ("00000001.jsonl:3", "00000001.jsonl:4")


def test_damage_in_the_middle_is_left_for_a_person(tmp_path: Path) -> None:
    """Lines behind it were acknowledged: nothing may be cut off."""
    write_log(tmp_path)
    path = tmp_path / "00000001.jsonl"
    damaged = path.read_bytes().replace(b"event 3", b"event x")
    path.write_bytes(damaged)
    with pytest.raises(LogCorrupt):
        reopen(tmp_path)
    assert path.read_bytes() == damaged


def test_a_missing_segment_is_named(tmp_path: Path) -> None:
    write_log(tmp_path, count=20, segment_bytes=1500)
    (tmp_path / "00000002.jsonl").unlink()
    with pytest.raises(LogCorrupt, match=r"00000002\.jsonl"):
        load(tmp_path)


def test_a_torn_tail_of_an_older_segment_is_corruption(tmp_path: Path) -> None:
    write_log(tmp_path, count=20, segment_bytes=1500)
    first = tmp_path / "00000001.jsonl"
    first.write_bytes(first.read_bytes()[:-5])
    with pytest.raises(LogCorrupt):
        load(tmp_path)
