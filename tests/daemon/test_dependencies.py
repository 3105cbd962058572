"""Who waits for whom: judged by a state that events make, on a real schedule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.blame import MAX_DEPTH
from daemon.dependencies import Dependencies
from daemon.errors import Problem
from daemon.events import (
    JobCancelled,
    JobEnded,
    JobFailed,
    JobRetryRequested,
    JobSucceeded,
    RequestMatched,
    RequestRejected,
)
from daemon.schedule import Schedule
from daemon.state import State
from tests.builders import EPOCH, History, accepted, ended, problem
from tests.examples import examples

AFTER_A_MINUTE = "2026-01-01T00:01:00.000Z"
LATER = "2026-01-02T00:00:00.000Z"


class Scene:
    """A state, a schedule and who waits for whom, told of events as the runner tells."""

    def __init__(self) -> None:
        self.history, self.state = History(), State()
        self.schedule = Schedule(1000, 1000)
        self.dependencies = Dependencies(self.state, self.schedule, 60.0)
        self.started: list[str] = []
        self.doomed: dict[str, Problem] = {}
        """By job."""

    def drop(self, name: str, *after: str, **fields: Any) -> str:
        """Accept a request; returns its job."""
        job_id = f"J{len(self.history.recorded)}"
        self._apply(accepted(job_id, after=list(after), **fields), job_id, name)
        self.dependencies.appeared(name)
        self._line_up(job_id)
        return job_id

    def reject(self, name: str) -> None:
        self._apply(RequestRejected("k", None, None, {}, problem("invalid_json")), None, name)
        self.dependencies.appeared(name)

    def match(self, name: str, job_id: str) -> None:
        """The same request as one that was there, under another name."""
        self._apply(RequestMatched("m", "m", job_id, "the same id and body"), None, name)
        self.dependencies.appeared(name)

    def end(self, job_id: str, kind: type[JobEnded] = JobSucceeded, why: Any = None) -> None:
        job = self.state.jobs[job_id]
        error = None if kind is JobSucceeded else why or problem()
        self._apply(ended(kind, error=error), job_id, job.name)
        self.schedule.remove(job_id)
        self.dependencies.ended(self.state.jobs[job_id])

    def retry(self, job_id: str) -> None:
        self._apply(JobRetryRequested(False, "k"), job_id, self.state.jobs[job_id].name)
        self._line_up(job_id)
        self.dependencies.reopened(self.state.jobs[job_id])

    def go(self, now: str = EPOCH) -> list[str]:
        """Start all that can start, end all that is doomed; the names of those that started."""
        new = []
        while True:
            while (job_id := self.dependencies.take()) is not None:
                self.dependencies.begun(job_id)
                self.schedule.take(job_id)
                reason = self.dependencies.reason(job_id, self._get)
                assert reason is not None
                self.doomed[job_id] = reason
                self.end(job_id, JobFailed, reason.to_json())
            job = self.schedule.pick(now)
            if job is None:
                self.started += new
                return [self.state.jobs[job_id].name for job_id in new]
            self.dependencies.begun(job.id)
            new.append(job.id)

    def _line_up(self, job_id: str) -> None:
        self.dependencies.add(self.state.jobs[job_id])
        self.schedule.add(self.state.jobs[job_id])

    def _apply(self, event: Any, job_id: str | None, name: str) -> None:
        self.state.apply(self.history.add(event, job_id, name))

    def _get(self, sequence: int) -> Any:
        return self.history.recorded[sequence - 1]


@pytest.fixture
def scene() -> Scene:
    return Scene()


# ---------------------------------------------------------------- waiting and going


def test_a_job_starts_when_all_that_it_names_has_succeeded(scene: Scene) -> None:
    cat, dog = scene.drop("cat.json"), scene.drop("dog.json")
    scene.drop("both.json", "cat", "dog.json")
    assert scene.go() == ["cat.json", "dog.json"]
    scene.end(cat)
    assert scene.go() == []
    scene.end(dog)
    assert scene.go() == ["both.json"]


def test_what_is_not_there_yet_is_waited_for(scene: Scene) -> None:
    scene.drop("alice/cut.json", "cat")
    scene.drop("cat.json")  # of another folder
    assert scene.go() == ["cat.json"]
    assert scene.dependencies.busy
    cat = scene.drop("alice/cat.json")
    assert not scene.dependencies.busy
    assert scene.go() == ["alice/cat.json"]
    scene.end(cat)
    assert scene.go() == ["alice/cut.json"]


def test_what_has_succeeded_already_is_not_waited_for(scene: Scene) -> None:
    scene.end(scene.drop("cat.json"))
    scene.drop("cut.json", "cat.json")
    assert scene.go() == ["cut.json"]


def test_one_that_was_answered_by_another_counts(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    scene.drop("cut.json", "copy")
    scene.match("copy.json", cat)
    assert scene.go() == ["cat.json"]
    scene.end(cat)
    assert scene.go() == ["cut.json"]


def test_the_newest_drop_of_a_name_is_waited_for(scene: Scene) -> None:
    first = scene.drop("cat.json")
    scene.drop("cut.json", "cat")
    second = scene.drop("cat.json")
    scene.end(first, JobFailed)
    scene.go()
    scene.end(second)
    assert scene.go() == ["cut.json"]
    assert scene.doomed == {}


def test_one_that_runs_again_is_waited_for_again(scene: Scene) -> None:
    cat, dog = scene.drop("cat.json"), scene.drop("dog.json")
    scene.drop("both.json", "cat", "dog")
    scene.go()
    scene.end(cat)
    scene.retry(cat)
    scene.end(dog)
    assert scene.go() == ["cat.json"]
    scene.end(cat)
    assert scene.go() == ["both.json"]


def test_one_that_runs_again_before_the_other_found_a_place_is_waited_for_again(
    scene: Scene,
) -> None:
    scene.end(cat := scene.drop("cat.json"))
    scene.drop("cut.json", "cat")
    scene.retry(cat)
    assert scene.go() == ["cat.json"]
    scene.end(cat, JobFailed)
    scene.go()
    assert [problem.code for problem in scene.doomed.values()] == ["dependency_failed"]


def test_a_time_is_kept_besides_what_a_job_needs(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    scene.drop("cut.json", "cat", not_before=LATER)
    scene.go()
    scene.end(cat)
    assert scene.go() == []
    assert scene.go(LATER) == ["cut.json"]


def test_newer_drops_of_its_name_wait_behind_a_job_that_waits_for_others(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    cut = scene.drop("cut.json", "cat")
    scene.drop("cut.json")
    assert scene.go() == ["cat.json"]
    scene.end(cat)
    assert scene.go() == ["cut.json"]
    scene.end(cut)
    assert scene.go() == ["cut.json"]


# ---------------------------------------------------------------- in vain


def test_the_whole_chain_is_told_and_what_to_do_about_it(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    scene.drop("cut.json", "cat")
    out = scene.drop("out.json", "cut.json")
    scene.go()
    scene.end(cat, JobFailed, problem("provider_rejected"))
    scene.go()
    assert scene.doomed[out].code == "dependency_failed"
    assert scene.doomed[out].message == (
        "out.json needs cut.json, which failed (dependency_failed): cut.json needs cat.json, "
        "which failed: provider_rejected: it is provider_rejected"
    )
    assert scene.doomed[out].hints == (
        "When cat.json has succeeded, use retry on cut.json.",
        "When cut.json has succeeded, use retry on out.json.",
    )


def test_a_chain_that_was_mended_runs_by_retries(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    cut = scene.drop("cut.json", "cat")
    scene.end(cat, JobFailed)
    scene.go()
    scene.retry(cat)
    scene.retry(cut)
    assert scene.go() == ["cat.json"]
    scene.end(cat)
    assert scene.go() == ["cut.json"]


def test_one_that_was_cancelled_or_rejected_is_told_so(scene: Scene) -> None:
    first = scene.drop("one.json", "cat")
    scene.reject("cat.json")
    scene.go()
    assert scene.doomed[first].message == (
        "one.json needs cat.json, which was rejected: invalid_json: it is invalid_json"
    )
    dog, second = scene.drop("dog.json"), scene.drop("two.json", "dog")
    scene.end(dog, JobCancelled, problem("cancelled"))
    scene.go()
    assert scene.doomed[second].message == "two.json needs dog.json, which was cancelled"


def test_what_does_not_come_is_given_up_a_minute_after_somebody_asked(scene: Scene) -> None:
    one = scene.drop("one.json", "cat", "dog")
    assert scene.dependencies.next_due() == AFTER_A_MINUTE
    scene.drop("dog.json")
    scene.dependencies.give_up("2026-01-01T00:00:59.999Z")
    assert scene.go() == ["dog.json"]
    scene.dependencies.give_up(AFTER_A_MINUTE)
    scene.go()
    assert scene.doomed[one].message == "one.json needs cat.json, which did not come within 60 s"
    assert not scene.dependencies.busy


def test_the_minute_begins_when_a_job_may_start(scene: Scene) -> None:
    scene.drop("one.json", "cat", not_before=LATER)
    assert scene.dependencies.next_due() == "2026-01-02T00:01:00.000Z"


def test_a_name_with_a_folder_names_nothing(scene: Scene) -> None:
    one = scene.drop("one.json", "alice/cat.json")
    scene.go()
    assert "names a folder" in scene.doomed[one].message


def test_a_job_that_ends_before_it_starts_is_forgotten(scene: Scene) -> None:
    one = scene.drop("one.json", "cat")
    scene.end(one, JobCancelled)
    scene.end(scene.drop("cat.json"), JobFailed)
    assert scene.go() == []
    assert scene.doomed == {}
    assert (scene.dependencies._waiters, scene.dependencies._naming) == ({}, {})


# ---------------------------------------------------------------- circles and depth


def test_everybody_in_a_circle_is_told_of_it_when_it_closes(scene: Scene) -> None:
    a, b = scene.drop("a.json", "b"), scene.drop("b.json", "c")
    outside = scene.drop("outside.json", "a")
    assert scene.go() == []
    c = scene.drop("c.json", "a")
    assert scene.go() == []
    assert scene.doomed[a].message.endswith("a.json → b.json → c.json → a.json")
    assert scene.doomed[b].message.endswith("b.json → c.json → a.json → b.json")
    assert scene.doomed[c].message.endswith("c.json → a.json → b.json → c.json")
    assert "outside.json needs a.json" in scene.doomed[outside].message


def test_a_job_that_names_itself_is_a_circle(scene: Scene) -> None:
    a = scene.drop("a.json", "a")
    scene.go()
    assert scene.doomed[a].message == "a.json waits for itself: a.json → a.json"


def test_a_circle_over_an_older_drop_of_the_same_name_is_one(scene: Scene) -> None:
    """The newer drop waits behind the older one, which waits for who waits for the newer."""
    older = scene.drop("x.json", "a")
    scene.drop("x.json")
    a = scene.drop("a.json", "x")
    assert scene.go() == ["x.json"]
    assert scene.doomed[older].message.endswith("x.json → a.json → x.json")
    assert scene.doomed[a].message.endswith("a.json → x.json → a.json")


def test_who_only_waits_behind_an_older_drop_in_a_circle_goes_on(scene: Scene) -> None:
    older = scene.drop("x.json", "a")
    b = scene.drop("b.json")
    newer = scene.drop("x.json", "b")
    a = scene.drop("a.json", "x")
    assert scene.go() == ["b.json"]
    assert scene.doomed.keys() == {older, a}
    scene.end(b)
    scene.go()
    assert newer in scene.started


def chain(scene: Scene, length: int) -> list[str]:
    """Requests that wait for each other in a row, dropped in reverse; their jobs, the last first."""
    return [
        *(scene.drop(f"{n}.json", str(n - 1)) for n in range(length, 0, -1)),
        scene.drop("0.json"),
    ]


def test_ten_may_wait_in_a_row(scene: Scene) -> None:
    for job_id in reversed(chain(scene, MAX_DEPTH)):
        assert len(scene.go()) == 1
        scene.end(job_id)
    assert scene.doomed == {}


def test_more_are_refused_with_the_chain(scene: Scene) -> None:
    last, *others = chain(scene, MAX_DEPTH + 1)
    for job_id in reversed(others):
        assert len(scene.go()) == 1
        scene.end(job_id)
    assert scene.doomed.keys() == {last}
    assert scene.doomed[last].code == "limit_exceeded"
    assert scene.doomed[last].message.endswith("11.json → 10.json → 9.json → 8.json → 7.json → "
                                               "6.json → 5.json → 4.json → 3.json → 2.json → "
                                               "1.json → 0.json")  # fmt: skip


def test_only_those_that_are_open_count_for_the_depth(scene: Scene) -> None:
    last = scene.drop("0.json")
    for number in range(1, 3 * MAX_DEPTH):
        after = scene.drop(f"{number}.json", str(number - 1))
        if number > MAX_DEPTH // 2:
            scene.go()
            scene.end(scene.started[-1])
        last = after
    assert scene.doomed == {}
    assert last


def test_many_older_drops_of_a_name_make_no_chain(scene: Scene) -> None:
    cat = scene.drop("cat.json")
    for _ in range(3 * MAX_DEPTH):
        scene.drop("cut.json", "cat")
    scene.go()
    scene.end(cat)
    assert scene.go() == ["cut.json"]
    assert scene.doomed == {}


# ---------------------------------------------------------------- whatever comes

NAMES = st.sampled_from("abcde")
STEPS = st.one_of(
    st.tuples(st.just("drop"), NAMES, st.lists(NAMES, max_size=3)),
    st.tuples(st.just("end"), st.integers(0, 30), st.sampled_from([JobSucceeded, JobFailed])),
    st.tuples(st.just("retry"), st.integers(0, 30)),
    st.tuples(st.just("reject"), NAMES),
    st.tuples(st.just("go")),
)


@settings(max_examples=examples(300), deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_whatever_comes_nothing_is_started_too_early_and_nothing_hangs(
    steps: list[tuple[Any, ...]],
) -> None:
    scene, running = Scene(), []

    def go() -> None:
        before = len(scene.started)
        scene.go()
        for job_id in scene.started[before:]:
            for name in scene.state.jobs[job_id].after:
                drop = scene.state.newest(f"{name}.json")
                assert drop is not None
                assert scene.state.jobs[drop.job].status == "succeeded"
            running.append(job_id)

    for kind, *what in steps:
        jobs = list(scene.state.jobs)
        if kind == "drop":
            scene.drop(f"{what[0]}.json", *what[1])
        elif kind == "reject":
            scene.reject(f"{what[0]}.json")
        elif kind == "end" and running:
            scene.end(running.pop(what[0] % len(running)), what[1])
        elif kind == "retry" and jobs:
            job = scene.state.jobs[jobs[what[0] % len(jobs)]]
            if job.ended:
                scene.retry(job.id)
        elif kind == "go":
            go()
    scene.dependencies.give_up(LATER)
    go()
    while running:
        scene.end(running.pop())
        go()
    assert not scene.state.open_jobs
    kept = vars(scene.dependencies)
    assert not any(kept[name] for name in kept if name not in ("_state", "_schedule", "_patience"))
