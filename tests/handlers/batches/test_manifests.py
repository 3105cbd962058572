"""Manifests: arrays and lines, and what is wrong with a line is told where it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.batches.manifests import (
    Entry,
    ManifestUnreadable,
    entries_of,
    items_in,
    plain_json,
    vars_in,
)

A, B = {"prompt": "a"}, {"prompt": "b"}


def values_in(data: str, name: str = "m.jsonl") -> list[Any]:
    return [entry.value for entry in items_in(data.encode(), name)]


@pytest.mark.parametrize("name", ["m.json", "m.jsonl", "manifest"])
@pytest.mark.parametrize(
    "text", ['[{"prompt":"a"},{"prompt":"b"}]', ' [\n{"prompt":"a"},\n{"prompt":"b"}\n]\n']
)
def test_an_array_is_an_array_whatever_the_file_is_called(name: str, text: str) -> None:
    assert values_in(text, name) == [A, B]


@pytest.mark.parametrize("name", ["m.jsonl", "M.JSONL", "m.ndjson", "m.txt", "m.json"])
@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_lines_are_items_by_the_ending_or_by_their_look(name: str, end: str) -> None:
    text = f'{{"prompt":"a"}}\r\n\n   \n{{"prompt":"b"}}{end}'
    entries = list(items_in(text.encode(), name))
    assert entries == [Entry(A, None, 1), Entry(B, None, 4)]


def test_one_object_over_several_lines_is_one_item() -> None:
    assert values_in('{\n "prompt": "a"\n}', "m.json") == [A]


@pytest.mark.parametrize("name", ["m.jsonl", "m.json"])
@pytest.mark.parametrize("text", ["", " \n\t\r\n", "[]"])
def test_a_manifest_of_nothing_has_no_items(name: str, text: str) -> None:
    assert values_in(text, name) == []


def test_a_bad_line_is_one_item_with_its_number_and_stops_no_other() -> None:
    entries = list(items_in(b'{"prompt":"a"}\n\n{"prompt":\n5\n{"prompt":"b"}\n', "m.jsonl"))
    assert [entry.value for entry in entries] == [A, None, None, B]
    assert [entry.line for entry in entries] == [1, 3, 4, 5]
    parse, kind = entries[1].fault, entries[2].fault
    assert parse is not None
    assert parse.code == "invalid_json"
    assert parse.message.startswith("line 3: not JSON: expecting value at line 1, column 11")
    assert kind is not None
    assert kind.code == "invalid_request"
    assert kind.message == "line 4: an item is an object, not a number"


def test_what_is_no_utf8_spoils_its_own_line_alone() -> None:
    entries = list(items_in(b'{"prompt":"a"}\n{"prompt":"\xff"}\n{"prompt":"b"}', "m.jsonl"))
    assert [entry.value for entry in entries] == [A, None, B]
    assert entries[1].fault is not None
    assert entries[1].fault.message == "line 2: not UTF-8: byte 11"


def test_signs_that_end_lines_elsewhere_end_none_here() -> None:
    text = '{"prompt":"a\u2028b\x85c"}\n'
    assert values_in(text) == [{"prompt": "a\u2028b\x85c"}]


def test_items_of_an_array_that_are_no_objects_carry_their_faults() -> None:
    entries = list(entries_of([A, [B], None, "text", True]))
    assert [entry.value for entry in entries] == [A, None, None, None, None]
    told = [entry.fault.message for entry in entries if entry.fault]
    assert [message.rsplit("not ")[1] for message in told] == [
        "a list",
        "null",
        "a text",
        "a boolean",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[{"prompt":"a"},', "no JSON array and no JSONL: not JSON"),
        ("[1,]", "no JSON array"),
        ("prompt: a\n", "not JSON"),
        ('{\n "prompt": a\n}', "line 2, column 12"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_neither_is_told_as_a_whole(text: str, why: str) -> None:
    with pytest.raises(ManifestUnreadable, match=r"inbox/m\.json is no JSON") as caught:
        items_in(text.encode(), "inbox/m.json")
    assert why in str(caught.value)


def test_a_queue_that_begins_with_a_list_is_read_by_lines() -> None:
    entries = list(items_in(b'["no item"]\n{"prompt":"a"}\n', "m.jsonl"))
    assert [entry.value for entry in entries] == [None, A]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":2}', "more than once"),
        ('{"a":NaN}', "NaN is no JSON"),
        ('{"a":-Infinity}', "-Infinity is no JSON"),
        ('\ufeff{"a":1}', "not JSON"),
    ],
)
def test_json_that_readers_disagree_on_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plain_json(text.encode())


def test_the_door_of_the_daemon_may_be_handed_in() -> None:
    def picky(data: bytes) -> Any:
        if b"9" in data:
            raise ValueError("no nines")
        return json.loads(data)

    entries = list(items_in(b'{"n":9}\n{"n":1}\n', "m.jsonl", picky))
    assert [entry.value for entry in entries] == [None, {"n": 1}]
    assert entries[0].fault is not None
    assert entries[0].fault.message == "line 1: no nines"


def test_a_file_of_names_is_an_object() -> None:
    assert vars_in(b'{"subject":"cup"}', "names.json") == {"subject": "cup"}
    with pytest.raises(ManifestUnreadable, match=r"names.json must hold an object, not a list"):
        vars_in(b"[]", "names.json")
    with pytest.raises(ManifestUnreadable, match=r"names.json is no JSON: not JSON"):
        vars_in(b"", "names.json")


items = st.dictionaries(st.text(), st.text() | st.integers(), max_size=3)


@given(st.lists(items), st.booleans())
def test_what_was_written_is_what_is_read(written: list[dict[str, Any]], by_lines: bool) -> None:
    if by_lines:
        text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in written)
    else:
        text = json.dumps(written, indent=1)
    assert values_in(text) == written


@given(st.lists(items, min_size=1), st.data())
def test_cut_anywhere_only_the_cut_line_is_lost(written: list[dict[str, Any]], data: Any) -> None:
    text = "".join(json.dumps(item) + "\n" for item in written).encode()
    cut = data.draw(st.integers(0, len(text)))
    entries = list(items_in(text[:cut], "m.jsonl"))
    whole = text[:cut].count(b"\n")
    assert [entry.value for entry in entries[:whole]] == written[:whole]
    assert len(entries) - whole <= 1


@given(st.binary(max_size=200))
def test_any_bytes_are_items_or_a_fault_and_never_a_crash(data: bytes) -> None:
    for name in ("m.json", "m.jsonl"):
        try:
            for entry in items_in(data, name):
                assert (entry.value is None) == (entry.fault is not None)
        except ManifestUnreadable:
            assert name == "m.json"
