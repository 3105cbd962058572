"""Calls that a provider takes and works on: asked for until they are done, and never sent again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.decisions import Cancel, Retry, decide
from daemon.errors import Conflict
from daemon.events import (
    JobCancelled,
    JobFailed,
    JobRetrying,
    JobSucceeded,
    ProviderAccepted,
    ProviderRequested,
)
from daemon.journal import GOES_ON
from daemon.redaction import SIEVE, Secret
from daemon.runner import Runner
from daemon.testing import FrozenClock, ScriptedProvider, answer_with, fail_with, tiny_image
from handlers.contract import Call, ErrorCode, HandlerError, Json, Medium, Outcome
from handlers.wire import Compute, Effect, Pending, Ticket
from tests.builders import Bench, scripted

PICTURE = tiny_image("teal")
DONE = Outcome((Medium(PICTURE),), model="m-2", warnings=("slow today",))
Answer = Outcome | Pending | HandlerError


class Slow:
    """A paid provider that gives a ticket for each call, and works on it."""

    name = "slow"
    paid = True
    operations = frozenset({"generate_image"})

    def __init__(self, *answers: Answer, idempotent: bool = False) -> None:
        self.idempotent = idempotent
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.asked: list[Ticket] = []

    def submit(self, call: Call) -> Generator[Effect, Json, Ticket]:
        self.calls.append(call)
        number = yield Compute(lambda: len(self.calls))
        return Ticket(f"t-{number}", "/jobs/1", {"kept": "state"}, model="m-1", wait=3.0)

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        self.asked.append(ticket)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        yield Compute(lambda: None)
        if isinstance(answer, HandlerError):
            raise answer
        return answer


def run(scene: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scene, 20)

    return asyncio.run(bounded())


class Work:
    """A bench with a runner at work."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.runner: Runner = bench.runner()
        self._task = asyncio.create_task(self.runner.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.bench.clock.advance(0.5)
            self.runner.wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)

    async def end(self, job_id: str) -> Any:
        """The event that ended a job."""
        await self.until(lambda: self.bench.state.jobs[job_id].ended)
        return self.bench.log.get(self.bench.state.jobs[job_id].last).event

    async def command(self, command: Any) -> None:
        """Have somebody's wish written down."""
        while True:
            await self.bench.log.append(None, None, ())
            decision = decide(self.bench.state, command)
            with contextlib.suppress(Conflict):  # the job moved on meanwhile
                await self.bench.log.append(
                    decision.job, decision.version, decision.events, subject=decision.subject
                )
                return

    async def stop(self) -> None:
        await self.runner.stop(5)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.bench.close()


async def finished(bench: Bench, **request: Any) -> Any:
    """Have one job done; the event that ended it."""
    job_id = await bench.accept(**request)
    work = Work(bench)
    try:
        return await work.end(job_id)
    finally:
        await work.stop()


# ---------------------------------------------------------------- a ticket


def test_a_ticket_is_in_the_log_before_it_is_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        provider = Slow(Pending("queued"), Pending("running", 0.5), DONE)
        bench = Bench(tmp_path, provider)
        end = await finished(bench, provider="slow")
        assert isinstance(end, JobSucceeded)
        assert (end.provider, end.model, end.warnings) == ("slow", "m-2", ["slow today"])
        assert [type_ for type_ in bench.types() if type_ != "provider.progressed"] == [
            "job.accepted",
            "job.started",
            "provider.requested",
            "provider.accepted",
            "provider.answered",
            "artifact.saved",
            "job.succeeded",
        ]
        (accepted,) = [r.event for r in bench.log.read() if isinstance(r.event, ProviderAccepted)]
        assert accepted.ticket is not None
        assert (accepted.ticket["id"], accepted.ticket["status_url"]) == ("t-1", "/jobs/1")

    run(main())


def test_after_a_crash_the_ticket_is_gone_on_with(tmp_path: Path) -> None:
    async def main() -> None:
        before = Slow(Pending("queued"))
        bench = Bench(tmp_path, before)
        job_id = await bench.accept(provider="slow")
        work = Work(bench)
        await work.until(lambda: len(before.asked) >= 2)
        lines = list(bench.log.lines)  # the process dies here
        await work.stop()

        after = Slow(DONE)
        again = Bench(tmp_path, after, lines=lines, clock=FrozenClock(bench.clock.now()))
        work = Work(again)
        assert isinstance(await work.end(job_id), JobSucceeded)
        await work.stop()
        assert (len(before.calls), len(after.calls)) == (1, 0)
        assert after.asked == [Ticket("t-1", "/jobs/1", {"kept": "state"}, "m-1", 3.0)]

    run(main())


