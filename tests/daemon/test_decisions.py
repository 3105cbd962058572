"""What each wish comes to, in each state of a job and of a name."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.decisions import (
    NOTHING,
    Accept,
    Cancel,
    EndCancelled,
    Fail,
    JobCommand,
    Next,
    Park,
    Reject,
    Retry,
    Run,
    Start,
    Succeed,
    decide,
    decide_job,
)
from daemon.errors import Problem
from daemon.events import (
    JobAccepted,
    JobCancelled,
    JobCancelRequested,
    JobEnded,
    JobFailed,
    JobParked,
    JobRetrying,
    JobRetryRequested,
    JobStarted,
    JobSucceeded,
    RequestMatched,
    RequestRejected,
)
from daemon.state import State
from tests.builders import EPOCH, History, accepted, ended, job, problem
from tests.examples import examples

BROKEN = Problem("provider_failed", "it broke")
OPEN: list[Any] = ["waiting", "running", "polling", "retrying"]
DONE: list[Any] = ["succeeded", "failed", "cancelled"]


def types(command: JobCommand, **fields: Any) -> list[type]:
    return [type(event) for event in decide_job(job(**fields), command).events]


# ---------------------------------------------------------------- cancel


@pytest.mark.parametrize(
    ("status", "events"),
    [
        ("waiting", [JobCancelRequested, JobCancelled]),
        ("retrying", [JobCancelRequested, JobCancelled]),
        ("running", [JobCancelRequested]),
        ("polling", [JobCancelRequested]),
        ("succeeded", []),
        ("failed", []),
        ("cancelled", []),
    ],
)
def test_cancel(status: Any, events: list[type]) -> None:
    assert types(Cancel("J1"), status=status) == events


@pytest.mark.parametrize("status", ["waiting", "retrying"])
def test_a_job_that_has_steps_is_ended_by_whoever_knows_what_is_left_of_them(status: Any) -> None:
    assert types(Cancel("J1"), status=status, journal=(3,)) == [JobCancelRequested]


@pytest.mark.parametrize("status", OPEN)
def test_a_second_cancel_comes_to_nothing(status: Any) -> None:
    assert decide_job(job(status=status, cancelling=True), Cancel("J1")) is NOTHING


def test_a_job_cancelled_before_it_began_tells_of_no_attempt() -> None:
    end = decide_job(job(status="waiting"), Cancel("J1")).events[-1]
    assert isinstance(end, JobCancelled)
    assert (end.attempts, end.provider, end.artifacts) == (0, "local", [])
    assert end.error is not None
    assert end.error["code"] == "cancelled"


def test_a_job_cancelled_between_two_attempts_tells_of_the_first() -> None:
    end = decide_job(job(status="retrying", attempt=2, runs=0), Cancel("J1")).events[-1]
    assert isinstance(end, JobEnded)
    assert end.attempts == 1


def test_a_job_whose_call_was_taken_tells_of_the_attempt_that_it_is_in() -> None:
    polled = job(status="polling", attempt=2, runs=0)
    (end,) = decide_job(polled, EndCancelled("J1", Run())).events
    assert isinstance(end, JobEnded)
    assert end.attempts == 2


# ---------------------------------------------------------------- retry


@pytest.mark.parametrize(
    ("status", "error", "fresh"),
    [
        ("succeeded", None, True),
        ("failed", "provider_failed", False),
        ("failed", "ambiguous_submit", False),
        ("failed", "unreadable_media", True),
        ("failed", "no_media", True),
        ("failed", "internal", False),
        ("cancelled", "cancelled", False),
    ],
)
def test_retry(status: Any, error: str | None, fresh: bool) -> None:
    decision = decide_job(job(status=status, error=error, version=7), Retry("J1", "k1"))
    assert decision.events == (JobRetryRequested(fresh, "k1"),)
    assert (decision.job, decision.version, decision.subject) == ("J1", 7, "a.json")


@pytest.mark.parametrize("status", OPEN)
def test_a_job_that_has_not_ended_is_not_run_again(status: Any) -> None:
    assert decide_job(job(status=status), Retry("J1", "k1")) is NOTHING


@pytest.mark.parametrize("status", DONE)
def test_one_control_file_is_obeyed_once(status: Any) -> None:
    assert decide_job(job(status=status, retry_key="k1"), Retry("J1", "k1")) is NOTHING
    assert decide_job(job(status=status, retry_key="k1"), Retry("J1", "k2")).events


# ---------------------------------------------------------------- runs


def test_a_parked_job_says_what_is_waited_for() -> None:
    running = job(status="running", runs=1, version=5)
    decision = decide_job(running, Park("J1", "soon", ("one", "two")))
    assert decision.events == (JobParked("soon", ("one", "two")),)
    assert (decision.job, decision.version) == ("J1", 5)


@pytest.mark.parametrize("status", OPEN)
def test_start_counts_the_run_and_keeps_the_attempt(status: Any) -> None:
    decision = decide_job(job(status=status, attempt=2, runs=3), Start("J1"))
    assert decision.events == (JobStarted(attempt=2, run=4),)


@pytest.mark.parametrize("status", DONE)
def test_a_job_that_ended_is_not_started(status: Any) -> None:
    assert decide_job(job(status=status), Start("J1")) is NOTHING


def test_the_end_holds_everything_the_result_needs() -> None:
    artifact = {"path": "tmp/images/x.png"}
    run = Run("openai", "m-2", [artifact], [{"url": "x"}], ["look"], {"tokens": 3})
    running = job(status="running", attempt=2, runs=1, labels={"a": 1}, first=9)
    (end,) = decide_job(running, Succeed("J1", run)).events
    assert end == JobSucceeded(
        provider="openai",
        model="m-2",
        artifacts=[artifact],
        references=[{"url": "x"}],
        warnings=["look"],
        error=None,
        usage={"tokens": 3},
        attempts=2,
        task="generate_image",
        labels={"a": 1},
        accepted_at=EPOCH,
        first=9,
    )


def test_a_failure_with_a_due_time_is_tried_again() -> None:
    running = job(status="running", attempt=2, runs=1)
    (event,) = decide_job(running, Fail("J1", Run(), BROKEN, Next("later"))).events
    assert event == JobRetrying(2, BROKEN.to_json(), "later")


def test_a_failure_without_one_is_the_end() -> None:
    (event,) = decide_job(job(status="running", runs=1), Fail("J1", Run(), BROKEN)).events
    assert isinstance(event, JobFailed)
    assert event.error == BROKEN.to_json()
    assert event.provider == "local"


def test_a_job_stopped_on_somebodys_wish_is_cancelled() -> None:
    (event,) = decide_job(job(status="running", runs=1), EndCancelled("J1", Run())).events
    assert isinstance(event, JobCancelled)
    assert event.attempts == 1


@pytest.mark.parametrize(
    "command",
    [Cancel("J9"), Retry("J9", "k"), Start("J9"), Succeed("J9", Run()), EndCancelled("J9", Run())],
)
def test_a_wish_about_a_job_nobody_knows_comes_to_nothing(command: JobCommand) -> None:
    assert decide(State(), command) is NOTHING


def test_a_decision_names_the_version_it_was_made_from() -> None:
    history = History()
    history.add(accepted(), "J1", "a.json")
    decision = decide(history.state(), Cancel("J1"))
    assert (decision.job, decision.version, decision.subject) == ("J1", 1, "a.json")


# ---------------------------------------------------------------- accept


def accept(name: str, content: str, sha: str | None = None, **more: Any) -> Accept:
    again = more.pop("again", False)
    event = accepted(content, request_sha256=sha or f"sha of {content}", **more)
    return Accept(name, content, "JNEW", event, again)


def reject(name: str, key: str, sha: str | None = None, again: bool = False) -> Reject:
    return Reject(name, key, sha or f"sha of {key}", None, {}, BROKEN, again)


def one_job(**fields: Any) -> History:
    history = History()
    history.add(accepted("c1", **fields), "J1", "a.json")
    return history


def test_a_new_request_becomes_a_job() -> None:
    command = accept("a.json", "c1")
    decision = decide(State(), command)
    assert decision.events == (command.event,)
    assert (decision.job, decision.version, decision.subject) == ("JNEW", 0, "a.json")


def test_the_same_bytes_again_come_to_nothing() -> None:
    assert decide(one_job().state(), accept("a.json", "c1")) is NOTHING
    assert decide(one_job().state(), accept("a.json", "c1", again=True)) is NOTHING


def test_the_same_bytes_under_another_name_are_another_request() -> None:
    decision = decide(one_job().state(), accept("b.json", "c1"))
    assert isinstance(decision.events[0], JobAccepted)


def test_a_change_in_white_space_gets_the_same_answer() -> None:
    decision = decide(one_job().state(), accept("a.json", "c1", "sha with a newline"))
    assert decision.events == (RequestMatched("c1", "sha with a newline", "J1", "white space"),)
    assert (decision.job, decision.version, decision.subject) == (None, None, "a.json")


def test_after_a_change_in_white_space_the_new_bytes_are_known() -> None:
    history = one_job()
    history.add(RequestMatched("c1", "sha 2", "J1", "white space"), None, "a.json")
    assert decide(history.state(), accept("a.json", "c1", "sha 2")) is NOTHING
    assert decide(history.state(), accept("a.json", "c1", "sha of c1")).events


def test_other_bytes_under_a_name_are_a_new_request() -> None:
    decision = decide(one_job().state(), accept("a.json", "c2"))
    assert isinstance(decision.events[0], JobAccepted)
    assert decision.job == "JNEW"


def test_a_return_to_earlier_bytes_gets_the_earlier_answer() -> None:
    history = one_job()
    history.add(accepted("c2"), "J2", "a.json")
    (event,) = decide(history.state(), accept("a.json", "c1")).events
    assert event == RequestMatched("c1", "sha of c1", "J1", "the same bytes as before")


def test_bytes_that_were_rejected_and_are_good_now_become_a_job() -> None:
    history = History()
    history.add(RequestRejected("c1", "sha of c1", None, {}, problem()), None, "a.json")
    assert decide(history.state(), accept("a.json", "c1")) is NOTHING
    decision = decide(history.state(), accept("a.json", "c1", again=True))
    assert isinstance(decision.events[0], JobAccepted)


def test_rejected_bytes_that_come_back_after_others_are_judged_anew() -> None:
    history = History()
    history.add(RequestRejected("c1", "sha of c1", None, {}, problem()), None, "a.json")
    history.add(accepted("c2"), "J2", "a.json")
    decision = decide(history.state(), accept("a.json", "c1"))
    assert isinstance(decision.events[0], JobAccepted)
    assert isinstance(decide(history.state(), reject("a.json", "c1")).events[0], RequestRejected)


# ---------------------------------------------------------------- ids


@pytest.mark.parametrize("name", ["a.json", "b.json"])
def test_the_same_id_and_body_gets_the_first_answer(name: str) -> None:
    history = one_job(request_id="mine", body_sha256="b1")
    command = accept(name, "c2", request_id="mine", body_sha256="b1")
    (event,) = decide(history.state(), command).events
    assert event == RequestMatched("c2", "sha of c2", "J1", "the same id and body")


def test_the_same_id_with_another_body_is_refused() -> None:
    history = one_job(request_id="mine", body_sha256="b1")
    command = accept("b.json", "c2", request_id="mine", body_sha256="b2", labels={"l": 1})
    decision = decide(history.state(), command)
    (event,) = decision.events
    assert isinstance(event, RequestRejected)
    assert event.error["code"] == "duplicate_id"
    assert (event.key, event.request_sha256) == ("c2", "sha of c2")
    assert (event.task, event.labels) == ("generate_image", {"l": 1})
    assert (decision.job, decision.subject) == (None, "b.json")


def test_a_duplicate_id_is_refused_once() -> None:
    history = one_job(request_id="mine", body_sha256="b1")
    command = accept("b.json", "c2", request_id="mine", body_sha256="b2")
    history.add(decide(history.state(), command).events[0], None, "b.json")
    assert decide(history.state(), command) is NOTHING


def test_an_id_whose_job_failed_still_gets_that_answer() -> None:
    history = one_job(request_id="mine", body_sha256="b1")
    history.add(ended(JobFailed), "J1", "a.json")
    command = accept("b.json", "c2", request_id="mine", body_sha256="b1")
    assert isinstance(decide(history.state(), command).events[0], RequestMatched)


# ---------------------------------------------------------------- reject


def test_a_bad_request_is_refused_once() -> None:
    decision = decide(State(), reject("a.json", "c1"))
    (event,) = decision.events
    assert event == RequestRejected("c1", "sha of c1", None, {}, BROKEN.to_json())
    assert (decision.job, decision.subject) == (None, "a.json")
    history = History()
    history.add(event, None, "a.json")
    assert decide(history.state(), reject("a.json", "c1")) is NOTHING


def test_a_retry_judges_a_bad_request_again() -> None:
    history = History()
    history.add(RequestRejected("c1", "sha of c1", None, {}, problem()), None, "a.json")
    assert decide(history.state(), reject("a.json", "c1", again=True)).events


def test_other_bad_bytes_are_refused_again() -> None:
    history = History()
    history.add(RequestRejected("c1", "sha of c1", None, {}, problem()), None, "a.json")
    assert decide(history.state(), reject("a.json", "c2")).events


def test_a_request_that_became_a_job_is_not_refused_later() -> None:
    """As where a newer version's door is narrower than the one that took it."""
    assert decide(one_job().state(), reject("a.json", "c1")) is NOTHING


