"""Budgets while jobs run: with a real runner, a log in memory and a clock that the test moves."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.budgets import Budget, Money
from daemon.entries import Configuration
from daemon.events import BatchOpened, BudgetFreed, BudgetReached, Event
from daemon.jobs import BATCH
from daemon.prices import Price, Prices
from daemon.runner import Runner
from daemon.testing import answer_with, fail_with, tiny_image
from handlers.contract import Call, Handler, HandlerError
from handlers.generate_image import Request
from tests.builders import Bench, accepted, scripted
from tests.daemon.test_runner import ended, run, running, until

ONE = Prices("USD", {"scripted": Price(call=Decimal(1))})
PICTURE = answer_with(tiny_image())


class Office:
    """A bench whose money may be changed."""

    def __init__(self, folder: Path, *scripts: Any, prices: Prices = ONE, **budget: Any) -> None:
        self.provider = scripted(*scripts or [PICTURE] * 9)
        self.bench = Bench(folder, self.provider, scripted(*[PICTURE] * 9, paid=False, name="free"))
        self.prices = prices
        self.set(**budget)
        self.bench.roster._load = lambda: self.configuration

    def set(self, prices: Prices | None = None, **budget: Any) -> None:
        self.prices = prices or self.prices
        limits = {
            name: Decimal(value) if name != "unknown" else value for name, value in budget.items()
        }
        self.configuration = Configuration(money=Money(self.prices, Budget(**limits)))
        self.bench.roster._known = type(self.bench.roster._known)()
        self.bench.roster._looked = float("-inf")

    def said(self) -> list[str]:
        events = [one.event for one in self.bench.log.read()]
        return [
            one.name if isinstance(one, BudgetReached) else f"{one.name}: {one.reason}"
            for one in events
            if isinstance(one, BudgetReached | BudgetFreed)
        ]

    async def accept(self, count: int) -> list[str]:
        return [await self.bench.accept(f"{number}.json") for number in range(count)]

    async def batch(self, count: int) -> str:
        """Put a batch in the log whose items come later; its id."""
        job_id = self.bench.clock.new_id()
        events: list[Event] = [accepted("b", task=BATCH, provider=""), BatchOpened(count)]
        await self.bench.log.append(job_id, 0, events, subject="b.json")
        return job_id

    async def held(self, runner: Runner, *jobs: str) -> None:
        """Until all that is open waits for a budget."""
        await until(lambda: [one.id for one in runner.held() or []] == list(jobs))


@pytest.mark.parametrize(("span", "hours"), [("day", 24), ("month", 24 * 31)])
def test_a_new_day_or_month_begins_with_all_of_its_budget(
    tmp_path: Path, span: str, hours: int
) -> None:
    async def main() -> None:
        office = Office(tmp_path, **{span: 2})
        jobs = await office.accept(3)
        async with running(office.bench) as runner:
            await until(lambda: len(runner.held() or []) == 1)
            office.bench.clock.advance(hours * 3600)
            runner.wake()
            await ended(office.bench, *jobs)
        assert office.said() == [span, f"{span}: a new period began"]
        assert len(office.provider.calls) == 3

    run(main())


def test_what_a_refused_call_had_set_aside_is_free_again(tmp_path: Path) -> None:
    async def main() -> None:
        refused = fail_with(HandlerError("provider_rejected", "no", http={"status": 400}))
        office = Office(tmp_path, refused, PICTURE, day=1)
        jobs = await office.accept(2)
        async with running(office.bench):
            await ended(office.bench, *jobs)
        assert len(office.provider.calls) == 2
        assert office.bench.state.accounts.day("2026").spent == {"USD": Decimal(1)}

    run(main())


def test_a_job_whose_second_call_finds_nothing_left_keeps_its_first_answer(tmp_path: Path) -> None:
    async def twice(_: Any, context: Any) -> None:
        await context.ask("one", Call("generate_image", {"prompt": "1"}))
        await context.ask("two", Call("generate_image", {"prompt": "2"}))

    async def main() -> None:
        office = Office(tmp_path, day=1)
        (job,) = await office.accept(1)
        handler = Handler("generate_image", Request, twice, "")
        async with running(office.bench, handler=handler) as runner:
            await office.held(runner, job)
            assert office.bench.state.jobs[job].status == "waiting"
            office.set(day=2)
            runner.wake()
            await ended(office.bench, job)
        assert [call.fields["prompt"] for call in office.provider.calls] == ["1", "2"]
        assert office.said() == ["day", "day: the budget was raised"]
        assert office.bench.types().count("job.held") == 1

    run(main())


def test_a_call_of_unknown_cost_is_let_through_and_told_while_anything_is_left(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        office = Office(tmp_path, prices=Prices(), day=1)
        (job,) = await office.accept(1)
        async with running(office.bench):
            await ended(office.bench, job)
        end = office.bench.log.get(office.bench.state.jobs[job].last).event
        assert 'write a price below [prices."scripted"]' in " ".join(end.warnings)  # type: ignore[union-attr]
        assert office.bench.state.accounts.day("2026").unknown == 1

    run(main())


def test_a_call_of_unknown_cost_is_held_where_the_settings_say_so_until_it_has_a_price(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        office = Office(tmp_path, prices=Prices(), unknown="hold")
        (job,) = await office.accept(1)
        free = await office.bench.accept("free.json", provider="free")
        async with running(office.bench) as runner:
            await ended(office.bench, free)
            await office.held(runner, job)
            office.set(prices=ONE, unknown="hold")
            runner.wake()
            await ended(office.bench, job)
        assert office.said() == ["unknown scripted", "unknown scripted: prices or budgets changed"]

    run(main())


def test_the_budget_of_a_batch_holds_that_batch_alone(tmp_path: Path) -> None:
    async def main() -> None:
        office = Office(tmp_path, batch=1)
        batch = await office.batch(9)
        mine = [
            await office.bench.accept(f"b.json#{number}", batch=batch, item=number)
            for number in range(1, 10)
        ]
        others = await office.accept(2)
        async with running(office.bench) as runner:
            await ended(office.bench, *others)
            await until(lambda: len(runner.held() or []) == 8)
            assert len(office.provider.calls) == 3
            assert office.bench.types().count("job.held") < 8  # most were not even begun
            office.set()
            runner.wake()
            await ended(office.bench, *mine)
        assert office.said() == [f"batch {batch}", f"batch {batch}: the budget was taken away"]

    run(main())


def test_what_is_paid_in_part_is_finished_although_the_budget_is_used_up(tmp_path: Path) -> None:
    async def main() -> None:
        office = Office(tmp_path, day=1)
        answered, other = await office.accept(2)
        context, stream = await office.bench.context(answered)
        await context.ask("generate", Call("generate_image", {"prompt": "x"}))
        (held,) = [one async for one in _retry_of(office, answered, stream)]
        async with running(office.bench) as runner:
            await office.held(runner, other)
            assert office.bench.state.jobs[held].ended

    run(main())


async def _retry_of(office: Office, job: str, stream: Any) -> Any:
    """Have a job wait for another attempt, with its answer in the log."""
    from daemon.events import JobRetrying, JobStarted
    from tests.builders import problem

    await office.bench.log.append(
        job,
        stream.job.version,
        [JobStarted(1, 1), JobRetrying(1, problem("disk_full"), "2026-01-01T00:00:00.000Z")],
        subject="0.json",
    )
    reached = BudgetReached("day", "day", None, ["scripted"], "USD", "1", "1", "0", "1", None)
    await office.bench.log.append(None, None, [reached])
    yield job
