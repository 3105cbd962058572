"""Which job runs when, with a real runner, a log in memory and a clock that the test moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon.context import JournaledContext
from daemon.decisions import Cancel, Retry, Start, decide
from daemon.events import JobFailed, JobStarted
from daemon.journal import MAY_BE_BILLED
from daemon.runner import Runner
from daemon.testing import ScriptedProvider, answer_with, fail_with, tiny_image
from handlers.contract import Call, Handler, HandlerError, Outcome
from handlers.generate_image import Request
from tests.builders import Bench, requested, scripted

AT_TEN = "2026-01-01T10:00:00.000Z"
HOURS = 3600.0
BUSY = fail_with(HandlerError("provider_rate_limited", "slow down"))


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(main, 30))


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@asynccontextmanager
async def running(
    bench: Bench, paused: frozenset[str | None] = frozenset(), **handlers: Any
) -> AsyncIterator[Runner]:
    """A runner at work."""
    runner = bench.runner({"generate_image": handlers["handler"]} if handlers else None)
    runner.pause(paused)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        await runner.stop(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        bench.close()


async def ended(bench: Bench, *jobs: str) -> None:
    await until(lambda: all(bench.state.jobs[job_id].ended for job_id in jobs))


async def look(bench: Bench, runner: Runner) -> None:
    """Until the runner has looked whether anything can start, and all that it did is durable."""
    runner.wake()
    for _ in range(5):
        await asyncio.sleep(0)
    await bench.log.append(None, None, ())


def end_of(bench: Bench, job_id: str) -> Any:
    return bench.log.get(bench.state.jobs[job_id].last).event


def code_of(bench: Bench, job_id: str) -> str | None:
    return bench.state.jobs[job_id].error


def started(bench: Bench) -> list[str]:
    """The names of jobs in the order in which they were started."""
    events = bench.log.read(1)
    return [one.subject or "" for one in events if isinstance(one.event, JobStarted)]


async def tell(bench: Bench, command: Cancel | Retry | Start) -> None:
    decision = decide(bench.state, command)
    await bench.log.append(
        decision.job, decision.version, decision.events, subject=decision.subject
    )


def held_up() -> tuple[threading.Event, Callable[[Call], Outcome]]:
    """A script that answers when it is told to."""
    go_on = threading.Event()

    def script(_: Call) -> Outcome:
        assert go_on.wait(20)
        return answer_with(tiny_image())(_)

    return go_on, script


# ---------------------------------------------------------------- not_before


def test_a_job_starts_at_its_time_and_not_before(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench) as runner:
            later = await bench.accept("later.json", dry_run=True, not_before=AT_TEN)
            bench.clock.advance(10 * HOURS - 0.001)
            at_once = await bench.accept("now.json", dry_run=True)
            await ended(bench, at_once)
            await look(bench, runner)
            assert started(bench) == ["now.json"]
            bench.clock.advance(0.001)
            runner.wake()
            await ended(bench, later)
            assert started(bench) == ["now.json", "later.json"]

    run(main())


def test_a_time_that_is_near_is_waited_for_without_anybody_waking_the_runner(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench):
            bench.clock.advance(10 * HOURS - 0.05)
            later = await bench.accept(dry_run=True, not_before=AT_TEN)
            await asyncio.sleep(0)
            bench.clock.advance(0.05)
            await ended(bench, later)

    run(main())


def test_a_restart_changes_nothing_about_a_time(tmp_path: Path) -> None:
    async def main() -> None:
        first = Bench(tmp_path)
        later = await first.accept("later.json", dry_run=True, not_before=AT_TEN)
        second = Bench(tmp_path, lines=first.log.lines, clock=first.clock)
        async with running(second) as runner:
            second.clock.advance(9 * HOURS)
            await look(second, runner)
            assert second.state.jobs[later].due == AT_TEN
            assert started(second) == []
            assert runner.held() == [second.state.jobs[later]]
            second.clock.advance(1 * HOURS)
            assert runner.held() is None
            runner.wake()
            await ended(second, later)
            await until(lambda: runner.held() == [])

    run(main())


# ---------------------------------------------------------------- deadlines


async def later(bench: Bench, _: Runner) -> str:
    return await bench.accept(dry_run=True, not_before=AT_TEN, deadline_seconds=60)


async def blocked(bench: Bench, _: Runner) -> str:
    await bench.accept(dry_run=True, not_before=AT_TEN)
    return await bench.accept(dry_run=True, deadline_seconds=60)


async def paused(bench: Bench, runner: Runner) -> str:
    runner.pause(frozenset({"scripted"}))
    return await bench.accept(dry_run=True, deadline_seconds=60)


async def retrying(bench: Bench, runner: Runner) -> str:
    job_id = await bench.accept(deadline_seconds=60)
    await until(lambda: bench.state.jobs[job_id].status == "retrying")
    runner.pause(frozenset({None}))
    return job_id


@pytest.mark.parametrize("state", [later, blocked, paused, retrying], ids=lambda s: s.__name__)
def test_a_job_that_waits_fails_at_its_deadline(
    tmp_path: Path,
    state: Callable[[Bench, Runner], Awaitable[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("daemon.retries._wait", lambda *_: 1.0)

    async def main() -> None:
        bench = Bench(tmp_path, scripted(BUSY))
        async with running(bench) as runner:
            job_id = await state(bench, runner)
            starts = started(bench)
            bench.clock.advance(59.999)
            await look(bench, runner)
            assert not bench.state.jobs[job_id].ended
            bench.clock.advance(0.001)
            runner.wake()
            await ended(bench, job_id)
            assert code_of(bench, job_id) == "deadline_exceeded"
            assert started(bench) == starts
            assert (
                "had to end by 2026-01-01T00:01:00.000Z" in end_of(bench, job_id).error["message"]
            )
            assert len(end_of(bench, job_id).error["hints"]) == 2

    run(main())


def test_a_deadline_comes_without_anybody_waking_the_runner(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench):
            job_id = await bench.accept(dry_run=True, not_before=AT_TEN, deadline_seconds=0.05)
            await asyncio.sleep(0)
            bench.clock.advance(0.05)
            await ended(bench, job_id)
            assert code_of(bench, job_id) == "deadline_exceeded"

    run(main())


@pytest.mark.parametrize("paid", [True, False])
def test_a_job_that_runs_is_stopped_at_its_deadline_and_warns_of_a_paid_call(
    tmp_path: Path, paid: bool
) -> None:
    go_on, script = held_up()

    async def main() -> None:
        provider = scripted(script, paid=paid)
        bench = Bench(tmp_path, provider)
        async with running(bench) as runner:
            job_id = await bench.accept(deadline_seconds=60)
            await until(lambda: "provider.requested" in bench.types())
            bench.clock.advance(60)
            runner.wake()
            await ended(bench, job_id)
            end = end_of(bench, job_id)
            assert isinstance(end, JobFailed)
            assert code_of(bench, job_id) == "deadline_exceeded"
            assert end.warnings == ([MAY_BE_BILLED] if paid else [])
            assert len(provider.calls) == 1
            go_on.set()

    run(main())


def test_a_deadline_that_passed_while_nothing_ran_ends_its_job_before_it_is_started(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        first = Bench(tmp_path)
        jobs = [await first.accept(f"{n}.json", dry_run=True, deadline_seconds=60) for n in "abc"]
        first.clock.advance(60)
        second = Bench(tmp_path, lines=first.log.lines, clock=first.clock, concurrency=1)
        with capture_logs() as said:
            async with running(second):
                await ended(second, *jobs)
            assert [line["event"] for line in said] == 3 * ["job failed"]
            assert {code_of(second, job_id) for job_id in jobs} == {"deadline_exceeded"}
            assert started(second) == []

    run(main())


def test_a_paid_call_that_a_crash_cut_short_is_warned_of_at_a_deadline_that_passed(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        first = Bench(tmp_path, scripted())
        job_id = await first.accept(deadline_seconds=60)
        await first.log.append(job_id, 1, [JobStarted(1, 1), requested()], subject="a.json")
        first.clock.advance(60)
        second = Bench(tmp_path, scripted(), lines=first.log.lines, clock=first.clock)
        async with running(second):
            await ended(second, job_id)
            assert code_of(second, job_id) == "deadline_exceeded"
            assert end_of(second, job_id).warnings == [MAY_BE_BILLED]

    run(main())


def test_an_attempt_that_could_only_begin_after_the_deadline_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.retries._wait", lambda *_: 60.0)

    async def main() -> None:
        bench = Bench(tmp_path, scripted(BUSY, BUSY))
        async with running(bench):
            tight = await bench.accept("tight.json", deadline_seconds=60)
            await ended(bench, tight)
            assert code_of(bench, tight) == "provider_rate_limited"
            assert "after the deadline" in end_of(bench, tight).error["hints"][-1]
            roomy = await bench.accept("roomy.json", deadline_seconds=60.001)
            await until(lambda: bench.state.jobs[roomy].status == "retrying")

    run(main())


def test_a_retry_by_a_person_drops_the_deadline(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench) as runner:
            job_id = await later(bench, runner)
            bench.clock.advance(60)
            runner.wake()
            await ended(bench, job_id)
            await tell(bench, Retry(job_id, "key"))
            await ended(bench, job_id)
            assert bench.state.jobs[job_id].status == "succeeded"

    run(main())


def test_a_deadline_that_comes_while_the_end_is_on_its_way_to_the_disk_is_too_late(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        runners: list[Runner] = []

        async def handle(_: Any, __: Any) -> None:
            bench.clock.advance(60)
            runners[0].wake()

        one = Handler("generate_image", Request, handle, "")
        async with running(bench, handler=one) as runner:
            runners.append(runner)
            job_id = await bench.accept(deadline_seconds=60)
            await ended(bench, job_id)
            await until(lambda: runner.held() == [])
            assert bench.state.jobs[job_id].status == "succeeded"
            assert bench.types().count("job.failed") == 0

    run(main())


@pytest.mark.parametrize("durable", [True, False])
def test_a_cancel_that_comes_while_a_late_job_is_stopped_ends_it_once_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, durable: bool
) -> None:
    go_on, script = held_up()

    async def main() -> None:
        bench = Bench(tmp_path, scripted(script))
        settle, cancels = JournaledContext.settle, []

        async def handle(_: Any, context: JournaledContext) -> None:
            context.warn("said before")
            await context.ask("generate", Call("generate_image", {"prompt": "x"}))

        async def slow_settle(context: JournaledContext) -> None:
            first = "job.cancel_requested" not in bench.types()
            if first and durable:
                await tell(bench, Cancel(job_id))
            await settle(context)
            if first and not durable:
                cancels.append(asyncio.create_task(tell(bench, Cancel(job_id))))
                await asyncio.sleep(0)  # it is on its way to the log now

        monkeypatch.setattr(JournaledContext, "settle", slow_settle)
        async with running(bench, handler=Handler("generate_image", Request, handle, "")) as runner:
            job_id = await bench.accept(deadline_seconds=60)
            await until(lambda: "provider.requested" in bench.types())
            bench.clock.advance(60)
            runner.wake()
            await ended(bench, job_id)
            go_on.set()
            assert bench.state.jobs[job_id].status == "cancelled"
            assert end_of(bench, job_id).warnings == ["said before", MAY_BE_BILLED]
            assert "job.failed" not in bench.types()

    run(main())


def test_a_deadline_of_a_job_that_ended_in_time_means_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench) as runner:
            job_id = await bench.accept(dry_run=True, deadline_seconds=60)
            await ended(bench, job_id)
            bench.clock.advance(60)
            await look(bench, runner)
            assert bench.state.jobs[job_id].status == "succeeded"

    run(main())


# ---------------------------------------------------------------- pauses


def test_a_pause_holds_starts_of_its_provider_only_and_its_end_lets_them_go(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(name="other"))
        async with running(bench, frozenset({"scripted"})) as runner:
            held = await bench.accept("held.json", dry_run=True)
            free = await bench.accept("free.json", provider="other")
            await ended(bench, free)
            await until(lambda: runner.held() is not None)
            assert runner.held() == [bench.state.jobs[held]]
            assert started(bench) == ["free.json"]
            runner.pause(frozenset())
            await ended(bench, held)

    run(main())


def test_what_runs_when_a_pause_begins_goes_on_to_its_end(tmp_path: Path) -> None:
    go_on, script = held_up()

    async def main() -> None:
        bench = Bench(tmp_path, scripted(script))
        async with running(bench) as runner:
            job_id = await bench.accept()
            await until(lambda: "provider.requested" in bench.types())
            runner.pause(frozenset({None}))
            await look(bench, runner)
            go_on.set()
            await ended(bench, job_id)
            assert bench.state.jobs[job_id].status == "succeeded"

    run(main())


def test_a_cancel_that_a_crash_cut_short_is_carried_out_in_a_pause_too(tmp_path: Path) -> None:
    async def main() -> None:
        first = Bench(tmp_path, scripted())
        job_id = await first.accept()
        await tell(first, Start(job_id))
        await tell(first, Cancel(job_id))
        second = Bench(tmp_path, scripted(), lines=first.log.lines)
        async with running(second, frozenset({None})):
            await ended(second, job_id)
            assert second.state.jobs[job_id].status == "cancelled"
            assert len(started(second)) == 1

    run(main())


def test_a_full_disk_is_a_pause_in_which_a_due_job_lets_the_runner_sleep(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench) as runner:
            job_id = await bench.accept(dry_run=True, not_before=AT_TEN)
            bench.disk._room.clear()
            bench.clock.advance(11 * HOURS)
            await look(bench, runner)
            assert started(bench) == []
            assert runner._until_next() == 60
            bench.disk._room.set()
            runner.wake()
            await ended(bench, job_id)

    run(main())


def test_a_due_job_lets_the_runner_sleep_while_too_much_is_on_its_way_to_the_disk(
    tmp_path: Path,
) -> None:
    go_on, script = held_up()

    async def main() -> None:
        bench = Bench(tmp_path, scripted(script))
        async with running(bench) as runner:
            runner._most = 1
            first = await bench.accept("first.json")
            due = await bench.accept("due.json", not_before=AT_TEN)
            await until(lambda: "provider.requested" in bench.types())
            bench.clock.advance(11 * HOURS)
            await look(bench, runner)
            assert runner._until_next() == 60
            go_on.set()
            await ended(bench, first, due)

    run(main())


def test_nothing_starts_once_a_stop_was_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted())
        async with running(bench) as runner:
            await runner.stop(0)
            await bench.accept(dry_run=True)
            await look(bench, runner)
            assert started(bench) == []

    run(main())


# ---------------------------------------------------------------- whose turn it is


@pytest.mark.slow
def test_one_request_beside_thousands_of_another_folder_is_among_the_next(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, concurrency=4)
        bulk = [await bench.accept(f"bulk/{n}.json", dry_run=True) for n in range(2000)]
        async with running(bench):
            await until(lambda: len(started(bench)) > 20)
            before = len(started(bench))
            alice = await bench.accept("alice/one.json", dry_run=True)
            await ended(bench, alice, *bulk)
            order = started(bench)
            assert order.index("alice/one.json") <= before + 100
            assert len(order) == 2001

    run(main())


def test_more_priority_goes_first_and_folders_take_turns(tmp_path: Path) -> None:
    async def main() -> None:
        bench = Bench(tmp_path, scripted(), concurrency=1)
        names = ["a/1", "a/2", "a/3", "b/1"]
        jobs = [await bench.accept(f"{name}.json", dry_run=True) for name in names]
        jobs.append(await bench.accept("a/urgent.json", dry_run=True, priority=1))
        jobs.append(await bench.accept("a/idle.json", dry_run=True, priority=-1))
        async with running(bench):
            await ended(bench, *jobs)
            assert [name.removesuffix(".json") for name in started(bench)] == [
                "a/urgent", "a/1", "b/1", "a/2", "a/3", "a/idle",
            ]  # fmt: skip

    run(main())


def test_a_slow_provider_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    go_on, script = held_up()

    async def main() -> None:
        slow: ScriptedProvider = scripted(script, script, script, name="slow")
        bench = Bench(tmp_path, slow, scripted(name="fast"), provider_concurrency=2, concurrency=3)
        async with running(bench):
            waits = [await bench.accept(f"{n}.json", provider="slow") for n in range(3)]
            fast = [await bench.accept(f"f{n}.json", provider="fast") for n in range(5)]
            await ended(bench, *fast)
            assert len(slow.calls) == 2
            go_on.set()
            await ended(bench, *waits)

    run(main())