def test_bad_bytes_over_a_good_request_are_refused_and_the_job_goes_on() -> None:
    history = one_job()
    (event,) = decide(history.state(), reject("a.json", "c2")).events
    history.add(event, None, "a.json")
    state = history.state()
    assert list(state.open_jobs) == ["J1"]
    assert state.names_of(state.jobs["J1"]) == []


# ---------------------------------------------------------------- anything at all

CONTENTS = st.sampled_from(["c1", "c2", "c3"])
NAMES = st.sampled_from(["a.json", "b.json"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["accept", "reject", "end", "retry", "cancel"]), NAMES, CONTENTS),
    max_size=15,
)


@settings(max_examples=examples(150), deadline=None)
@given(STEPS)
def test_whatever_is_dropped_asking_twice_never_comes_to_two_answers(
    steps: list[tuple[str, str, str]],
) -> None:
    history = History()
    for number, (what, name, content) in enumerate(steps):
        commands = _commands(history.state(), what, name, content, number)
        for command in commands:
            decision = decide(history.state(), command)
            for event in decision.events:
                history.add(event, decision.job, decision.subject)
            again = decide(history.state(), command)
            assert again is NOTHING or isinstance(command, Succeed), (command, again)
    state = history.state()
    for name, drops in state.drops.items():
        newest = state.newest(name)
        assert newest is not None
        answer = state.jobs[newest.job].last if newest.job is not None else newest.event
        assert state.owed.get(name, 0) == answer, (name, drops)


def _commands(state: State, what: str, name: str, content: str, number: int) -> list[Any]:
    newest = state.newest(name)
    if what == "accept":
        return [accept(name, content)._replace(new_job=f"J{number}")]
    if what == "reject":
        return [reject(name, content)]
    if newest is None or newest.job is None:
        return []
    if what == "end":
        return [] if state.jobs[newest.job].ended else [Succeed(newest.job, Run())]
    return [Retry(newest.job, f"k{number}") if what == "retry" else Cancel(newest.job)]