def test_a_job_that_the_provider_could_not_do_has_failed(tmp_path: Path) -> None:
    async def main() -> None:
        provider = Slow(Pending("running"), HandlerError("provider_failed", "no luck"), DONE)
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept(provider="slow")
        work = Work(bench)
        end = await work.end(job_id)
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert end.error["code"] == "provider_failed"
        await work.command(Retry(job_id, "k"))  # which somebody may want to pay for
        assert isinstance(await work.end(job_id), JobSucceeded)
        await work.stop()
        assert len(provider.calls) == 2

    run(main())


@pytest.mark.parametrize("code", ["provider_unavailable", "provider_rate_limited"])
def test_a_provider_that_cannot_be_asked_for_long_costs_attempts_and_no_second_call(
    tmp_path: Path, code: ErrorCode
) -> None:
    async def main() -> None:
        busy = [HandlerError(code, "busy")] * 12
        provider = Slow(*busy, DONE)
        bench = Bench(tmp_path, provider, retry_seconds=0.1, max_attempts=5)
        assert isinstance(await finished(bench, provider="slow"), JobSucceeded)
        assert "job.retrying" in bench.types()
        assert len(provider.calls) == 1

    run(main())


def test_what_took_too_long_is_asked_for_again_by_a_retry(tmp_path: Path) -> None:
    async def main() -> None:
        provider = Slow(*[Pending("running")] * 20, DONE)
        bench = Bench(tmp_path, provider, poll_timeout=30)
        job_id = await bench.accept(provider="slow")
        work = Work(bench)
        end = await work.end(job_id)
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert (end.error["code"], end.error["retryable"]) == ("provider_timeout", False)
        for key in ("first", "second", "third"):
            if isinstance(end, JobFailed):
                await work.command(Retry(job_id, key))
                end = await work.end(job_id)
        assert isinstance(end, JobSucceeded)
        await work.stop()
        assert len(provider.calls) == 1

    run(main())


