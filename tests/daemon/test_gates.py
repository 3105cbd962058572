"""Calls at once and calls a minute, for each provider."""

import asyncio

from daemon.gates import Gates
from daemon.sites import Limits
from daemon.testing import FrozenClock


def test_as_many_calls_pass_at_once_as_a_provider_may_have() -> None:
    async def main() -> None:
        gates, inside, go_on = Gates(2, FrozenClock()), [], asyncio.Event()

        async def call(provider: str, limits: Limits) -> None:
            async with gates.pass_through(provider, limits):
                inside.append(provider)
                await go_on.wait()

        calls = [call("a", Limits()) for _ in range(4)]
        calls += [call("b", Limits(concurrency=1)) for _ in range(3)]
        tasks = [asyncio.create_task(one) for one in calls]
        for _ in range(20):
            await asyncio.sleep(0)
        assert sorted(inside) == ["a", "a", "b"]
        go_on.set()
        await asyncio.gather(*tasks)
        assert sorted(inside) == ["a"] * 4 + ["b"] * 3

    asyncio.run(main())


def test_a_provider_is_asked_no_faster_than_it_wants() -> None:
    async def main() -> None:
        clock = FrozenClock()
        gates, moments = Gates(4, clock), []
        for _ in range(4):
            async with gates.pass_through("a", Limits(requests_per_minute=6)):
                moments.append(clock.monotonic())
        async with gates.pass_through("b", Limits(requests_per_minute=6)):
            moments.append(clock.monotonic())
        clock.advance(100)
        async with gates.pass_through("a", Limits(requests_per_minute=6)):
            moments.append(clock.monotonic())
        assert moments == [0, 10, 20, 30, 30, 130]

    asyncio.run(main())


def test_a_call_that_fails_gives_its_place_back() -> None:
    async def main() -> None:
        gates = Gates(1, FrozenClock())
        for _ in range(3):
            try:
                async with gates.pass_through("a", Limits()):
                    raise ValueError
            except ValueError:
                continue

    asyncio.run(asyncio.wait_for(main(), 5))


def test_a_limit_that_was_changed_counts_from_then_on() -> None:
    async def main() -> None:
        gates = Gates(4, FrozenClock())
        one, two = Limits(concurrency=1), Limits(concurrency=2)
        async with (
            gates.pass_through("a", one),
            gates.pass_through("a", two),
            gates.pass_through("a", two),
        ):
            pass

    asyncio.run(asyncio.wait_for(main(), 5))
