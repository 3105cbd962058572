"""Telling a provider that nobody waits any more for what it works on.

It is told once and waited for briefly, for the job ends in any case; what came of it is for the
result's warnings, since it may still be billed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from daemon.exchange import Means, exchange
from daemon.journal import Taken
from daemon.redaction import SIEVE
from daemon.services import Services
from handlers.contract import HandlerError
from handlers.wire import Cancels, Ticket

PATIENCE = 10.0
"""Seconds that a provider has to answer."""

GOES_ON = "the provider took the call and may go on with it, and bill it"

_log = structlog.get_logger(__name__)


async def call_off(calls: Iterable[Taken], shared: Services) -> list[str]:
    """Tell the providers of some calls to leave them, where they can be told.

    Args:
        calls: what was taken and is worked on.
        shared: with what they are told.

    Returns:
        What is to be said of it in the job's result.
    """
    told = await asyncio.gather(*(_one(one, one.ticket, shared) for one in calls if one.ticket))
    return list(dict.fromkeys(line for line in told if line is not None))


async def _one(taken: Taken, ticket: Ticket, shared: Services) -> str | None:
    try:
        service = shared.roster.service(taken.provider)
    except HandlerError:  # it was taken out of the configuration meanwhile
        return GOES_ON
    provider, paid = service.provider, service.provider.paid
    goes_on = GOES_ON if paid else None
    if not isinstance(provider, Cancels):
        return goes_on
    means = Means(shared.workbench, shared.network, shared.clock, service.site)
    try:
        async with asyncio.timeout(PATIENCE):
            effects = provider.cancel(ticket)
            agreed = await exchange(provider, effects, means, PATIENCE, submits=False)
    except TimeoutError:
        return _refused(taken, f"did not answer within {PATIENCE:g} s", paid=paid)
    except HandlerError as error:
        return _refused(taken, f"did not agree: {SIEVE.text(error.message)}", paid=paid)
    if not agreed:
        return goes_on
    _log.info("a call was cancelled", provider=taken.provider, ticket=SIEVE.text(ticket.id))
    billed = "; what it made until then may still be billed" if paid else ""
    return f"{taken.provider} was told to cancel what it worked on, and agreed{billed}"


def _refused(taken: Taken, why: str, *, paid: bool) -> str:
    goes_on = "may go on with it, and bill it" if paid else "may go on with it"
    return f"{taken.provider} was told to cancel what it works on, and {why}; it {goes_on}"
