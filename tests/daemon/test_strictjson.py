"""Strict JSON: whatever two readers could take two ways is refused, and told where."""

import json
import re
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.errors import BadRequest, Problem
from daemon.strictjson import MAX_DEPTH, MAX_FAULTS, parse_json, pointer_of
from tests.builders import JSON, TEXTS, same_json
from tests.examples import examples


def refused(data: bytes) -> Problem:
    with pytest.raises(BadRequest) as caught:
        parse_json(data)
    return caught.value.problem


def parsed(data: bytes) -> tuple[Any, Problem | None]:
    try:
        return parse_json(data), None
    except BadRequest as error:
        return None, error.problem


def faults(data: bytes) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.message) for fault in refused(data).faults]


# ---------------------------------------------------------------- what is taken


@settings(max_examples=examples(150), deadline=None)
@given(JSON)
def test_what_json_writes_is_read_as_it_is(value: Any) -> None:
    if _fits(value):
        assert same_json(parse_json(json.dumps(value).encode()), value)
        assert same_json(parse_json(json.dumps(value, ensure_ascii=False).encode()), value)


def _fits(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_fits, value))
    if isinstance(value, dict):
        return all(map(_fits, value.values()))
    return not isinstance(value, int) or -(1 << 63) <= value < 1 << 64


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"-9223372036854775808", -(1 << 63)),
        (b"18446744073709551615", (1 << 64) - 1),
        (b"-0", 0),
        (b"1e308", 1e308),
        (b"1e-999", 0.0),
        (b"0." + b"1" * 100_000, 1 / 9),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'  {"a":\t[]}\r\n', {"a": []}),
        (b'{"":{"":1}}', {"": {"": 1}}),
    ],
)
def test_values_at_the_edge_are_taken(text: bytes, value: Any) -> None:
    assert parse_json(text) == value


# ---------------------------------------------------------------- encodings


@pytest.mark.parametrize("data", [b"", b" \r\n\t ", b"\0\0\0", b"\n\0"])
def test_an_empty_file_is_told_as_empty(data: bytes) -> None:
    problem = refused(data)
    assert (problem.code, problem.message) == ("invalid_json", "the file is empty")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_other_encoding_is_refused(encoding: str) -> None:
    assert refused('{"prompt":"x"}'.encode(encoding)).code == "invalid_json"


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"])
def test_a_byte_order_mark_is_named(mark: bytes) -> None:
    assert "byte order mark" in refused(mark + b"{}").message


def test_bytes_that_are_not_utf8_are_told_with_their_place() -> None:
    assert refused(b'{\n"a": "\xff"}').message == "not UTF-8: byte 8 (line 2)"


@pytest.mark.parametrize("data", [b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\xf4\x90\x80\x80"'])
def test_bytes_that_only_careless_readers_decode_are_refused(data: bytes) -> None:
    assert "not UTF-8" in refused(data).message


# ---------------------------------------------------------------- syntax


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b'{"a":1,}',
        b"[1,]",
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1} x',
        b'{"a":1}{"b":2}',
        b'{"a":1}\0',
        b"01",
        b"+1",
        b".5",
        b"1.",
        b"0x10",
        b"True",
        b'"\t"',
        b'"\\x41"',
        b"// no\n{}",
        b"nul",
        b'"' + b"a" * 10,
        b'{"a"}',
        b"\x0c{}",
        b"\xc2\xa0{}",
    ],
)
def test_what_is_no_json_is_refused_with_line_and_column(data: bytes) -> None:
    problem = refused(data)
    assert problem.code == "invalid_json"
    assert re.search(r"at line \d+, column \d+$", problem.message)


def test_the_place_of_a_syntax_fault_is_its_own() -> None:
    assert refused(b'{\n  "a": oops\n}').message.endswith("at line 2, column 8")


# ---------------------------------------------------------------- depth


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("inmost", [b"1", b'"x"', b"null"])
def test_64_levels_are_taken_and_65_are_not(opening: bytes, closing: bytes, inmost: bytes) -> None:
    assert parse_json(opening * MAX_DEPTH + inmost + closing * MAX_DEPTH) is not None
    problem = refused(opening * (MAX_DEPTH + 1) + inmost + closing * (MAX_DEPTH + 1))
    assert problem.code == "limit_exceeded"
    assert "64 levels" in problem.message


@pytest.mark.parametrize("inmost", [b"[]", b"{}"])
def test_an_empty_list_or_object_is_a_level_too(inmost: bytes) -> None:
    assert parse_json(b"[" * 63 + inmost + b"]" * 63) is not None
    assert refused(b"[" * 64 + inmost + b"]" * 64).code == "limit_exceeded"


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_nesting_without_end_is_refused_and_does_not_break_the_reader(opening: bytes) -> None:
    assert refused(opening * 500_000).code in ("limit_exceeded", "invalid_json")
    assert refused(opening * 900).code in ("limit_exceeded", "invalid_json")


# ---------------------------------------------------------------- what readers disagree on


