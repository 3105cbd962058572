"""Names in strings: filled in where they are names, and nothing is ever evaluated."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.batches.templating import FilledTooLarge, render

NAMES = {"subject": "cup", "n": 3, "half": 1.5, "yes": True, "none": None, "index": 7}

braced = st.text(st.sampled_from("{}ab_1.[]!:$%\\ é"), max_size=40)
plain = st.text().filter(lambda text: not {"{", "}"} & set(text))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
values = st.recursive(
    scalars | st.text() | braced,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
names = st.dictionaries(st.sampled_from(["a", "b", "ab", "_", "a_1"]), values, max_size=4)


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("a {subject} on a table", "a cup on a table"),
        ("{subject}{subject}", "cupcup"),
        ("{n} {half} {yes} {none}", "3 1.5 true null"),
        ("{unknown} {subject}", "{unknown} cup"),
        ("{{subject}} is {subject}", "{subject} is cup"),
        ("{{{subject}}}", "{cup}"),
        ("{{{{", "{{"),
        ("}}", "}"),
        ("{ subject }", "{ subject }"),
        ("{}", "{}"),
        ("{0}", "{0}"),
        ("{1st}", "{1st}"),
        ("{süß}", "{süß}"),
        ("{subject", "{subject"),
        ("subject}", "subject}"),
        ("{{subject}", "{subject}"),
        ('{"seed": {n}}', '{"seed": 3}'),
    ],
)
def test_a_name_is_filled_in_and_everything_else_stays(template: str, filled: str) -> None:
    assert render(template, NAMES) == filled


@pytest.mark.parametrize(
    "template",
    [
        "{subject.__class__}",
        "{subject[0]}",
        "{subject!r}",
        "{subject:>9}",
        "{subject:{n}}",
        "{subject.__class__.__init__.__globals__}",
        "{subject()}",
        "{n+1}",
        "${subject!r}",
        "%(subject)s",
        "{subject\n}",
    ],
)
def test_nothing_in_braces_is_evaluated(template: str) -> None:
    assert render(template, {"subject": "cup", "n+1": "no", "subject()": "no"}) == template


def test_strings_at_any_depth_are_filled_in_and_names_of_fields_are_not() -> None:
    value = {"{n}": [{"deep": ["{subject}", 1, None]}], "flag": True}
    assert render(value, NAMES) == {"{n}": [{"deep": ["cup", 1, None]}], "flag": True}


def test_lists_and_objects_are_put_in_as_compact_json() -> None:
    filled = render("{list} {object}", {"list": ["é", 1], "object": {"a": {"b": None}}})
    assert filled == '["é",1] {"a":{"b":null}}'


def test_a_string_that_is_one_name_stays_a_string() -> None:
    assert render("{n}", NAMES) == "3"


def test_what_was_filled_in_is_not_looked_at_again() -> None:
    assert render("{a}", {"a": "{b} {{c}}", "b": "no"}) == "{b} {{c}}"


def test_the_value_that_is_given_is_not_changed() -> None:
    value = {"list": ["{n}"], "object": {"x": "{n}"}}
    render(value, NAMES)
    assert value == {"list": ["{n}"], "object": {"x": "{n}"}}


def test_names_that_put_in_too_much_are_told_with_the_limit() -> None:
    with pytest.raises(FilledTooLarge, match=r"more than 10 characters .* \{n\}"):
        render(["{n}"] * 3, {"n": "12345"}, most=10)
    assert render(["{n}"] * 2, {"n": "12345"}, most=10) == ["12345", "12345"]


def test_a_large_value_without_names_is_no_fault() -> None:
    assert render("x" * 100, {}, most=10) == "x" * 100


def test_a_bomb_of_names_costs_next_to_nothing() -> None:
    began = time.process_time()
    with pytest.raises(FilledTooLarge):
        render("{a}" * 100_000, {"a": "{a}" * 100_000})
    assert time.process_time() - began < 1


@pytest.mark.parametrize("pattern", ["{", "{a", "{{a", "{a}", "}", "{a.", "{{}"])
def test_time_is_linear_in_the_text(pattern: str) -> None:
    def seconds(size: int) -> float:
        text = pattern * (size // len(pattern))
        times = []
        for _ in range(3):
            began = time.process_time()
            render(text, {"a": "b"})
            times.append(time.process_time() - began)
        return min(times)

    assert seconds(400_000) < 16 * max(seconds(50_000), 0.001)


def test_one_endless_name_is_read_once() -> None:
    began = time.process_time()
    text = "{" + "a" * 1_000_000
    assert render(text, {}) == text
    assert time.process_time() - began < 1


# ---------------------------------------------------------------- properties


def escaped(value: Any) -> Any:
    """A value with every brace of its strings doubled."""
    if isinstance(value, str):
        return value.replace("{", "{{").replace("}", "}}")
    if isinstance(value, list):
        return [escaped(item) for item in value]
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return value


@given(values, names)
def test_literal_braces_come_back_as_they_were(value: Any, given_names: dict[str, Any]) -> None:
    assert render(escaped(value), given_names) == value


@given(st.lists(plain), names)
def test_text_without_braces_is_never_changed(texts: list[str], given_names: Any) -> None:
    assert render(texts, given_names) == texts


@given(braced)
def test_no_brace_is_lost_where_none_is_doubled(text: str) -> None:
    single = text.replace("{{", "{ {").replace("}}", "} }").replace("{{", "{ {")
    single = single.replace("}}", "} }")
    assert render(single, {}) == single


@given(braced, names)
def test_only_names_in_braces_are_replaced(text: str, given_names: dict[str, Any]) -> None:
    """By a reading of the rules that shares nothing with ours: sign by sign."""
    assert render(text, given_names) == _read_slowly(text, given_names)


def _read_slowly(text: str, given_names: dict[str, Any]) -> str:
    out, at = "", 0
    while at < len(text):
        pair, end = text[at : at + 2], text.find("}", at)
        name = text[at + 1 : end] if text[at] == "{" and end > 0 else ""
        if pair in ("{{", "}}"):
            out, at = out + pair[0], at + 2
        elif name.isascii() and name.isidentifier() and name in given_names:
            value = given_names[name]
            out, at = out + (value if isinstance(value, str) else render("{x}", {"x": value})), end
            at += 1
        elif name.isascii() and name.isidentifier():
            out, at = out + text[at : end + 1], end + 1
        else:
            out, at = out + text[at], at + 1
    return out


@given(values, names)
def test_the_shape_of_a_value_stays(value: Any, given_names: dict[str, Any]) -> None:
    def shape(one: Any) -> Any:
        if isinstance(one, list):
            return [shape(item) for item in one]
        if isinstance(one, dict):
            return {key: shape(item) for key, item in one.items()}
        return str if isinstance(one, str) else one

    assert shape(render(value, given_names)) == shape(value)
