"""What the log answers of a step: its outcome, its failure, or nothing, and then it may be sent."""

from typing import Any, Literal

import pytest
from hypothesis import given, settings

from daemon.errors import Problem
from daemon.events import ArtifactSaved, Event, ProviderAccepted
from daemon.journal import Journal, Taken, digest_of_call, outcome_of
from handlers.contract import Artifact, Call, HandlerError, Medium, Outcome
from handlers.wire import Ticket
from tests.builders import ARTIFACT, JSON, History, answered, job, problem, requested
from tests.examples import examples

OnAmbiguous = Literal["fail", "retry"]


def journal_of(*events: Event) -> Journal:
    history = History()
    for event in events:
        history.add(event, "J1", "a.json")
    return Journal.of(history.recorded)


def outcome(
    journal: Journal, digest: str = "d1", on_ambiguous: OnAmbiguous = "fail", **fields: Any
) -> Outcome | Taken | None:
    return journal.recorded("generate", digest, job(**fields), on_ambiguous)


def failure(*arguments: Any, **fields: Any) -> HandlerError:
    with pytest.raises(HandlerError) as caught:
        outcome(*arguments, **fields)
    return caught.value


# ---------------------------------------------------------------- nothing recorded


def test_a_step_without_a_record_may_be_sent() -> None:
    assert outcome(Journal()) is None
    assert outcome(journal_of(requested("another"), answered("another"))) is None


def test_an_answer_that_nobody_asked_for_is_no_record() -> None:
    assert outcome(journal_of(answered())) is None


# ---------------------------------------------------------------- answered


def test_an_answered_step_is_its_recorded_outcome() -> None:
    journal = journal_of(
        requested(),
        answered(
            media=[{"sha256": "a" * 64, "media_type": "image/png"}],
            references=[{"url": "x"}],
            warnings=["look"],
            usage={"tokens": 3},
        ),
    )
    assert outcome(journal) == Outcome(
        media=(Medium(sha256="a" * 64, media_type="image/png"),),
        model="m-1",
        usage={"tokens": 3},
        warnings=("look",),
        references=({"url": "x"},),
    )


@pytest.mark.parametrize("attempt", [1, 2, 9])
@pytest.mark.parametrize("on_ambiguous", ["fail", "retry"])
def test_an_answer_is_used_in_every_later_attempt(attempt: int, on_ambiguous: OnAmbiguous) -> None:
    journal = journal_of(requested(), answered())
    assert outcome(journal, on_ambiguous=on_ambiguous, attempt=attempt) is not None


def test_an_answer_is_used_after_a_retry_that_is_not_fresh() -> None:
    assert outcome(journal_of(requested(), answered()), retried=99) is not None


def test_the_newest_record_of_a_step_counts() -> None:
    journal = journal_of(
        requested(), answered(error=problem("provider_unavailable")), requested(), answered()
    )
    assert outcome(journal, attempt=2) is not None


def test_a_newer_call_without_an_answer_is_not_answered_by_the_older_one() -> None:
    journal = journal_of(requested(), answered(), requested())
    assert failure(journal).code == "ambiguous_submit"


# ---------------------------------------------------------------- something else would be sent


def test_a_changed_call_is_not_sent() -> None:
    error = failure(journal_of(requested(), answered()), "d2")
    assert error.code == "internal"
    assert "something else" in error.message


def test_a_changed_call_is_sent_after_a_retry() -> None:
    assert outcome(journal_of(requested(), answered()), "d2", retried=99) is None


# ---------------------------------------------------------------- failed


@pytest.mark.parametrize("digest", ["d1", "d2"])
def test_a_failure_of_this_attempt_fails_again_without_a_call(digest: str) -> None:
    recorded = problem("provider_unavailable", retryable=True, hints=("wait",))
    error = failure(journal_of(requested(), answered(error=recorded)), digest)
    assert (error.code, error.hints, error.retryable) == ("provider_unavailable", ("wait",), True)


def test_a_failure_of_an_earlier_attempt_may_be_asked_again() -> None:
    journal = journal_of(requested(), answered(error=problem("provider_unavailable")))
    assert outcome(journal, attempt=2, released=99) is None


def test_a_failure_from_before_a_retry_may_be_asked_again() -> None:
    journal = journal_of(requested(), answered(error=problem("provider_rejected")))
    assert outcome(journal, retried=99) is None


def test_a_failure_from_after_a_retry_stands() -> None:
    journal = journal_of(requested(), answered(error=problem("provider_rejected")))
    assert failure(journal, retried=0).code == "provider_rejected"


@pytest.mark.parametrize("attempt", [1, 2, 5])
def test_an_unknown_end_is_not_asked_again_in_a_later_attempt_that_another_step_caused(
    attempt: int,
) -> None:
    journal = journal_of(requested(), answered(error=problem("ambiguous_submit")))
    released = 99 if attempt > 1 else 0
    error = failure(journal, attempt=attempt, released=released)
    assert error.code == "ambiguous_submit"


def test_an_unknown_end_is_asked_again_where_the_settings_say_so_or_somebody_wants_it() -> None:
    journal = journal_of(requested(), answered(error=problem("ambiguous_submit")))
    assert outcome(journal, on_ambiguous="retry", attempt=2, released=99) is None
    assert outcome(journal, retried=99) is None


