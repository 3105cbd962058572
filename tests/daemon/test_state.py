"""The state is a fold over the log: total, and the same however the log is cut."""

import copy
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.archive import Drop
from daemon.events import (
    ArtifactSaved,
    Event,
    IntakePaused,
    IntakeResumed,
    JobAccepted,
    JobCancelled,
    JobCancelRequested,
    JobFailed,
    JobParked,
    JobRetrying,
    JobRetryRequested,
    JobStarted,
    JobSucceeded,
    ProviderAccepted,
    ProviderProgressed,
    Recorded,
    RequestMatched,
    RequestRejected,
    ResultEmitted,
)
from daemon.jobs import ENDED, Job, evolve
from daemon.state import State, fold
from tests.builders import (
    ANY_EVENT,
    ARTIFACT,
    EPOCH,
    History,
    accepted,
    answered,
    ended,
    problem,
    requested,
)
from tests.examples import examples

JOBS = st.none() | st.sampled_from(["J1", "J2", "J3"])
NAMES = st.none() | st.sampled_from(["a.json", "b.json"])
LOGS = st.lists(st.tuples(JOBS, NAMES, st.none() | ANY_EVENT), max_size=25).map(
    lambda rows: [
        Recorded(number, f"id{number}", EPOCH, name, job, event)
        for number, (job, name, event) in enumerate(rows, start=1)
    ]
)


def after(*rows: tuple[Event, str | None, str | None]) -> State:
    """The state after events, each with its job and name."""
    history = History()
    for event, job, name in rows:
        history.add(event, job, name)
    return history.state()


def rejected(key: str = "c1") -> RequestRejected:
    return RequestRejected(key, f"sha of {key}", None, {}, problem("invalid_json"))


def matched(key: str, job: str) -> RequestMatched:
    return RequestMatched(key, f"sha of {key}", job, "the same bytes as before")


# ---------------------------------------------------------------- the fold itself


@settings(max_examples=examples(150), deadline=None)
@given(LOGS)
def test_any_events_in_any_order_can_be_folded(log: list[Recorded]) -> None:
    state = fold(log)
    assert state.sequence == len(log)
    assert state.held == Counter(digest for job in state.jobs.values() for digest in job.hold)
    assert all(count > 0 for count in state.held.values())
    for name in state.drops:
        newest = state.newest(name)
        assert newest is not None
        assert [drop.key for drop in state.drops[name].values()].count(newest.key) == 1
    assert all(job.id == key for key, job in state.jobs.items())


@settings(max_examples=examples(80), deadline=None)
@given(LOGS, st.integers(0, 25))
def test_folding_in_two_halves_is_folding_at_once(log: list[Recorded], cut: int) -> None:
    state = fold(log[:cut])
    for recorded in log[cut:]:
        state.apply(recorded)
    assert state == fold(log)


@settings(max_examples=examples(80), deadline=None)
@given(LOGS)
def test_a_copy_of_a_state_does_not_move_with_it(log: list[Recorded]) -> None:
    """The fold replaces values and never changes one that somebody may hold."""
    state = State()
    held: list[tuple[Job, Job]] = []
    for recorded in log:
        state.apply(recorded)
        held += [(job, copy.deepcopy(job)) for job in state.jobs.values()]
    assert all(job == then for job, then in held)


@settings(max_examples=examples(80), deadline=None)
@given(LOGS)
def test_a_jobs_version_counts_its_events_from_its_acceptance(log: list[Recorded]) -> None:
    state = fold(log)
    for job in state.jobs.values():
        own = [r for r in log if r.job == job.id and r.sequence >= job.first]
        assert job.version == len([r for r in own if r.event is not None])


def test_an_event_of_a_job_that_was_never_accepted_changes_no_job() -> None:
    state = after((JobStarted(1, 1), "J1", "a.json"), (ended(JobSucceeded), "J1", "a.json"))
    assert state.jobs == {}
    assert state.owed == {}


def test_an_event_of_an_unknown_type_moves_the_sequence_alone() -> None:
    state = State()
    state.apply(Recorded(9, "i", EPOCH, "a.json", "J1", None))
    nothing = State()
    nothing.sequence = 9
    assert state == nothing


# ---------------------------------------------------------------- one job


