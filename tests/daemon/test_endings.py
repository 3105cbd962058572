"""What the diagnostics say of attempts that are over, and how much of it."""

import asyncio
from typing import Any

import pytest

from daemon import endings
from daemon.asking import Parked
from daemon.endings import LINES, Teller, cause_of
from daemon.errors import Conflict
from daemon.testing import FrozenClock
from handlers.contract import HandlerError
from tests.builders import job


class Heard:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **values: Any) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append(("warning", event, values))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    log = Heard()
    monkeypatch.setattr(endings, "_log", log)
    return log


def test_each_job_has_a_line_with_what_a_person_asks_for(heard: Heard) -> None:
    Teller(FrozenClock()).tell(job(status="failed", error="provider_auth"), 1.23456)
    ((level, event, values),) = heard.lines
    assert (level, event) == ("warning", "job failed")
    assert (values["request"], values["code"], values["seconds"]) == (
        "a.json",
        "provider_auth",
        1.235,
    )


def test_of_a_flood_some_have_a_line_and_the_rest_is_counted(heard: Heard) -> None:
    async def flood() -> None:
        clock = FrozenClock()
        teller = Teller(clock)
        for _ in range(LINES + 7):
            teller.tell(job(status="succeeded"), 0.1)
        teller.tell(job(status="failed", error="internal"), 0.1)
        teller.flush()
        clock.advance(1)
        teller.tell(job(status="succeeded"), 0.1)

    asyncio.run(flood())
    assert [event for _, event, _ in heard.lines] == ["job succeeded"] * LINES + [
        "more jobs",
        "job succeeded",
    ]
    assert heard.lines[LINES][2] == {"succeeded": 7, "failed internal": 1}


def test_nothing_is_told_where_nothing_was_left_out(heard: Heard) -> None:
    Teller(FrozenClock()).flush()
    assert heard.lines == []


def test_a_run_that_was_unwound_is_no_warning(heard: Heard) -> None:
    Teller(FrozenClock()).tell(job(status="polling"), 0.1)
    assert heard.lines[0][:2] == ("info", "job polling")


def test_of_several_failures_side_by_side_the_heaviest_is_told_and_to_wait_is_none() -> None:
    busy, refused = HandlerError("provider_timeout", "x"), HandlerError("no_media", "x")
    broken, conflict = ValueError(), Conflict()
    rising = [Parked(), busy, refused, broken, conflict]
    for number, heavier in enumerate(rising):
        lighter = rising[:number] or [heavier]
        assert (
            cause_of(ExceptionGroup("all", [ExceptionGroup("in", [*lighter]), heavier])) is heavier
        )