# ---------------------------------------------------------------- the answer was lost


def test_a_paid_call_without_an_answer_is_not_sent_again() -> None:
    error = failure(journal_of(requested()))
    assert error.code == "ambiguous_submit"
    assert "scripted" in error.message
    assert len(error.hints) == 2


@pytest.mark.parametrize("attempt", [1, 2])
def test_neither_is_it_in_a_later_attempt(attempt: int) -> None:
    assert failure(journal_of(requested()), attempt=attempt).code == "ambiguous_submit"


def test_a_free_call_without_an_answer_is_simply_repeated() -> None:
    assert outcome(journal_of(requested(paid=False))) is None


def test_a_paid_call_is_sent_again_where_the_settings_say_so() -> None:
    assert outcome(journal_of(requested()), on_ambiguous="retry") is None


def test_a_retry_frees_the_calls_before_it_and_none_after_it() -> None:
    history = History()
    for event in (None, None, requested()):
        history.add(event, "J1", "a.json")
    journal = Journal.of(history.recorded)
    assert outcome(journal, retried=4) is None
    assert failure(journal, retried=2).code == "ambiguous_submit"


# ---------------------------------------------------------------- files


def test_saved_files_are_known_by_their_step() -> None:
    journal = journal_of(ArtifactSaved("picture 1", 1, ARTIFACT))
    assert journal.saved == {"picture 1": Artifact(**ARTIFACT)}


# ---------------------------------------------------------------- digests


def test_the_order_of_fields_does_not_change_a_call() -> None:
    one = Call("op", {"a": 1, "b": {"x": 1}}, extra={"y": 1, "z": 2})
    other = Call("op", {"b": {"x": 1}, "a": 1}, extra={"z": 2, "y": 1})
    assert digest_of_call(one) == digest_of_call(other)


@pytest.mark.parametrize(
    "other",
    [
        Call("op2", {"a": 1}),
        Call("op", {"a": 2}),
        Call("op", {"a": 1.0}),
        Call("op", {"a": True}),
        Call("op", {"a": 1, "b": None}),
        Call("op", {}, extra={"a": 1}),
        Call("op", {"a": 1}, model="m"),
        Call("op", {"a": 1}, endpoint="m"),
    ],
)
def test_whatever_would_be_sent_differently_has_another_digest(other: Call) -> None:
    assert digest_of_call(Call("op", {"a": 1})) != digest_of_call(other)


@settings(max_examples=examples(60), deadline=None)
@given(JSON, JSON)
def test_a_digest_is_the_same_every_time(one: Any, other: Any) -> None:
    call = Call("op", {"one": one}, extra={"other": other})
    assert digest_of_call(call) == digest_of_call(call)
    assert len(digest_of_call(call)) == 64


def test_an_answer_without_anything_is_an_empty_outcome() -> None:
    assert outcome_of(answered(model=None)) == Outcome()


def test_problems_come_back_as_they_were() -> None:
    recorded = Problem("content_refused", "no", ("hint",), False, (), {"status": 400}).to_json()
    error = failure(journal_of(requested(), answered(error=recorded)))
    assert (error.code, error.message, error.http) == ("content_refused", "no", {"status": 400})


# ---------------------------------------------------------------- what is left of earlier runs


def test_what_earlier_runs_saved_is_told_at_an_end_that_nobody_works_for() -> None:
    saved = journal_of(requested(), answered(), ArtifactSaved("picture", 1, ARTIFACT)).run(job())
    assert (list(saved.artifacts), saved.warnings) == ([ARTIFACT], [])


@pytest.mark.parametrize(
    ("journal", "retried", "warns"),
    [
        (journal_of(requested()), 0, True),
        (journal_of(requested(paid=False)), 0, False),
        (journal_of(requested(), answered()), 0, False),
        (journal_of(requested()), 99, False),
        (Journal(), 0, False),
    ],
)
def test_a_paid_call_whose_answer_was_lost_is_warned_of(
    journal: Journal, retried: int, *, warns: bool
) -> None:
    assert bool(journal.run(job(retried=retried)).warnings) is warns


# ---------------------------------------------------------------- worked on


def taken(step: str = "generate", ticket: dict[str, Any] | None = None) -> ProviderAccepted:
    return ProviderAccepted(step, 1, ticket or {"id": "t-1"}, [], [], "m", None, [])


def test_what_a_provider_took_and_nothing_tells_the_end_of_is_under_way() -> None:
    journal = journal_of(
        requested(), taken(), requested("other"), taken("other"), answered("other")
    )
    assert {step: one.ticket for step, one in journal.under_way().items()} == {
        "generate": Ticket("t-1")
    }


@pytest.mark.parametrize(("code", "goes_on"), [("provider_timeout", True), ("no_media", False)])
def test_a_failure_after_which_it_is_gone_on_with_is_no_end(code: Any, goes_on: bool) -> None:
    journal = journal_of(requested(), taken(), answered(error=problem(code)))
    assert bool(journal.under_way()) is goes_on


def test_what_only_lies_at_an_address_is_worked_on_by_nobody() -> None:
    media = ProviderAccepted("generate", 1, None, [{"url": "/x"}], [], "m", None, [])
    assert journal_of(requested(), media).under_way() == {}
    assert journal_of(requested()).under_way() == {}
