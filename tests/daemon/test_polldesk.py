"""Jobs that providers work on, at the desk: with a real runner, and a clock that goes from one poll
to the next."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from daemon import cancelling, polldesk
from daemon.cancelling import GOES_ON
from daemon.decisions import Cancel, Retry
from daemon.errors import BadRequest
from daemon.events import (
    JobCancelled,
    JobFailed,
    JobParked,
    JobStarted,
    JobSucceeded,
    ProviderProgressed,
)
from daemon.polldesk import AT_ONCE_EACH, PACE, TOGETHER
from daemon.polling import FAILURES
from daemon.progress import PROGRESS_SECONDS, UNCHANGED_SECONDS
from daemon.recall import Recall
from daemon.redaction import SIEVE, Secret
from daemon.testing import FrozenClock, tiny_image
from handlers.contract import Call, Context, Handler, HandlerError, Json, Medium, Outcome
from handlers.generate_image import Request
from handlers.wire import Compute, Effect, Pending, Ticket
from tests.builders import Bench
from tests.working import Work, run

PICTURE = tiny_image("teal")
DONE = Outcome((Medium(PICTURE),), model="m-2")
Answer = Outcome | Pending | HandlerError
Script = Callable[[int], Answer]


def script(*answers: Answer) -> Script:
    """One answer to each poll of a call, the last one to all that follow."""
    return lambda poll: answers[min(poll, len(answers)) - 1]


def until(polls: int, word: str = "running") -> Script:
    """Done at so many polls."""
    return lambda poll: DONE if poll >= polls else Pending(word)


@dataclass
class Works:
    """A paid provider that takes every call, and says how far it is.

    Args:
        clock: tells when it was asked.
        scripts: what it answers to polls, by prompt; of any other prompt it is never done.
        wait: when it wants to be asked first.
    """

    clock: FrozenClock
    scripts: Mapping[str, Script] = field(default_factory=dict)
    wait: float | None = None
    name: str = "slow"
    paid: bool = True
    idempotent = False
    operations = frozenset({"generate_image"})
    made: list[str] = field(default_factory=list)
    at: dict[str, list[float]] = field(default_factory=dict)

    def submit(self, call: Call) -> Generator[Effect, Json, Ticket]:
        prompt = call.fields["prompt"]
        self.made.append(prompt)
        yield from ()
        return Ticket(prompt, model="m-1", wait=self.wait)

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        yield from ()
        at = self.at.setdefault(ticket.id, [])
        at.append(round(self.clock.monotonic(), 3))
        answer = self.scripts.get(ticket.id, script(Pending("running")))(len(at))
        if isinstance(answer, HandlerError):
            raise answer
        return answer


@dataclass
class Tellable(Works):
    """One that can be told to leave what it took.

    Args:
        reply: what it says to that; a failure is raised.
    """

    reply: bool | HandlerError | threading.Event = True
    told: list[str] = field(default_factory=list)

    def cancel(self, ticket: Ticket) -> Generator[Effect, Json, bool]:
        self.told.append(ticket.id)
        if isinstance(self.reply, threading.Event):
            yield Compute(self.reply.wait)
            return True
        if isinstance(self.reply, HandlerError):
            raise self.reply
        return self.reply


class Scene(Work):
    """A runner at work on a bench; time goes from one poll to the next, as soon as all is quiet."""

    def __init__(self, bench: Bench, handlers: Mapping[str, Handler] | None = None) -> None:
        super().__init__(bench, handlers)
        self.desk = self.runner._desk

    async def quiet(self) -> None:
        """Until nothing is under way, and nothing is due."""
        still = 0
        while still < 3:
            await asyncio.sleep(0.0005)
            busy = self.runner._tasks or self.desk._polls or self.desk._reading
            due = self.desk.next_due()
            now = due is not None and due <= self.bench.clock.monotonic()
            still = 0 if busy or now else still + 1

    async def polls(self, count: int = 1) -> None:
        """So many times to the next poll."""
        for _ in range(count):
            await self.quiet()
            due = self.desk.next_due()
            assert due is not None, "nothing is asked for any more"
            await self.after(due - self.bench.clock.monotonic())

    async def after(self, seconds: float) -> None:
        """When so much time has passed."""
        self.bench.clock.advance(max(0.0, seconds))
        self.runner.wake()
        await self.quiet()

    async def end_of(self, job_id: str) -> Any:
        """The event that ends a job, however many polls it takes."""
        await self.quiet()
        while not self.bench.state.jobs[job_id].ended:
            await self.polls()
        return self.bench.log.get(self.bench.state.jobs[job_id].last).event

    def ended(self, job_id: str) -> Any:
        """The event that ended a job just now."""
        return self.bench.log.get(self.bench.state.jobs[job_id].last).event

    def status(self, job_id: str) -> str:
        return self.bench.state.jobs[job_id].status

    def events(self, kind: type[Any]) -> list[Any]:
        return [one.event for one in self.bench.log.read() if isinstance(one.event, kind)]


@asynccontextmanager
async def scene(
    folder: Path, provider: Works, *more: Works, before: Bench | None = None, **settings: Any
) -> AsyncIterator[Scene]:
    """A scene with providers.

    Args:
        folder: where.
        provider: the first of them; its clock is the scene's.
        more: the others.
        before: the bench of a process that died.
        settings: of the daemon; and `handler`, of pictures.
    """
    handler = settings.pop("handler", None)
    handlers = (
        {"generate_image": Handler("generate_image", Request, handler, "")} if handler else None
    )
    lines = list(before.log.lines) if before is not None else ()
    bench = Bench(folder, provider, *more, lines=lines, clock=provider.clock, **settings)
    made = Scene(bench, handlers)
    try:
        yield made
    finally:
        await made.stop()


def works(**scripts: Script) -> Works:
    return Works(FrozenClock(), scripts)


def tellable(reply: Any = True) -> Tellable:
    made = Tellable(FrozenClock())
    made.reply = reply
    return made


async def ask_only(request: Any, context: Context) -> None:
    """A handler that asks, and keeps nothing."""
    await context.ask("generate", Call("generate_image", {"prompt": request.prompt}))


SLOW = {"provider": "slow"}
TOLD = "slow was told to cancel what it works on"

# ---------------------------------------------------------------- parked


def test_a_job_that_a_provider_works_on_has_no_task_no_place_and_no_context(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        provider = works()
        async with scene(tmp_path, provider, provider_concurrency=1) as at:
            jobs = [await at.bench.accept(f"{n}.json", prompt=f"p{n}", **SLOW) for n in range(3)]
            await at.quiet()
            assert [at.status(one) for one in jobs] == ["polling"] * 3
            assert provider.made == ["p0", "p1", "p2"]  # one after the other, in the one place
            assert (at.runner._tasks, at.runner._attempts.contexts) == ({}, {})
            assert at.runner._schedule.running == 0

    run(main())


def test_its_handler_runs_twice_however_often_it_is_asked_for(tmp_path: Path) -> None:
    runs = 0

    async def counted(request: Any, context: Context) -> None:
        nonlocal runs
        runs += 1
        await ask_only(request, context)

    async def main() -> None:
        provider = works(x=until(40))
        async with scene(tmp_path, provider, handler=counted) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert (runs, len(provider.at["x"]), provider.made) == (2, 40, ["x"])
            assert (end.attempts, end.model) == (1, "m-2")
            assert [one.run for one in at.events(JobStarted)] == [1, 1]

    run(main())


def test_the_log_tells_what_is_waited_for_and_when_it_is_asked_first(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works()
        provider.wait = 90.0
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            assert at.events(JobParked) == [JobParked("2026-01-01T00:01:30.000Z", ["generate"])]
            job = at.bench.state.jobs[job_id]
            assert (job.status, job.runs, job.due) == ("polling", 0, "2026-01-01T00:01:30.000Z")

    run(main())


def side_by_side(*prompts: str, work: bool = False) -> Any:
    """A handler that asks for several pictures at a time."""

    async def one(context: Context, prompt: str) -> None:
        if work:
            await context.work(lambda: None)
        await context.ask(f"step {prompt}", Call("generate_image", {"prompt": prompt}))

    async def several(_: Any, context: Context) -> None:
        async with asyncio.TaskGroup() as group:
            for prompt in prompts:
                group.create_task(one(context, prompt))

    return several


@pytest.mark.parametrize("work", [False, True])
def test_calls_side_by_side_are_each_made_once_and_waited_for_together(
    tmp_path: Path, work: bool
) -> None:
    async def main() -> None:
        provider = works(a=until(2), b=until(4), c=until(1))
        handler = side_by_side("a", "b", "c", work=work)
        async with scene(tmp_path, provider, handler=handler) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert sorted(provider.made) == ["a", "b", "c"]
            if not work:
                assert [len(provider.at[one]) for one in "abc"] == [2, 4, 1]
                assert len(at.events(JobStarted)) == 2

    run(main())


def test_what_is_done_early_is_brought_home_before_its_address_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(a=until(30), b=until(1))
        async with scene(tmp_path, provider, handler=side_by_side("a", "b")) as at:
            job_id = await at.bench.accept(**SLOW)
            while "provider.answered" not in at.bench.types():
                await at.polls()
            assert provider.clock.monotonic() < TOGETHER + 20
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert (sorted(provider.made), len(provider.at["b"])) == (["a", "b"], 1)

    run(main())


def test_what_is_done_does_not_wait_for_one_that_is_asked_for_much_later(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(a=script(Pending("queued", wait=600.0), DONE), b=until(1))
        async with scene(tmp_path, provider, handler=side_by_side("a", "b")) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.polls()
            assert (at.status(job_id), "provider.answered" in at.bench.types()) == ("polling", True)

    run(main())


def test_what_failed_is_told_at_once_whatever_else_is_worked_on(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(b=script(HandlerError("content_refused", "no")))
        async with scene(tmp_path, provider, handler=side_by_side("a", "b")) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert end.error["code"] == "content_refused"
            assert provider.clock.monotonic() < 3

    run(main())


def test_a_failure_beside_it_weighs_more_and_the_next_attempt_goes_on_with_the_ticket(
    tmp_path: Path,
) -> None:
    failures = [HandlerError("provider_unavailable", "busy")]

    async def several(_: Any, context: Context) -> None:
        async def fails() -> None:
            await asyncio.sleep(0)
            if failures:
                raise failures.pop()

        async with asyncio.TaskGroup() as group:
            group.create_task(context.ask("one", Call("generate_image", {"prompt": "a"})))
            group.create_task(fails())

    async def main() -> None:
        provider = works(a=until(2))
        async with scene(tmp_path, provider, handler=several, retry_seconds=0) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert (provider.made, end.attempts) == (["a"], 2)

    run(main())


def test_a_newer_drop_of_its_name_waits_for_it(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(old=until(3), new=until(1))
        async with scene(tmp_path, provider) as at:
            old = await at.bench.accept("a.json", prompt="old", **SLOW)
            new = await at.bench.accept("a.json", prompt="new", **SLOW)
            await at.polls(2)
            assert (at.status(old), at.status(new)) == ("polling", "waiting")
            await at.polls()
            assert (at.status(old), at.status(new)) == ("succeeded", "polling")

    run(main())


# ---------------------------------------------------------------- when it is asked for


def test_the_provider_says_when_to_ask(tmp_path: Path) -> None:
    async def main() -> None:
        hints = script(Pending("queued", wait=40.0), Pending("running", wait=0.5), DONE)
        provider = Works(FrozenClock(), {"x": hints}, wait=7.0)
        async with scene(tmp_path, provider) as at:
            await at.end_of(await at.bench.accept(**SLOW))
            assert provider.at["x"] == [7.0, 47.0, 47.5]

    run(main())


@pytest.mark.parametrize(
    ("request_", "times"),
    [
        ({}, [2.0, 5.0, 9.5, 16.25, 26.375, 41.375, 56.375]),
        ({"poll_interval": 4.0}, [4.0, 10.0, 19.0, 32.5, 47.5, 62.5, 77.5]),
        ({"poll_interval": 60}, [60.0, 120.0, 180.0, 240.0, 300.0, 360.0, 420.0]),
    ],
)
def test_without_a_word_of_it_the_waits_grow(
    tmp_path: Path, request_: dict[str, Any], times: list[float]
) -> None:
    async def main() -> None:
        provider = works(x=until(7))
        async with scene(tmp_path, provider) as at:
            await at.end_of(await at.bench.accept(**SLOW, **request_))
            assert provider.at["x"] == times

    run(main())


def test_a_word_that_nobody_knows_is_no_end(tmp_path: Path) -> None:
    async def main() -> None:
        words = [Pending(word) for word in ("percolating", "", "PONDERING", "42")]
        provider = works(x=script(*words, DONE))
        async with scene(tmp_path, provider) as at:
            assert isinstance(await at.end_of(await at.bench.accept(**SLOW)), JobSucceeded)

    run(main())


def test_failures_that_pass_are_waited_out(tmp_path: Path) -> None:
    async def main() -> None:
        busy = HandlerError("provider_rate_limited", "busy", wait=33.0)
        lost = HandlerError("provider_unavailable", "nobody there")
        provider = works(x=script(Pending("queued"), busy, lost, lost, lost, DONE))
        async with scene(tmp_path, provider) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert (end.attempts, provider.made) == (1, ["x"])
            assert provider.at["x"][2] - provider.at["x"][1] == 33.0

    run(main())


def test_a_provider_that_goes_on_failing_costs_an_attempt_and_no_second_call(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        lost = [HandlerError("provider_unavailable", "nobody there")] * FAILURES
        provider = works(x=script(*lost, Pending("running"), DONE))
        async with scene(tmp_path, provider, retry_seconds=0) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert (end.attempts, provider.made) == (2, ["x"])

    run(main())


def test_a_failure_for_good_ends_the_job_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(x=script(Pending("running"), HandlerError("content_refused", "no")))
        async with scene(tmp_path, provider) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobFailed)
            assert end.error is not None
            assert (end.error["code"], len(provider.at["x"])) == ("content_refused", 2)

    run(main())


def test_a_configuration_that_is_broken_for_a_moment_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        provider = works(x=until(2))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            real, roster = at.bench.roster.service, at.bench.roster

            def broken(*_: Any) -> Any:
                raise HandlerError("config_invalid", "half a file")

            monkeypatch.setattr(roster, "service", broken)
            await at.polls(FAILURES - 1)
            monkeypatch.setattr(roster, "service", real)
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert provider.made == ["x"]

    run(main())


def test_a_fault_of_the_desk_itself_loses_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        provider = works(x=until(2))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            with monkeypatch.context() as patched:
                patched.setattr(polldesk, "exchange", None)
                await at.polls()
            assert at.status(job_id) == "polling"
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert provider.made == ["x"]

    run(main())


# ---------------------------------------------------------------- given up


def test_it_is_given_up_after_so_many_polls_and_a_retry_asks_for_the_same(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(x=until(8))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(max_polls=3, **SLOW)
            for key, polls in (("one", 3), ("two", 6)):
                end = await at.end_of(job_id)
                assert isinstance(end, JobFailed)
                assert end.error is not None
                assert (end.error["code"], end.error["retryable"]) == ("provider_timeout", False)
                assert len(provider.at["x"]) == polls
                await at.command(Retry(job_id, key))
                await at.quiet()
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert (provider.made, len(provider.at["x"])) == (["x"], 8)

    run(main())


def test_polls_that_failed_count_for_the_next_attempt_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        lost = [HandlerError("provider_unavailable", "nobody there")] * FAILURES
        provider = works(x=script(*lost, Pending("running")))
        async with scene(tmp_path, provider, retry_seconds=0) as at:
            end = await at.end_of(await at.bench.accept(max_polls=7, **SLOW))
            assert end.error["code"] == "provider_timeout"
            assert len(provider.at["x"]) == 7

    run(main())


def test_it_is_given_up_when_its_time_is_over_and_a_retry_has_all_of_it_again(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        provider = works(x=lambda _: DONE if provider.clock.monotonic() > 200 else Pending("r"))
        async with scene(tmp_path, provider, poll_timeout=100) as at:
            job_id = await at.bench.accept(**SLOW)
            end = await at.end_of(job_id)
            assert end.error["code"] == "provider_timeout"
            assert provider.at["x"][-1] == 100.0
            await at.after(20)
            await at.command(Retry(job_id, "k"))
            await at.quiet()
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert 200 < provider.at["x"][-1] <= 220

    run(main())


# ---------------------------------------------------------------- after a restart


def test_a_restart_goes_on_asking_without_running_the_handler(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(x=until(5))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.polls(2)
            bench = at.bench
        async with scene(tmp_path, provider, before=bench) as at:
            await at.quiet()
            assert (len(provider.at["x"]), at.events(JobStarted)[1:]) == (3, [])
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert (len(provider.at["x"]), len(at.events(JobStarted))) == (5, 2)
            assert provider.made == ["x"]

    run(main())


def test_a_restart_goes_on_counting_and_with_the_same_deadline(tmp_path: Path) -> None:
    async def main() -> None:
        words = script(*[Pending(f"at {poll}") for poll in range(20)])
        provider = Works(FrozenClock(), {"polls": words, "time": words})
        async with scene(tmp_path, provider, poll_timeout=100) as at:
            ask = {"poll_interval": 4.0, **SLOW}
            polls = await at.bench.accept("a.json", prompt="polls", max_polls=6, **ask)
            late = await at.bench.accept("b.json", prompt="time", **ask)
            await at.polls(4)
            bench = at.bench
        before = len(provider.at["polls"])
        async with scene(tmp_path, provider, before=bench, poll_timeout=100) as at:
            await at.end_of(late)
            assert (before, len(provider.at["polls"])) == (4, 6)
            assert at.ended(polls).error["code"] == "provider_timeout"
            assert provider.at["time"][-1] == 100.0

    run(main())


def test_a_moment_that_the_provider_asked_for_holds_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        provider = Works(FrozenClock(), {"x": until(1)}, wait=500.0)
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            bench = at.bench
        provider.clock.advance(60)
        async with scene(tmp_path, provider, before=bench) as at:
            await at.end_of(job_id)
            assert provider.at["x"] == [500.0]

    run(main())


def test_many_jobs_are_no_burst_after_a_restart(tmp_path: Path) -> None:
    count = 100

    async def main() -> None:
        provider = Works(FrozenClock())
        async with scene(tmp_path, provider, handler=ask_only) as at:
            for number in range(count):
                await at.bench.accept(f"{number}.json", prompt=f"p{number}", **SLOW)
            await at.quiet()
            bench = at.bench
        provider.clock.advance(1000)
        async with scene(tmp_path, provider, before=bench, handler=ask_only) as at:
            await at.quiet()
            began = provider.clock.monotonic()
            while len(provider.at) < count:
                await at.polls()
            first = sorted(polls[0] - began for polls in provider.at.values())
            assert first[0] < 0.01
            waits = [after - before for before, after in pairwise(first)]
            assert waits == pytest.approx([1 / PACE] * (count - 1), abs=0.0011)

    run(main())


def test_a_job_that_was_cancelled_just_before_the_crash_ends_and_is_not_asked_for(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        provider = tellable()
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            bench = at.bench
        await at.command(Cancel(job_id))  # and nobody is there any more to end it
        async with scene(tmp_path, provider, before=bench) as at:
            await at.quiet()
            assert isinstance(at.ended(job_id), JobCancelled)
            assert (provider.at, provider.told) == ({}, ["x"])

    run(main())


def test_a_request_that_is_no_good_any_more_after_an_upgrade_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> Any:
        raise BadRequest("invalid_request", "this version has no such field")

    async def main() -> None:
        provider = works()
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            bench = at.bench
        monkeypatch.setattr(Recall, "request", refuse)
        async with scene(tmp_path, provider, before=bench) as at:
            await at.quiet()
            assert at.ended(job_id).error["code"] == "invalid_request"
            assert provider.at == {}

    run(main())


# ---------------------------------------------------------------- cancelled, late, paused, stopped


@pytest.mark.parametrize("paid", [True, False])
def test_a_cancelled_job_ends_at_once_and_its_provider_is_told_once(
    tmp_path: Path, paid: bool
) -> None:
    async def main() -> None:
        provider = tellable()
        provider.paid = paid
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.polls(2)
            before = provider.clock.monotonic()
            await at.command(Cancel(job_id))
            await at.quiet()
            end = at.ended(job_id)
            assert isinstance(end, JobCancelled)
            assert (end.attempts, provider.clock.monotonic()) == (1, before)
            assert provider.told == ["x"]
            (warning,) = end.warnings
            assert "slow was told to cancel what it worked on, and agreed" in warning
            assert ("may still be billed" in warning) == paid
            await at.after(1000)
            assert len(provider.at["x"]) == 2

    run(main())


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (False, GOES_ON),
        (
            HandlerError("provider_rejected", "too late, with canary-desk-1"),
            f"{TOLD}, and did not agree: too late, with ***; it may go on with it, and bill it",
        ),
    ],
)
def test_what_may_be_billed_is_said_where_the_provider_does_not_agree(
    tmp_path: Path, reply: Any, said: str
) -> None:
    SIEVE.learn([Secret("canary-desk-1")])

    async def main() -> None:
        async with scene(tmp_path, tellable(reply)) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            await at.command(Cancel(job_id))
            await at.quiet()
            assert at.ended(job_id).warnings == [said]

    run(main())


def test_a_provider_that_does_not_answer_to_a_cancel_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "PATIENCE", 0.02)

    async def main() -> None:
        silent = threading.Event()
        async with scene(tmp_path, tellable(silent)) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            await at.command(Cancel(job_id))
            await at.quiet()
            silent.set()
            assert "did not answer within 0.02 s" in at.ended(job_id).warnings[0]

    run(main())


def test_a_provider_that_cannot_be_told_may_go_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, works()) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            await at.command(Cancel(job_id))
            await at.quiet()
            assert at.ended(job_id).warnings == [GOES_ON]

    run(main())


def test_a_job_between_two_attempts_has_its_provider_told_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        provider = tellable()
        provider.scripts = {"x": script(HandlerError("provider_unavailable", "nobody there"))}
        async with scene(tmp_path, provider, retry_seconds=500.0) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.polls(FAILURES)
            assert at.status(job_id) == "retrying"
            await at.command(Cancel(job_id))
            await at.quiet()
            assert isinstance(at.ended(job_id), JobCancelled)
            assert (provider.told, at.ended(job_id).attempts) == (["x"], 1)

    run(main())


def test_the_deadline_of_a_job_comes_while_it_is_polled(tmp_path: Path) -> None:
    async def main() -> None:
        provider = tellable()
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(deadline_seconds=60, **SLOW)
            await at.after(59.999)
            assert at.status(job_id) == "polling"
            await at.after(0.001)
            end = at.ended(job_id)
            assert isinstance(end, JobFailed)
            assert end.error is not None
            assert (end.error["code"], end.attempts) == ("deadline_exceeded", 1)
            assert "still polling" in end.error["message"]
            assert provider.told == ["x"]

    run(main())


@pytest.mark.parametrize("provider_paused", [None, "slow"])
def test_a_pause_keeps_nobody_from_what_is_paid_for(
    tmp_path: Path, provider_paused: str | None
) -> None:
    async def main() -> None:
        provider = works(x=until(2), y=until(2))
        async with scene(tmp_path, provider) as at:
            paid = await at.bench.accept("a.json", **SLOW)
            await at.quiet()
            at.runner.pause(frozenset({provider_paused}))
            waits = await at.bench.accept("b.json", prompt="y", **SLOW)
            assert isinstance(await at.end_of(paid), JobSucceeded)
            assert (at.status(waits), provider.made) == ("waiting", ["x"])

    run(main())


def test_a_provider_that_wants_patience_keeps_nobody_from_what_is_done(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(x=until(2))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept("a.json", **SLOW)
            await at.quiet()
            at.runner._schedule.hold("slow", "2027-01-01T00:00:00.000Z")
            assert isinstance(await at.end_of(job_id), JobSucceeded)

    run(main())


def test_what_is_done_goes_before_what_begins(tmp_path: Path) -> None:
    order: list[str] = []

    async def told(request: Any, context: Context) -> None:
        order.append(request.prompt)
        await ask_only(request, context)

    async def main() -> None:
        provider = works(done=until(1))
        settings: dict[str, Any] = {"concurrency": 1, "handler": told}
        async with scene(tmp_path, provider, **settings) as at:
            done = await at.bench.accept("done.json", prompt="done", **SLOW)
            await at.quiet()
            at.bench.clock.advance(10)
            for number in range(20):
                await at.bench.accept(f"{number}.json", prompt=f"p{number}", priority=100, **SLOW)
            await at.quiet()
            assert at.status(done) == "succeeded"
            assert order.index("done", 1) <= 3

    run(main())


def test_a_stop_lets_go_of_polls_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    release = threading.Event()

    class Hangs(Works):
        def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
            yield Compute(lambda: release.wait(20))
            return (yield from super().resume(ticket))

    async def main() -> None:
        provider = Hangs(FrozenClock(), {"x": until(1)})
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            at.bench.clock.advance(10)
            at.runner.wake()
            while not at.desk._polls:
                await asyncio.sleep(0.0005)
            await asyncio.wait_for(at.stop(), 1)
            assert (at.status(job_id), at.desk._polls) == ("polling", {})
            bench = at.bench
        release.set()
        async with scene(tmp_path, provider, before=bench) as at:
            assert isinstance(await at.end_of(job_id), JobSucceeded)
            assert provider.made == ["x"]

    run(main())


# ---------------------------------------------------------------- many


@dataclass
class Busy(Works):
    """Each poll takes a moment; counts how many are under way."""

    now: int = 0
    most: int = 0

    def resume(self, ticket: Ticket) -> Generator[Effect, Json, Outcome | Pending]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            yield Compute(lambda: None)
            return (yield from super().resume(ticket))
        finally:
            self.now -= 1


@pytest.mark.slow
def test_a_thousand_jobs_wait_with_few_polls_under_way_and_no_task_each(tmp_path: Path) -> None:
    count, done = 1_000, 50

    async def main() -> None:
        provider = Busy(FrozenClock())
        provider.scripts = {f"p{number}": until(2) for number in range(done)}
        async with scene(tmp_path, provider, handler=ask_only, concurrency=64) as at:
            for number in range(count):
                await at.bench.accept(f"{number}.json", prompt=f"p{number}", **SLOW)
            await at.quiet()
            assert at.bench.state.counts["polling"] == count
            assert len(asyncio.all_tasks()) < 10
            while at.bench.state.counts["succeeded"] < done:
                await at.polls()
            assert at.bench.state.counts["polling"] == count - done
            assert len(provider.made) == len(provider.at) == count
            assert all(len(polls) >= 2 for polls in provider.at.values())
            assert 1 < provider.most <= AT_ONCE_EACH

    asyncio.run(asyncio.wait_for(main(), 50))


def test_a_provider_whose_polls_hang_keeps_no_other_waiting(tmp_path: Path) -> None:
    async def main() -> None:
        never = asyncio.Event()
        provider, other = works(), works(y=until(1))
        other.name, other.clock = "other", provider.clock
        async with scene(tmp_path, provider, other, handler=ask_only) as at:
            real = polldesk.exchange

            async def hangs(one: Any, *rest: Any, **more: Any) -> Any:
                if one.name == "slow":
                    await never.wait()
                return await real(one, *rest, **more)

            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(polldesk, "exchange", hangs)
                for number in range(30):
                    await at.bench.accept(f"{number}.json", prompt=f"p{number}", **SLOW)
                quick = await at.bench.accept("quick.json", prompt="y", provider="other")
                await at.quiet()
                at.bench.clock.advance(100)
                at.runner.wake()
                await at.until(lambda: at.bench.state.jobs[quick].ended)
                assert len(at.desk._polls) == AT_ONCE_EACH

    run(main())


def test_answers_that_hold_too_much_are_not_kept_but_asked_for_when_their_turn_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polldesk, "HELD_BYTES", len(PICTURE) - 1)

    async def main() -> None:
        provider = works(x=until(2))
        async with scene(tmp_path, provider) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert isinstance(end, JobSucceeded)
            assert (tmp_path / end.artifacts[0]["path"]).read_bytes() == PICTURE
            assert (len(provider.at["x"]), provider.made) == (3, ["x"])

    run(main())


@pytest.mark.parametrize(
    "hiccup", [Pending("running"), HandlerError("provider_unavailable", "nobody there")]
)
def test_one_that_is_not_done_after_all_is_waited_for_by_the_next_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hiccup: Answer
) -> None:
    async def main() -> None:
        provider = works(x=script(DONE, hiccup, Pending("running"), DONE))
        async with scene(tmp_path, provider, retry_seconds=0) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            with monkeypatch.context() as patched:
                patched.setattr(polldesk, "HELD_BYTES", 0)
                await at.polls()
            assert at.status(job_id) == "polling"
            end = await at.end_of(job_id)
            assert isinstance(end, JobSucceeded)
            assert (end.attempts, provider.made, at.desk._held) == (2, ["x"], 0)

    run(main())


def test_a_provider_that_takes_back_that_it_is_done_is_not_asked_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polldesk, "HELD_BYTES", 0)

    async def main() -> None:
        provider = works(x=lambda poll: DONE if poll % 2 else Pending("running"))
        async with scene(tmp_path, provider, retry_seconds=0, max_attempts=4) as at:
            end = await at.end_of(await at.bench.accept(**SLOW))
            assert end.error["code"] == "provider_unavailable"
            assert "was done with the call, and now says 'running'" in end.error["message"]
            assert (end.attempts, len(provider.at["x"]), provider.made) == (4, 8, ["x"])

    run(main())


# ---------------------------------------------------------------- what is told


def progress(at: Scene) -> list[ProviderProgressed]:
    return at.events(ProviderProgressed)


def test_progress_is_told_every_few_seconds_and_seldom_where_nothing_is_new(
    tmp_path: Path,
) -> None:
    def answers() -> Iterator[Pending]:
        yield from (Pending(f"word {number}", wait=1.0) for number in range(9))
        yield from (Pending("same", 0.5, wait=4.0) for _ in range(20))

    async def main() -> None:
        provider = works(x=script(*answers(), DONE))
        async with scene(tmp_path, provider) as at:
            await at.end_of(await at.bench.accept(**SLOW))
            told = [one for one in at.bench.log.read() if type(one.event) is ProviderProgressed]
            words = [(one.event.message, one.event.polls) for one in told]  # type: ignore[union-attr]
            assert words[:4] == [("word 0", 1), ("word 3", 4), ("word 6", 7), ("same", 10)]
            assert [word for word, _ in words[4:]] == ["same"] * 2
            assert words[5][1] - words[4][1] == -(-UNCHANGED_SECONDS // 4)
            assert PROGRESS_SECONDS == 3.0
            assert {one.event.step for one in told} == {"generate"}  # type: ignore[union-attr]

    run(main())


def test_no_key_that_a_provider_repeats_in_a_word_comes_into_the_log(tmp_path: Path) -> None:
    SIEVE.learn([Secret("canary-desk-2")])

    async def main() -> None:
        refusal = HandlerError("provider_unavailable", "not with canary-desk-2")
        provider = works(x=script(Pending("queued with canary-desk-2"), refusal, DONE))
        async with scene(tmp_path, provider) as at:
            await at.end_of(await at.bench.accept(**SLOW))
            assert [one.message for one in progress(at)] == [
                "queued with ***",
                "no answer: not with ***",
            ]
            assert b"canary-desk-2" not in b"".join(at.bench.log.lines)

    run(main())


def test_progress_that_finds_no_room_on_the_disk_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        provider = works(x=until(3))
        async with scene(tmp_path, provider) as at:
            job_id = await at.bench.accept(**SLOW)
            await at.quiet()
            with monkeypatch.context() as patched:
                patched.setattr(type(at.bench.disk), "paused", property(lambda _: True))
                await at.polls(3)
                assert (progress(at), at.status(job_id)) == ([], "polling")
                assert at.desk.has_found(job_id)
            at.runner.wake()
            await at.quiet()
            assert at.status(job_id) == "succeeded"

    run(main())


class SlowDisk:
    """The loop as a log sees it: what it writes is durable a moment later."""

    def __init__(self, bench: Bench) -> None:
        self._loop = bench.log._loop
        self.create_future = self._loop.create_future
        bench.log._loop = self  # type: ignore[assignment]

    def call_soon(self, *arguments: Any) -> None:
        self._loop.call_later(0.005, *arguments)


def test_progress_that_is_on_its_way_to_the_disk_is_in_nobodys_way(tmp_path: Path) -> None:
    async def main() -> None:
        lost = [
            HandlerError("provider_unavailable", f"lost {number}") for number in range(FAILURES)
        ]
        provider = works(a=script(*lost, DONE), b=script(*lost, DONE))
        handler = side_by_side("a", "b")
        with capture_logs() as logs:
            async with scene(tmp_path, provider, handler=handler, retry_seconds=0) as at:
                SlowDisk(at.bench)
                end = await at.end_of(await at.bench.accept(**SLOW))
                assert isinstance(end, JobSucceeded)
                assert end.attempts == 2
                assert {one.step for one in progress(at)} == {"step a", "step b"}
        assert [one for one in logs if one["log_level"] == "error"] == []

    run(main())


def test_nothing_is_kept_of_jobs_that_went(tmp_path: Path) -> None:
    async def main() -> None:
        provider = works(x=until(2), y=until(9))
        async with scene(tmp_path, provider) as at:
            await at.end_of(await at.bench.accept("a.json", **SLOW))
            other = await at.bench.accept("b.json", prompt="y", **SLOW)
            await at.polls()
            await at.command(Cancel(other))
            await at.quiet()
            desk = at.desk
            assert (desk._jobs, desk._polls, desk._held, len(desk._agenda)) == ({}, {}, 0, 0)
            assert (at.runner._going_on._jobs, at.runner._schedule._jobs) == ({}, {})

    run(main())
