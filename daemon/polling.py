"""Asking for what a provider took and works on, until it is done.

The provider's own hints decide when to ask again; without them the waits grow from the first to
the longest. What fails on the way and may pass is waited out; the call itself is never sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from daemon.clock import Clock
from daemon.errors import may_pass
from handlers.contract import HandlerError, Outcome
from handlers.wire import Pending

GROWTH = 1.5
FAILURES = 5
"""How often in a row asking may fail before the attempt does."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """When to ask."""

    first: float
    """Seconds until the first question, and between the first two."""
    longest: float
    """Seconds between two of them, at the most, where the provider does not say."""
    until: float
    """When to give up, on the monotonic clock."""


async def poll(
    ask: Callable[[], Awaitable[Outcome | Pending]],
    wait: float | None,
    cadence: Cadence,
    clock: Clock,
    tell: Callable[[Pending], Awaitable[None]],
) -> Outcome:
    """Ask until it is done.

    Args:
        ask: asks once.
        wait: seconds that the provider wants us to wait first, where it said so.
        cadence: when to ask.
        clock: who waits.
        tell: is told each time that it is not done yet.

    Raises:
        HandlerError: it failed; `provider_timeout` where it took too long, and then a retry goes
            on asking.
    """
    seconds, failures = cadence.first, 0
    while True:
        await _wait(seconds if wait is None else wait, cadence, clock)
        seconds = min(seconds * GROWTH, cadence.longest)
        try:
            answer = await ask()
        except HandlerError as error:
            failures += 1
            if not may_pass(error) or failures >= FAILURES:
                raise
            wait = error.wait
            continue
        if isinstance(answer, Outcome):
            return answer
        failures, wait = 0, answer.wait
        await tell(answer)


async def _wait(seconds: float, cadence: Cadence, clock: Clock) -> None:
    left = cadence.until - clock.monotonic()
    if left <= 0:
        raise HandlerError(
            "provider_timeout",
            "the provider took the call, and was not done with it in time",
            hints=["Use retry: it asks for the same one again, and pays for no other."],
            retryable=False,
        )
    await clock.sleep(max(0.0, min(seconds, left)))
