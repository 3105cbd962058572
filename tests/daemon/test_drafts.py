"""Judgements that hold wherever a value stands."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.drafts import (
    clean_header_value,
    clean_line,
    clean_proxy,
    clean_url,
    is_header_name,
    is_name,
)
from daemon.sites import origin_of

JUDGES = [clean_url, clean_proxy, clean_header_value, clean_line]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("openai", True),
        ("my provider/é", True),
        ("x" * 100, True),
        ("x" * 101, False),
        ("", False),
        ("a\tb", False),
        ("a\x85b", False),
        ("a\u2029b", False),
        ("\ud800", False),
    ],
)
def test_a_provider_has_a_name_of_one_line(text: str, good: bool) -> None:
    assert is_name(text) == good


@pytest.mark.parametrize(
    ("text", "good"),
    [("x-api-key", True), ("Authorization", True), ("", False), ("a:b", False), ("ä", False)],
)
def test_a_header_has_a_name_that_http_knows(text: str, good: bool) -> None:
    assert is_header_name(text) == good


@pytest.mark.parametrize("url", ["http://p:3128", "https://me:pw@p"])
def test_an_address_of_a_proxy_is_left_as_it_is(url: str) -> None:
    assert clean_proxy(url) == url


@pytest.mark.parametrize("url", ["p:3128", "ftp://p", "http://", "http://p:x", "http://a b/"])
def test_what_is_no_address_of_a_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"address|blank"):
        clean_proxy(url)


@given(st.sampled_from(JUDGES), st.text() | st.from_regex(r"https?://[^ ]{0,20}"))
def test_a_judge_gives_a_text_or_says_why_not(judge: Callable[[str], str], text: str) -> None:
    try:
        assert judge(judge(text)) == judge(text)
    except ValueError as error:
        assert len(text) < 12 or text not in str(error)


@given(st.from_regex(r"https?://[^ /]{0,20}/?.{0,10}"))
def test_a_base_url_that_passes_has_an_origin_and_no_end(text: str) -> None:
    try:
        url = clean_url(text)
    except ValueError:
        return
    assert origin_of(url)
    assert not url.endswith("/")
    assert not set(url) & set("?#@")
