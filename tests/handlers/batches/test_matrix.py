"""A matrix: all of its combinations, in one order, and never more than may be."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.batches.matrix import TooManyItems, combinations, faults_in, size_of

small = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(), min_size=1, max_size=4), max_size=3
)


def test_the_last_name_changes_fastest() -> None:
    matrix = {"subject": ["cup", "bowl"], "size": ["1x1", "2x2"]}
    assert list(combinations(matrix, 4)) == [
        {"subject": "cup", "size": "1x1"},
        {"subject": "cup", "size": "2x2"},
        {"subject": "bowl", "size": "1x1"},
        {"subject": "bowl", "size": "2x2"},
    ]


@pytest.mark.parametrize("matrix", [None, {}])
def test_no_matrix_is_one_empty_combination(matrix: dict[str, Any] | None) -> None:
    assert list(combinations(matrix, 1)) == [{}]


def test_too_many_combinations_are_told_with_their_number() -> None:
    with pytest.raises(TooManyItems, match="3 x 4 = 12 combinations; 11 may be"):
        combinations({"a": [1] * 3, "b": [1] * 4}, 11)
    assert len(list(combinations({"a": [1] * 3, "b": [1] * 4}, 12))) == 12


def test_a_bomb_of_a_matrix_is_refused_before_anything_is_made() -> None:
    began = time.process_time()
    with pytest.raises(TooManyItems):
        combinations({f"n{number}": [0] * 1000 for number in range(40)}, 1000)
    assert time.process_time() - began < 0.1


@given(small)
def test_there_are_as_many_as_was_said_and_each_has_every_name(matrix: dict[str, Any]) -> None:
    made = list(combinations(matrix, 1000))
    assert len(made) == size_of(matrix)
    for one in made:
        assert list(one) == list(matrix)
        assert all(one[name] in matrix[name] for name in matrix)


@given(small)
def test_the_order_is_that_of_nested_loops(matrix: dict[str, Any]) -> None:
    distinct = {name: list(range(len(values))) for name, values in matrix.items()}
    places = [tuple(one.values()) for one in combinations(distinct, 1000)]
    assert places == sorted(set(places))


def test_each_fault_of_a_matrix_is_told() -> None:
    matrix = {"subject": ["cup"], "a b": [1], "size": "1x1", "seed": []}
    told = list(faults_in(matrix))
    assert len(told) == 3
    assert told[0].startswith('"a b" is no name')
    assert told[1] == '"size" must be a list of values'
    assert told[2].startswith('"seed" has no values')
