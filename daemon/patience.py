"""Short waits within one attempt, by tenacity: for a call that nobody took.

The waits between attempts are another matter: they stand in the log (`daemon.retries`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from daemon.clock import Clock
from daemon.net import NotAnswered
from handlers.wire import HttpReply

TRIES = 3
"""How often a call is sent in one attempt, at the most."""

_WAITS = wait_random_exponential(multiplier=0.25, max=8.0)
"""Seconds between two of them: full jitter."""


async def send_patiently(
    send: Callable[[], Awaitable[HttpReply]], clock: Clock, *, repeats: bool
) -> HttpReply:
    """Send one call until it is answered, a few times at the most.

    Args:
        send: sends it.
        clock: who waits.
        repeats: whether it may be sent again although it was sent.

    Raises:
        NotAnswered: no whole reply came, to the last of them.
    """

    def may_pass(error: BaseException) -> bool:
        return isinstance(error, NotAnswered) and (repeats or not error.sent)

    retrying = AsyncRetrying(  # a fresh one each time: it remembers its tries
        retry=retry_if_exception(may_pass),
        stop=stop_after_attempt(TRIES),
        wait=_WAITS,
        sleep=clock.sleep,
        reraise=True,
    )
    return await retrying(send)