def test_a_job_goes_its_way() -> None:
    history = History()
    history.add(accepted(labels={"a": 1}), "J1", "a.json")
    assert history.state().jobs["J1"] == Job(
        id="J1",
        name="a.json",
        task="generate_image",
        provider="local",
        status="waiting",
        version=1,
        first=1,
        accepted_at=EPOCH,
        labels={"a": 1},
        asked_at=EPOCH,
    )
    history.add(JobStarted(1, 1), "J1", "a.json")
    assert history.state().jobs["J1"].status == "running"
    history.add(JobRetrying(1, problem("provider_unavailable"), "later"), "J1", "a.json")
    job = history.state().jobs["J1"]
    assert (job.status, job.attempt, job.runs, job.due) == ("retrying", 2, 0, "later")
    assert job.error == "provider_unavailable"
    history.add(JobStarted(2, 1), "J1", "a.json")
    job = history.state().jobs["J1"]
    assert (job.status, job.attempt, job.runs, job.due) == ("running", 2, 1, None)
    history.add(ended(JobSucceeded), "J1", "a.json")
    state = history.state()
    job = state.jobs["J1"]
    assert (job.status, job.last, job.error, job.version) == ("succeeded", 5, None, 5)
    assert state.open_jobs == {}
    assert state.owed == {"a.json": 5}


@pytest.mark.parametrize(
    ("event", "status"),
    [
        (ended(JobSucceeded), "succeeded"),
        (ended(JobFailed), "failed"),
        (ended(JobCancelled, error=problem("cancelled")), "cancelled"),
    ],
)
def test_each_end_has_its_status(event: Event, status: str) -> None:
    job = after((accepted(), "J1", "a.json"), (event, "J1", "a.json")).jobs["J1"]
    assert job.status == status
    assert job.ended
    assert job.status in ENDED


def test_open_jobs_are_in_the_order_of_their_acceptance() -> None:
    state = after(
        (accepted(), "J2", "b.json"),
        (accepted(), "J1", "a.json"),
        (accepted(), "J3", "c.json"),
        (ended(JobFailed), "J1", "a.json"),
    )
    assert list(state.open_jobs) == ["J2", "J3"]


def test_steps_are_remembered_by_their_place_in_the_log() -> None:
    state = after(
        (accepted(), "J1", "a.json"),
        (requested(), "J1", "a.json"),
        (ProviderProgressed("half", 0.5), "J1", "a.json"),
        (answered(media=[{"sha256": "a" * 64}, {"sha256": "b" * 64}]), "J1", "a.json"),
        (ArtifactSaved("picture 1", 3, ARTIFACT), "J1", "a.json"),
    )
    job = state.jobs["J1"]
    assert job.journal == (2, 4, 5)
    assert job.hold == ("a" * 64, "b" * 64)
    assert job.number == 3
    assert job.version == 5


# ---------------------------------------------------------------- polled


def polled(*more: Event) -> Job:
    rows: list[Event] = [accepted(), JobStarted(1, 1), requested(), taken(), parked(), *more]
    return after(*((event, "J1", "a.json") for event in rows)).jobs["J1"]


def parked(due: str = "soon") -> JobParked:
    return JobParked(due, ["generate"])


def taken(step: str = "generate") -> ProviderAccepted:
    return ProviderAccepted(step, 1, {"id": "t-1"}, [], [], "m", None, [])


def told(polls: int, step: str | None = "generate") -> ProviderProgressed:
    return ProviderProgressed("running", None, step, polls)


def test_a_job_that_was_unwound_in_good_order_was_no_crash() -> None:
    job = polled()
    assert (job.status, job.attempt, job.runs, job.due) == ("polling", 1, 0, "soon")
    assert polled(JobStarted(1, 1)).runs == 1
    assert polled(JobStarted(1, 1), parked()).runs == 0


def test_crashes_of_one_that_is_parked_again_and_again_are_counted_all_the_same() -> None:
    """Each time its media are brought home the daemon dies."""
    crashes = [
        event
        for run in range(1, 6)
        for event in (JobStarted(1, run), JobStarted(1, run + 1), parked())
    ]
    assert polled(*crashes).runs == 5


def test_polls_are_counted_by_step_as_far_as_they_were_told() -> None:
    job = polled(told(3), told(1, "other"), told(7), told(0, None))
    assert job.polls == {"generate": 7, "other": 1}
    assert job.progressed == 9


def test_another_call_of_a_step_has_not_been_asked_for_yet() -> None:
    assert polled(told(3), told(2, "other"), requested(), taken()).polls == {"other": 2}


def test_a_retry_has_all_its_polls_again() -> None:
    job = polled(told(3), ended(JobFailed), JobRetryRequested(False, "k"))
    assert (job.polls, job.progressed, job.due) == ({}, 0, None)


def test_another_attempt_goes_on_counting() -> None:
    retrying = JobRetrying(1, problem("provider_unavailable"), "later")
    assert polled(told(3), retrying).polls == {"generate": 3}


