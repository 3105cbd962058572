"""Where a job stands, by every word that was seen."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers.statuses import fraction_of, goes_on, standing_of, status_word
from tests.handlers.answers.test_waits import JSON


@pytest.mark.parametrize(
    ("words", "standing"),
    [
        ("queued IN_QUEUE PENDING in-queue THROTTLED submitted NOT_STARTED", "waiting"),
        ("in_progress Processing RUNNING generating dreaming CANCELLATION_REQUESTED", "running"),
        ("completed COMPLETED succeeded succeed Success Ready done OK finished", "done"),
        ("failed FAILED Fail error expired timed_out aborted rejected", "failed"),
        ("cancelled canceled CANCELLED execution_interrupted", "cancelled"),
    ],
)
def test_a_word_is_known(words: str, standing: str) -> None:
    assert {standing_of(word) for word in words.split()} == {standing}


def test_a_word_that_nobody_knows_means_that_it_runs_but_is_not_known_to() -> None:
    assert standing_of("percolating") == "running"
    assert not goes_on("percolating")
    assert goes_on("In Progress")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"status": "queued"}, "queued"),
        ({"state": "RUNNING"}, "RUNNING"),
        ({"task_status": "succeed"}, "succeed"),
        ({"data": {"status": "x"}}, "x"),
        ({"task": {"status": "y"}}, "y"),
        ({"done": True}, "done"),
        ({"done": False}, "running"),
        ({"status": 200}, None),
        ({"data": [1]}, None),
        ([], None),
    ],
)
def test_the_word_is_found(answer: Any, word: str | None) -> None:
    assert status_word(answer) == word


@pytest.mark.parametrize(
    ("progress", "whole", "fraction"),
    [(50, 100, 0.5), (1, 100, 0.01), (1, 1, 1.0), ("40%", 100, 0.4), (150, 100, 1.0)],
)
def test_progress_is_a_fraction_of_what_the_provider_calls_the_whole(
    progress: Any, whole: float, fraction: float
) -> None:
    assert fraction_of({"progress": progress}, whole) == fraction


@given(st.one_of(JSON, st.builds(lambda inner: {"progress": inner, "status": inner}, JSON)))
def test_no_answer_breaks_the_reading(answer: Any) -> None:
    fraction = fraction_of(answer, 100)
    assert fraction is None or 0 <= fraction <= 1
    word = status_word(answer)
    assert word is None or standing_of(word)
