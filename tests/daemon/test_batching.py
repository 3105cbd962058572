"""A thread that works on all that queued up while it was busy."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from daemon.batching import Batcher


def run(main: Any) -> Any:
    return asyncio.run(asyncio.wait_for(main, 20))


def test_each_item_has_its_reply_in_order() -> None:
    async def main() -> list[int]:
        batcher: Batcher[int, int] = Batcher("t", lambda items: [item * 2 for item in items])
        replies = await asyncio.gather(*[batcher.put(number) for number in range(1000)])
        await batcher.close()
        return replies

    assert run(main()) == [number * 2 for number in range(1000)]


def test_what_queues_up_while_it_is_busy_is_one_batch() -> None:
    batches: list[list[int]] = []
    started, go_on = threading.Event(), threading.Event()

    def work(items: Sequence[int]) -> Sequence[int]:
        batches.append(list(items))
        started.set()
        assert go_on.wait(10)
        return items

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher("t", work)
        first = batcher.put(0)
        await asyncio.to_thread(started.wait, 10)
        rest = [batcher.put(number) for number in range(1, 6)]
        go_on.set()
        await asyncio.gather(first, *rest)
        await batcher.close()

    run(main())
    assert batches == [[0], [1, 2, 3, 4, 5]]


def test_no_batch_is_larger_than_the_limit() -> None:
    sizes: list[int] = []
    go_on = threading.Event()

    def work(items: Sequence[int]) -> Sequence[int]:
        assert go_on.wait(10)
        sizes.append(len(items))
        return items

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher("t", work, limit=4)
        replies = [batcher.put(number) for number in range(11)]
        go_on.set()
        assert await asyncio.gather(*replies) == list(range(11))
        await batcher.close()

    run(main())
    assert sum(sizes) == 11
    assert max(sizes) <= 4


def test_an_exception_as_a_reply_fails_that_item_alone() -> None:
    def work(items: Sequence[int]) -> list[int | Exception]:
        return [ValueError("odd") if item % 2 else item for item in items]

    async def main() -> list[Any]:
        batcher: Batcher[int, int] = Batcher("t", work)
        replies = [batcher.put(number) for number in range(4)]
        done = await asyncio.gather(*replies, return_exceptions=True)
        await batcher.close()
        return done

    zero, one, two, three = run(main())
    assert (zero, two) == (0, 2)
    assert isinstance(one, ValueError)
    assert isinstance(three, ValueError)


def test_a_batch_that_breaks_fails_whole_and_the_thread_goes_on() -> None:
    def work(items: Sequence[str]) -> Sequence[str]:
        if "bad" in items:
            raise OSError("broken")
        return items

    async def main() -> str:
        batcher: Batcher[str, str] = Batcher("t", work)
        with pytest.raises(OSError, match="broken"):
            await batcher.put("bad")
        reply = await batcher.put("good")
        await batcher.close()
        return reply

    assert run(main()) == "good"


def test_closing_works_off_what_is_queued() -> None:
    done: list[int] = []

    def work(items: Sequence[int]) -> Sequence[int]:
        done.extend(items)
        return items

    async def main() -> list[bool]:
        batcher: Batcher[int, int] = Batcher("t", work, limit=3)
        replies = [batcher.put(number) for number in range(10)]
        await batcher.close()
        await asyncio.sleep(0)
        return [reply.done() for reply in replies]

    assert run(main()) == [True] * 10
    assert done == list(range(10))


def test_the_settled_are_told_before_anybody_who_waits_goes_on() -> None:
    told: list[Any] = []

    async def main() -> None:
        batcher: Batcher[int, int] = Batcher(
            "t", lambda items: items, settled=lambda items, replies: told.append(list(items))
        )
        assert await batcher.put(7) == 7
        told.append("went on")
        await batcher.close()

    run(main())
    assert told == [[7], "went on"]


def test_who_stopped_waiting_is_left_alone() -> None:
    async def main() -> int:
        batcher: Batcher[int, int] = Batcher("t", lambda items: items)
        given_up = batcher.put(1)
        given_up.cancel()
        reply = await batcher.put(2)
        await batcher.close()
        assert given_up.cancelled()
        return reply

    assert run(main()) == 2
