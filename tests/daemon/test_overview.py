"""A root at a glance: lanes, and what each job waits for."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.clock import rfc3339
from daemon.events import BudgetReached, JobParked, JobRetrying, JobStarted, JobSucceeded
from daemon.overview import Overview, Spending, paused_by, rate
from daemon.state import State
from tests.builders import EPOCH, History, accepted, answered, ended, problem, requested

SOON = "2026-01-01T00:00:01.000Z"
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def state() -> State:
    """One runs, one is next, one waits for its time, one for the older drop of its name, one for
    others; of one the provider works."""
    history = History()
    history.add(accepted("c1"), "J1", "runs.json")
    history.add(JobStarted(1, 1), "J1", "runs.json")
    history.add(accepted("c2"), "J2", "next.json")
    history.add(accepted("c3", not_before=SOON), "J3", "later.json")
    history.add(accepted("c4"), "J4", "runs.json")
    history.add(accepted("c5", provider="other"), "J5", "other.json")
    history.add(accepted("c6"), "J6", "done.json")
    history.add(ended(JobSucceeded), "J6", "done.json")
    history.add(accepted("c7"), "J7", "polled.json")
    history.add(JobStarted(1, 1), "J7", "polled.json")
    history.add(JobParked(SOON, ["generate"]), "J7", "polled.json")
    needs = ["done", "later", "next.json", "gone.json"]
    history.add(accepted("c8", after=needs), "J8", "needs.json")
    return history.state()


def overview(*paused: str | None, places: int = 4, now: str = EPOCH) -> tuple[Overview, Any]:
    jobs = state()
    made = Overview(jobs, now, frozenset(paused), places)
    return made, {job.id: made.waits_for(job) for job in jobs.jobs.values()}


def test_every_open_job_is_counted_in_its_lane() -> None:
    lanes = overview()[0].lanes
    places = ("running", "waiting", "later", "blocked", "needs", "polling")
    none, each = dict.fromkeys(places, 0), dict.fromkeys(places, 1)
    assert asdict(lanes["local"]) == each
    assert asdict(lanes["other"]) == {**none, "waiting": 1}


def test_what_each_job_waits_for_is_said() -> None:
    waits = overview()[1]
    assert (waits["J1"], waits["J6"], waits["J7"]) == (None, None, None)
    assert waits["J2"] == "its turn"
    assert SOON in waits["J3"]
    assert waits["J4"] == "the older drop of runs.json"
    assert waits["J8"] == "later.json and next.json; gone.json, not there yet"


def test_a_full_lane_is_said_with_its_number() -> None:
    waits = overview(places=1)[1]
    assert waits["J2"] == "a place, local works on 1"
    assert waits["J5"] == "its turn"


def test_a_time_that_has_come_is_waited_for_no_more() -> None:
    assert overview(now=SOON)[1]["J3"] == "its turn"


@pytest.mark.parametrize(("paused", "other"), [("local", "its turn"), (None, "the pause to end")])
def test_a_pause_is_said(paused: str | None, other: str) -> None:
    waits = overview(paused)[1]
    assert "pause" in waits["J2"]
    assert waits["J5"] == other


def test_who_asked_for_patience_is_named_to_all_that_wait_for_it() -> None:
    history = History()
    history.add(accepted("c1"), "J1", "asked.json")
    history.add(JobStarted(1, 1), "J1", "asked.json")
    error = problem("provider_rate_limited")
    history.add(JobRetrying(1, error, SOON, counts=False, hold=SOON), "J1", "asked.json")
    history.add(accepted("c2"), "J2", "behind.json")
    history.add(accepted("c3", provider="other"), "J3", "other.json")
    jobs = history.state()
    made = Overview(jobs, EPOCH, frozenset(), 4)
    waits = {job.id: made.waits_for(job) for job in jobs.jobs.values()}
    assert SOON in (waits["J1"] or "")
    assert waits["J2"] == f"local, which asked for patience until {SOON}"
    assert waits["J3"] == "its turn"


def test_pause_files_are_found_by_their_names(tmp_path: Path) -> None:
    for name in ("PAUSE", "PAUSE.local", "PAUSED", "PAUSE.", "x.json"):
        (tmp_path / name).touch()
    assert paused_by(tmp_path) == {None: "PAUSE", "local": "PAUSE.local"}
    assert paused_by(tmp_path / "nowhere") == {}


def write_log(folder: Path, moments: list[datetime], subject: str = "a.json") -> None:
    lines = [
        f'{{"type":"darkroom.job.succeeded.v1","subject":"{subject}","time":"{rfc3339(one)}"}}\n'
        for one in moments
    ]
    (folder / "00000001.jsonl").write_text("".join(lines))


def test_the_rate_is_of_the_last_minute(tmp_path: Path) -> None:
    ages = [3600, 61, 59, 30, 0]
    write_log(tmp_path, [NOW - timedelta(seconds=age) for age in ages])
    assert (rate(tmp_path, NOW).answered, rate(tmp_path, NOW).seconds) == (3, 60.0)


def test_starts_are_no_answers(tmp_path: Path) -> None:
    line = f'{{"type":"darkroom.job.started.v1","time":"{rfc3339(NOW)}"}}\n'
    (tmp_path / "00000001.jsonl").write_text(line)
    assert rate(tmp_path, NOW).answered == 0


def test_of_very_many_answers_a_shorter_time_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.overview._CHUNK", 1000)
    monkeypatch.setattr("daemon.overview._MOST", 2000)
    write_log(tmp_path, [NOW - timedelta(milliseconds=10 * n) for n in range(1000, 0, -1)])
    found = rate(tmp_path, NOW)
    assert 0 < found.seconds < 1
    assert found.answered / found.seconds == pytest.approx(100, rel=0.2)


def test_what_was_spent_is_told_in_one_line_and_what_holds_calls_in_another() -> None:
    cost = {"amount": "0.25", "currency": "USD", "source": "provider"}
    reached = BudgetReached("day", "day", None, ["p"], "USD", "1", "1", "0", "1", SOON)
    history = History()
    history.add(accepted("c1", provider="p"), "J1", "a.json")
    history.add(requested("a"), "J1", "a.json")
    history.add(answered("a", cost=cost), "J1", "a.json")
    history.add(requested("b"), "J1", "a.json")
    history.add(answered("b"), "J1", "a.json")
    history.add(requested("c", estimate=cost), "J1", "a.json")
    history.add(requested("d"), "J1", "a.json")
    history.add(reached)
    spending = Spending(history.state().accounts, datetime(2026, 1, 1, 12, tzinfo=UTC))
    first, *others = spending.in_words()
    assert first.split("; ") == [
        "spent 0.25 USD today, 0.25 USD this month",
        "0.25 USD reserved",
        "1 call of unknown cost this month",
        "1 call under way that nobody can estimate",
    ]
    assert others == [
        f"paid calls wait for the budget of the day, 1 USD, which is used up, until {SOON}",
    ]
    assert spending.to_json()["by_provider"] == {
        "scripted": {"spent": {"USD": "0.25"}, "unknown": 1}
    }
    waits = Overview(history.state(), EPOCH, frozenset(), 4)
    (job,) = history.state().jobs.values()
    assert "the budget of the day" in (waits.waits_for(job) or "")


def test_where_nothing_was_ever_paid_nothing_is_said_of_money() -> None:
    assert Spending(state().accounts, NOW).in_words() == []
