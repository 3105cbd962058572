"""Paths into an answer, and the media that stand at them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.media import media_at
from handlers.answers.paths import path_of, value_at, values_at
from handlers.contract import HandlerError
from tests.handlers.answers.test_waits import JSON
from tests.handlers.driving import B64, PNG

ANSWER = {
    "data": {"items": [{"href": "a"}, {"href": "b"}, {"name": "c"}], "a.b": {"c": 1}},
    "outputs": {"9": {"images": ["x"]}, "12": {"images": ["y", "z"]}},
    "grid": [[1, 2], [3]],
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("data.items[*].href", ["a", "b"]),
        ("data.items[0].href", ["a"]),
        ("data.items[-1].name", ["c"]),
        ("outputs[*].images[*]", ["x", "y", "z"]),
        ("outputs.12.images[1]", ["z"]),
        ('data["a.b"].c', [1]),
        ("$.data.items[1].href", ["b"]),
        ("$.none", [None]),
        (" grid[*][0] ", [1, 3]),
        ("grid[9]", []),
        ("grid.name", []),
        ("data[0]", []),
        ("none[*]", []),
    ],
)
def test_a_path_leads_to_values_in_order(path: str, values: list[Any]) -> None:
    assert values_at(ANSWER, path_of(path)) == values


def test_a_path_may_begin_with_a_place() -> None:
    assert values_at([{"a": 1}, {"a": 2}], path_of("[1].a")) == [2]
    assert values_at([1, 2], path_of("$[*]")) == [1, 2]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", "it is empty"),
        ("$", "it is empty"),
        ("data..items", "character 5, '..items'"),
        (".data", "character 1"),
        ("data.items[", "character 11, '['"),
        ("data.items[x]", "character 11"),
        ("data.items[*", "character 11"),
        ("data items", "character 5"),
        ("data[0]name", "character 8, 'name'"),
        ("data.", "character 5"),
        ("a" * 501, "longer than 500"),
        ("$data", "character 2"),
    ],
)
def test_a_path_that_is_none_is_an_error_with_its_place(path: str, place: str) -> None:
    with pytest.raises(HandlerError) as caught:
        path_of(path)
    assert caught.value.code == "config_invalid"
    assert place in caught.value.message
    assert caught.value.hints


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("data.items[0].url", "data.items[0] is an object with href"),
        ("data.things", "data is an object with items, a.b"),
        ("nothing", "the answer is an object with data, outputs, grid, none"),
        ("grid[7]", "grid is a list of 2"),
        ("none.x", "none is null"),
        ("data.items[0].href.x", "href is a text"),
        ('data["a.b"].c[0]', "c is a number"),
    ],
)
def test_a_value_that_is_not_there_is_an_error_that_says_how_far_the_answer_goes(
    path: str, told: str
) -> None:
    with pytest.raises(HandlerError, match="nothing at") as caught:
        value_at(ANSWER, path_of(path))
    assert caught.value.code == "provider_failed"
    assert told in caught.value.message
    assert value_at(ANSWER, path_of("data.items[*].href")) == "a"


def test_media_are_read_at_their_paths_alone() -> None:
    answer = {
        "preview": "https://cdn.example/no.png",
        "items": [{"file": "files/7"}, {"file": B64}, {"file": {"url": "https://cdn.example/8"}}],
        "text": "![a](https://cdn.example/9)",
    }
    found = media_at(answer, ["items[*].file", "text"], "https://h.example/v1")
    assert [medium.data or medium.url for medium in found.media] == [
        "https://h.example/v1/files/7",
        PNG,
        "https://cdn.example/8",
        "https://cdn.example/9",
    ]
    assert media_at(answer, ["items[*].url"], "https://h.example").media == []
    with pytest.raises(HandlerError):
        media_at(answer, ["items["], "https://h.example")


@given(st.text(alphabet='ab.[]*"$0-\\ \x00', max_size=30) | st.text(max_size=30), JSON)
def test_any_path_is_read_or_refused(path: str, answer: Any) -> None:
    try:
        value_at(answer, path_of(path))
    except HandlerError as error:
        assert error.code in ("config_invalid", "provider_failed")