def test_numbers_of_artifacts_never_go_back() -> None:
    rows = [(ArtifactSaved(f"s{n}", n, ARTIFACT), "J1", "a.json") for n in (2, 5, 1)]
    assert after((accepted(), "J1", "a.json"), *rows).jobs["J1"].number == 5


# ---------------------------------------------------------------- run again


def finished(event: Event) -> History:
    history = History()
    history.add(accepted(), "J1", "a.json")
    history.add(JobStarted(1, 1), "J1", "a.json")
    history.add(requested(), "J1", "a.json")
    history.add(answered(media=[{"sha256": "a" * 64}]), "J1", "a.json")
    history.add(ArtifactSaved("picture 1", 1, ARTIFACT), "J1", "a.json")
    history.add(event, "J1", "a.json")
    return history


def test_a_fresh_retry_forgets_every_answer_and_keeps_every_file() -> None:
    history = finished(ended(JobSucceeded))
    history.add(JobRetryRequested(True, "k1"), "J1", "a.json")
    job = history.state().jobs["J1"]
    assert (job.status, job.attempt, job.runs, job.last) == ("waiting", 1, 0, 0)
    assert (job.journal, job.hold) == ((), ())
    assert (job.number, job.number_before) == (1, 1)
    assert (job.retried, job.retry_key) == (7, "k1")
    assert list(history.state().open_jobs) == ["J1"]


def test_a_retry_that_is_not_fresh_keeps_its_answers() -> None:
    history = finished(ended(JobFailed))
    history.add(JobRetryRequested(False, "k1"), "J1", "a.json")
    job = history.state().jobs["J1"]
    assert (job.journal, job.hold, job.number_before) == ((3, 4, 5), ("a" * 64,), 0)
    assert (job.status, job.error, job.cancelling) == ("waiting", None, False)


def test_a_retry_takes_back_a_cancellation() -> None:
    history = History()
    history.add(accepted(), "J1", "a.json")
    history.add(JobCancelRequested(), "J1", "a.json")
    assert history.state().jobs["J1"].cancelling
    history.add(ended(JobCancelled, error=problem("cancelled")), "J1", "a.json")
    history.add(JobRetryRequested(False, "k"), "J1", "a.json")
    assert not history.state().jobs["J1"].cancelling


def test_while_a_job_runs_again_its_old_answer_is_not_owed() -> None:
    history = finished(ended(JobFailed))
    assert history.state().owed == {"a.json": 6}
    history.add(JobRetryRequested(False, "k"), "J1", "a.json")
    assert history.state().owed == {}


# ---------------------------------------------------------------- media that are held


def test_media_are_held_until_the_job_succeeded() -> None:
    history = finished(ended(JobFailed))
    assert history.state().held == {"a" * 64: 1}
    history.add(JobRetryRequested(False, "k"), "J1", "a.json")
    history.add(ended(JobSucceeded), "J1", "a.json")
    assert history.state().held == {}


def test_a_medium_of_two_jobs_is_held_until_the_last_one_lets_go() -> None:
    same = {"media": [{"sha256": "a" * 64}, {"sha256": "a" * 64}]}
    history = History()
    for name in ("J1", "J2"):
        history.add(accepted(name), name, f"{name}.json")
        history.add(answered(**same), name, f"{name}.json")
    assert history.state().held == {"a" * 64: 2}
    history.add(ended(JobSucceeded), "J1", "J1.json")
    assert history.state().held == {"a" * 64: 1}
    history.add(ended(JobSucceeded), "J2", "J2.json")
    assert history.state().held == {}


def test_blobs_of_requests_are_needed_for_as_long_as_the_log() -> None:
    state = after(
        (accepted(blobs={"/prompt": "f" * 64}), "J1", "a.json"),
        (ended(JobSucceeded), "J1", "a.json"),
    )
    assert state.request_blobs == {"f" * 64}


# ---------------------------------------------------------------- drops and what is owed


def test_the_newest_drop_of_a_name_is_the_last_one() -> None:
    state = after((accepted("c1"), "J1", "a.json"), (accepted("c2"), "J2", "a.json"))
    assert state.newest("a.json") == Drop("c2", "sha of c2", "J2", 2)
    assert state.known("a.json", "c1") == Drop("c1", "sha of c1", "J1", 1)
    assert state.known("a.json", "c3") is None
    assert state.newest("b.json") is None


