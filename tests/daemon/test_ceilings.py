"""How many jobs may be taken in."""

from __future__ import annotations

from typing import Any

from daemon.ceilings import Ceilings, decide_within
from daemon.decisions import Accept, Reject
from daemon.errors import Problem
from daemon.events import JobAccepted, JobFailed, RequestRejected
from tests.builders import EPOCH, History, accepted, ended

NOW = EPOCH
NEXT_HOUR = "2026-01-01T01:00:00.000Z"


def wish(name: str, content: str = "c1", *, again: bool = False) -> Accept:
    return Accept(name, content, f"J-{name}-{content}", accepted(content), again)


class Door:
    """Takes wishes in, one batch after the other."""

    def __init__(self, waiting: int = 100, hourly: int = 0) -> None:
        self.ceilings = Ceilings(waiting, hourly)
        self.history = History()

    def take(self, *wishes: Accept | Reject, sight: Any = 1, now: str = NOW) -> list[str]:
        state = self.history.state()
        sights = [sight] * len(wishes)
        told = []
        for decision in decide_within(self.ceilings, state, wishes, sights, now):
            for event in decision.events:
                self.history.add(event, decision.job, decision.subject)
            told.append(_said(decision.events))
        return told

    def end(self, job: str, name: str) -> None:
        self.history.add(ended(JobFailed), job, name)

    def problem(self) -> Problem:
        event = self.history.recorded[-1].event
        assert isinstance(event, RequestRejected)
        return Problem(**{**event.error, "faults": (), "hints": tuple(event.error["hints"])})


def _said(events: Any) -> str:
    kinds = {JobAccepted: "accepted", RequestRejected: "refused"}
    return kinds.get(type(events[0]), "else") if events else "nothing"


def test_over_the_limit_a_drop_is_refused_and_told_which_limit_and_what_to_do() -> None:
    door = Door(waiting=2)
    assert door.take(wish("a"), wish("b"), wish("c")) == ["accepted", "accepted", "refused"]
    problem = door.problem()
    assert problem.code == "limit_exceeded"
    assert "2 jobs wait or run" in problem.message
    assert "$DARKROOM_MAX_WAITING_JOBS" in problem.message
    assert "touch the file" in problem.hints[1]


def test_what_was_refused_is_refused_once_and_judged_anew_when_it_is_dropped_again() -> None:
    door = Door(waiting=1)
    assert door.take(wish("a"), wish("c")) == ["accepted", "refused"]
    assert door.take(wish("c")) == ["nothing"]
    assert door.take(wish("c"), sight=2) == ["refused"]
    door.end("J-a-c1", "a")
    assert door.take(wish("c"), sight=2) == ["nothing"]  # nobody touched it: a restart runs nothing
    assert door.take(wish("c"), sight=3) == ["accepted"]


def test_a_retry_judges_the_same_file_anew() -> None:
    door = Door(waiting=1)
    door.take(wish("a"), wish("c"))
    assert door.take(wish("c", again=True)) == ["refused"]
    door.end("J-a-c1", "a")
    assert door.take(wish("c", again=True)) == ["accepted"]


def test_what_is_answered_already_counts_for_no_limit() -> None:
    door = Door(waiting=1)
    door.take(wish("a"))
    assert door.take(wish("a")) == ["nothing"]
    door.end("J-a-c1", "a")
    door.take(wish("b"))
    assert door.take(wish("a")) == ["nothing"]


def test_what_is_wrong_in_itself_is_told_so_whatever_the_limit() -> None:
    door = Door(waiting=1)
    door.take(wish("a"))
    bad = Reject("b", "k", None, None, {}, Problem("invalid_json", "no"))
    assert door.take(bad) == ["refused"]
    assert door.problem().code == "invalid_json"


def test_the_hour_of_the_clock_is_counted_and_begins_anew() -> None:
    door = Door(hourly=2)
    assert door.take(wish("a"), wish("b"), wish("c")) == ["accepted", "accepted", "refused"]
    assert "2 jobs were accepted since 2026-01-01T00:00Z" in door.problem().message
    assert door.take(wish("d")) == ["refused"]
    assert door.take(wish("c"), sight=2, now=NEXT_HOUR) == ["accepted"]
