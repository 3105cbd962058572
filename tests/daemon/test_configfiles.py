"""Files of a configuration: how their text is taken."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.configfiles import MAX_DEPTH, Gathered, decoded, judge_status, parse_json5
from handlers.contract import HandlerError
from tests.examples import examples


def test_json5_is_taken_as_it_is_written() -> None:
    text = """
    // a comment
    { bare: 'single', "trailing": [1, 2,], /* another */ hex: 0x10, more: +.5,
      long: 'a \\
b', }
    """
    assert parse_json5(text, "x") == {
        "bare": "single",
        "trailing": [1, 2],
        "hex": 16,
        "more": 0.5,
        "long": "a b",
    }


def test_a_byte_order_mark_is_left_out() -> None:
    assert parse_json5(decoded(b'\xef\xbb\xbf{"a": 1}', "x"), "x") == {"a": 1}


def test_bytes_that_are_no_text_are_told_by_their_line() -> None:
    with pytest.raises(HandlerError, match=r"openclaw.json: line 3: not UTF-8"):
        decoded(b"{\n\n\xff}", "openclaw.json")


def test_what_nests_too_deeply_is_refused() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json5(text, "x") is not None
    for levels in (MAX_DEPTH + 1, 2000, 100_000):
        with pytest.raises(HandlerError, match="levels deep"):
            parse_json5("[" * levels + "]" * levels, "x")


def test_a_message_repeats_nothing_of_the_file() -> None:
    with pytest.raises(HandlerError) as error:
        parse_json5('{apiKey: "canary-secret" "canary-secret"}', "x")
    assert "canary" not in str(error.value)
    assert error.value.__cause__ is None


@settings(max_examples=examples(50))
@given(st.text(alphabet="{}[]:,'\"\\/*x0.-+eN\n \u2028\ud800", max_size=25))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parse_json5(text, "x")
    except HandlerError as error:
        assert error.code == "config_invalid"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=10,
)


@given(JSON)
def test_json_is_taken_as_it_is(value: Any) -> None:
    assert parse_json5(json.dumps(value), "x") == value


def test_numbers_that_do_not_fit_do_no_harm() -> None:
    assert parse_json5("1e999", "x") == math.inf
    with pytest.raises(HandlerError, match="neither"):
        parse_json5("9" * 5000, "x")


@pytest.mark.parametrize(
    ("mode", "owner", "note"), [(0o644, 0, False), (0o664, None, False), (0o600, 12345, True)]
)
def test_a_file_of_somebody_else_is_noted(mode: int, owner: int | None, note: bool) -> None:
    gathered = Gathered()
    judge_status(Path("/x"), status_of(mode, os.geteuid() if owner is None else owner), gathered)
    assert gathered.notes == (["/x belongs to the user 12345, who decides where keys go"] * note)


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_file_that_everybody_may_write_is_refused(mode: int) -> None:
    with pytest.raises(HandlerError, match="changed by everybody") as error:
        judge_status(Path("/x"), status_of(mode, os.geteuid()), Gathered())
    assert error.value.hints == ("Run `chmod o-w /x`.",)


def status_of(mode: int, owner: int) -> os.stat_result:
    return os.stat_result((mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))


@pytest.mark.parametrize("path", ["/a\0b", "/a\ud800"])
def test_a_path_that_can_name_no_file_is_not_told(path: str) -> None:
    gathered = Gathered()
    gathered.looked(Path(path))
    gathered.looked(Path("/a\udcff"))  # a byte that is no UTF-8
    assert gathered.files == [Path("/a\udcff")]