def test_only_the_newest_drops_answer_is_owed() -> None:
    rows = [(accepted("c1"), "J1", "a.json"), (accepted("c2"), "J2", "a.json")]
    state = after(*rows, (ended(JobSucceeded), "J1", "a.json"))
    assert state.owed == {}
    state = after(*rows, (ended(JobSucceeded), "J2", "a.json"))
    assert state.owed == {"a.json": 3}


def test_a_new_drop_takes_back_what_was_owed_for_the_old_one() -> None:
    rows = [(accepted("c1"), "J1", "a.json"), (ended(JobSucceeded), "J1", "a.json")]
    assert after(*rows).owed == {"a.json": 2}
    assert after(*rows, (accepted("c2"), "J2", "a.json")).owed == {}


def test_a_result_that_was_emitted_is_owed_no_more() -> None:
    rows = [(accepted(), "J1", "a.json"), (ended(JobSucceeded), "J1", "a.json")]
    assert after(*rows, (ResultEmitted("J1", 2, "a.result.json"), None, "a.json")).owed == {}


def test_an_older_result_that_was_emitted_late_settles_nothing() -> None:
    state = after(
        (accepted(), "J1", "a.json"),
        (ended(JobFailed), "J1", "a.json"),
        (JobRetryRequested(False, "k"), "J1", "a.json"),
        (ended(JobSucceeded), "J1", "a.json"),
        (ResultEmitted("J1", 2, "a.result.json"), None, "a.json"),
    )
    assert state.owed == {"a.json": 4}


def test_a_rejection_is_owed_at_once() -> None:
    state = after((rejected(), None, "a.json"))
    assert state.owed == {"a.json": 1}
    assert state.newest("a.json") == Drop("c1", "sha of c1", None, 1)
    assert state.jobs == {}


def test_going_back_to_earlier_bytes_makes_them_the_newest_and_their_answer_owed() -> None:
    state = after(
        (accepted("c1"), "J1", "a.json"),
        (ended(JobSucceeded), "J1", "a.json"),
        (accepted("c2"), "J2", "a.json"),
        (matched("c1", "J1"), None, "a.json"),
        (ended(JobSucceeded), "J2", "a.json"),
    )
    newest = state.newest("a.json")
    assert newest is not None
    assert newest.job == "J1"
    assert state.owed == {"a.json": 2}
    assert state.names_of(state.jobs["J1"]) == ["a.json"]
    assert state.names_of(state.jobs["J2"]) == []


def test_a_job_answers_all_names_that_were_matched_to_it() -> None:
    state = after(
        (accepted("c1"), "J1", "a.json"),
        (matched("c7", "J1"), None, "b.json"),
        (matched("c8", "J1"), None, "b.json"),
        (matched("c9", "J1"), None, "c.json"),
        (accepted("c2"), "J2", "c.json"),
        (ended(JobSucceeded), "J1", "a.json"),
    )
    assert state.names_of(state.jobs["J1"]) == ["a.json", "b.json"]
    assert state.owed == {"a.json": 6, "b.json": 6}


def test_a_match_to_a_job_that_nobody_knows_changes_nothing() -> None:
    state = after((matched("c1", "J9"), None, "a.json"))
    assert (state.drops, state.owed, state.jobs) == ({}, {}, {})


def test_an_id_names_its_first_body() -> None:
    state = after(
        (accepted("c1", request_id="mine", body_sha256="b1"), "J1", "a.json"),
        (accepted("c2", request_id="mine"), "J2", "b.json"),
    )
    assert state.ids == {"mine": ("b1", "J1")}


def test_intake_pauses_and_resumes() -> None:
    assert after((IntakePaused("disk space", 1, 2), None, None)).paused
    rows = [(IntakePaused("disk space", 1, 2), None, None), (IntakeResumed(3), None, None)]
    assert not after(*rows).paused


def test_many_drops_of_one_name_do_not_grow_slower_with_each() -> None:
    """A client may use one name for all its requests, for years."""
    history = History()
    for number in range(20_000):
        history.add(accepted(f"c{number}"), f"J{number}", "always.json")
    state = history.state()
    assert len(state.drops["always.json"]) == 20_000


# ---------------------------------------------------------------- evolve


def test_evolve_makes_a_job_of_an_acceptance_only() -> None:
    event = accepted()
    recorded = Recorded(4, "i", EPOCH, "a.json", "J1", event)
    job = evolve(None, recorded)
    assert job is not None
    assert (job.first, job.version) == (4, 1)
    assert isinstance(event, JobAccepted)
    assert evolve(None, Recorded(5, "i", EPOCH, "a.json", "J1", JobStarted(1, 1))) is None
