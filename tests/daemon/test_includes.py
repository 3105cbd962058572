"""OpenClaw's `$include`: what is put together, and all that is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.configfiles import MAX_BYTES, Gathered
from daemon.includes import MAX_FILES, MAX_INCLUDES, load_included, merged
from handlers.contract import HandlerError


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)
    return path


def load(path: Path, *roots: Path) -> Any:
    return load_included(path, roots, Gathered())


def refused(path: Path, *parts: str) -> None:
    with pytest.raises(HandlerError) as error:
        load(path)
    assert error.value.code == "config_invalid"
    for part in parts:
        assert part in error.value.message


@pytest.fixture
def main(tmp_path: Path) -> Path:
    return tmp_path / "config" / "openclaw.json"


# ---------------------------------------------------------------- putting together


def test_a_file_takes_the_place_of_its_object(main: Path) -> None:
    write(main, {"models": {"$include": "./models.json"}, "x": 1})
    write(main.parent / "models.json", "{providers: {a: {baseUrl: 'http://a'}}} // JSON5")
    assert load(main) == {"models": {"providers": {"a": {"baseUrl": "http://a"}}}, "x": 1}


def test_a_list_is_merged_in_order_and_what_stands_beside_it_wins(main: Path) -> None:
    write(main, {"$include": ["a.json", "b.json"], "c": 3, "deep": {"own": True}})
    write(main.parent / "a.json", {"a": 1, "b": 1, "list": [1], "deep": {"a": 1, "own": False}})
    write(main.parent / "b.json", {"b": 2, "c": 2, "list": [2], "deep": {"b": 2}})
    assert load(main) == {
        "a": 1,
        "b": 2,
        "c": 3,
        "list": [1, 2],
        "deep": {"a": 1, "b": 2, "own": True},
    }


def test_paths_are_relative_to_the_file_that_they_stand_in(main: Path) -> None:
    write(main, {"a": {"$include": "below/a.json"}})
    write(main.parent / "below" / "a.json", {"b": {"$include": "b.json"}})
    write(main.parent / "below" / "b.json", {"$include": "../c.json"})
    write(main.parent / "c.json", [{"$include": "below/d.json"}])
    write(main.parent / "below" / "d.json", "'text'")
    assert load(main) == {"a": {"b": ["text"]}}


def test_the_main_file_and_what_it_includes_may_be_links_within_the_folder(main: Path) -> None:
    write(main.parent / "real.json", {"x": {"$include": "alias.json"}})
    write(main.parent / "target.json", {"y": 1})
    main.symlink_to("real.json")
    (main.parent / "alias.json").symlink_to("target.json")
    assert load(main) == {"x": {"y": 1}}


def test_a_file_may_be_included_twice(main: Path) -> None:
    write(main, {"x": {"$include": "a.json"}, "y": {"$include": "a.json"}})
    write(main.parent / "a.json", {"z": 1})
    assert load(main) == {"x": {"z": 1}, "y": {"z": 1}}


def test_a_folder_that_the_user_names_may_be_included_from(main: Path, tmp_path: Path) -> None:
    there = write(tmp_path / "shared" / "a.json", {"$include": "b.json"})
    write(tmp_path / "shared" / "b.json", {"b": 1})
    write(main, {"$include": str(there)})
    assert load(main, there.parent) == {"b": 1}
    refused(main, "lies outside")


def test_every_file_that_is_read_or_looked_for_is_told(main: Path) -> None:
    write(main, {"a": {"$include": "a.json"}, "b": {"$include": "b.json"}})
    write(main.parent / "a.json", {})
    gathered = Gathered()
    with pytest.raises(HandlerError, match="no such file"):
        load_included(main, (), gathered)
    assert gathered.files == [main, main.parent / "a.json", main.parent / "b.json"]


def test_prototypes_are_not_merged(main: Path) -> None:
    write(main, {"$include": ["a.json"], "x": 1})
    write(main.parent / "a.json", '{"__proto__": {"y": 1}, "constructor": 2, "prototype": 3}')
    assert load(main) == {"x": 1}


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3) | st.dictionaries(st.sampled_from("abcd"), below, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_of_two_values_the_second_is_always_found_in_the_merged_one(under: Any, over: Any) -> None:
    result = merged(under, over)
    if isinstance(under, dict) and isinstance(over, dict):
        assert result.keys() == under.keys() | over.keys()
        assert all(result[name] == merged(under.get(name), over[name]) for name in over)
        assert all(result[name] == under[name] for name in under.keys() - over.keys())
    elif isinstance(under, list) and isinstance(over, list):
        assert result == under + over
    else:
        assert result == over


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.json", "below/../../outside.json"])
def test_nothing_outside_of_the_folder_is_included(main: Path, name: str) -> None:
    write(main.parent.parent / "outside.json", {"x": 1})
    (main.parent / "below").mkdir(parents=True)
    write(main, {"$include": name})
    refused(main, repr(name), "lies outside")


def test_no_link_leads_out_of_the_folder(main: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.json", {"x": 1})
    write(main, {"$include": "link.json"})
    (main.parent / "link.json").symlink_to(tmp_path / "elsewhere" / "a.json")
    refused(main, "lies outside")
    write(main, {"$include": "folder/a.json"})
    (main.parent / "folder").symlink_to(tmp_path / "elsewhere")
    refused(main, "lies outside")


def test_a_link_that_leads_in_a_circle_is_refused(main: Path) -> None:
    write(main, {"$include": "circle.json"})
    (main.parent / "circle.json").symlink_to("circle.json")
    refused(main, "circle.json")


def test_a_file_with_a_second_name_is_refused(main: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "elsewhere.json", {"x": 1})
    write(main, {"$include": "twin.json"})
    os.link(other, main.parent / "twin.json")
    refused(main, "twin.json", "hard link")


def test_files_that_include_each_other_are_refused(main: Path) -> None:
    write(main, {"$include": "a.json"})
    write(main.parent / "a.json", {"x": {"$include": "openclaw.json"}})
    refused(main, "includes itself")
    write(main, {"$include": "openclaw.json"})
    refused(main, "includes itself")


def chain_of(main: Path, length: int) -> None:
    write(main, {"$include": "1.json"})
    for number in range(1, length):
        write(main.parent / f"{number}.json", {"$include": f"{number + 1}.json"})
    write(main.parent / f"{length}.json", {"x": 1})


def test_ten_files_deep_is_taken_and_eleven_are_not(main: Path) -> None:
    chain_of(main, MAX_INCLUDES)
    assert load(main) == {"x": 1}
    chain_of(main, MAX_INCLUDES + 1)
    refused(main, "more than 10 files deep")


def test_a_few_files_cannot_multiply(main: Path) -> None:
    write(main, {"$include": ["1.json", "1.json"]})
    for number in range(1, 9):
        write(main.parent / f"{number}.json", {"$include": [f"{number + 1}.json"] * 2})
    write(main.parent / "9.json", {"x": [1]})
    refused(main, f"more than {MAX_FILES} files")


def test_a_file_of_three_megabytes_is_refused(main: Path) -> None:
    write(main, {"$include": "large.json"})
    write(main.parent / "large.json", '{"x": "' + "x" * (3 << 20) + '"}')
    refused(main, "large.json", f"larger than {MAX_BYTES} bytes")
    write(main, "{}" + " " * (MAX_BYTES - 2))
    assert load(main) == {}
    write(main, "{}" + " " * (MAX_BYTES - 1))
    refused(main, "larger than")


def test_a_fifo_is_refused_and_not_waited_for(main: Path) -> None:
    write(main, {"$include": "fifo.json"})
    os.mkfifo(main.parent / "fifo.json")
    refused(main, "fifo.json", "no regular file")


def test_a_folder_is_refused(main: Path) -> None:
    write(main, {"$include": "below"})
    (main.parent / "below").mkdir()
    refused(main, "below", "no regular file")
    write(main, {"$include": "."})
    refused(main, "is a folder")


def test_what_everybody_may_write_is_refused(main: Path) -> None:
    write(main, {"$include": "a.json"})
    write(main.parent / "a.json", {}).chmod(0o666)
    refused(main, "a.json", "changed by everybody")
    (main.parent / "a.json").chmod(0o644)
    assert load(main) == {}
    main.chmod(0o602)
    refused(main, "openclaw.json", "changed by everybody")


@pytest.mark.parametrize("wanted", [1, None, {"a": 1}, ["a.json", 1], [["a.json"]]])
def test_an_include_that_is_no_text_is_refused(main: Path, wanted: Any) -> None:
    write(main, {"$include": wanted})
    refused(main, "neither a text nor a list of texts")


def test_only_an_object_stands_beside_other_keys(main: Path) -> None:
    write(main, {"x": 1, "$include": "a.json"})
    write(main.parent / "a.json", [1])
    refused(main, "must give an object")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000, ""])
def test_a_path_that_cannot_be_is_refused(main: Path, name: str) -> None:
    write(main, {"$include": name})
    refused(main)


def test_a_main_file_that_is_not_there_is_no_fault_of_its_own(main: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(main)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"a": 1,\n "b": }', "line 2, column 7"),
        ("{a: 1,\n\n  b: 'x' c: 2}", "line 3"),
        ("{", "line 1"),
    ],
)
def test_a_fault_is_told_by_file_line_and_column(main: Path, text: str, where: str) -> None:
    write(main, {"$include": "a.json"})
    write(main.parent / "a.json", text)
    refused(main, f"a.json: {where}", "neither JSON nor JSON5")
