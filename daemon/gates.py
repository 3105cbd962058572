"""How hard each provider is asked: calls at once, and calls a minute."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from daemon.clock import Clock
from daemon.sites import Limits


class Gates:
    """A gate for each provider.

    Args:
        limit: calls at once, where a provider's own limit is not known.
        clock: for the pace.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._places: dict[tuple[str, int], asyncio.Semaphore] = {}
        self._next: dict[str, float] = {}

    @contextlib.asynccontextmanager
    async def pass_through(self, provider: str, limits: Limits) -> AsyncIterator[None]:
        """Wait for a place and for the pace; the place is given back at the end."""
        limit = limits.concurrency or self._limit
        # A limit that was changed counts for all calls from then on.
        places = self._places.setdefault((provider, limit), asyncio.Semaphore(limit))
        async with places:
            if limits.requests_per_minute:
                await self._keep_pace(provider, 60.0 / limits.requests_per_minute)
            yield

    async def _keep_pace(self, provider: str, seconds: float) -> None:
        """Wait until enough time has passed since the call before."""
        now = self._clock.monotonic()
        turn = max(now, self._next.get(provider, now))
        self._next[provider] = turn + seconds
        if turn > now:
            await self._clock.sleep(turn - now)
