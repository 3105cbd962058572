"""One exchange with a provider: drive its generator, perform its effects, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar, assert_never

import structlog

from daemon.journal import lost_answer
from handlers.contract import Call, HandlerError, Json, Outcome
from handlers.wire import Compute, Effect, HttpCall, Provider, Ticket

Reply = TypeVar("Reply")
_log = structlog.get_logger(__name__)


class Lanes:
    """How many calls each provider gets at once.

    Args:
        limit: calls at once, for each.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lanes: dict[str, asyncio.Semaphore] = {}

    def of(self, provider: str) -> asyncio.Semaphore:
        """The lane of a provider."""
        return self._lanes.setdefault(provider, asyncio.Semaphore(self._limit))


class Workbench:
    """Threads for pixels and for providers that compute.

    Args:
        threads: how many; numpy and Pillow let go of the interpreter for most of their work.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="compute")

    async def run(self, function: Callable[[], Reply]) -> Reply:
        """Run a function in one of them."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _without_stop_iteration, function)

    def close(self) -> None:
        """Begin nothing more; what is running ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _without_stop_iteration(function: Callable[[], Reply]) -> Reply:
    """A future cannot carry a StopIteration: whoever waits would wait for ever."""
    try:
        return function()
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error


async def exchange(provider: Provider, call: Call, workbench: Workbench, timeout: float) -> Outcome:
    """Have a provider answer a call.

    Args:
        provider: who.
        call: what.
        workbench: where it computes.
        timeout: seconds it may take.

    Raises:
        HandlerError: it refused or failed; `ambiguous_submit` where it is paid and nobody can
            know whether the call was done.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _drive(provider.submit(call), workbench)
    except HandlerError:
        raise
    except TimeoutError:
        if provider.paid:
            raise lost_answer(provider.name) from None
        raise HandlerError(
            "provider_timeout", f"{provider.name} did not answer within {timeout:g} s"
        ) from None
    except Exception as error:
        _log.exception("a provider broke", provider=provider.name)
        if provider.paid:
            raise lost_answer(provider.name) from error
        raise HandlerError(
            "internal",
            f"the provider {provider.name} broke: {type(error).__name__}",
            hints=["This is a fault of darkroom or of a plug-in; the diagnostics tell where."],
        ) from error


async def _drive(
    effects: Generator[Effect, Json, Outcome | Ticket], workbench: Workbench
) -> Outcome:
    step = partial(effects.send, None)
    while True:
        try:
            effect = step()
        except StopIteration as end:
            return _checked(end.value)
        try:
            reply = await _perform(effect, workbench)
        except Exception as error:
            step = partial(effects.throw, error)  # the provider may know what it means
        else:
            step = partial(effects.send, reply)


async def _perform(effect: Effect, workbench: Workbench) -> Json:
    match effect:
        case Compute():
            return await workbench.run(effect.function)
        case HttpCall():
            raise NotImplementedError
    assert_never(effect)


def _checked(value: Json) -> Outcome:
    if not isinstance(value, Outcome):
        raise TypeError(f"a provider must return an Outcome, not {type(value).__name__}")
    return value
