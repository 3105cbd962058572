"""Keeping what a provider answered with."""

from __future__ import annotations

from handlers.contract import Context, HandlerError, Outcome


async def keep_all(context: Context, outcome: Outcome, *, prefix: str) -> None:
    """Make an artifact of each picture of an answer, in the provider's order.

    Raises:
        HandlerError: `no_media`: there is none.
    """
    check(outcome)
    for number, medium in enumerate(outcome.media, start=1):
        await context.keep(f"picture {number}", medium, prefix=prefix)


def check(outcome: Outcome) -> None:
    """Whether an answer holds anything.

    Raises:
        HandlerError: `no_media`: it does not.
    """
    if not outcome.media and not outcome.references:
        raise HandlerError(
            "no_media",
            "the provider answered, but with no picture",
            hints=["Look at the provider's own log; the prompt may have been filtered."],
        )
