"""Jobs that are worked on by a real runner, on a bench whose clock moves only when told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from daemon.decisions import decide
from daemon.errors import Conflict
from daemon.runner import Runner
from handlers.contract import Handler
from tests.builders import Bench


def run(scene: Awaitable[Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(scene, 20)

    return asyncio.run(bounded())


class Work:
    """A bench with a runner at work."""

    def __init__(
        self, bench: Bench, handlers: Mapping[str, Handler] | None = None, **more: Any
    ) -> None:
        self.bench = bench
        self.runner: Runner = bench.runner(handlers, **more)
        self._task = asyncio.create_task(self.runner.run())

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.bench.clock.advance(0.5)
            self.runner.wake()
            await asyncio.sleep(0)
            await asyncio.sleep(0.0005)

    async def end(self, job_id: str) -> Any:
        """The event that ended a job."""
        await self.until(lambda: self.bench.state.jobs[job_id].ended)
        return self.bench.log.get(self.bench.state.jobs[job_id].last).event

    async def command(self, command: Any) -> None:
        """Have somebody's wish written down."""
        while True:
            await self.bench.log.append(None, None, ())
            decision = decide(self.bench.state, command)
            with contextlib.suppress(Conflict):  # the job moved on meanwhile
                await self.bench.log.append(
                    decision.job, decision.version, decision.events, subject=decision.subject
                )
                return

    async def stop(self) -> None:
        await self.runner.stop(5)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.bench.close()


async def finished(bench: Bench, **request: Any) -> Any:
    """Have one job done; the event that ended it."""
    job_id = await bench.accept(**request)
    work = Work(bench)
    try:
        return await work.end(job_id)
    finally:
        await work.stop()
