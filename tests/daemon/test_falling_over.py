"""Several providers in one request, and providers that ask for patience."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.events import JobFailed, JobRetrying, JobSucceeded
from daemon.testing import answer_with, fail_with, tiny_image
from handlers.contract import ErrorCode, HandlerError
from tests.builders import Bench, scripted
from tests.working import Work, finished, run

PICTURE = tiny_image("teal")

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
