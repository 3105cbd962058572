"""Variables in the texts of a configuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.variables import Expanded, expand, origin_of

ENVIRONMENT = {"KEY": "abc", "_B2": "${KEY}", "EMPTY": "", "lower": "x"}


@pytest.mark.parametrize(
    ("text", "expanded", "used", "missing"),
    [
        ("${KEY}", "abc", ("KEY",), ()),
        ("http://${KEY}.x/${KEY}", "http://abc.x/abc", ("KEY", "KEY"), ()),
        ("${_B2}", "${KEY}", ("_B2",), ()),  # what was put in is not looked at again
        ("$${KEY}", "${KEY}", (), ()),
        ("$${KEY:-x}", "${KEY:-x}", (), ()),
        ("${EMPTY}", "", ("EMPTY",), ()),
        ("${EMPTY:-x}", "x", (), ()),
        ("${NO:-x y}", "x y", (), ()),
        ("${NO:-}", "", (), ()),
        ("${KEY:-x}", "abc", ("KEY",), ()),
        ("a${NO}b${NEITHER}", "a${NO}b${NEITHER}", (), ("NO", "NEITHER")),
        ("${lower} ${1A} ${} ${KEY", "${lower} ${1A} ${} ${KEY", (), ()),
        ("${NO:-${KEY}}", "${NO:-abc}", ("KEY",), ()),
        ("$KEY", "$KEY", (), ()),
    ],
)
def test_variables_are_put_in(
    text: str, expanded: str, used: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    assert expand(text, ENVIRONMENT) == Expanded(expanded, used, missing)


@given(st.text(), st.dictionaries(st.text(max_size=3), st.text(max_size=3)))
def test_no_text_breaks_it(text: str, environment: dict[str, str]) -> None:
    expand(text, environment)


@given(st.text().filter(lambda text: "$" not in text))
def test_text_without_a_dollar_is_left_alone(text: str) -> None:
    assert expand(text, {"A": "b"}) == Expanded(text)


@given(st.lists(st.sampled_from(["${A}", "${B:-c}", "$${A}", "${NO}", "x", "$", "{", "}"])))
def test_of_what_is_used_and_missing_all_is_told(parts: list[str]) -> None:
    result = expand("".join(parts), {"A": "1"})
    assert set(result.used) <= {"A"}
    assert set(result.missing) <= {"NO"}
    assert bool(result.missing) == ("${NO}" in "".join(parts).replace("$${NO}", ""))


def test_where_a_value_came_from_is_told() -> None:
    assert origin_of([]) == ""
    assert origin_of(["A", "B"]) == ", from $A, $B"