def test_a_duplicate_key_is_a_fault_with_its_pointer() -> None:
    assert faults(b'{"a":{"x":1,"y":2,"x":3}}') == [("/a/x", "given more than once")]


def test_a_key_given_three_times_is_one_fault() -> None:
    assert faults(b'{"a":1,"a":1,"a":1}') == [("/a", "given more than once")]


def test_a_duplicate_key_spelled_with_an_escape_is_seen() -> None:
    assert faults(b'{"a":1,"\\u0061":2}') == [("/a", "given more than once")]


def test_faults_below_a_duplicate_key_are_told_as_well() -> None:
    assert faults(b'{"a":1,"a":NaN}') == [
        ("/a", "given more than once"),
        ("/a", "NaN is no JSON"),
    ]


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_not_are_refused(word: str) -> None:
    assert faults(f'{{"a":[0,{word}]}}'.encode()) == [("/a/1", f"{word} is no JSON")]


@pytest.mark.parametrize(
    "number",
    [
        b"18446744073709551616",
        b"-9223372036854775809",
        b"1" * 5000,
        b"-" + b"9" * 1_000_000,
        b"100000000000000000000",
    ],
)
def test_whole_numbers_beyond_64_bits_are_refused(number: bytes) -> None:
    assert faults(b'{"n":%s}' % number) == [("/n", "a whole number that does not fit 64 bits")]


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"1e99999999999999", b"9" * 400 + b".0"])
def test_numbers_too_large_are_refused(number: bytes) -> None:
    assert faults(b'{"n":%s}' % number) == [("/n", "a number too large")]


@pytest.mark.parametrize("half", [b"\\ud800", b"\\udfff", b"\\ude00\\ud83d", b"x\\ud83d"])
def test_half_a_surrogate_pair_is_refused_in_values(half: bytes) -> None:
    assert faults(b'{"a":["%s"]}' % half) == [("/a/0", "half of a surrogate pair is no character")]


def test_half_a_surrogate_pair_is_refused_in_keys() -> None:
    assert faults(b'{"a":{"\\ud800":1}}') == [("/a", "a name with half of a surrogate pair")]


def test_a_doubled_key_with_half_a_pair_can_be_told() -> None:
    told = faults(b'{"\\ud800":1,"\\ud800":2}')
    assert ("/\\ud800", "given more than once") in told
    assert "".join(pointer for pointer, _ in told).encode().isascii()


def test_all_faults_are_told_in_their_order() -> None:
    data = b'{"a":NaN,"b":{"c":1e999,"c":2},"d":["\\ud800",99999999999999999999]}'
    assert [pointer for pointer, _ in faults(data)] == ["/a", "/b/c", "/d/0", "/d/1"]


def test_a_bad_value_at_the_top_has_the_pointer_of_the_whole() -> None:
    assert faults(b"NaN") == [("", "NaN is no JSON")]


def test_no_more_faults_are_told_than_anybody_reads() -> None:
    assert len(faults(b"[" + b"NaN," * 100_000 + b"NaN]")) == MAX_FAULTS


# ---------------------------------------------------------------- pointers


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(TEXTS))
def test_a_pointer_leads_back_to_its_parts(parts: list[str]) -> None:
    pointer = pointer_of(parts)
    read = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    assert read == parts


def test_a_pointer_escapes_tildes_and_slashes() -> None:
    assert pointer_of(["a/b", "m~n", ""]) == "/a~1b/m~0n/"


# ---------------------------------------------------------------- hostile input


@settings(max_examples=examples(300), deadline=None)
@given(st.binary(max_size=60) | st.text('[]{}":,0123eE.-+ntf\\u"d8NaInfiy ', max_size=60))
def test_any_bytes_are_a_value_or_a_bad_request(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode()
    value, problem = parsed(raw)
    if problem is None:
        assert same_json(value, json.loads(raw))
    else:
        assert problem.code in ("invalid_json", "limit_exceeded")
        assert problem.message


@pytest.mark.parametrize(
    "data",
    [
        b"[" + b"0," * 500_000 + b"0]",
        b"[" + b'"",' * 500_000 + b"0]",
        b"[" + b"[]," * 500_000 + b"0]",
        b'{"a":' + b"1" * 2_000_000 + b"}",
        b'{"a":0.' + b"1" * 2_000_000 + b"}",
        b'"' + b"\\ud800" * 300_000 + b'"',
        b"[" * 2_000_000,
        b" " * 2_000_000 + b"x",
        b"\xff" * 2_000_000,
        b"{" + b'"a":1,' * 300_000 + b'"a":1}',
    ],
    ids=lambda data: data[:8].decode(errors="replace") + str(len(data)),
)
def test_megabytes_of_hostile_input_are_judged_in_a_moment(data: bytes) -> None:
    began = time.process_time()
    parsed(data)
    assert time.process_time() - began < 3


def test_judging_a_long_list_takes_no_memory_beyond_the_list() -> None:
    data = b"[" + b"0," * 300_000 + b"0]"
    tracemalloc.start()
    try:
        parse_json(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(data)
