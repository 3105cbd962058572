"""One exchange with a provider: drive its generator, perform its effects, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, assert_never

import structlog

from daemon.clock import Clock
from daemon.net import Network, NotAnswered
from daemon.patience import send_patiently
from daemon.sending import Sent, lost_answer
from daemon.sites import Site
from handlers.contract import HandlerError, Json, Outcome
from handlers.wire import Compute, Effect, HttpCall, HttpReply, Pending, Probe, Provider, Ticket

Reply = TypeVar("Reply")
_log = structlog.get_logger(__name__)


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


@dataclass(frozen=True, slots=True)
class Means:
    """With what the effects of a provider are performed."""

    workbench: Workbench
    network: Network
    clock: Clock
    site: Site | None = None
    """Where the provider answers; None for one that asks nobody."""
    looks_only: bool = False
    """Whether nothing may be made: then a GET that is free is sent, once, and nothing else."""


async def exchange(
    provider: Provider,
    effects: Generator[Effect, Json, Reply],
    means: Means,
    timeout: float,
    *,
    submits: bool = True,
) -> Reply:
    """Have a provider answer: drive what its `submit`, `resume`, `cancel` or `probe` gave.

    Args:
        provider: who.
        effects: what it wants done.
        means: with what.
        timeout: seconds that one effect may take.
        submits: whether this may make something, as `submit` does; to ask for what was taken
            costs nothing, and whatever goes wrong there loses nothing.

    Raises:
        HandlerError: it refused or failed; `ambiguous_submit` where it is paid and nobody can
            know whether the call was done.
    """
    paid = provider.paid and submits
    driver = _Driver(provider, means, timeout, paid=paid)
    try:
        return await driver.drive(effects)
    except HandlerError as error:
        if not paid:
            raise
        raise driver.sent.judge(error, provider.name, idempotent=provider.idempotent) from None
    except Exception as error:
        _log.exception("a provider broke", provider=provider.name)
        if driver.may_have_paid:
            raise lost_answer(provider.name) from error
        raise HandlerError(
            "internal",
            f"the provider {provider.name} broke: {type(error).__name__}",
            hints=["This is a fault of darkroom or of a plug-in; the diagnostics tell where."],
        ) from error
    finally:
        effects.close()


class _Driver:
    """Performs the effects of one exchange, and remembers what left.

    Args:
        provider: whose they are.
        means: with what.
        timeout: seconds that one of them may take.
        paid: whether one of them may cost money.
    """

    def __init__(self, provider: Provider, means: Means, timeout: float, *, paid: bool) -> None:
        self._provider = provider
        self._paid = paid
        self._means = means
        self._timeout = timeout
        self._computed = False
        self.sent = Sent()

    @property
    def may_have_paid(self) -> bool:
        """Whether something may have been done that costs money, and its answer was lost. One that
        has an address does in a thread nothing but phrase and read; what one without did there,
        nobody knows."""
        alone = self._computed and self._means.site is None
        return self._paid and (self.sent.unknown or self.sent.done or alone)

    async def drive(self, effects: Generator[Effect, Json, Reply]) -> Reply:
        step = partial(effects.send, None)
        while True:
            try:
                effect = step()
            except StopIteration as end:
                answer: Reply = end.value
                return _checked(answer)
            try:
                reply = await self._perform(effect)
            except Exception as error:
                step = partial(effects.throw, error)  # the provider may know what it means
            else:
                step = partial(effects.send, reply)

    async def _perform(self, effect: Effect) -> Json:
        match effect:
            case Compute():
                return await self._compute(effect)
            case HttpCall():
                return await self._call(effect)
        assert_never(effect)

    async def _compute(self, effect: Compute) -> Json:
        self._computed = True
        try:
            async with asyncio.timeout(self._timeout):
                return await self._means.workbench.run(effect.function)
        except TimeoutError:
            if self.may_have_paid:
                self.sent.lost()
            raise _too_slow(self._provider.name, self._timeout) from None

    async def _call(self, call: HttpCall) -> HttpReply:
        """Send a call: one that is free as often as it takes, within reason; one that can cost
        money again only while no connection was made."""
        site, means = self._means.site, self._means
        if site is None:
            raise HandlerError("config_missing", f"{self._provider.name} has no address")
        if means.looks_only and (call.creates is not None or call.method != "GET"):
            raise HandlerError("internal", f"{self._provider.name} makes something to be looked at")
        send = partial(means.network.call, site, call, self._timeout)
        try:
            if means.looks_only:
                return await send()
            reply = await send_patiently(send, means.clock, repeats=call.creates is None)
        except NotAnswered as error:
            if call.creates is not None and error.sent:
                self.sent.lost()
            raise self._unanswered(error) from None
        if call.creates is not None:
            self.sent.replied(reply.status, call.creates)
        return reply

    def _unanswered(self, error: NotAnswered) -> HandlerError:
        return HandlerError(
            "provider_timeout" if error.timed_out else "provider_unavailable",
            f"{self._provider.name} did not answer: {error}",
            hints=["Check the base URL, the network, the proxy and the certificate."],
            retryable=True,
        )


def _checked(value: Reply) -> Reply:
    if isinstance(value, Outcome | Ticket | Pending | Probe | bool):
        return value
    raise TypeError(f"a provider must return an Outcome, not {type(value).__name__}")


def _too_slow(provider: str, seconds: float) -> HandlerError:
    return HandlerError("provider_timeout", f"{provider} did not answer within {seconds:g} s")
