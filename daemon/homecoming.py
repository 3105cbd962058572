"""Bringing home what a provider has at an address of its own; or leaving it there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from daemon.errors import may_pass
from handlers.contract import HandlerError, Json, Medium, Outcome

_CAME_ALONG = (
    "download is false, but media came inside the provider's answer, and lie nowhere else: those "
    "are saved"
)

Fetch = Callable[[Medium], Awaitable[Medium]]


async def bring_home(outcome: Outcome, fetch: Fetch) -> Outcome:
    """An outcome whose media are all here, in their order. What cannot be had is told of in its
    `references`.

    Args:
        outcome: as the provider gave it.
        fetch: brings one medium home.

    Raises:
        HandlerError: nothing came home: the first failure, with all of them in its hints; or
            `disk_full`, of one: it can be had once there is room.
        OSError: one could not be written. No other one is on its way any more by then.
    """
    fetching = (_here(medium, fetch) for medium in outcome.media)
    found = await asyncio.gather(*fetching, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException) and not isinstance(one, HandlerError):
            raise one
    home = tuple(one for one in found if isinstance(one, Medium))
    failed = [
        (medium, one)
        for medium, one in zip(outcome.media, found, strict=True)
        if isinstance(one, HandlerError)
    ]
    for _, error in failed:
        if error.code == "disk_full":
            raise error
    if failed and not home:
        raise _nothing_came([error for _, error in failed])
    references = [_reference(medium, error) for medium, error in failed]
    warnings = [f"{len(failed)} of {len(found)} media could not be brought home"] if failed else []
    return replace(
        outcome,
        media=home,
        references=(*outcome.references, *references),
        warnings=(*outcome.warnings, *warnings),
    )


def left_there(outcome: Outcome) -> Outcome:
    """An outcome of which nothing is fetched: each address stands among its references, as the
    provider gave it. What came inside the answer lies nowhere else, and stays what it was."""
    here = tuple(medium for medium in outcome.media if medium.url is None)
    references = (
        {"reference": medium.url, "reason": "download is false"}
        for medium in outcome.media
        if medium.url is not None
    )
    return replace(
        outcome,
        media=here,
        references=(*outcome.references, *references),
        warnings=(*outcome.warnings, *([_CAME_ALONG] if here else [])),
    )


async def _here(medium: Medium, fetch: Fetch) -> Medium:
    return medium if medium.url is None else await fetch(medium)


def _reference(medium: Medium, error: HandlerError) -> dict[str, Json]:
    return {"reference": medium.url, "reason": f"{error.code}: {error.message}"}


def _nothing_came(errors: list[HandlerError]) -> HandlerError:
    first = errors[0]
    others = {error.message for error in errors[1:]} - {first.message}
    return HandlerError(
        "download_failed",
        f"the provider made it, but it could not be brought home: {first.message}",
        hints=[
            *first.hints,
            *sorted(others),
            "Use retry: it fetches the same media again, and pays for no other.",
        ],
        retryable=any(may_pass(error) for error in errors),
        http=first.http,
    )
