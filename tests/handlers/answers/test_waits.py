"""How long to wait, in each form in which it is said."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.waits import seconds_of, wait_of
from handlers.wire import HttpReply

NOW = "Sun, 22 Nov 2026 21:00:00 GMT"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("headers", "answer", "seconds"),
    [
        ({}, None, None),
        ({"retry-after": "30"}, None, 30.0),
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after": "0"}, None, 0.0),
        ({"retry-after": "-1"}, None, None),
        ({"retry-after": "nan"}, None, None),
        ({"retry-after": "inf"}, None, None),
        ({"retry-after": "soon"}, None, None),
        ({"retry-after": ""}, None, None),
        ({"retry-after": "Sun, 22 Nov 2026 21:02:00 GMT", "date": NOW}, None, 120.0),
        ({"retry-after": "Sunday, 22-Nov-26 21:02:00 GMT", "date": NOW}, None, 120.0),
        ({"retry-after": "Sun, 22 Nov 2026 20:00:00 GMT", "date": NOW}, None, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 21:02:00 GMT"}, None, None),
        ({"retry-after-ms": "250", "retry-after": "9"}, None, 0.25),
        ({"openai-poll-after-ms": "1500"}, None, 1.5),
        ({}, {"retry_after": 7}, 7.0),
        ({}, {"error": {"retry_after": "2"}}, 2.0),
        ({}, {"error": {"metadata": {"retry_after_seconds": 4}}}, 4.0),
        ({}, {"error": {"details": [{"x": 1}, {"retryDelay": "3.5s"}]}}, 3.5),
        ({}, {"retry_after": True}, None),
        (
            {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"},
            None,
            360.0,
        ),
        (
            {"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "6m0s"},
            None,
            None,
        ),
        (
            {
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "12ms",
            },
            None,
            1.0,
        ),
    ],
)
def test_a_wait_is_read(headers: Any, answer: Any, seconds: float | None) -> None:
    assert wait_of(HttpReply(429, headers, b""), answer) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"), [("12ms", 0.012), ("1h2m3s", 3723.0), ("2d", 172800.0), ("5x", None)]
)
def test_a_duration_is_read(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


NAMES = ("retry-after", "retry-after-ms", "openai-poll-after-ms", "date")
RESETS = ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")


@given(st.dictionaries(st.sampled_from(NAMES + RESETS), st.text(max_size=30)), JSON)
def test_whatever_is_said_there_is_a_wait_or_none(headers: Any, answer: Any) -> None:
    seconds = wait_of(HttpReply(429, headers, b""), answer)
    assert seconds is None or 0 <= seconds < float("inf")


@given(st.one_of(st.text(alphabet="0123456789.msh:, GTNovSun+-", max_size=40), st.integers()))
def test_no_text_breaks_the_reading_of_a_wait(text: Any) -> None:
    seconds = seconds_of(text, NOW)
    assert seconds is None or 0 <= seconds < float("inf")