def test_a_cancelled_job_lets_go_at_once_and_says_that_the_provider_may_go_on(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        provider = Slow(Pending("running"))
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept(provider="slow")
        work = Work(bench)
        await work.until(lambda: bool(provider.asked))
        await work.command(Cancel(job_id))
        end = await work.end(job_id)
        assert isinstance(end, JobCancelled)
        assert end.warnings == [GOES_ON]
        await work.stop()

    run(main())


def test_a_stop_does_not_wait_for_what_is_only_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        provider = Slow(Pending("running"))
        bench = Bench(tmp_path, provider)
        job_id = await bench.accept(provider="slow")
        work = Work(bench)
        await work.until(lambda: bool(provider.asked))
        before = bench.clock.monotonic()
        await work.stop()
        assert bench.clock.monotonic() - before < 60
        assert not bench.state.jobs[job_id].ended

    run(main())


def test_no_key_that_a_provider_repeats_comes_into_the_log(tmp_path: Path) -> None:
    key = "canary-asking-77"
    SIEVE.learn([Secret(key)])
    outcome = Outcome(
        (Medium(PICTURE),), usage={"for": key}, warnings=(key,), references=({"reference": key},)
    )
    refusal = HandlerError(
        "provider_auth", f"bad key {key}", hints=[key], faults=[("/x", key)], http={"id": key}
    )

    async def main() -> None:
        answers: Sequence[Any] = (lambda _: outcome, fail_with(refusal))
        provider = ScriptedProvider(scripts=list(answers))
        bench = Bench(tmp_path, provider)
        assert isinstance(await finished(bench), JobSucceeded)
        again = Bench(tmp_path, provider, lines=bench.log.lines, clock=bench.clock)
        assert isinstance(await finished(again, name="b.json"), JobFailed)
        assert key not in b"".join(again.log.lines).decode()
        assert b"***" in b"".join(again.log.lines)

    run(main())


# ---------------------------------------------------------------- idempotency keys


def test_a_call_with_an_idempotency_key_is_sent_again_with_the_same_one(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted(fail_with(HandlerError("provider_timeout", "lost")))
        provider.idempotent = True  # type: ignore[misc]
        bench = Bench(tmp_path, provider, retry_seconds=0.1)
        assert isinstance(await finished(bench), JobSucceeded)
        keys = [r.event for r in bench.log.read() if isinstance(r.event, ProviderRequested)]
        assert len(keys) == 2
        assert keys[0].idempotency_key == keys[1].idempotency_key is not None
        assert provider.calls[0].idempotency_key == keys[0].idempotency_key

    run(main())


def test_after_a_known_failure_the_key_is_another_one(tmp_path: Path) -> None:
    async def main() -> None:
        busy = HandlerError("provider_unavailable", "busy", http={"status": 503})
        provider = scripted(fail_with(busy))
        provider.idempotent = True  # type: ignore[misc]
        bench = Bench(tmp_path, provider, retry_seconds=0.1)
        assert isinstance(await finished(bench), JobSucceeded)
        assert provider.calls[0].idempotency_key != provider.calls[1].idempotency_key

    run(main())


# ---------------------------------------------------------------- several providers


def test_the_next_provider_is_asked_and_the_result_names_each_try(tmp_path: Path) -> None:
    async def main() -> None:
        first = scripted(fail_with(HandlerError("provider_auth", "no such key")), name="first")
        second = scripted(fail_with(HandlerError("provider_unavailable", "down")), name="second")
        third = scripted(answer_with(PICTURE), name="third")
        bench = Bench(tmp_path, first, second, third)
        end = await finished(bench, provider=["first", "second", "third"])
        assert isinstance(end, JobSucceeded)
        assert (end.provider, end.attempts) == ("third", 1)
        assert end.warnings == [
            "first was tried first: provider_auth: no such key",
            "second was tried first: provider_unavailable: down",
        ]
        retrying = [r.event for r in bench.log.read() if isinstance(r.event, JobRetrying)]
        assert [(one.provider, one.next_provider) for one in retrying] == [
            ("first", "second"),
            ("second", "third"),
        ]

    run(main())


def test_where_one_may_recover_all_are_asked_again(tmp_path: Path) -> None:
    async def main() -> None:
        down = fail_with(HandlerError("provider_unavailable", "down"))
        closed = fail_with(HandlerError("provider_auth", "closed"))
        first, second = scripted(down, name="first"), scripted(closed, closed, name="second")
        bench = Bench(tmp_path, first, second, retry_seconds=0.1)
        end = await finished(bench, provider=["first", "second"])
        assert isinstance(end, JobSucceeded)
        assert (end.provider, end.attempts) == ("first", 2)
        assert (len(first.calls), len(second.calls)) == (2, 1)

    run(main())


@pytest.mark.parametrize("code", ["content_refused", "ambiguous_submit", "provider_rejected"])
def test_nobody_else_is_asked_what_was_refused_or_may_have_been_done(
    tmp_path: Path, code: ErrorCode
) -> None:
    async def main() -> None:
        first = scripted(fail_with(HandlerError(code, "no")), name="first")
        second = scripted(name="second")
        end = await finished(Bench(tmp_path, first, second), provider=["first", "second"])
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert (end.error["code"], len(second.calls)) == (code, 0)

    run(main())


def test_who_recovered_once_and_is_closed_now_is_not_asked_for_ever(tmp_path: Path) -> None:
    async def main() -> None:
        limited = fail_with(HandlerError("provider_rate_limited", "wait"))
        closed = fail_with(HandlerError("provider_auth", "closed"))
        first = scripted(limited, closed, name="first")
        second = scripted(limited, closed, name="second")
        bench = Bench(tmp_path, first, second, retry_seconds=0.1)
        end = await finished(bench, provider=["first", "second"])
        assert isinstance(end, JobFailed)
        assert end.error is not None
        assert (end.error["code"], len(first.calls), len(second.calls)) == ("provider_auth", 2, 2)

    run(main())


def test_a_provider_that_nobody_configured_is_passed_over(tmp_path: Path) -> None:
    async def main() -> None:
        end = await finished(Bench(tmp_path, scripted()), provider=["nosuch", "scripted"])
        assert isinstance(end, JobSucceeded)
        assert "nosuch was tried first: provider_not_found" in end.warnings[0]

    run(main())


# ---------------------------------------------------------------- being asked for patience


def test_patience_is_no_attempt_and_keeps_all_jobs_off_the_provider(tmp_path: Path) -> None:
    async def main() -> None:
        limited = HandlerError("provider_rate_limited", "slow down", wait=40.0)
        provider = scripted(fail_with(limited))
        bench = Bench(tmp_path, provider, provider_concurrency=1, max_attempts=1)
        first, second = await bench.accept("a.json"), await bench.accept("b.json")
        work = Work(bench)
        await work.until(lambda: bench.state.jobs[first].status == "retrying")
        asked = bench.clock.monotonic()
        await work.until(lambda: len(provider.calls) == 2)
        assert bench.clock.monotonic() - asked >= 39
        for job_id in (first, second):
            end = await work.end(job_id)
            assert isinstance(end, JobSucceeded)
            assert end.attempts == 1
        await work.stop()

    run(main())


def test_patience_is_kept_over_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        provider = scripted(fail_with(HandlerError("provider_rate_limited", "wait", wait=100.0)))
        bench = Bench(tmp_path, provider)
        first = await bench.accept("a.json")
        work = Work(bench)
        await work.until(lambda: bench.state.jobs[first].status == "retrying")
        second = await bench.accept("b.json")
        await work.stop()
        again = Bench(tmp_path, provider, lines=bench.log.lines, clock=bench.clock)
        began = again.clock.monotonic()
        work = Work(again)
        assert isinstance(await work.end(second), JobSucceeded)
        assert again.clock.monotonic() - began >= 90
        await work.end(first)
        await work.stop()

    run(main())
