"""Asking for what a provider works on; the clock moves only when somebody waits."""

import asyncio
from collections.abc import Sequence

import pytest

from daemon.polling import FAILURES, Cadence, poll
from daemon.testing import FrozenClock
from handlers.contract import ErrorCode, HandlerError, Outcome
from handlers.wire import Pending

DONE = Outcome(model="done")
Answer = Outcome | Pending | HandlerError


class Asked:
    """A provider's answers, and when each was asked for."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self.clock = FrozenClock()
        self.at: list[float] = []
        self.told: list[str] = []
        self._answers = list(answers)

    async def _ask(self) -> Outcome | Pending:
        self.at.append(round(self.clock.monotonic(), 3))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, HandlerError):
            raise answer
        return answer

    async def _tell(self, pending: Pending) -> None:
        self.told.append(pending.message)

    def result(self, wait: float | None = None, until: float = 10_000.0) -> Outcome:
        cadence = Cadence(2.0, 15.0, until)
        return asyncio.run(poll(self._ask, wait, cadence, self.clock, self._tell))


def passing(code: ErrorCode = "provider_unavailable", wait: float | None = None) -> HandlerError:
    return HandlerError(code, "busy", wait=wait)


def test_the_outcome_comes_once_it_is_done_and_the_way_there_is_told() -> None:
    asked = Asked([Pending("queued"), Pending("running", 0.5), DONE])
    assert asked.result() is DONE
    assert asked.told == ["queued", "running"]


def test_waits_grow_to_the_longest() -> None:
    asked = Asked([*[Pending("queued")] * 7, DONE])
    asked.result()
    waits = [after - before for before, after in zip([0, *asked.at], asked.at, strict=False)]
    assert [round(wait, 2) for wait in waits] == [2, 3, 4.5, 6.75, 10.12, 15, 15, 15]


def test_the_provider_says_when_to_ask() -> None:
    asked = Asked([Pending("queued", wait=40.0), Pending("running", wait=0.5), DONE])
    asked.result(wait=7.0)
    assert asked.at == [7.0, 47.0, 47.5]


def test_what_may_pass_is_waited_out() -> None:
    asked = Asked([passing(), Pending("running"), passing("provider_rate_limited", 30.0), DONE])
    assert asked.result() is DONE
    assert asked.at[3] - asked.at[2] == 30.0


def test_what_does_not_pass_is_told_after_a_few_times() -> None:
    asked = Asked([passing()])
    with pytest.raises(HandlerError) as caught:
        asked.result()
    assert caught.value.code == "provider_unavailable"
    assert len(asked.at) == FAILURES


def test_failures_are_counted_in_a_row() -> None:
    busy = [passing()] * (FAILURES - 1)
    asked = Asked([*busy, Pending("running"), *busy, DONE])
    assert asked.result() is DONE


@pytest.mark.parametrize("code", ["provider_failed", "content_refused", "provider_auth"])
def test_what_no_waiting_mends_is_told_at_once(code: ErrorCode) -> None:
    asked = Asked([HandlerError(code, "no")])
    with pytest.raises(HandlerError, match="no"):
        asked.result()
    assert len(asked.at) == 1


def test_it_is_given_up_in_time_and_no_other_is_paid_for() -> None:
    asked = Asked([Pending("running")])
    with pytest.raises(HandlerError) as caught:
        asked.result(until=60.0)
    assert (caught.value.code, caught.value.retryable) == ("provider_timeout", False)
    assert "retry" in caught.value.hints[0]
    assert asked.at[-1] == 60.0
