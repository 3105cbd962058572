"""Calls that a provider takes and works on: asked for until they are done, and never sent again."""

from __future__ import annotations

import errno
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from daemon.cancelling import GOES_ON
from daemon.decisions import Cancel, Retry
from daemon.events import (
    JobCancelled,
    JobFailed,
    JobSucceeded,
    ProviderAccepted,
    ProviderRequested,
)
from daemon.redaction import SIEVE, Secret
from daemon.testing import FrozenClock, ScriptedProvider, answer_with, fail_with, tiny_image
from handlers.contract import Call, ErrorCode, HandlerError, Json, Medium, Outcome
from handlers.wire import Compute, Effect, Pending, Ticket
from tests.builders import Bench, scripted
from tests.working import Work, finished, run

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
            "job.parked",
            "job.started",
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


def test_a_paid_answer_that_finds_no_room_is_kept_until_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.disk._PATIENCE", 0.001)

    async def main() -> None:
        provider = scripted(answer_with(PICTURE))
        bench = Bench(tmp_path, provider)
        full, put = [errno.ENOSPC, errno.EDQUOT, errno.ENOSPC], bench.blobs.put

        def put_once_there_is_room(data: bytes) -> str:
            if full:
                raise OSError(full.pop(), "no room")
            return put(data)

        monkeypatch.setattr(bench.blobs, "put", put_once_there_is_room)
        end = await finished(bench)
        assert isinstance(end, JobSucceeded)
        assert (end.attempts, len(provider.calls), full) == (1, 1, [])

    run(main())


def test_a_free_answer_that_finds_no_room_is_asked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        provider = scripted(answer_with(PICTURE), paid=False)
        bench = Bench(tmp_path, provider, retry_seconds=0.1)
        full, put = [errno.ENOSPC], bench.blobs.put

        def put_once_there_is_room(data: bytes) -> str:
            if full:
                raise OSError(full.pop(), "no room")
            return put(data)

        monkeypatch.setattr(bench.blobs, "put", put_once_there_is_room)
        end = await finished(bench)
        assert isinstance(end, JobSucceeded)
        assert (end.attempts, len(provider.calls)) == (2, 2)

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
